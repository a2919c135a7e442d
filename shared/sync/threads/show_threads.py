"""A thread with its messages, and the list of a mailbox's threads."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from shared.domain import ids
from shared.domain.addresses import is_hidden
from shared.domain.errors import FieldError, InvalidRequest, NotFound
from shared.domain.model import Connection, Mailbox, MailboxRef, OutboxItem, Thread, ThreadStatus
from shared.domain.own_addresses import is_own
from shared.domain.stamps import PATTERN
from shared.domain.threads import thread_status
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state import keys
from shared.state.connections import mailbox_ref
from shared.sync.outbound.known_sends import find_opening_send
from shared.sync.threads.show_message import show_message

MOST_READ: Final = 2_000
PAGE: Final = 20
MESSAGE_CURSOR: Final = re.compile(rf"({PATTERN}\|msg_[a-z2-7]{{26}}_[a-z2-7]{{26}})?", re.ASCII)
THREAD_CURSOR: Final = re.compile(rf"({PATTERN}\|thr_[a-z2-7]{{26}}_[a-z2-7]{{26}})?", re.ASCII)


def find_thread(s: Services, tenant_id: str, thread_id: str) -> MailboxContext:
    """The mailbox that a thread id of this tenant names. Raises NotFound for what is no such id (X-5)."""
    mailbox_id = ids.mailbox_of(thread_id, "thr")
    if mailbox_id is None:
        raise NotFound
    return MailboxContext(s, MailboxRef(tenant_id, mailbox_id))


async def find_own_mailbox(s: Services, tenant_id: str, user_id: str) -> MailboxContext | None:
    """The mailbox that the user is connected to, or was last; None for who never connected."""
    current = await s.connections.current(tenant_id, user_id)
    if current is None:
        return None
    ctx = MailboxContext(s, mailbox_ref(tenant_id, current.value))
    mailbox = await ctx.read()
    return ctx if mailbox is not None and _is_of(mailbox, current.value) else None


def _is_of(mailbox: Mailbox, connection: Connection) -> bool:
    """A mailbox that was connected to somebody else since is not this user's any more."""
    return mailbox.connection_id == connection.connection_id


async def find_own_thread(s: Services, tenant_id: str, user_id: str, thread_id: str) -> MailboxContext:
    """The user's mailbox, with this thread of the user's in it. Raises NotFound, the same as for none (X-5)."""
    own = await find_own_mailbox(s, tenant_id, user_id)
    if own is None or find_thread(s, tenant_id, thread_id).ref != own.ref:
        raise NotFound
    thread = await _find(own, thread_id)
    if thread is None or not await _belongs_to(own, thread, user_id):
        raise NotFound
    return own


async def _belongs_to(ctx: MailboxContext, thread: Thread | OutboxItem, user_id: str) -> bool:
    """Whether a thread of this mailbox, which may have been others' before, is under a connection of this user's."""
    if isinstance(thread, OutboxItem):
        return thread.user_id == user_id
    mailbox = ctx.mailbox
    if mailbox is not None and mailbox.connection_id == thread.connection_id:
        return mailbox.user_id == user_id
    return await ctx.services.connections.get(ctx.ref.tenant_id, user_id, thread.connection_id) is not None


async def _user_of(ctx: MailboxContext, thread: Thread | OutboxItem, mailbox: Mailbox) -> str:
    """Whose thread it is: of the mailbox's user, or of one who had the mailbox before and began the thread."""
    if await _belongs_to(ctx, thread, mailbox.user_id):
        return mailbox.user_id
    opening = thread if isinstance(thread, OutboxItem) else await find_opening_send(ctx, thread.thread_id)
    return opening.user_id if opening is not None else mailbox.user_id


