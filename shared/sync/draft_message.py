"""Make the draft of a send, with everything in it: a fresh one each time, never adopted, never shared (E-10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shared.content import prepend_html
from shared.domain.attachments import MAX_FILE_BYTES, canonical_type, judge_content, judge_outbound
from shared.domain.errors import Ambiguous, CrmUnavailable, InvalidRequest, ItemGone, MessageRefused, TooLarge
from shared.domain.model import Draft, DraftContent, OutgoingFile, Reason, StagedFile, Thread
from shared.sync.send_row import Sending, save
from shared.sync.staging import stage, unstage, unstage_body


async def outgoing_files(work: Sending) -> list[OutgoingFile]:
    """Every file's bytes; linked ones are fetched, judged and kept now. Raises MessageRefused."""
    item = work.item
    if any(one.blob is None for one in item.files):
        fetched = tuple([await _fetched(work, one) for one in item.files])
        problems = judge_outbound([(one.name, one.size_bytes) for one in fetched])
        if problems:
            raise MessageRefused(problems[0].reason.value, problems[0].name)
        if not await save(work, replace(item, files=fetched)):
            raise Ambiguous
    return [
        OutgoingFile(one.name, one.content_type, await unstage(work.s, one.blob or ""))
        for one in work.item.files
    ]


async def _fetched(work: Sending, file: StagedFile) -> StagedFile:
    if file.blob is not None or file.url is None:
        return file
    try:
        content = await work.s.fetcher.fetch(file.url, MAX_FILE_BYTES)
    except TooLarge as err:
        raise MessageRefused(Reason.ATTACHMENT_TOO_LARGE.value, file.name) from err
    except InvalidRequest as err:
        raise MessageRefused(Reason.ATTACHMENT_NOT_FETCHED.value, err.detail) from err
    except CrmUnavailable as err:
        if work.item.attempts >= 2:  # noqa: PLR2004 - the third try
            raise MessageRefused(Reason.ATTACHMENT_NOT_FETCHED.value, file.name) from err
        raise Ambiguous from err
    problem = judge_content(file.name, content)
    if problem is not None:
        raise MessageRefused(problem.value, file.name)
    blob = await stage(work.s, work.mailbox.tenant_id, content, canonical_type(file.name))
    return replace(file, size_bytes=len(content), blob=blob, content_type=canonical_type(file.name))


async def make_draft(work: Sending, files: Sequence[OutgoingFile]) -> Draft:
    """A fresh draft, or a reply to the newest synced message of the thread.

    Raises Ambiguous: this draft is left alone, another is made later (E-10).
    """
    item = work.item
    body = await unstage_body(work.s, item.body_blob)
    content = DraftContent(item.key, item.to, item.cc, item.bcc, item.subject, body.html, tuple(files))
    thread = await work.s.ledger.find(work.mailbox, Thread, item.thread_id) if item.reply else None
    parent = thread.value.newest_graph_message_id if thread else None
    if parent is None:
        return await work.s.mail.create_draft(work.access(), content)
    return await _reply_draft(work, parent, content)


async def _reply_draft(work: Sending, parent: str, content: DraftContent) -> Draft:
    """CreateReply sets the threading headers; body and files follow; what arrived is compared with what is meant."""
    mail, access = work.s.mail, work.access()
    try:
        draft = await mail.create_reply(access, parent, content)
    except ItemGone:
        return await mail.create_draft(access, content)
    html = prepend_html(content.html, draft.html)
    await mail.fill_reply(access, draft.graph_message_id, content, html)
    for file in content.files:
        await mail.attach(access, draft.graph_message_id, file)
    if content.files and not await _all_there(work, draft, content.files):
        raise Ambiguous
    return draft


async def _all_there(work: Sending, draft: Draft, files: Sequence[OutgoingFile]) -> bool:
    """Names and count as meant; sizes at least (Graph counts its overhead in)."""
    found = await work.s.mail.files(work.access(), draft.graph_message_id)
    theirs = sorted((one.name, one.size_bytes) for one in found if not one.inline)
    ours = sorted((one.name, len(one.content)) for one in files)
    return len(theirs) == len(ours) and all(
        name == meant and size >= least for (name, size), (meant, least) in zip(theirs, ours, strict=True)
    )
