"""Bounces, automatic answers, receipts, meetings and recalls, whatever their knobs say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sandbox.graphsim.knob_tables.kinds import KINDS as KNOBS_OF_KINDS
from sandbox.story.stage import ANN_ADDRESS, CARLA, STRANGER, Stage
from tests.simulation.moves import connected, crm_sends, foreign_bodies_read, in_crm, shown
from tests.simulation.settings import Settings, each_value, named
from tests.simulation.world import one_process

LOST, SLOW = "nobody@bounces.example", "late@slow.example"
OF_KINDS = {knob.name for knob in KNOBS_OF_KINDS}
TOLD = {
    "automatic_reply": "automatic_reply",
    "read_receipt": "read_receipt",
    "meeting_request": "meeting_request",
    "meeting_cancellation": "meeting_request",
    "meeting_response": "meeting_response",
}


def settings() -> list[Settings]:
    """The defaults, and each value of each knob of kinds."""
    return [{}, *(chosen for chosen in each_value() if OF_KINDS & set(chosen))]


async def carlas_program_answers(stage: Stage, kind: str) -> None:
    """Carla's program answers the newest mail that she has got."""
    newest = (await stage.outside(CARLA))[-1]
    await stage.control(
        "POST",
        f"outside/{CARLA}/reply",
        internet_message_id=newest["internet_message_id"],
        html=f"<p>It is {kind}.</p>",
        kind=kind,
    )


async def events(stage: Stage, kind: str) -> list[dict[str, Any]]:
    return [event["data"] for event in await stage.crm_events(kind)]


@pytest.mark.parametrize("knobs", settings(), ids=named)
async def test_every_kind_is_told_as_what_it_is(tmp_path: Path, knobs: Settings) -> None:
    """Mail of every kind is told once, and as what it is; a bounce with its send, and no foreign one is read."""
    async with one_process(tmp_path, knobs=knobs) as world:
        stage = await connected(world)
        await crm_sends(stage, "Hello")
        lost = await crm_sends(stage, "Lost", to=LOST)
        slow = await crm_sends(stage, "Slow", to=SLOW)
        await stage.control(
            "POST", f"mailboxes/{ANN_ADDRESS}/compose", action="new", to=["own@bounces.example", STRANGER],
            subject="Private", html="<p>Mine</p>",
        )  # fmt: skip
        await world.advance(300)
        for kind in TOLD:
            await carlas_program_answers(stage, kind)
        await world.advance(3600)
        for kind, word in TOLD.items():
            assert [m["kind"] for m in await in_crm(stage, f"It is {kind}.")] == [word], kind
        told = sorted(
            await events(stage, "message.bounced"), key=lambda data: str(data["bounced"]["recipient"])
        )
        assert [(data["bounced"]["recipient"], data["bounced"]["crm_message_id"]) for data in told] == [
            (SLOW, slow),
            (LOST, lost),
        ]
        assert told[1]["bounced"]["action"] == "failed"
        assert told[0]["bounced"]["action"] in ({"delayed"} if told[0]["bounced"]["action"] else {None})
        assert [bounce["recipient"] for bounce in (await shown(stage, lost))["bounces"]] == [LOST]
        assert await foreign_bodies_read(stage) == []


async def test_mail_of_a_class_that_nobody_knows_is_mail(tmp_path: Path) -> None:
    """A mail whose class is somebody's own syncs as mail."""
    async with one_process(tmp_path) as world:
        stage = await connected(world)
        await crm_sends(stage, "Hello")
        await world.advance(60)
        newest = (await stage.outside(CARLA))[-1]
        await stage.control(
            "POST", f"outside/{CARLA}/reply", internet_message_id=newest["internet_message_id"],
            html="<p>Custom</p>", message_class="IPM.Note.Custom",
        )  # fmt: skip
        await world.advance(60)
        assert [message["kind"] for message in await in_crm(stage, "Custom")] == ["mail"]
