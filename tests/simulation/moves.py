"""What people and programs do in tests that are not the story."""

from __future__ import annotations

from typing import Any

from sandbox.story import acts
from sandbox.story.connecting import connect
from sandbox.story.stage import ANN, ANN_ADDRESS, CARLA, STRANGER, Stage
from tests.simulation.world import OneProcess


async def connected(world: OneProcess) -> Stage:
    """Ann's mailbox is connected; nothing was sent yet."""
    await acts.seed(world.stage)
    await connect(world.stage)
    await world.quiet()
    return world.stage


async def crm_sends(stage: Stage, words: str, within: dict[str, Any] | None = None, **more: Any) -> str:
    """The CRM sends Carla a mail, in the thread of `within` or in a new one; the CRM's id of it."""
    thread = {name: within[name] for name in ("conversation_id", "thread_id")} if within else {}
    content = {"to": CARLA, "subject": "Offer", "html": f"<p>{words}</p>", **more}
    sent = await stage.of_crm("POST", "/api/messages", user_id=ANN, **content, **thread)
    return str(sent["id"])


async def carla_answers(stage: Stage, words: str, files: list[dict[str, str]] | None = None) -> None:
    """Carla answers the newest mail she has got."""
    newest = (await stage.outside(CARLA))[-1]
    await stage.control(
        "POST",
        f"outside/{CARLA}/reply",
        internet_message_id=newest["internet_message_id"],
        html=f"<p>{words}</p>",
        attachments=files or [],
    )


async def stranger_writes(stage: Stage, words: str) -> None:
    """Somebody whom the CRM does not know writes to Ann."""
    await stage.control(
        "POST", f"outside/{STRANGER}/compose", to=[ANN_ADDRESS], subject="Offer", html=f"<p>{words}</p>"
    )


async def shown(stage: Stage, message_id: str) -> dict[str, Any]:
    """A message as the CRM shows it."""
    found: dict[str, Any] = await stage.of_crm("GET", f"/api/messages/{message_id}")
    return found


async def in_crm(stage: Stage, words: str) -> list[dict[str, Any]]:
    """Messages whose own words, quotations apart, hold these."""
    return [message for message in await stage.crm_messages() if words in own_words(message)]


def own_words(message: dict[str, Any]) -> str:
    """A message's text without what it quotes."""
    html = str(message.get("html") or "").split("<blockquote", 1)[0].split("divRplyFwdMsg", 1)[0]
    return html + str(message.get("snippet") or "")


async def foreign_bodies_read(stage: Stage, since: int = 0) -> list[dict[str, Any]]:
    """Requests that read a body of a mail that is no part of what the CRM shows, or a list with bodies."""
    _, log = await stage.requests(since)
    known = {message["internet_message_id"] for message in await stage.crm_messages()}
    own = {
        mail["id"]
        for mail in await stage.mailbox()
        if mail["internet_message_id"] in known or mail["is_draft"]
    }
    return [
        request
        for request in log
        if request["reads_body"]
        and request["method"] == "GET"
        and (request["message_id"] is None or request["message_id"] not in own)
    ]
