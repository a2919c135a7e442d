"""Make the draft of a send, with everything in it: a fresh one each time, never adopted, never shared (E-10)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from shared.content import prepend_html
from shared.domain.attachments import MAX_FILE_BYTES, canonical_type, judge_outbound
from shared.domain.errors import (
    CrmUnavailable,
    InvalidRequest,
    ItemGone,
    KeyRefused,
    MessageRefused,
    ProviderUnavailable,
    RaceLost,
    TooLarge,
)
from shared.domain.model import Draft, DraftContent, OutgoingFile, Reason, StagedFile, Thread
from shared.domain.reply_targets import original_after_move
from shared.file_contents import judge_content
from shared.sync.outbound.send_row import Sending, save
from shared.sync.staging import stage, unstage, unstage_body


async def _read_files(work: Sending) -> list[OutgoingFile]:
    """Every file's bytes; linked ones are fetched, judged and kept now. Raises MessageRefused, RaceLost."""
    item = work.item
    if any(file.blob is None for file in item.files):
        fetched = tuple([await _fetch(work, file) for file in item.files])
        problems = judge_outbound([(file.name, file.size_bytes) for file in fetched])
        if problems:
            raise MessageRefused(problems[0].reason.value, problems[0].name)
        if not await save(work, replace(item, files=fetched)):
            raise RaceLost
    return [
        OutgoingFile(file.name, file.content_type, await unstage(work.ctx.services, file.blob or ""))
        for file in work.item.files
    ]


async def _fetch(work: Sending, file: StagedFile) -> StagedFile:
    """A linked file, kept in staging. Raises MessageRefused, and CrmUnavailable while it is worth another try."""
    s = work.ctx.services
    if file.blob is not None or file.url is None:
        return file
    try:
        content = await s.fetcher.fetch(file.url, MAX_FILE_BYTES)
    except TooLarge as err:
        raise MessageRefused(Reason.ATTACHMENT_TOO_LARGE.value, file.name) from err
    except InvalidRequest as err:
        raise MessageRefused(Reason.ATTACHMENT_NOT_FETCHED.value, err.detail) from err
    except CrmUnavailable as err:
        if work.item.attempts >= 2:  # noqa: PLR2004 - the third try
            raise MessageRefused(Reason.ATTACHMENT_NOT_FETCHED.value, file.name) from err
        raise
    problem = judge_content(file.name, content)
    if problem is not None:
        raise MessageRefused(
            problem.reason.value, f"{file.name}: {problem.detail}" if problem.detail else file.name
        )
    blob = await stage(s, work.ctx.ref.tenant_id, content, canonical_type(file.name))
    return replace(file, size_bytes=len(content), blob=blob, content_type=canonical_type(file.name))


async def make_draft(work: Sending) -> Draft:
    """A fresh draft, or a reply to the newest synced message of the thread; without one the reply opens it.

    Raises MessageRefused; Ambiguous or ProviderUnavailable: this draft is left alone, another is made later (E-10).
    """
    ctx, files = work.ctx, await _read_files(work)
    item = work.item
    body = await unstage_body(ctx.services, item.body_blob)
    content = DraftContent(item.key, item.to, item.cc, item.bcc, item.subject, body.html, tuple(files))
    thread = await ctx.find(Thread, item.thread_id) if item.reply else None
    try:
        draft = await _create(work, thread.value if thread else None, content)
    except KeyRefused:
        bare = await _create(work, thread.value if thread else None, replace(content, key=None))
        draft = replace(bare, without_key=True)
    if draft.attached_apart and not await _has_all_files(work, draft, content.files):
        raise ProviderUnavailable("The draft lacks files that were put on it.")
    return draft


async def _create(work: Sending, thread: Thread | None, content: DraftContent) -> Draft:
    draft = await _create_reply(work, thread, content) if thread else None
    return draft or await work.ctx.services.mail.create_draft(work.access, content)


async def _create_reply(work: Sending, thread: Thread, content: DraftContent) -> Draft | None:
    """CreateReply sets the threading headers; body and files follow. None: there is nothing to reply to."""
    mail, access = work.ctx.services.mail, work.access
    draft = await _create_empty_reply(work, thread, content)
    if draft is None:
        return None
    html = prepend_html(content.html, draft.html)
    await mail.fill_reply(access, draft.graph_message_id, content, html)
    for file in content.files:
        await mail.attach(access, draft.graph_message_id, file)
    return replace(draft, attached_apart=bool(content.files))


async def _create_empty_reply(work: Sending, thread: Thread, content: DraftContent) -> Draft | None:
    """A reply to the newest message, which a move may have given another id; one that is gone is not replied to."""
    mail, access, newest = work.ctx.services.mail, work.access, thread.newest_graph_message_id
    if newest is None:
        return None
    with suppress(ItemGone):
        return await mail.create_reply(access, newest, content)
    if thread.newest_internet_message_id is None:
        return None
    found = await mail.find_by_message_id(access, thread.newest_internet_message_id)
    moved = original_after_move(thread, found)
    if moved is None or moved == newest:
        return None
    with suppress(ItemGone):
        return await mail.create_reply(access, moved, content)
    return None


async def _has_all_files(work: Sending, draft: Draft, files: Sequence[OutgoingFile]) -> bool:
    """Names and count as meant; sizes at least (Graph counts its overhead in)."""
    found = await work.ctx.services.mail.files(work.access, draft.graph_message_id)
    theirs = sorted((file.name, file.size_bytes) for file in found if not file.inline)
    ours = sorted((file.name, len(file.content)) for file in files)
    return len(theirs) == len(ours) and all(
        name == meant and size >= least for (name, size), (meant, least) in zip(theirs, ours, strict=True)
    )
