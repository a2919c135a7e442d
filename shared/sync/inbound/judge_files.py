"""A mail's files by R7, R8 and R10: metadata first; only when nothing blocks are bytes fetched, judged and staged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.content import find_cids
from shared.domain.attachments import (
    MAX_FILE_BYTES,
    BlockingFile,
    InboundFiles,
    canonical_type,
    clean_name,
    judge_inbound,
    leave_out_blocking,
)
from shared.domain.errors import ItemGone, PostbraidError, TooLarge
from shared.domain.model import FetchedMessage, Reason, RemoteFile, StagedFile
from shared.file_contents import judge_content
from shared.mailbox_context import MailboxContext
from shared.state import keys
from shared.sync.mailbox.access import access_of
from shared.sync.staging import stage


@dataclass(frozen=True, slots=True)
class Judged:
    """A mail's files after R7 and R8: what is staged, what is left out, what blocks."""

    files: tuple[StagedFile, ...] = ()
    problems: tuple[BlockingFile, ...] = ()


async def judge_files(ctx: MailboxContext, message: FetchedMessage) -> Judged:
    """What becomes of them. Costs a call for each file that is fetched."""
    cids = find_cids(message.html or "")
    verdict = judge_inbound(message.files, cids, more=message.has_more_files)
    if verdict.blocking and await _leaves_out(ctx):
        verdict = leave_out_blocking(verdict)
    if verdict.blocking:
        return Judged(
            problems=tuple(
                BlockingFile(file.name, file.size_bytes, reason) for file, reason in verdict.blocking
            )
        )
    staged: list[StagedFile] = []
    try:
        for file in verdict.stage:
            result = await _stage(ctx, message, file)
            if isinstance(result, BlockingFile) and await _leaves_out(ctx):
                result = _left_out(ctx, file, result.reason.value)
            if isinstance(result, BlockingFile):
                await _unstage(ctx, staged)
                return Judged(problems=(result,))
            staged.append(result)
    except PostbraidError:
        await _unstage(ctx, staged)
        raise
    return Judged((*staged, *_omitted(ctx, verdict)))


async def _unstage(ctx: MailboxContext, staged: Sequence[StagedFile]) -> None:
    """A file that stops the mail leaves no bytes of the others behind."""
    for file in staged:
        await ctx.services.blobs.delete(keys.STAGING, file.blob or "")


async def _stage(ctx: MailboxContext, message: FetchedMessage, file: RemoteFile) -> StagedFile | BlockingFile:
    s, name = ctx.services, clean_name(file.name)
    try:
        content = await s.mail.file_content(
            access_of(ctx), message.outline.graph_message_id, file.remote_id, MAX_FILE_BYTES
        )
    except TooLarge:
        return BlockingFile(name, file.size_bytes, Reason.ATTACHMENT_TOO_LARGE)
    except ItemGone:
        return BlockingFile(name, file.size_bytes, Reason.ATTACHMENT_UNREADABLE)
    fault = judge_content(name, content)
    if fault is not None:
        return BlockingFile(name, len(content), fault.reason, fault.detail)
    blob = await stage(s, ctx.ref.tenant_id, content, canonical_type(name))
    attachment_id = f"att_{s.random.token(12)}"
    return StagedFile(
        attachment_id, name, canonical_type(name), len(content), blob, file.inline, file.content_id
    )


def _omitted(ctx: MailboxContext, verdict: InboundFiles) -> list[StagedFile]:
    """Files that are noted but left out: inline pictures of unlisted types, cloud links, report parts."""
    return [_left_out(ctx, file, why) for file, why in verdict.omitted]


def _left_out(ctx: MailboxContext, file: RemoteFile, why: str) -> StagedFile:
    return StagedFile(
        f"att_{ctx.services.random.token(12)}",
        clean_name(file.name),
        file.content_type or "application/octet-stream",
        file.size_bytes,
        inline=file.inline,
        content_id=file.content_id,
        omitted=why,
    )


async def _leaves_out(ctx: MailboxContext) -> bool:
    """Whether the tenant has chosen that a mail syncs without the file that does not (R10)."""
    return (await ctx.services.tenants.remembered(ctx.ref.tenant_id)).omits_files
