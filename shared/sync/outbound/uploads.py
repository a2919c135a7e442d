"""The files of sends: uploaded ahead, given with the send, or linked; judged and kept before anything is accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from shared.domain.attachments import FileProblem, canonical_type, clean_name, judge_outbound
from shared.domain.errors import AttachmentRefused, FieldError, InvalidRequest
from shared.domain.model import GivenFile, OutboxItem, Reason, StagedFile
from shared.file_contents import judge_content
from shared.mailbox_context import MailboxContext
from shared.services import Services
from shared.state import keys
from shared.state.codec import Stored
from shared.state.sessions import Upload, upload_owner
from shared.sync.staging import new_name, stage, unstage

_SENTENCES: Final = {
    Reason.ATTACHMENT_TOO_LARGE: "A file is larger than 3 MB.",
    Reason.ATTACHMENT_TYPE: "A file is of a type that does not sync.",
    Reason.ATTACHMENT_MISMATCH: "A file's content is not of the kind that its name says.",
    Reason.ATTACHMENT_EMPTY: "A file is empty.",
    Reason.TOO_MANY_ATTACHMENTS: "There are more than 20 files, pictures in the text counted.",
    Reason.ATTACHMENTS_TOO_LARGE_TOGETHER: "The files are over 25 MB together.",
}
UPLOAD_FOR: Final = timedelta(hours=24)


async def keep_upload(s: Services, tenant_id: str, name: str, content: bytes) -> tuple[str, Upload]:
    """Judge and keep a file that a later send refers to; its id and description. Raises AttachmentRefused."""
    cleaned = clean_name(name)
    problems = _content_problems([(cleaned, content)])
    if problems:
        raise _refusal(problems)
    file_id = f"fil_{s.random.token(18)}"
    file = _described(s, cleaned, content, new_name(s, tenant_id, upload_owner(file_id)))
    upload = Upload(file, s.clock.now() + UPLOAD_FOR)
    # The row first: whatever dies in between, the end of its day finds the bytes.
    await s.sessions.keep_upload(tenant_id, file_id, upload)
    await s.blobs.put(keys.STAGING, file.blob or "", content, file.content_type)
    return file_id, upload


async def stage_files(
    ctx: MailboxContext, item: OutboxItem, given: Sequence[GivenFile]
) -> tuple[StagedFile, ...]:
    """All files of a send; linked ones are fetched by the worker. Raises InvalidRequest, AttachmentRefused."""
    s, tenant_id = ctx.services, ctx.ref.tenant_id
    uploads = await _find_uploads(s, tenant_id, [file.file_id for file in given if file.file_id is not None])
    inside = [(clean_name(file.name), file.content) for file in given if file.content is not None]
    sizes = [(upload.value.file.name, upload.value.file.size_bytes) for upload in uploads.values()]
    sizes += [(name, len(content)) for name, content in inside]
    problems = [*judge_outbound(sizes), *_content_problems(inside)]
    if problems:
        raise _refusal(list(dict.fromkeys(problems)))  # name and content may have said the same
    return tuple([await _stage_given(ctx, item, file, number, uploads) for number, file in enumerate(given)])


async def _stage_given(
    ctx: MailboxContext,
    item: OutboxItem,
    given: GivenFile,
    number: int,
    uploads: Mapping[str, Stored[Upload]],
) -> StagedFile:
    """One file where it belongs, shown by the text or attached beside it."""
    name = clean_name(given.name)
    if given.file_id is not None:
        staged = await _take_upload(ctx, item, given.file_id, uploads[given.file_id])
    elif given.content is not None:
        content_type = canonical_type(name)
        blob = await stage(ctx.services, ctx.ref.tenant_id, item.message_id, given.content, content_type)
        staged = _described(ctx.services, name, given.content, blob)
    else:
        staged = StagedFile(f"att_{number}", name, canonical_type(name), 0, url=given.url)
    return replace(staged, inline=given.inline, content_id=given.content_id)


async def _find_uploads(s: Services, tenant_id: str, file_ids: Sequence[str]) -> dict[str, Stored[Upload]]:
    found = [(file_id, await s.sessions.upload(tenant_id, file_id)) for file_id in file_ids]
    missing = [
        FieldError("/attachments", f"there is no file {file_id}")
        for file_id, stored in found
        if stored is None
    ]
    if missing:
        raise InvalidRequest("A file is unknown or its time is over.", tuple(missing))
    return {file_id: stored for file_id, stored in found if stored is not None}


async def _take_upload(
    ctx: MailboxContext, item: OutboxItem, file_id: str, upload: Stored[Upload]
) -> StagedFile:
    """The file as this send's own: a second send gets a copy, for the bytes of each go at a time of their own."""
    s, tenant_id, file = ctx.services, ctx.ref.tenant_id, upload.value.file
    user = f"{ctx.ref.mailbox_id}|{item.key}"
    if not upload.value.used and await s.sessions.use_upload(tenant_id, file_id, upload, user):
        return file
    content = await unstage(s, file.blob or "")
    return replace(file, blob=await stage(s, tenant_id, item.message_id, content, file.content_type))


def _described(s: Services, name: str, content: bytes, blob: str) -> StagedFile:
    """A judged file."""
    return StagedFile(f"att_{s.random.token(12)}", name, canonical_type(name), len(content), blob)


def _content_problems(files: Sequence[tuple[str, bytes]]) -> list[FileProblem]:
    judged = [(name, judge_content(name, content)) for name, content in files]
    return [FileProblem(name, fault.reason, fault.detail) for name, fault in judged if fault is not None]


def _refusal(problems: Sequence[FileProblem]) -> AttachmentRefused:
    """The refusal of a send or an upload, naming each file."""
    said = tuple(
        FieldError(
            "/attachments", ": ".join(filter(None, (problem.name, problem.reason.value, problem.detail)))
        )
        for problem in problems
    )
    return AttachmentRefused(f"{_SENTENCES[problems[0].reason]} Nothing was taken.", said)
