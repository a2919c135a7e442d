"""What a refusal of Entra means: one table of its errors and AADSTS numbers, and what they become; and its silence.

Source: Microsoft identity platform, "Microsoft Entra authentication and authorization error codes". The page asks to
branch on `error` and warns that numbers change; they are looked at where `error` alone is known to mislead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from shared.domain.errors import GrantDead, ProviderUnavailable, SignInFailed, Throttled
from shared.graph.errors import DEFAULT_PAUSE_SECONDS
from shared.ports import Clock

# Only these say that the user must come back; an operator's mistake marks nobody (Entra, "Error codes").
DEAD: Final = frozenset({"invalid_grant", "interaction_required", "consent_required", "login_required"})
OPERATOR: Final = frozenset(
    {"invalid_client", "unauthorized_client", "invalid_scope", "invalid_request", "invalid_resource"}
)
# AADSTS numbers, where the error alone does not tell.
ADMIN_CONSENT: Final = frozenset({65001, 90094, 90095})
DECLINED: Final = frozenset({65004})
LOOP_SECONDS: Final = 300.0
# What passes by itself, whatever `error` stands beside it, `invalid_grant` too; how long to pause, 0 where nothing asks
# for it. All others mean what their `error` says: 50173, 70043 (sign-in frequency), 700082 and 700084 want the person.
PASSING: Final[dict[int, float]] = {
    50033: 0,  # RetryableError
    50196: LOOP_SECONDS,  # LoopDetected: too many of the same request (MSAL.PS issue 10; minutes: pnp/powershell 2995)
    90006: 0,  # ExternalServerRetryableError
    90012: 0,  # RequestTimeout
    90024: 0,  # RequestBudgetExceededError
    90033: 0,  # MsodsServiceUnavailable
    90055: DEFAULT_PAUSE_SECONDS,  # TenantThrottlingError
}
# So many refreshes in a row, each of another mailbox, without an answer are an outage of all.
SILENT_TO_ALL: Final = 3
MOST_REMEMBERED: Final = 10_000
_AADSTS: Final = re.compile(r"\bAADSTS(\d{4,8})\b")


def _numbers(result: Mapping[str, Any]) -> set[int]:
    """AADSTS numbers of a refusal, from its description where it has no list of them."""
    codes, text = result.get("error_codes"), result.get("error_description")
    if isinstance(codes, list):
        return {code for code in codes if isinstance(code, int)}
    return {int(number) for number in _AADSTS.findall(text)} if isinstance(text, str) else set()


def _passing(result: Mapping[str, Any]) -> set[int]:
    return _numbers(result) & PASSING.keys()


def _unavailable(result: Mapping[str, Any]) -> ProviderUnavailable:
    """Not the user's fault: kept with its code, told nobody."""
    error = ProviderUnavailable()
    vars(error).update(code=str(result.get("error", "")))
    error.add_note(f"entra token: {result.get('error')} {sorted(_numbers(result))}")
    return error


def refresh_refused(result: Mapping[str, Any]) -> GrantDead | Throttled | ProviderUnavailable:
    """What a refused refresh means: the consent is dead, or Entra wants a pause, or this passes by itself. Total."""
    passing = _passing(result)
    if result.get("error") in DEAD and not passing:
        return GrantDead()
    pause_seconds = max((PASSING[number] for number in passing), default=0)
    return Throttled(pause_seconds) if pause_seconds else _unavailable(result)


def failed(result: Mapping[str, Any]) -> SignInFailed | ProviderUnavailable:
    """Their error as our reason; the description is neither shown nor logged (O-9). Total."""
    error, codes = str(result.get("error", "")), _numbers(result)
    if error in ("temporarily_unavailable", "server_error") or _passing(result):
        return _unavailable(result)
    if codes & ADMIN_CONSENT:
        return SignInFailed("admin_consent_required")
    if error == "access_denied" or codes & DECLINED:
        return SignInFailed("declined")
    if error in OPERATOR:
        return SignInFailed("operator_error")
    if error in DEAD:
        return SignInFailed("interaction_required")
    return SignInFailed("failed")


class Unanswered:
    """Which refreshes Entra does not answer, as this process has met it: each costs a thread, up to half a minute.

    A mailbox asks again after 15 seconds, a minute, then every four minutes, however much of its work waits; where
    nobody is answered, all of them together ask once in 15 seconds.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._silences: dict[str, tuple[int, datetime]] = {}  # failures, and from when on to ask again
        self._since_an_answer: set[str] = set()
        self._all_until: datetime | None = None

    @contextmanager
    def asking(self, whose: str) -> Iterator[None]:
        """A refresh under way. Raises ProviderUnavailable, with the time that is left, where it is too early for it."""
        self._check(whose, self._clock.now())
        try:
            yield
        except ProviderUnavailable:
            self._note(whose, self._clock.now())
            raise
        except GrantDead:
            self._forget(whose)
            raise
        self._forget(whose)

    def _check(self, whose: str, now: datetime) -> None:
        """Of many that come at once after a failure, one asks."""
        known = self._silences.get(whose)
        ends = [known[1]] if known is not None else []
        if len(self._since_an_answer) >= SILENT_TO_ALL and self._all_until is not None:
            ends.append(self._all_until)
        left = max(((end - now).total_seconds() for end in ends), default=0.0)
        if left > 0:
            raise ProviderUnavailable("Microsoft's sign-in does not answer.", left)
        if known is not None:
            self._silences[whose] = (known[0], now + _wait_after(known[0]))
        self._all_until = now + _wait_after(1)

    def _note(self, whose: str, now: datetime) -> None:
        if len(self._silences) >= MOST_REMEMBERED:
            self._silences.clear()
        failures = self._silences.get(whose, (0, now))[0] + 1
        self._silences[whose] = (failures, now + _wait_after(failures))
        self._since_an_answer.add(whose)
        self._all_until = now + _wait_after(1)

    def _forget(self, whose: str) -> None:
        """It was answered: this mailbox may ask at any time, and the others when their own time is over."""
        self._silences.pop(whose, None)
        self._since_an_answer.clear()


def _wait_after(failures: int) -> timedelta:
    from shared.domain.retries import OUTAGE_SECONDS  # not at the start, which it makes 3 ms longer

    return timedelta(seconds=OUTAGE_SECONDS[min(failures, len(OUTAGE_SECONDS)) - 1])
