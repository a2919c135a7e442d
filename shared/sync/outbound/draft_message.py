"""Make the draft of a send, with everything in it: a fresh one each time, never adopted, never shared (E-10)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from shared.content import preformatted_html, prepend_html
from shared.domain.attachments import MAX_FILE_BYTES, canonical_type, judge_outbound
from shared.domain.draft_files import holds_all
from shared.domain.errors import (
    AccessRefused,
    Ambiguous,
    CrmUnavailable,
    DraftIncomplete,
    InvalidRequest,
    ItemGone,
    KeyRefused,
    MessageRefused,
    RaceLost,
    TooLarge,
    Unavailable,
    UploadFailed,
    UpstreamSurprise,
)
from shared.domain.model import Draft, DraftContent, OutgoingFile, Reason, StagedFile, Thread
from shared.domain.reply_targets import original_after_move
from shared.file_contents import judge_content
from shared.sync.outbound.send_row import Sending, keep_lease, save
from shared.sync.staging import stage, unstage, unstage_body


async def _read_files(work: Sending) -> list[OutgoingFile]:
    """Every file's bytes; linked ones are fetched, judged and kept now. Raises MessageRefused, RaceLost."""
    if any(file.blob is None for file in work.item.files):
        fetched = tuple([await _fetch(work, file) for file in work.item.files])
        problems = judge_outbound([(file.name, file.size_bytes) for file in fetched])
        if problems:
            raise MessageRefused(problems[0].reason.value, problems[0].name)
        if not await save(work, replace(work.item, files=fetched)):
            raise RaceLost
    return [
        OutgoingFile(
            file.name,
            file.content_type,
            await unstage(work.ctx.services, file.blob or ""),
            file.inline,
            file.content_id,
        )
        for file in work.item.files
    ]


async def _fetch(work: Sending, file: StagedFile) -> StagedFile:
    """A linked file, kept in staging. Raises MessageRefused, and CrmUnavailable while it is worth another try."""
    s = work.ctx.services
    if file.blob is not None or file.url is None:
        return file
    await keep_lease(work)
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
    blob = await stage(s, work.ctx.ref.tenant_id, work.item.message_id, content, canonical_type(file.name))
    return replace(file, size_bytes=len(content), blob=blob, content_type=canonical_type(file.name))


async def make_draft(work: Sending) -> Draft:
    """A fresh draft, or a reply to the newest synced message of the thread; without one the reply opens it.

    Raises MessageRefused; DraftIncomplete, Ambiguous, Unavailable: this draft is no more, another is made later (E-10).
    """
    ctx, files = work.ctx, await _read_files(work)
    item = work.item
    body = await unstage_body(ctx.services, item.body_blob)
    content = DraftContent(item.key, item.to, item.cc, item.bcc, item.subject, body.html, tuple(files))
    thread = await ctx.find(Thread, item.thread_id) if item.reply else None
    answered = thread.value if thread else None
    try:
        return await _make_with_or_without_uploads(work, answered, content)
    except KeyRefused:
        bare = replace(content, key=None)
        return replace(await _make_with_or_without_uploads(work, answered, bare), without_key=True)


async def _make_with_or_without_uploads(work: Sending, thread: Thread | None, content: DraftContent) -> Draft:
    """A draft with everything in it; where the host for large files fails, another without its help.

    Another, because nobody knows how much of a failed upload the first one got.
    """
    try:
        return await _make(work, thread, content)
    except UploadFailed:
        return await _make(work, thread, content, directly=True)


async def _make(
    work: Sending, thread: Thread | None, content: DraftContent, *, directly: bool = False
) -> Draft:
    """One draft, complete; one that cannot be completed is taken away again, as only its maker may (E-11).

    Nobody knows its id but this worker, who has not tried the step to `sending` with it.
    """
    mail, access = work.ctx.services.mail, work.access
    await keep_lease(work)
    reply = await _create_empty_reply(work, thread, content) if thread else None
    draft = reply or await mail.create_draft(access, content)
    if reply is not None and thread is not None:
        draft = replace(reply, in_reply_to=thread.newest_internet_message_id)
    try:
        if reply is not None:
            quoted = reply.html if reply.text is None else preformatted_html(reply.text)
            html = prepend_html(content.html, quoted)
            await mail.fill_reply(access, reply.graph_message_id, content, html)
        if draft.lacks_files:
            for file in content.files:
                await keep_lease(work)
                await mail.attach(access, draft.graph_message_id, file, directly=directly)
            await keep_lease(work)
            if not holds_all(await mail.files(access, draft.graph_message_id), content.files):
                raise DraftIncomplete
    except (Ambiguous, Unavailable, UpstreamSurprise, MessageRefused):
        with suppress(Ambiguous, Unavailable, UpstreamSurprise, AccessRefused):
            await mail.delete_draft(access, draft.graph_message_id)
        raise
    return draft


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
