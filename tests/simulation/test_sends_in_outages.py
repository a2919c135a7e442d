"""What the CRM is told of a send during an outage, held against what the simulator knows, at every look."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.graphsim.knobs import Value
from sandbox.story.connecting import connect
from sandbox.story.stage import ANN_ADDRESS, CARLA, Stage
from tests.simulation.moves import connected, crm_sends, shown
from tests.simulation.world import OneProcess, one_process

MINUTE, HOUR = 60.0, 3600.0
KNOBS: dict[str, Value] = {"list_500": "never", "list_504": "never", "access_token_seconds": 3_600}
# How far the send has come when the outage begins: the fault that its call to send meets, None where it has not begun.
PHASES: dict[str, dict[str, object] | None] = {
    "not begun": None,
    "left, and the answer was lost": {"kind": "drop_after"},
    "not left, and the answer was lost": {"kind": "drop_before"},
    "answered 504, and it leaves half an hour later": {"kind": "commit_late", "seconds": 1_800},
    "refused at the second try, and the first leaves late": {"kind": "commit_late", "seconds": 400},
}
# What is told -> whether the mail may have left, and whether it may not have.
TRUE_WHILE = {
    "sending": {True, False},
    "waiting": {False},
    "failed": {False},
    "unconfirmed": {True, False},
    "sent": {True},
}


@dataclass(frozen=True, slots=True)
class Send:
    """A send of the table, with a word that no other mail has."""

    phase: str
    word: str
    message_id: str


async def begin(world: OneProcess, phase: str, number: int) -> Send:
    """A send that has come so far."""
    stage, word = world.stage, f"Word{number}x"
    fault = PHASES[phase]
    if fault is not None:
        await stage.control("POST", "faults", operation="message.send", count=1, **fault)
    message_id = await crm_sends(stage, word)
    if fault is not None:
        await world.advance(5.0)
        if phase.startswith("refused"):
            refusal = {"kind": "status", "status": 400, "code": "ErrorInvalidRecipients", "count": 1}
            await stage.control("POST", "faults", operation="message.send", **refusal)
            await world.advance(5.5 * MINUTE)
    return Send(phase, word, message_id)


async def outage(stage: Stage, kind: str, hours: float) -> None:
    """Microsoft answers nothing more, or nothing that helps."""
    match kind:
        case "consent":
            await stage.control("POST", f"users/{ANN_ADDRESS}/revoke")
        case "pause":
            await stage.control(
                "POST", "throttle", address=ANN_ADDRESS, seconds=hours * HOUR, retry_after=600
            )
        case _:
            await stage.control(
                "POST", "faults", operation="*", kind="status", status=int(kind), probability=1.0
            )


async def left(stage: Stage, word: str) -> int:
    """How many mails with that word have left."""
    return len([mail for mail in await stage.outside(CARLA) if word in str(mail)])


async def check(stage: Stage, sends: list[Send], hours: float, *, over: bool = False) -> list[str]:
    """What the CRM shows that is not true; after the outage and an hour nothing may be undecided."""
    lies = []
    for send in sends:
        told, mails = (await shown(stage, send.message_id))["status"], await left(stage, send.word)
        case = f"{send.phase}, after {hours:g} h: {told}, {mails} left"
        undecided = told in {"sending", "waiting"} and over
        overdue = told == "sending" and hours > 1.2 and send.phase != "not begun"
        if mails > 1 or bool(mails) not in TRUE_WHILE[told] or undecided or overdue:
            lies.append(case)
    return lies


@pytest.mark.parametrize("hours", [0.6, 3.0, 60.0])
@pytest.mark.parametrize("kind", ["503", "500", "consent", "pause"])
async def test_what_is_told_is_true_at_every_look(tmp_path: Path, kind: str, hours: float) -> None:
    """Sends in every phase, an outage of that kind and length: no look shows what is not so, and each one ends."""
    async with one_process(tmp_path, knobs=KNOBS) as world:
        stage = await connected(world)
        first = await crm_sends(stage, "The first.")
        await world.advance(5 * MINUTE)
        assert (await shown(stage, first))["status"] == "sent"
        await stage.control(
            "POST", "notifications", action="pause"
        )  # no copy is seen before the outage begins
        in_order = sorted(PHASES, key=lambda phase: not phase.startswith("refused"))  # this one takes minutes
        begun = [await begin(world, phase, number) for number, phase in enumerate(in_order) if PHASES[phase]]
        await outage(stage, kind, hours)
        sends = [*begun, await begin(world, "not begun", 9)]
        lies, passed = [], 0.0
        for step in (0.2, 0.5, 0.7, 1.1, 1.3, 2.0, 3.0, 12.0, 30.0, 60.0):
            if step > hours:
                break
            await world.advance((step - passed) * HOUR)
            passed = step
            lies += await check(stage, sends, passed)
        await world.advance((hours - passed) * HOUR)
        await stage.control("DELETE", "faults")
        await stage.control("POST", "notifications", action="resume")
        if kind == "consent":
            await connect(stage)
        await world.advance(2.5 * HOUR)
        lies += await check(stage, sends, hours + 2.5, over=True)
        assert lies == []
        ends = {send.phase: (await shown(stage, send.message_id))["status"] for send in sends}
        assert {ends[phase] for phase in PHASES if "leaves" in phase or phase.startswith("left")} == {"sent"}
        assert ends["not begun"] == "sent"
        assert [send.phase for send in sends if await left(stage, send.word) > 1] == []
