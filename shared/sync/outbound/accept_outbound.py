"""Take a send from the CRM: judge it, keep its files, claim its id, write its row; only then say accepted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from shared.content import find_cids, text_to_html
from shared.domain import ids
from shared.domain.addresses import validate_recipients
from shared.domain.connection_status import MAY_SEND, current_status
from shared.domain.controls import NO_CONTROLS, has_controls, has_nul
from shared.domain.errors import (
    CrmMessageIdReused,
    FieldError,
    InvalidRequest,
    MailboxClosed,
    MustWait,
    NoActiveConnection,
    NotFound,
    RaceLost,
    RowChanged,
    ThreadStopped,
)
from shared.domain.model import (
    Connection,
    Direction,
    FenceState,
    GivenFile,
    MailboxRef,
    MessageRecord,
    MessageStatus,
    Origin,
    OutboxItem,
    SendRequest,
    Thread,
    ThreadMessage,
)
from shared.domain.unopened import is_changing
from shared.domain.waiting import Waiting
from shared.html import LEAVING, Cleaned, Pictures, clean_html, html_to_text
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state.claims import SendClaim
from shared.state.ledger import new
from shared.sync.mailbox.unit_of_work import change
from shared.sync.outbound.known_sends import find_opening_send
from shared.sync.outbound.uploads import stage_files
from shared.sync.outbound.waiting_sends import find_waiting, look_up_waiting, shown_status
from shared.sync.staging import Body, stage_body

MAX_SUBJECT_CHARACTERS = 998
MAX_BODY_BYTES = 1_048_576
MAX_CONTEXT_BYTES = 16_384  # it lies in the rows of the send and of its thread, which hold 1 MiB of UTF-16


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the CRM is answered. For a repeat: how the send stands now, and why."""

    item: OutboxItem
    waits: Waiting | None = None

    @property
    def status(self) -> MessageStatus:
        """How the send stands: `waiting` while something keeps it from leaving."""
        return shown_status(self.item, self.waits)


async def accept_outbound(s: Services, tenant_id: str, request: SendRequest) -> Accepted:
    """Accept a send durably, or say why not; nothing leaves in here.

    Raises InvalidRequest, AttachmentRefused, NoActiveConnection, CrmMessageIdReused, NotFound (thread), ThreadStopped,
    MustWait, RaceLost and StoreUnavailable.
    """
    _validate(request)
    key = ids.crm_key(tenant_id, request.crm_message_id)
    earlier = await s.claims.find_send(tenant_id, key)
    if earlier is not None and (done := await _find_repeated(s, tenant_id, request, earlier.value)):
        return done
    connection = await s.connections.current(tenant_id, request.user_id)
    if connection is None:
        raise NoActiveConnection
    ctx = MailboxContext(s, MailboxRef(tenant_id, connection.value.mailbox_id))
    if current_status(connection.value, await ctx.read(), ctx.now()) not in MAY_SEND:
        raise await _why_none_sends(s, tenant_id, request.user_id)
    thread, crm_thread_id = await _find_answered(ctx, request)
    item = _plan_item(ctx, connection.value, request, thread, crm_thread_id)
    waits = await find_waiting(ctx, ctx.mailbox, item, thread if isinstance(thread, Thread) else None)
    if waits is not None and request.refuses_to_wait:
        raise MustWait(waits.waits_for)
    item = await _stage(ctx, request, item)
    claim = await _claim(ctx, item, request.body_hash)
    if claim.body_hash != request.body_hash:
        raise CrmMessageIdReused
    if claim.mailbox_id != ctx.ref.mailbox_id:
        raise await _why_none_sends(s, tenant_id, request.user_id)
    await _write(ctx, item, connection.value.connection_id)
    return Accepted(item, waits)


async def _why_none_sends(s: Services, tenant_id: str, user_id: str) -> NoActiveConnection | RaceLost:
    """Nobody is connected; or the user's mailbox is just being changed, and the same request soon finds one (R6)."""
    current = await s.connections.current(tenant_id, user_id)
    if current is None:
        return NoActiveConnection()
    connection, ctx = current.value, MailboxContext(s, MailboxRef(tenant_id, current.value.mailbox_id))
    mailbox = await ctx.read()
    may_send = current_status(connection, mailbox, ctx.now()) in MAY_SEND
    return RaceLost() if may_send or is_changing(connection, mailbox) else NoActiveConnection()


