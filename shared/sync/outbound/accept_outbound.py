"""Take a send from the CRM: judge it, keep its files, claim its id, write its row; only then say accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.content import clean_html, html_to_text, text_to_html
from shared.domain import ids
from shared.domain.addresses import validate_recipients
from shared.domain.attachments import FileProblem, canonical_type, clean_name, judge_content, judge_outbound
from shared.domain.connection import MAY_SEND, current_status
from shared.domain.errors import (
    AttachmentRefused,
    CrmMessageIdReused,
    FieldError,
    InvalidRequest,
    MailboxClosed,
    NoActiveConnection,
    NotFound,
    RowChanged,
    RowExists,
)
from shared.domain.model import (
    Connection,
    Direction,
    FenceState,
    Mailbox,
    MailboxRef,
    MessageRecord,
    Origin,
    OutboxItem,
    SendRequest,
    StagedFile,
    Task,
    TaskKind,
    Thread,
)
from shared.services import Services
from shared.state.claims import SendClaim
from shared.state.codec import Stored
from shared.state.ledger import Change, new
from shared.state.sessions import Upload
from shared.sync.mailbox.unit_of_work import through_gate
from shared.sync.outbound.known_sends import opening_send
from shared.sync.queueing.jobs import enqueue
from shared.sync.staging import Body, stage, stage_body, unstage

MAX_SUBJECT_CHARACTERS = 998
MAX_BODY_BYTES = 1_048_576
MAX_CONTEXT_BYTES = 16_384  # it lies in the rows of the send and of its thread, which hold 1 MiB of UTF-16


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the CRM is answered; the same for a repeat."""

    message_id: str
    thread_id: str
    crm_message_id: str


async def accept_outbound(s: Services, tenant_id: str, request: SendRequest) -> Accepted:
    """Accept a send durably, or say why not; nothing leaves in here.

    Raises InvalidRequest, AttachmentRefused, NoActiveConnection, CrmMessageIdReused, NotFound (thread) and
    StoreUnavailable.
    """
    _validate(request)
    key = ids.crm_key(tenant_id, request.crm_message_id)
    earlier = await s.claims.find_send(tenant_id, key)
    if earlier is not None and (done := await _repeat(s, tenant_id, request, earlier.value)):
        return done
    connection = await _sending_connection(s, tenant_id, request.user_id)
    mailbox = MailboxRef(tenant_id, connection.mailbox_id)
    thread = await _thread_to_answer(s, mailbox, request.thread_id, connection)
    files = await _stage_files(s, tenant_id, request)
    item = await _item(s, mailbox, connection, request, files, thread)
    claim = await _claim(s, tenant_id, item, mailbox, request.body_hash)
    if claim.body_hash != request.body_hash:
        raise CrmMessageIdReused
    if claim.mailbox_id != mailbox.mailbox_id:
        raise NoActiveConnection
    await _write(s, mailbox, item, connection.connection_id)
    return Accepted(item.message_id, item.thread_id, item.crm_message_id)


def _validate(request: SendRequest) -> None:
    errors = list(validate_recipients(request.to, request.cc, request.bcc))
    if len(request.subject) > MAX_SUBJECT_CHARACTERS or any(ord(one) < 32 for one in request.subject):  # noqa: PLR2004 - C0 controls
        errors.append(FieldError("/subject", "at most 998 characters, no line breaks or other controls"))
    if request.html is None and request.text is None:
        errors.append(FieldError("/body", "html or text is needed"))
    if max(len((request.html or "").encode()), len((request.text or "").encode())) > MAX_BODY_BYTES:
        errors.append(FieldError("/body", "at most 1 MiB"))
    if len(request.crm_context.encode()) > MAX_CONTEXT_BYTES:
        errors.append(FieldError("/crm_context", "at most 16 KiB"))
    if errors:
        raise InvalidRequest("The message cannot be sent as it is.", tuple(errors))


