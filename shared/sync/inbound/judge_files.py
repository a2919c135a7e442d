"""A mail's files by R7, R8 and R10: metadata first; only when nothing blocks are bytes fetched, judged and staged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shared.content import find_cids
from shared.domain.attachments import (
    MAX_FILE_BYTES,
    BlockingFile,
    InboundFiles,
    canonical_type,
    judge_inbound,
    keeps_back,
    leave_out_blocking,
    received_name,
    with_unread_texts,
)
from shared.domain.errors import AccessRefused, ItemGone, ItemUnreadable, PostbraidError, TooLarge
from shared.domain.held import holds_on, is_unsettled, may_change
from shared.domain.mail_parts import by_content_id, is_shown, shown_as
from shared.domain.message_kinds import REPORTING_KINDS, kind_of
from shared.domain.model import FetchedMessage, MessageKind, Reason, RemoteFile, StagedFile
from shared.file_contents import ContentFault, judge_content
from shared.mailbox_context import MailboxContext
from shared.state import keys
from shared.sync.inbound.text_parts import complete_text
from shared.sync.mailbox.access import access_of
from shared.sync.staging import stage


@dataclass(frozen=True, slots=True)
class Judged:
    """A mail's files after R7 and R8: what is staged, what is left out, what blocks.

    `message`: the mail with all of its text, where some of it lay in files; None where nothing is to be told of it.
    `may_change`: Exchange may still show other files (R14). `unreadable`: nobody can read the mail itself.
    """

    files: tuple[StagedFile, ...] = ()
    problems: tuple[BlockingFile, ...] = ()
    message: FetchedMessage | None = None
    may_change: bool = False
    unreadable: bool = False

    @property
    def reason(self) -> Reason | None:
        """Why the mail does not sync; None where it does."""
        if self.unreadable:
            return Reason.MESSAGE_UNREADABLE
        return self.problems[0].reason if self.problems else None

    @property
    def holds_on(self) -> bool:
        """Whether it is looked at again although it was told."""
        return self.reason is not None and holds_on(self.reason)


async def judge_files(
    ctx: MailboxContext, message: FetchedMessage, message_id: str, *, final: bool
) -> Judged:
    """What becomes of them; `message_id` is ours of the mail. Costs a call for each file that is fetched.

    What is on a bounce nobody sent, so it keeps no bounce out. An encrypted mail is told without its content, and its
    parts are noted. Unless this look is `final`, what Exchange may still change is not judged: it is looked at again
    (R14).
    """
    if kind_of(message) is MessageKind.PROTECTED:
        parts = tuple(_left_out(ctx, file, "protected", {}) for file in message.files)
        return Judged(parts, message=replace(message, html=None, text=""))
    is_bounce = kind_of(message) is MessageKind.BOUNCE
    final = final or is_bounce
    verdict = _judge(message)
    if verdict.texts:
        message, unread = await complete_text(ctx, message, verdict.texts)
        verdict = with_unread_texts(_judge(message), unread)
    leaves_out = bool(verdict.blocking) and (is_bounce or await _leaves_out(ctx))
    if not final and is_unsettled(verdict.blocking, leaves_out=leaves_out):
        return Judged(may_change=True)
    if leaves_out:
        verdict = leave_out_blocking(verdict)
    if verdict.blocking:
        return Judged(
            problems=tuple(
                BlockingFile(received_name(file), file.size_bytes, reason)
                for file, reason in verdict.blocking
            )
        )
    return await _stage_all(ctx, message, message_id, verdict, final=final)


async def _stage_all(
    ctx: MailboxContext, message: FetchedMessage, message_id: str, verdict: InboundFiles, *, final: bool
) -> Judged:
    """Fetch and stage what nothing known so far keeps back; a file that does leaves nothing of the others."""
    staged: list[StagedFile] = []
    is_bounce = kind_of(message) is MessageKind.BOUNCE
    shown_ids = by_content_id(find_cids(message.html or ""))
    try:
        for file in verdict.stage:
            result = await _stage(ctx, message, message_id, file, shown_ids, final=final)
            changes = isinstance(result, BlockingFile) and may_change(result.reason, result.size_bytes)
            if changes and not final:
                await _unstage(ctx, staged)
                return Judged(may_change=True)
            if isinstance(result, BlockingFile) and (is_bounce or await _leaves_out(ctx)):
                result = _left_out(ctx, file, result.reason.value, shown_ids)
            if isinstance(result, BlockingFile):
                await _unstage(ctx, staged)
                return Judged(problems=(result,))
            staged.append(result)
    except PostbraidError:
        await _unstage(ctx, staged)
        raise
    return Judged((*staged, *_omitted(ctx, verdict, shown_ids)), message=message)


def _judge(message: FetchedMessage) -> InboundFiles:
    of_report = kind_of(message) in REPORTING_KINDS
    cids = find_cids(message.html or "")
    return judge_inbound(message.files, cids, more=message.has_more_files, of_report=of_report)


async def _unstage(ctx: MailboxContext, staged: Sequence[StagedFile]) -> None:
    """A file that stops the mail leaves no bytes of the others behind."""
    for file in staged:
        if file.blob is not None:
            await ctx.services.blobs.delete(keys.STAGING, file.blob)


async def _stage(
    ctx: MailboxContext,
    message: FetchedMessage,
    message_id: str,
    file: RemoteFile,
    shown_ids: Mapping[str, str],
    *,
    final: bool,
) -> StagedFile | BlockingFile:
    s, name = ctx.services, received_name(file)
    try:
        content = await s.mail.file_content(
            access_of(ctx), message.outline.graph_message_id, file, MAX_FILE_BYTES
        )
    except TooLarge:
        return BlockingFile(name, file.size_bytes, Reason.ATTACHMENT_TOO_LARGE)
    except (ItemGone, ItemUnreadable, AccessRefused):
        return BlockingFile(name, file.size_bytes, Reason.ATTACHMENT_UNREADABLE)
    fault = judge_content(name, content)
    shown = is_shown(file, shown_ids)
    if fault is not None and (
        keeps_back(fault.reason, shown=shown) or (not final and _may_be_a_stub(fault, content))
    ):
        return BlockingFile(name, len(content), fault.reason, fault.detail)
    if fault is not None:
        return _left_out(ctx, file, fault.reason.value, shown_ids)
    blob = await stage(s, ctx.ref.tenant_id, message_id, content, canonical_type(name))
    attachment_id = f"att_{s.random.token(12)}"
    return StagedFile(
        attachment_id,
        name,
        canonical_type(name),
        len(content),
        blob,
        inline=shown,
        content_id=shown_as(file, shown_ids) or file.content_id,
    )


def _may_be_a_stub(fault: ContentFault, content: bytes) -> bool:
    """A shown picture of another kind than its name says is left out at once; what is no picture may become one."""
    return may_change(fault.reason, len(content)) and not fault.is_picture


def _omitted(ctx: MailboxContext, verdict: InboundFiles, shown_ids: Mapping[str, str]) -> list[StagedFile]:
    """Files that are noted but left out: pictures of unlisted types, cloud links, parts that nobody sent."""
    noted = [*((file, "text_part") for file in verdict.texts), *verdict.omitted]
    return [_left_out(ctx, file, why, shown_ids) for file, why in noted]


def _left_out(ctx: MailboxContext, file: RemoteFile, why: str, shown_ids: Mapping[str, str]) -> StagedFile:
    return StagedFile(
        f"att_{ctx.services.random.token(12)}",
        received_name(file),
        file.content_type or "application/octet-stream",
        file.size_bytes,
        inline=is_shown(file, shown_ids),
        content_id=shown_as(file, shown_ids) or file.content_id,
        omitted=why,
    )


async def _leaves_out(ctx: MailboxContext) -> bool:
    """Whether the tenant has chosen that a mail syncs without the file that does not (R10)."""
    return (await ctx.services.tenants.remembered(ctx.ref.tenant_id)).omits_files
