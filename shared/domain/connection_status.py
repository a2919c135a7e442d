"""The life of a connection as people see it: its status, why it has it, and what leads from one to another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.domain.connection import OUTAGE_AFTER, is_open_for, outage_since
from shared.domain.model import Connection, ConnectionStatus, Mailbox, SubscriptionState, Trouble

SWEEP_OVERDUE_AFTER: Final = timedelta(hours=1)
SUBSCRIBED_WITHIN: Final = timedelta(minutes=5)
# A dead consent stops no send: it is accepted and waits for the repair (R9).
MAY_SEND: Final = (ConnectionStatus.CONNECTED, ConnectionStatus.DEGRADED, ConnectionStatus.RECONNECT_REQUIRED)


class Stage(StrEnum):
    """What the machine has made of a connection's mailbox."""

    NEVER_OPENED = "never_opened"
    OPEN = "open"
    CLOSED = "closed"


class Happening(StrEnum):
    """What may happen to a connection. A sign-in that was not confirmed is none of it."""

    CONFIRMED = "confirmed"
    CONSENT_DIED = "consent_died"
    CONSENT_WORKED = "consent_worked"
    TROUBLE_BEGAN = "trouble_began"
    TROUBLE_ENDED = "trouble_ended"
    REPLACED = "replaced"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class Life:
    """How a connection stands. Consent and trouble are of an open mailbox; `replaced` is of a closed one.

    Each connection that opens a mailbox has a generation of its own, so a closed one never opens again.
    """

    stage: Stage
    consent_lives: bool = True
    troubled: bool = False
    replaced: bool = False

    @property
    def status(self) -> ConnectionStatus:
        """What a person sees of it."""
        if self.stage is Stage.NEVER_OPENED:
            return ConnectionStatus.NOT_CONNECTED
        if self.stage is Stage.CLOSED:
            return ConnectionStatus.REPLACED if self.replaced else ConnectionStatus.DISCONNECTED
        if not self.consent_lives:
            return ConnectionStatus.RECONNECT_REQUIRED
        return ConnectionStatus.DEGRADED if self.troubled else ConnectionStatus.CONNECTED


def after(life: Life, happening: Happening) -> Life:
    """How the user's connection stands after that. What only an open mailbox can meet changes no other."""
    if happening is Happening.CONFIRMED:
        return replace(life, consent_lives=True) if life.stage is Stage.OPEN else Life(Stage.OPEN)
    if life.stage is not Stage.OPEN:
        return life
    return {
        Happening.CONSENT_DIED: replace(life, consent_lives=False),
        Happening.CONSENT_WORKED: replace(life, consent_lives=True),
        Happening.TROUBLE_BEGAN: replace(life, troubled=True),
        Happening.TROUBLE_ENDED: replace(life, troubled=False),
        Happening.REPLACED: Life(Stage.CLOSED, replaced=True),
        Happening.DISCONNECTED: Life(Stage.CLOSED),
    }[happening]


def life_of(connection: Connection | None, mailbox: Mailbox | None, now: datetime | None) -> Life:
    """How a connection stands by its row and that of its mailbox; without `now` as far as the CRM was told.

    A connection whose mailbox was never opened (a crash came between) lets nothing through, so it is none.
    """
    if connection is None:
        return Life(Stage.NEVER_OPENED)
    if connection.status in (ConnectionStatus.REPLACED, ConnectionStatus.DISCONNECTED):
        return Life(Stage.CLOSED, replaced=connection.status is ConnectionStatus.REPLACED)
    if mailbox is None or not is_open_for(mailbox, connection):
        was_open = mailbox is not None and mailbox.connection_id == connection.connection_id
        return Life(Stage.CLOSED if was_open else Stage.NEVER_OPENED)
    amiss = mailbox.degraded_because if now is None else _what_is_amiss(mailbox, now)
    return Life(Stage.OPEN, consent_lives=not mailbox.grant_dead, troubled=amiss is not None)


def current_status(connection: Connection | None, mailbox: Mailbox | None, now: datetime) -> ConnectionStatus:
    """What a person sees, judged when asked, so that no timer can forget it.

    `mailbox` is that of the connection's mailbox.
    """
    return life_of(connection, mailbox, now).status


def told_status(connection: Connection, mailbox: Mailbox | None) -> ConnectionStatus:
    """The status that the CRM was told last, or is told with this change of the rows."""
    return life_of(connection, mailbox, None).status


def find_trouble(mailbox: Mailbox, now: datetime) -> Trouble | None:
    """Why an open mailbox is not simply connected; None where it is."""
    if mailbox.grant_dead:
        return Trouble.RIGHT_DENIED if mailbox.denied_by_graph else Trouble.CONSENT_REFUSED
    return _what_is_amiss(mailbox, now)


def _what_is_amiss(mailbox: Mailbox, now: datetime) -> Trouble | None:
    """Beside what the CRM was told: what nobody has noted, because nobody worked."""
    if mailbox.degraded_because is not None:
        return mailbox.degraded_because
    if _has_failed_for_an_hour(mailbox, now):
        return Trouble.NO_ANSWER
    if mailbox.sweep_at is None:  # no thread was begun, so nothing has to come
        return None
    if now >= (mailbox.sweep_failing_since or mailbox.sweep_at) + SWEEP_OVERDUE_AFTER:
        return Trouble.SWEEP_OVERDUE
    return Trouble.SUBSCRIPTION_LOST if _is_subscription_lost(mailbox, now) else None


def _has_failed_for_an_hour(mailbox: Mailbox, now: datetime) -> bool:
    """Failures of half an hour at least, and nothing that worked since: one alone is no outage."""
    since, failed_at = outage_since(mailbox, now), mailbox.failed_at
    if since is None or failed_at is None:
        return False
    return now >= since + OUTAGE_AFTER and failed_at >= since + OUTAGE_AFTER / 2


def _is_subscription_lost(mailbox: Mailbox, now: datetime) -> bool:
    """Whether no subscription stands, and none is just being made."""
    expires_at = mailbox.subscription_expires_at
    if mailbox.subscription is SubscriptionState.ACTIVE and expires_at is not None and expires_at > now:
        return False
    since = mailbox.unsubscribed_since or mailbox.renew_at
    return since is None or mailbox.renew_failures > 0 or now >= since + SUBSCRIBED_WITHIN