async def _repeat(s: Services, tenant_id: str, request: SendRequest, claim: SendClaim) -> Accepted | None:
    """A repeat goes to the recorded address, whatever mailbox is current; without a row there it is written now."""
    if claim.body_hash != request.body_hash:
        raise CrmMessageIdReused
    mailbox = MailboxRef(tenant_id, claim.mailbox_id)
    found = await s.ledger.find(mailbox, OutboxItem, ids.crm_key(tenant_id, request.crm_message_id))
    if found is None:
        return None
    return Accepted(found.value.message_id, found.value.thread_id, found.value.crm_message_id)


async def _sending_connection(s: Services, tenant_id: str, user_id: str) -> Connection:
    stored = await s.connections.current(tenant_id, user_id)
    if stored is None:
        raise NoActiveConnection
    gate = await s.ledger.gate(MailboxRef(tenant_id, stored.value.mailbox_id))
    if current_status(stored.value, gate.value if gate else None) not in MAY_SEND:
        raise NoActiveConnection
    return stored.value


async def _thread_to_answer(
    s: Services, mailbox: MailboxRef, thread_id: str | None, connection: Connection
) -> Thread | OutboxItem | None:
    """The thread a reply goes into, or the send that is to begin it and has not left yet.

    A thread of an earlier connection of this mailbox is resumed by the send (R9).
    """
    if thread_id is None:
        return None
    if ids.mailbox_of(thread_id, "thr") != connection.mailbox_id:
        raise NotFound("This thread is not in the user's connected mailbox.")
    stored = await s.ledger.find(mailbox, Thread, thread_id)
    thread = stored.value if stored else await opening_send(s, mailbox, thread_id)
    if thread is None:
        raise NotFound("There is no such thread.")
    return thread


async def _stage_files(s: Services, tenant_id: str, request: SendRequest) -> tuple[StagedFile, ...]:
    uploads = await _uploaded(s, tenant_id, request.file_ids)
    uploaded = [one.value.file for _, one in uploads]
    judged = [
        (clean_name(name), content_type, content) for name, content_type, content in request.inline_files
    ]
    problems = [
        *judge_outbound(
            [(one.name, one.size_bytes) for one in uploaded] + [(name, len(data)) for name, _, data in judged]
        ),
        *_content_problems(judged),
    ]
    if problems:
        raise refused(list(dict.fromkeys(problems)))  # name and content may have said the same
    own = [await _own(s, tenant_id, file_id, one) for file_id, one in uploads]
    inline = [await stage_file(s, tenant_id, name, content) for name, _, content in judged]
    linked = tuple(
        StagedFile(f"att_{number}", clean_name(name), canonical_type(clean_name(name)), 0, url=url)
        for number, (url, name) in enumerate(request.linked_files)
    )
    return (*own, *inline, *linked)


async def _own(s: Services, tenant_id: str, file_id: str, upload: Stored[Upload]) -> StagedFile:
    """The file as this send's own: a second send gets a copy, for the bytes of each go at a time of their own."""
    file = upload.value.file
    if not upload.value.used and await s.sessions.use_upload(tenant_id, file_id, upload):
        return file
    content = await unstage(s, file.blob or "")
    return replace(file, blob=await stage(s, tenant_id, content, file.content_type))


async def _uploaded(s: Services, tenant_id: str, file_ids: Sequence[str]) -> list[tuple[str, Stored[Upload]]]:
    found = [(file_id, await s.sessions.upload(tenant_id, file_id)) for file_id in file_ids]
    missing = [
        FieldError("/attachments", f"there is no file {file_id}") for file_id, one in found if one is None
    ]
    if missing:
        raise InvalidRequest("A file is unknown or its time is over.", tuple(missing))
    return [(file_id, one) for file_id, one in found if one is not None]


def _content_problems(files: Sequence[tuple[str, str, bytes]]) -> list[FileProblem]:
    judged = [(name, judge_content(name, content)) for name, _, content in files]
    return [FileProblem(name, reason) for name, reason in judged if reason is not None]


