"""Which addresses name the mailbox's own user, so whose mail is outbound and who is a contact of a thread.

Known are the addresses of the profile (`mail`, sign-in name, `proxyAddresses`) and what was learned from mails of
threads. Exchange names the user of a mailbox by a legacy X.500 name now and then (office-js issue 3701), which no
profile need list. A mail that came from outside has `Received` headers (RFC 5321, 4.4); one written in the mailbox has
none (Microsoft Graph gives no `internetMessageHeaders` of sent items).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.addresses import among, comparable_address
from shared.domain.model import Address, Direction, FetchedMessage, Mailbox, Profile

MOST_ALIASES: Final = 200
MOST_LEARNED: Final = 20
MOST_CHARACTERS: Final = 500  # X.500 names have about 130
PROFILE_FRESH_FOR: Final = timedelta(days=1)


def is_own(address: str, mailbox: Mailbox) -> bool:
    """Whether the profile names this address, with or without a tag behind a plus.

    Exchange Online delivers `ann+anything@` to `ann@` ("Plus addressing in Exchange Online").
    """
    own = {comparable_address(known) for known in mailbox.own_addresses}
    compared = comparable_address(address)
    return compared in own or _without_tag(compared) in own


def is_named(address: str, mailbox: Mailbox) -> bool:
    """Whether this is an address of the user that is known already, by the profile or learned."""
    return is_own(address, mailbox) or _is_among(address, mailbox.learned_addresses)


def is_by_user(message: FetchedMessage, mailbox: Mailbox, contacts: Iterable[str]) -> bool:
    """Whether the mailbox's own user wrote a mail that evidence has led to a thread with these contacts.

    An address of the profile always is the user's, one of a contact else never. What bears any other was written here
    when it never travelled and lies in Sent Items, or names its author by an X.500 name: a rule of the user's may file
    answers elsewhere.
    """
    sender = message.sender.address if message.sender else ""
    if sender and is_own(sender, mailbox):
        return True
    if _is_among(sender, contacts):
        return False
    if _is_among(sender, mailbox.learned_addresses):
        return True
    return not has_travelled(message) and (message.in_sent_items or is_legacy_name(sender))


def direction_of(message: FetchedMessage, mailbox: Mailbox, contacts: Iterable[str]) -> Direction:
    """The user's own mail is outbound as the CRM sees it; everybody else's is inbound."""
    return Direction.OUTBOUND if is_by_user(message, mailbox, contacts) else Direction.INBOUND


def is_place_needed(message: FetchedMessage, mailbox: Mailbox) -> bool:
    """Whether only the folder tells if the user wrote this mail: nothing that is known names its sender."""
    sender = message.sender.address if message.sender else ""
    return not is_named(sender, mailbox) and not has_travelled(message)


def has_travelled(message: FetchedMessage) -> bool:
    """Whether a mail came into the mailbox from outside."""
    return any(name.lower() == "received" for name, _ in message.headers)


def is_legacy_name(address: str) -> bool:
    """Whether this is a legacy X.500 name (`/O=EXCHANGELABS/…/CN=RECIPIENTS/CN=…`), not a mail address."""
    return address.strip().casefold().startswith("/o=")


def with_learned(mailbox: Mailbox, sender: Address | None, contacts: Iterable[str]) -> Mailbox:
    """The mailbox with one more address of its user; only for a mail of ours, or of a thread and in Sent Items.

    A contact's address is never learned: a contact's mail may be dragged into Sent Items.
    """
    address = sender.address if sender else ""
    known = is_named(address, mailbox)
    if not address or len(address) > MOST_CHARACTERS or known or _is_among(address, contacts):
        return mailbox
    return replace(mailbox, learned_addresses=(*mailbox.learned_addresses, address)[-MOST_LEARNED:])


def with_learned_from(mailbox: Mailbox, message: FetchedMessage, contacts: Iterable[str]) -> Mailbox:
    """The mailbox after a mail of a thread: the sender of what the user wrote and Sent Items keeps is the user."""
    if not message.in_sent_items or has_travelled(message):
        return mailbox
    return with_learned(mailbox, message.sender, contacts)


def is_profile_due(mailbox: Mailbox, now: datetime) -> bool:
    """Whether the profile was last read so long ago that it is read again at a renewal."""
    return mailbox.profile_read_at is None or now - mailbox.profile_read_at >= PROFILE_FRESH_FOR


def with_profile(mailbox: Mailbox, profile: Profile, now: datetime) -> Mailbox:
    """The mailbox with the addresses that its profile names now; the address it is known by stays (O-6)."""
    return replace(
        mailbox, aliases=bounded_aliases(mailbox.address, profile.own_addresses), profile_read_at=now
    )


def bounded_aliases(address: str, others: Iterable[str]) -> tuple[str, ...]:
    """The addresses beside the mailbox's own, each once: as many as its row has room for."""
    found = {comparable_address(other): other for other in others if 0 < len(other) <= MOST_CHARACTERS}
    found.pop(comparable_address(address), None)
    return tuple(found.values())[:MOST_ALIASES]


def shown_sender(message: FetchedMessage, mailbox: Mailbox, direction: Direction) -> Address | None:
    """Whom the CRM is told as sender: the mailbox's address for its user's X.500 name, which nobody can write to."""
    sender = message.sender
    if sender is None or direction is not Direction.OUTBOUND or not is_legacy_name(sender.address):
        return sender
    return replace(sender, address=mailbox.address)


def _is_among(address: str, others: Iterable[str]) -> bool:
    return bool(among([address], others))


def _without_tag(address: str) -> str:
    local, at, domain = address.rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}"