def _validate(request: SendRequest) -> None:
    errors = list(validate_recipients(request.to, request.cc, request.bcc))
    if len(request.subject) > MAX_SUBJECT_CHARACTERS or has_controls(request.subject):
        errors.append(FieldError("/subject", "at most 998 characters, no line breaks or other controls"))
    errors += [
        FieldError(f"/attachments/{number}/name", NO_CONTROLS)
        for number, file in enumerate(request.files)
        if has_controls(file.name)
    ]
    if request.html is None and request.text is None:
        errors.append(FieldError("/body", "html or text is needed"))
    if max(len((request.html or "").encode()), len((request.text or "").encode())) > MAX_BODY_BYTES:
        errors.append(FieldError("/body", "at most 1 MiB"))
    if len(request.crm_context.encode()) > MAX_CONTEXT_BYTES:
        errors.append(FieldError("/crm_context", "at most 16 KiB"))
    if "\\u0000" in request.crm_context and has_nul(msgspec.json.decode(request.crm_context)):
        errors.append(FieldError("/crm_context", "no NUL (U+0000), which many databases refuse"))
    if errors:
        raise InvalidRequest("The message cannot be sent as it is.", tuple(errors))


async def _find_repeated(
    s: Services, tenant_id: str, request: SendRequest, claim: SendClaim
) -> Accepted | None:
    """A repeat goes to the recorded address, whatever mailbox is current; without a row there it is written now."""
    if claim.body_hash != request.body_hash:
        raise CrmMessageIdReused
    ctx = MailboxContext(s, MailboxRef(tenant_id, claim.mailbox_id))
    found = await ctx.find(OutboxItem, ids.crm_key(tenant_id, request.crm_message_id))
    if found is None:
        return None
    return Accepted(found.value, await look_up_waiting(ctx, found.value))


async def _find_thread(ctx: MailboxContext, thread_id: str) -> Thread | OutboxItem:
    """A thread, or the send that is to begin it and has not left yet. Raises NotFound."""
    stored = await ctx.find(Thread, thread_id)
    thread = stored.value if stored else await find_opening_send(ctx, thread_id)
    if thread is None:
        raise NotFound("There is no such thread.")
    return thread


async def _find_answered(
    ctx: MailboxContext, request: SendRequest
) -> tuple[Thread | OutboxItem | None, str | None]:
    """The thread that a reply goes into, and the CRM's thread that it belongs to.

    A stopped thread takes no send, through whichever mailbox (R12). A thread of an earlier connection of this mailbox
    is resumed by the send (R9). A thread of another mailbox of the tenant (the user's former one, a colleague's) goes
    on as a thread of this one, under the same CRM thread (R6, R11).
    """
    if request.thread_id is None:
        return None, request.crm_thread_id
    mailbox_id = ids.mailbox_of(request.thread_id, "thr")
    if mailbox_id is None:
        raise NotFound("There is no such thread.")
    if mailbox_id == ctx.ref.mailbox_id:
        thread = await _find_thread(ctx, request.thread_id)
        if isinstance(thread, Thread) and thread.stopped_at is not None:
            raise ThreadStopped
        return thread, request.crm_thread_id or thread.crm_thread_id
    elsewhere = MailboxContext(ctx.services, MailboxRef(ctx.ref.tenant_id, mailbox_id))
    former = await _find_thread(elsewhere, request.thread_id)
    if isinstance(former, Thread) and former.stopped_at is not None:
        raise ThreadStopped
    return None, request.crm_thread_id or former.crm_thread_id