def refused(problems: Sequence[FileProblem]) -> AttachmentRefused:
    """The refusal of a send or an upload, naming each file."""
    said = tuple(FieldError("/attachments", f"{one.name}: {one.reason.value}") for one in problems)
    return AttachmentRefused("A file is too large or of a type that does not sync; nothing was sent.", said)


async def stage_file(s: Services, tenant_id: str, name: str, content: bytes) -> StagedFile:
    """Keep one judged file."""
    content_type = canonical_type(name)
    blob = await stage(s, tenant_id, content, content_type)
    return StagedFile(f"att_{s.random.token(12)}", name, content_type, len(content), blob)


async def _item(
    s: Services,
    mailbox: MailboxRef,
    connection: Connection,
    request: SendRequest,
    files: tuple[StagedFile, ...],
    thread: Thread | OutboxItem | None,
) -> OutboxItem:
    key, now = ids.crm_key(mailbox.tenant_id, request.crm_message_id), s.clock.now()
    html = clean_html(request.html) if request.html is not None else text_to_html(request.text or "")
    body = Body(html, request.text if request.text is not None else html_to_text(html))
    return OutboxItem(
        key=key,
        crm_message_id=request.crm_message_id,
        message_id=ids.outbound_message_id(mailbox.mailbox_id, key),
        thread_id=thread.thread_id if thread else ids.thread_id(mailbox.mailbox_id, key),
        reply=thread is not None,
        crm_thread_id=request.crm_thread_id or (thread.crm_thread_id if thread else None),
        generation=connection.generation,
        user_id=request.user_id,
        to=request.to,
        cc=request.cc,
        bcc=request.bcc,
        subject=request.subject,
        body_blob=await stage_body(s, mailbox, body),
        files=files,
        crm_context=request.crm_context,
        contact_ids=request.contact_ids,
        created_at=now,
        updated_at=now,
        due_at=now,
    )


async def _claim(
    s: Services, tenant_id: str, item: OutboxItem, mailbox: MailboxRef, body_hash: str
) -> SendClaim:
    """Claim the id for this mailbox. A claim whose gate closed before a row stood there is moved here by CAS."""
    wanted = SendClaim(
        body_hash, mailbox.mailbox_id, item.message_id, item.thread_id, item.generation, item.created_at
    )
    stored = await s.claims.claim_send(tenant_id, item.key, wanted)
    elsewhere = stored.value.mailbox_id != mailbox.mailbox_id
    if elsewhere and stored.value.body_hash == body_hash and await _shut(s, tenant_id, stored):
        try:
            await s.claims.move_send(tenant_id, item.key, stored.changed(wanted))
        except RowChanged as err:
            raise NoActiveConnection from err
        return wanted
    return stored.value


async def _shut(s: Services, tenant_id: str, claim: Stored[SendClaim]) -> bool:
    gate = await s.ledger.gate(MailboxRef(tenant_id, claim.value.mailbox_id))
    return gate is None or gate.value.state is FenceState.CLOSED


async def _write(s: Services, mailbox: MailboxRef, item: OutboxItem, connection_id: str) -> None:
    """The accepted row with its alarm, under the fence; then the doorbell."""
    assert item.due_at is not None  # noqa: S101 - set two functions above
    task = Task(item.due_at, TaskKind.SEND, item.key)
    record = MessageRecord(
        item.message_id,
        item.thread_id,
        Direction.OUTBOUND,
        Origin.CRM,
        "accepted",
        None,
        item.created_at,
        key=item.key,
    )

    async def make(gate: Mailbox) -> tuple[Mailbox, Sequence[Change]]:
        return gate, (new(item), new(task), new(record))

    try:
        await through_gate(s, mailbox, item.generation, make, connection_id)
    except MailboxClosed as err:
        raise NoActiveConnection from err
    except RowExists:
        return
    await enqueue(s, mailbox, task)
