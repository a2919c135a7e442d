"""Something between us and Graph answers in its place: no mail leaves without its words, is given up or left behind."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from sandbox.graphsim.knobs import Value
from sandbox.story.stage import CARLA, Stage
from tests.simulation.moves import carla_answers, connected, crm_sends, in_crm, shown
from tests.simulation.world import OneProcess, one_process

HOUR = 3600.0
KNOBS: dict[str, Value] = {"list_500": "never", "list_504": "never"}
BODIES = ["page", "empty", "error", "null"]
# What a gateway answers with for hours, whatever is asked.
OUTAGES: list[dict[str, Any]] = [
    {"body": "page"},
    {"body": "error"},
    {"body": "page", "status": 302},
    {"body": "page", "status": 400},
    {"body": "empty", "status": 403},
]


async def a_thread(world: OneProcess) -> dict[str, Any]:
    """Ann's CRM has sent Carla a mail, and Carla has answered; the CRM's own mail."""
    stage = await connected(world)
    begun = await crm_sends(stage, "Begun")
    await world.advance(300)
    await carla_answers(stage, "Answer")
    await world.advance(300)
    return await shown(stage, begun)


async def in_place_of(stage: Stage, operation: str, **how: Any) -> None:
    """A gateway answers."""
    await stage.control("POST", "faults", operation=operation, kind="nonsense", **how)


async def came(stage: Stage, *words: str) -> list[int]:
    """How many mails with each of these words Carla has got."""
    mails = [str(mail["html"]) for mail in await stage.outside(CARLA)]
    return [len([mail for mail in mails if word in mail]) for word in words]


async def told(stage: Stage, *message_ids: str) -> list[str]:
    """What the CRM shows of each."""
    return [str((await shown(stage, message_id))["status"]) for message_id in message_ids]


@pytest.mark.parametrize("body", BODIES)
async def test_a_send_that_graph_never_saw_leaves_all_the_same(tmp_path: Path, body: str) -> None:
    """Graph says 202 and nothing else when it takes a mail; after any other 200 it is asked what became of it."""
    async with one_process(tmp_path, knobs=KNOBS) as world:
        stage = await connected(world)
        await in_place_of(stage, "message.send", body=body, count=1)
        message_id = await crm_sends(stage, "Begun")
        await world.advance(HOUR)
        assert await told(stage, message_id) == ["sent"]
        assert await came(stage, "Begun") == [1]


@pytest.mark.parametrize("body", BODIES)
async def test_no_reply_leaves_without_its_words(tmp_path: Path, body: str) -> None:
    """The words of a reply are put into its draft by a call of their own; a gateway's 200 to it is no yes."""
    async with one_process(tmp_path, knobs=KNOBS) as world:
        within, stage = await a_thread(world), world.stage
        await in_place_of(stage, "message.update", body=body, count=1)
        message_id = await crm_sends(stage, "Reply", within)
        await world.advance(HOUR)
        assert await told(stage, message_id) == ["sent"]
        assert await came(stage, "Reply") == [1]
        assert len(await stage.outside(CARLA)) == 2


@pytest.mark.parametrize("body", BODIES)
async def test_no_page_is_told_as_a_file(tmp_path: Path, body: str) -> None:
    """The CRM gets the text file that the contact has sent, and not what a gateway said in its place."""
    async with one_process(tmp_path, knobs=KNOBS) as world:
        stage = await connected(world)
        await crm_sends(stage, "Begun")
        await world.advance(300)
        await in_place_of(stage, "attachment.value", body=body, count=1)
        words = b"What was agreed."
        notes = {
            "name": "notes.txt",
            "content_type": "text/plain",
            "content_base64": b64encode(words).decode(),
        }
        await carla_answers(stage, "Answer", [notes])
        await world.advance(HOUR)
        (answer,) = await in_crm(stage, "Answer")
        assert [file["size_bytes"] for file in answer["attachments"]] == [len(words)]


@pytest.mark.parametrize("how", OUTAGES, ids=str)
async def test_an_outage_of_pages_ends_no_send(tmp_path: Path, how: dict[str, Any]) -> None:
    """For four hours a gateway answers everything: the CRM hears that sends wait, and then all of them leave once."""
    async with one_process(tmp_path, knobs=KNOBS) as world:
        within, stage = await a_thread(world), world.stage
        await in_place_of(stage, "*", probability=1.0, **how)
        sends = [await crm_sends(stage, "Reply", within), await crm_sends(stage, "Other")]
        await world.advance(4 * HOUR)
        assert await told(stage, *sends) == ["waiting", "waiting"]
        await stage.control("DELETE", "faults")
        await world.advance(2 * HOUR)
        assert await told(stage, *sends) == ["sent", "sent"]
        assert await came(stage, "Reply", "Other") == [1, 1]
