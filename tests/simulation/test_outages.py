"""Outages of hours and days in which mail arrives: all of it is there afterwards, and nothing wrong was told of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sandbox.story.connecting import connect
from sandbox.story.stage import ANN, ANN_ADDRESS, CARLA, DEV, STRANGER, Stage
from tests.simulation.moves import connected, in_crm
from tests.simulation.world import OneProcess, one_process

BOB, BOB_ADDRESS = "u_bob", "bob@northwind.example"
HOUR, DAY = 3600.0, 86_400.0
FOR_EVER = {"probability": 1.0}
OUTAGES: dict[str, dict[str, Any]] = {
    "503": {"kind": "status", "status": 503, "retry_after": "120"},
    "500": {"kind": "status", "status": 500},
    "401": {"kind": "status", "status": 401},
    "404": {"kind": "status", "status": 404},
    "403": {"kind": "status", "status": 403},
    "a page": {"kind": "nonsense", "body": "page"},
    "nulls": {"kind": "nonsense", "body": "nulls"},
    "timeouts": {"kind": "drop_before"},
}
# With `OUTAGES=all` every kind is played for every time.
PLAYED = [("503", 120), ("403", 4), ("nulls", 24), ("timeouts", 4)]
if os.environ.get("OUTAGES") == "all":
    PLAYED = [(kind, hours) for kind in OUTAGES for hours in (4, 24, 120)]


async def two_mailboxes(world: OneProcess) -> Stage:
    """Ann has a thread with Carla, Bob one with Dev."""
    stage = await connected(world)
    await stage.control("POST", "users", address=BOB_ADDRESS, display_name="Bob Baker")
    await stage.control("POST", "contacts", address=DEV, name="Dev Das")
    await connect(stage, BOB, BOB_ADDRESS)
    for user, contact in ((ANN, CARLA), (BOB, DEV)):
        await stage.of_crm(
            "POST", "/api/messages", user_id=user, to=contact, subject="Offer", html="<p>Begun</p>"
        )
    await world.advance(120)
    return stage


async def outside_writes(stage: Stage, word: str) -> list[str]:
    """Both contacts answer in their threads, and a stranger writes to both mailboxes; the words of the answers."""
    for contact in (CARLA, DEV):
        begun = (await stage.outside(contact))[0]["internet_message_id"]
        html = f"<p>{word} of {contact}</p>"
        await stage.control("POST", f"outside/{contact}/reply", internet_message_id=begun, html=html)
    await stage.control(
        "POST",
        f"outside/{STRANGER}/compose",
        to=[ANN_ADDRESS, BOB_ADDRESS],
        subject="Offer",
        html="<p>Private</p>",
    )
    return [f"{word} of {contact}" for contact in (CARLA, DEV)]


async def lost_or_doubled(stage: Stage, words: list[str]) -> dict[str, int]:
    """How often each of these is shown that is not shown once."""
    shown = {word: len(await in_crm(stage, word)) for word in words}
    return {word: times for word, times in shown.items() if times != 1}


async def strangers_read(stage: Stage) -> list[str]:
    """Which bodies of the stranger's mails were read."""
    mails = [*await stage.mailbox(), *await stage.mailbox(BOB_ADDRESS)]
    foreign = {mail["id"] for mail in mails if mail["from"] == STRANGER}
    _, log = await stage.requests()
    lists = [request for request in log if request["reads_body"] and request["operation"] == "message.list"]
    read = [request for request in log if request["reads_body"] and request["message_id"] in foreign]
    return [request["at"] for request in (*read, *lists)]


async def through(world: OneProcess, fault: dict[str, Any], hours: float) -> list[str]:
    """That fault is in force for hours while mails come; the words of those of a thread."""
    stage = await two_mailboxes(world)
    await stage.control("POST", "faults", **{"operation": "*", **FOR_EVER, **fault})
    words: list[str] = []
    for share in (0.1, 0.4, 0.45, 0.05):
        words += await outside_writes(stage, f"Answer{len(words)}x")
        await world.advance(share * hours * HOUR)
    await stage.control("DELETE", "faults")
    return words


async def lies(stage: Stage, words: list[str]) -> list[object]:
    """What is lost, doubled, told wrongly, read without reason, or left for an operator."""
    return [
        *(await lost_or_doubled(stage, words)).items(),
        *await stage.crm_events("message.not_synced"),
        *await strangers_read(stage),
    ]


@pytest.mark.parametrize(("outage", "hours"), PLAYED)
async def test_mail_of_an_outage_is_there_afterwards(tmp_path: Path, outage: str, hours: int) -> None:
    """Whatever Graph answers for hours or days: mail that came meanwhile is told once, and none as not synced."""
    async with one_process(tmp_path) as world:
        words = await through(world, OUTAGES[outage], hours)
        await world.advance(26 * HOUR if outage == "403" else 75 * 60)
        assert await lies(world.stage, words) == []


@pytest.mark.parametrize("outage", ["403", "nulls"])
async def test_while_no_body_is_given_no_single_mail_is_told(tmp_path: Path, outage: str) -> None:
    """Graph gives outlines and no body for 26 hours: no mail is told as unreadable, all are read afterwards."""
    async with one_process(tmp_path) as world:
        words = await through(world, OUTAGES[outage] | {"of_bodies": True}, 26)
        await world.advance(75 * 60)
        assert await lies(world.stage, words) == []
