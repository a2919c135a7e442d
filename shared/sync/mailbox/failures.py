"""Failures of work become decisions here: the one place of the use cases where whatever comes is caught (E-28).

Only what the queue itself must repeat comes out again: a store that does not answer. A shut gate ends the work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from shared.domain.errors import (
    GrantDead,
    MailboxClosed,
    MailboxUnusable,
    OutcomeUnknown,
    PostbraidError,
    ProviderUnavailable,
    StoreUnavailable,
    Throttled,
)
from shared.domain.ids import digest
from shared.domain.model import MailboxRef
from shared.domain.retries import ONE_ITEM_FOR_AT_MOST, GiveUp, PutOff, after_failure, waits_for_somebody
from shared.services import Services
from shared.state.dead_letters import DeadLetter
from shared.sync.mailbox.access import mark_grant_dead, mark_unusable
from shared.sync.mailbox.unit_of_work import pause
from shared.sync.queueing.jobs import TaskMessage, encode_job
from shared.telemetry import log, log_unexpected

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Failed:
    """Work that failed, and what is to become of it."""

    error: Exception
    verdict: PutOff | GiveUp
    at: datetime

    @property
    def until(self) -> datetime:
        """When to try again; at once where it was given up."""
        wait = self.verdict.seconds if isinstance(self.verdict, PutOff) else 0.0
        return self.at + timedelta(seconds=wait)

    def lasts_too_long(self, since: datetime | None) -> bool:
        """Whether one item has failed for a day: an outage of Graph ends, what fails for one mail alone may not."""
        return (
            since is not None
            and not waits_for_somebody(self.error)
            and self.at - since >= ONE_ITEM_FOR_AT_MOST
        )


async def attempt(
    s: Services, mailbox: MailboxRef, attempts: int, work: Callable[[], Awaitable[R]]
) -> R | Failed:
    """Do the work. What goes wrong comes back as a decision, a pause and a dead grant already noted.

    Raises StoreUnavailable and OutcomeUnknown (nothing could be noted either) and MailboxClosed.
    """
    began = s.clock.now()
    try:
        return await work()
    except (StoreUnavailable, OutcomeUnknown, MailboxClosed):
        raise
    except Exception as err:  # noqa: BLE001 - see above: one of the places that may
        return await _judged(s, mailbox, attempts, err, began)


async def _judged(
    s: Services, mailbox: MailboxRef, attempts: int, error: Exception, began: datetime
) -> Failed:
    if isinstance(error, Throttled):
        await pause(s, mailbox, error.retry_after_seconds)
    if (
        isinstance(error, GrantDead)
        and not error.noted
        and not await mark_grant_dead(s, mailbox, error.denied, began)
    ):
        error = ProviderUnavailable("The consent was given anew meanwhile.")
    if isinstance(error, MailboxUnusable):
        await mark_unusable(s, mailbox)
    if not isinstance(error, PostbraidError):
        log_unexpected(error)
    log.info("work.failed", error=type(error).__name__, attempts=attempts, mailbox=mailbox.mailbox_id)
    return Failed(error, after_failure(error, attempts, s.random.jitter()), s.clock.now())


async def bury(s: Services, job: TaskMessage, queue: str, error: Exception) -> None:
    """Keep work that was given up where a person finds it; the same work is one letter, however often (E-29)."""
    letter_id = digest("work", job.tenant_id, job.mailbox_id, job.kind.value, job.ref)
    cause = f"given_up:{type(error).__name__}"
    await s.dead_letters.add(letter_id, DeadLetter(queue, encode_job(job), cause, s.clock.now()))
    log.error("work.given_up", error=type(error).__name__, work=job.kind.value, mailbox=job.mailbox_id)