async def show_thread(s: Services, tenant_id: str, thread_id: str, after: str = "") -> dict[str, Any]:
    """A thread with a page of its messages, oldest first. Raises NotFound, InvalidRequest for a foreign cursor."""
    _check_cursor(MESSAGE_CURSOR, after)
    ctx = find_thread(s, tenant_id, thread_id)
    mailbox, thread = await ctx.read(), await _find(ctx, thread_id)
    if mailbox is None or thread is None:
        raise NotFound
    listed = await s.ledger.messages_of_thread(ctx.ref, thread_id, after, PAGE + 1)
    page = listed[:PAGE]
    return {
        **show_one(thread, mailbox),
        "crm_thread_id": thread.crm_thread_id,
        "user_id": await _user_of(ctx, thread, mailbox),
        "mailbox": {"id": ctx.ref.mailbox_id, "address": mailbox.address},
        "messages": [await show_message(s, tenant_id, message.message_id) for message in page],
        "next": f"{keys.stamp(page[-1].at)}|{page[-1].message_id}" if len(listed) > PAGE else None,
    }


async def list_threads(ctx: MailboxContext, after: str = "") -> dict[str, Any]:
    """A page of the mailbox's threads that are its user's, the one with the newest mail first. Raises InvalidRequest.

    A mailbox with more than 2,000 threads shows 2,000 of them: the API reaches the others by their ids.
    """
    _check_cursor(THREAD_CURSOR, after)
    mailbox = ctx.mailbox
    if mailbox is None:
        return {"items": [], "next": None}
    found = [
        thread
        for thread in await ctx.services.ledger.threads(ctx.ref, MOST_READ)
        if thread_status(thread, mailbox) is not ThreadStatus.INACTIVE
        and await _belongs_to(ctx, thread, mailbox.user_id)
    ]
    ranked = sorted(((_cursor(thread), thread) for thread in found), key=lambda entry: entry[0], reverse=True)
    rest = [entry for entry in ranked if not after or entry[0] < after]
    return {
        "items": [show_one(thread, mailbox) for _, thread in rest[:PAGE]],
        "next": rest[PAGE - 1][0] if len(rest) > PAGE else None,
    }


async def show_standing(ctx: MailboxContext, thread_id: str) -> dict[str, Any]:
    """How one thread stands now, as the list shows it. Raises NotFound."""
    mailbox, thread = await ctx.read(), await _find(ctx, thread_id)
    if mailbox is None or thread is None:
        raise NotFound
    return show_one(thread, mailbox)


async def _find(ctx: MailboxContext, thread_id: str) -> Thread | OutboxItem | None:
    """A thread, or the send that is to begin it."""
    stored = await ctx.find(Thread, thread_id)
    return stored.value if stored else await find_opening_send(ctx, thread_id)


def show_one(thread: Thread | OutboxItem, mailbox: Mailbox) -> dict[str, Any]:
    """A thread as the page and the API show it; people are everybody in it but the mailbox's own user."""
    begun = thread if isinstance(thread, Thread) else None
    people = _people(thread)
    return {
        "id": thread.thread_id,
        "subject": thread.subject,
        "people": [address for address in people if not is_own(address, mailbox)],
        "status": thread_status(thread, mailbox).value,
        "stopped_at": begun.stopped_at if begun else None,
        "stopped_by": begun.stopped_by if begun else None,
        "last_activity_at": _last_activity(thread),
    }


def _people(thread: Thread | OutboxItem) -> tuple[str, ...]:
    if isinstance(thread, Thread):
        return tuple(address for address in thread.participants if not is_hidden(address))
    return tuple(person.address for person in (*thread.to, *thread.cc, *thread.bcc))


def _last_activity(thread: Thread | OutboxItem) -> datetime:
    return (thread.newest_at or thread.active_from) if isinstance(thread, Thread) else thread.created_at


def _cursor(thread: Thread) -> str:
    return f"{keys.stamp(_last_activity(thread))}|{thread.thread_id}"


def _check_cursor(cursor: re.Pattern[str], after: str) -> None:
    if cursor.fullmatch(after) is None:
        raise InvalidRequest(
            "The cursor is not one of ours.", (FieldError("/after", "not a `next` of ours"),)
        )
