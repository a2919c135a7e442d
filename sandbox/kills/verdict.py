"""What became of every mail, read from outside alone: the contacts' mail, the CRM, the mailbox, the request log.

Shares no code with the product's rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.kills.load import CONTACTS, Written, token_of
from sandbox.story.stage import Stage

ENDED = frozenset({"sent", "failed"})
TOLD_ONCE = ("message.received", "message.sent", "message.failed")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is there at the end. `outside`: mails that the contacts have got; `requests`: the simulator's log."""

    outside: Sequence[dict[str, Any]]
    crm: Sequence[dict[str, Any]]
    events: Sequence[dict[str, Any]]
    mailbox: Sequence[dict[str, Any]]
    requests: Sequence[dict[str, Any]]


@dataclass(slots=True)
class Verdict:
    """Tokens of mails by what is wrong with them."""

    attempted: int = 0
    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    foreign_bodies: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.unexpected or self.doubled or self.stuck or self.foreign_bodies)

    def __str__(self) -> str:
        """One line of figures, and one for each figure that is not 0."""
        wrong = {
            "lost": self.lost,
            "unexpected": self.unexpected,
            "doubled": self.doubled,
            "stuck": self.stuck,
            "foreign bodies read": self.foreign_bodies,
        }
        figures = ", ".join(f"{name} {len(tokens)}" for name, tokens in wrong.items())
        lines = [f"attempted {self.attempted}, acknowledged {self.acknowledged}, {figures}"]
        return "\n".join(
            lines + [f"  {name}: {' '.join(tokens)}" for name, tokens in wrong.items() if tokens]
        )


async def read_facts(stage: Stage) -> Facts:
    """Ask everybody."""
    outside = [mail for contact in CONTACTS for mail in await stage.outside(contact)]
    _, requests = await stage.requests()
    return Facts(
        outside, await stage.crm_messages(), await stage.crm_events(), await stage.mailbox(), requests
    )


def judge(written: Sequence[Written], facts: Facts) -> Verdict:
    """Compare what was written with what is there."""
    verdict = Verdict(len(written), sum(mail.acknowledged for mail in written))
    reached = Counter(token_of(mail) for mail in facts.outside)
    shown = Counter(token_of(message) for message in facts.crm)
    status = {token_of(message): message["status"] for message in facts.crm}
    for mail in written:
        if mail.kind == "foreign":
            verdict.unexpected += [mail.token] if shown[mail.token] else []
            continue
        arrived = reached[mail.token] if mail.kind == "send" else shown[mail.token]
        verdict.lost += [mail.token] if mail.acknowledged and arrived == 0 else []
        verdict.doubled += [mail.token] if arrived > 1 or shown[mail.token] > 1 else []
        is_open = mail.kind == "send" and mail.acknowledged and status.get(mail.token) not in ENDED
        verdict.stuck += [mail.token] if is_open else []
    known = {mail.token for mail in written}
    everything = [*facts.outside, *facts.crm]
    verdict.unexpected += [str(mail.get("subject")) for mail in everything if token_of(mail) not in known]
    verdict.doubled += _told_twice(facts.events)
    verdict.foreign_bodies += _foreign_bodies(written, facts)
    return verdict


def _told_twice(events: Sequence[dict[str, Any]]) -> list[str]:
    """Messages of which the CRM was told the same under two ids of events."""
    told = Counter((event["type"], event["data"].get("id")) for event in events if event["type"] in TOLD_ONCE)
    return [f"{kind} {message_id}" for (kind, message_id), times in told.items() if times > 1]


def _foreign_bodies(written: Sequence[Written], facts: Facts) -> list[str]:
    foreign = {mail.token for mail in written if mail.kind == "foreign"}
    tokens = {mail["id"]: token_of(mail) for mail in facts.mailbox}
    read = {tokens.get(str(entry["message_id"]), "") for entry in facts.requests if entry["reads_body"]}
    return sorted(read & foreign)
