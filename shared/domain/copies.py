"""Whether a mail is another copy of one that is known by its Message-ID (E-15).

A Message-ID is no secret, and some programs use one for everything: a copy has the same author too, and nearly the same
time. A mailing list may bring the user's own mail back hours later, so for that time is no limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import getaddresses
from typing import Final

from shared.domain import own_addresses
from shared.domain.addresses import among, comparable_address, is_hidden
from shared.domain.model import Address, Author, FetchedMessage, Mailbox, MessageIndex

COPY_WITHIN: Final = timedelta(minutes=10)
MOST_AUTHORS: Final = 20
THE_USER: Final = ""
NOBODY: Final = "?"
ORIGINAL_AUTHOR_HEADERS: Final = frozenset({"x-original-from", "x-original-sender"})


def author_of(sender: Address | None, *, by_user: bool) -> str:
    """How an index row names who wrote a mail: the mailbox's user by none of the user's many addresses."""
    if by_user:
        return THE_USER
    return comparable_address(sender.address) if sender is not None and sender.address else NOBODY


def behind_a_list(message: FetchedMessage) -> tuple[Address, ...]:
    """Whom a mailing list names as the author of a mail in whose From the list itself stands.

    Lists do so for the sake of DMARC: Mailman moves the author to Reply-To (RFC 7960), Google Groups to
    X-Original-From or X-Original-Sender. RFC 2919: a list's mail has a List-Id. Anybody may claim this, which makes
    nothing but the claimant's own mail a copy.
    """
    headers = [(name.lower(), value) for name, value in message.headers]
    if not any(name == "list-id" for name, _ in headers):
        return ()
    named = getaddresses([value for name, value in headers if name in ORIGINAL_AUTHOR_HEADERS])
    return (*message.reply_to, *(Address(address, name) for name, address in named if address))


def authors_of(message: FetchedMessage, mailbox: Mailbox, *, by_user: bool) -> tuple[str, ...]:
    """By whom a mail that was read may be: its sender, and whom a list names beside itself."""
    others = (
        author_of(person, by_user=own_addresses.is_named(person.address, mailbox))
        for person in behind_a_list(message)
    )
    return (author_of(message.sender, by_user=by_user), *others)


def may_come_from_a_list(message: FetchedMessage, mailbox: Mailbox, contacts: Iterable[str]) -> bool:
    """Whether a mail may be a list's copy of one that lies in the mailbox as its author wrote it.

    A list that leaves From alone may bring back the user's own mail under an alias that nobody knows: what came from
    outside under the user's own domain, by nobody who has written in the thread.
    """
    if behind_a_list(message):
        return True
    sender = message.sender.address if message.sender is not None else ""
    domains = {comparable_address(own).rpartition("@")[2] for own in mailbox.own_addresses}
    return (
        own_addresses.has_travelled(message)
        and comparable_address(sender).rpartition("@")[2] in domains
        and not among([sender], contacts)
        and not own_addresses.is_named(sender, mailbox)
    )


def find_same(
    index: MessageIndex | None, authors: Iterable[str], at: datetime | None, message_id: str
) -> tuple[str, ...]:
    """Our ids of the other messages that a mail with that Message-ID, by one of these and of that time, is a copy of.

    `message_id`: its own; a mail that was held is no copy of itself. "" stands for a message that an earlier version
    noted without its id.
    """
    if index is None:
        return ()
    others = [known for known in _authors(index) if known.message_id != message_id]
    by = set(authors)
    return tuple(
        dict.fromkeys(
            known.message_id for known in others if any(_are_same(known, author, at) for author in by)
        )
    )


def with_further_mail(known: MessageIndex, fresh: MessageIndex) -> MessageIndex | None:
    """The row after one more mail with its Message-ID; None: it changes nothing.

    It leads to the thread of its first mail, but for one that was written here, which nobody can have foisted on us. Of
    a mail that could not be read when it was noted the author is learned later.
    """
    if known.message_id == fresh.message_id:
        learned = known.author == NOBODY != fresh.author or fresh.admits_alone > known.admits_alone
        return replace(fresh, others=known.others) if learned else None
    if fresh.admits_alone and not known.admits_alone:
        others = (noted for noted in _authors(known) if noted.message_id != fresh.message_id)
        return replace(fresh, others=tuple(others)[-MOST_AUTHORS:])
    mine = Author(fresh.author, fresh.at, fresh.message_id)
    noted = next((other for other in known.others if other.message_id == fresh.message_id), None)
    if noted is not None:
        learned = noted.author == NOBODY != fresh.author
        others = (mine if other is noted else other for other in known.others)
        return replace(known, others=tuple(others)) if learned else None
    return replace(known, others=(*known.others, mine)[-MOST_AUTHORS:])


def _authors(index: MessageIndex) -> tuple[Author, ...]:
    return (Author(index.author, index.at, index.message_id), *index.others)


def _are_same(known: Author, author: str, at: datetime | None) -> bool:
    if known.author != author and not (is_hidden(known.author) and among([author], [known.author])):
        return False
    return author == THE_USER or (at is not None and abs(at - known.at) <= COPY_WITHIN)
