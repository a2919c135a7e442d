"""Failures of work become values here: the one place of the use cases where whatever comes is caught (E-28).

Only what the queue itself must repeat comes out again: a store that does not answer. A closed mailbox ends the work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TypeVar

from shared.domain.connection import with_pause
from shared.domain.errors import (
    GrantDead,
    MailboxClosed,
    MailboxUnusable,
    OutcomeUnknown,
    PostbraidError,
    ProviderUnavailable,
    RaceLost,
    StoreUnavailable,
    Throttled,
)
from shared.domain.held import fails_alone
from shared.domain.retries import Failed, is_outage
from shared.mailbox_context import MailboxContext
from shared.sync.mailbox.grant import mark_grant_dead, mark_unusable, note_failed_call
from shared.sync.mailbox.unit_of_work import change
from shared.telemetry import answer_of, log, log_unexpected

R = TypeVar("R")


async def attempt(ctx: MailboxContext, work: Callable[[], Awaitable[R]]) -> R | Failed:
    """Do the work. What goes wrong comes back as a value, a pause and a dead grant already noted.

    Raises StoreUnavailable and OutcomeUnknown (nothing could be noted either) and MailboxClosed.
    """
    began = ctx.now()
    try:
        return await work()
    except (StoreUnavailable, OutcomeUnknown, MailboxClosed):
        raise
    except Exception as err:  # noqa: BLE001 - see above: one of the places that may
        error = err
        with suppress(RaceLost):  # where it could not be noted, the next failure notes it
            error = await _note(ctx, err, began)
        if not isinstance(error, PostbraidError):
            log_unexpected(error)
        answer = answer_of(err)
        log.info(
            "work.failed",
            error=type(error).__name__,
            mailbox=ctx.ref.mailbox_id,
            status=answer.status,
            code=answer.code,
            request_id=answer.request_id,
        )
        return Failed(error, ctx.now(), ctx.services.random.jitter())


async def attempt_apart(work: Callable[[], Awaitable[R]]) -> R | Exception:
    """Do work beside which other work waits: whatever goes wrong comes back as a value, and keeps nothing else from it.

    Only for work that is tried again by itself; an error that nobody foresaw is logged.
    """
    try:
        return await work()
    except Exception as err:  # noqa: BLE001 - see above: one of the places that may
        if not isinstance(err, PostbraidError):
            log_unexpected(err)
        return err


async def attempt_one_mail(ctx: MailboxContext, work: Callable[[], Awaitable[R]]) -> R | Failed:
    """Read and record one mail of a thread. What may be its own trouble comes back as a value; all else is raised."""
    try:
        return await work()
    except Exception as err:
        if not fails_alone(err):
            raise
        if not isinstance(err, PostbraidError):
            log_unexpected(err)
        answer = answer_of(err)
        log.info(
            "mail.unreadable",
            error=type(err).__name__,
            mailbox=ctx.ref.mailbox_id,
            status=answer.status,
            code=answer.code,
            request_id=answer.request_id,
        )
        return Failed(err, ctx.now(), ctx.services.random.jitter())


async def _note(ctx: MailboxContext, error: Exception, began: datetime) -> Exception:
    """Note what the error says of the mailbox, for every worker. Returns the error as it stands after that."""
    if isinstance(error, Throttled):
        await note_pause(ctx, error.retry_after_seconds)
    if (
        isinstance(error, GrantDead)
        and not error.noted
        and not await mark_grant_dead(ctx, error.denied, began)
    ):
        return ProviderUnavailable("The consent was given anew meanwhile, or denied once only.")
    if isinstance(error, MailboxUnusable):
        await mark_unusable(ctx)
    if is_outage(error):
        await note_failed_call(ctx, began)
    return error


async def note_pause(ctx: MailboxContext, seconds: float) -> None:
    """Write a 429's pause where every worker reads it; an earlier end never shortens a later one."""
    until = ctx.now() + timedelta(seconds=seconds)
    try:
        # Loses to another pause; the longer one stays.
        async for tx in change(ctx):
            tx.mailbox = with_pause(tx.mailbox, until, ctx.now())
            if tx.mailbox == tx.before:
                tx.abandon()
    except MailboxClosed:
        return