def _plan_item(
    ctx: MailboxContext,
    connection: Connection,
    request: SendRequest,
    thread: Thread | OutboxItem | None,
    crm_thread_id: str | None,
) -> OutboxItem:
    """The send as the outbox keeps it, but for its body and files."""
    mailbox_id = ctx.ref.mailbox_id
    key, now = ids.crm_key(ctx.ref.tenant_id, request.crm_message_id), ctx.now()
    return OutboxItem(
        key=key,
        crm_message_id=request.crm_message_id,
        message_id=ids.outbound_message_id(mailbox_id, key),
        thread_id=thread.thread_id if thread else ids.thread_id(mailbox_id, key),
        reply=thread is not None,
        crm_thread_id=crm_thread_id,
        generation=connection.generation,
        user_id=request.user_id,
        to=request.to,
        cc=request.cc,
        bcc=request.bcc,
        subject=request.subject,
        body_blob="",
        files=(),
        crm_context=request.crm_context,
        contact_ids=request.contact_ids,
        created_at=now,
        updated_at=now,
        due_at=now,
        send_within_seconds=request.send_within_seconds,
    )


async def _stage(ctx: MailboxContext, request: SendRequest, item: OutboxItem) -> OutboxItem:
    """The send with its files and its body in staging. Raises AttachmentRefused."""
    pictures = Pictures()
    cleaned = (
        clean_html(request.html, LEAVING, pictures)
        if request.html is not None
        else Cleaned(text_to_html(request.text or ""))
    )
    shown = find_cids(cleaned.html)
    given = [
        *(replace(file, inline=file.inline and file.content_id in shown) for file in request.files),
        *(
            GivenFile(picture.name, None, picture.content, None, True, picture.content_id)
            for picture in pictures.found.values()
        ),
    ]
    files = await stage_files(ctx, item, given)
    body = Body(cleaned.html, request.text if request.text is not None else html_to_text(cleaned.html))
    blob = await stage_body(ctx.services, ctx.ref.tenant_id, item.message_id, body)
    return replace(item, files=files, body_blob=blob, warnings=cleaned.removed)


async def _claim(ctx: MailboxContext, item: OutboxItem, body_hash: str) -> SendClaim:
    """Claim the id for this mailbox. A claim whose mailbox closed before a row stood there is moved here by CAS."""
    s, ref = ctx.services, ctx.ref
    wanted = SendClaim(
        body_hash, ref.mailbox_id, item.message_id, item.thread_id, item.generation, item.created_at
    )
    stored = await s.claims.claim_send(ref.tenant_id, item.key, wanted)
    elsewhere = stored.value.mailbox_id != ref.mailbox_id
    if elsewhere and stored.value.body_hash == body_hash and await _is_closed(ctx, stored.value):
        try:
            await s.claims.move_send(ref.tenant_id, item.key, stored.changed(wanted))
        except RowChanged as err:  # it loses to the same request, made again at the same time
            raise RaceLost from err
        return wanted
    return stored.value


async def _is_closed(ctx: MailboxContext, claim: SendClaim) -> bool:
    mailbox = await ctx.services.ledger.mailbox(MailboxRef(ctx.ref.tenant_id, claim.mailbox_id))
    if mailbox is None or mailbox.value.state is FenceState.CLOSED:
        return True
    return mailbox.value.generation != claim.generation


async def _write(ctx: MailboxContext, item: OutboxItem, connection_id: str) -> None:
    """The accepted row under the fence; its task follows from it. A row that is there already is the same send's."""
    record = MessageRecord(
        item.message_id,
        item.thread_id,
        Direction.OUTBOUND,
        Origin.CRM,
        MessageStatus.ACCEPTED,
        None,
        item.created_at,
        key=item.key,
    )
    try:
        # Loses to other writes of the fence, and to the same request made twice.
        async for tx in change(ctx, item.generation, connection_id, as_read=True):
            if not tx.first and await ctx.find(OutboxItem, item.key):
                tx.abandon()
                continue
            if not tx.first:
                await _refuse_into_stopped(ctx, item)
            tx.add(
                new(item), new(record), new(ThreadMessage(item.thread_id, item.message_id, item.created_at))
            )
    except MailboxClosed as err:
        raise await _why_none_sends(ctx.services, ctx.ref.tenant_id, item.user_id) from err


async def _refuse_into_stopped(ctx: MailboxContext, item: OutboxItem) -> None:
    """A stop writes the fence, so whoever lost to it looks again. Raises ThreadStopped."""
    thread = await ctx.find(Thread, item.thread_id)
    if thread is not None and thread.value.stopped_at is not None:
        raise ThreadStopped
