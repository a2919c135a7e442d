"""What acts of the story share: the state they pass on, what outsiders do, and waiting for its effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.story.stage import ANN, ANN_ADDRESS, CARLA, Stage, expect


@dataclass(slots=True)
class Told:
    """The state that acts pass on to later acts. `largest_file_bytes`: how large the largest file is that they send."""

    conversation_id: str = ""
    thread_id: str = ""
    first_message_id: str = ""
    newest_outside: dict[str, Any] = field(default_factory=dict)
    log_from: int = 0
    largest_file_bytes: int = 3_145_728


async def wait_until_sent(stage: Stage, crm_message_id: str) -> dict[str, Any]:
    """Wait until the CRM hears what became of its message, and return it; raises Lie unless it was sent."""

    async def fetch_outcome() -> object:
        shown = await stage.of_crm("GET", f"/api/messages/{crm_message_id}")
        return shown["status"] in ("sent", "failed") and shown

    shown: dict[str, Any] = await stage.wait_until(
        "the CRM hears that its message was sent", fetch_outcome, 40.0
    )
    expect(f"the message is sent, not {shown['status']}", shown["status"] == "sent")
    return shown


async def send_in_thread(stage: Stage, told: Told, html: str) -> None:
    """The CRM sends Carla a mail in the story's conversation, and it leaves."""
    sent = await order_in_thread(stage, told, html)
    await wait_until_sent(stage, sent["id"])


async def order_in_thread(stage: Stage, told: Told, html: str) -> dict[str, Any]:
    """The CRM orders a mail to Carla in the story's conversation; return it as the CRM shows it."""
    sent: dict[str, Any] = await stage.of_crm(
        "POST",
        "/api/messages",
        user_id=ANN,
        to=CARLA,
        subject="Re: Offer for spring",
        html=html,
        conversation_id=told.conversation_id,
        thread_id=told.thread_id,
    )
    return sent


def a_send(crm_message_id: str, **more: Any) -> dict[str, Any]:
    """A send as a CRM's server asks for it."""
    return {
        "crm_message_id": crm_message_id,
        "user_id": ANN,
        "to": [{"address": CARLA}],
        "subject": "One more",
        "body": {"text": "Hello."},
        **more,
    }


async def wait_until_heard(stage: Stage, kind: str, count: int) -> dict[str, Any]:
    """Wait until the CRM has heard `count` events of a type and return the newest."""

    async def fetch_events() -> object:
        heard = await stage.crm_events(kind)
        return len(heard) >= count and heard[-1]

    heard: dict[str, Any] = await stage.wait_until(f"the CRM hears {kind}", fetch_events)
    return heard


async def wait_until_reached(stage: Stage, count: int) -> list[dict[str, Any]]:
    """Wait until Carla has `count` mails and return them: mail may arrive after its sender sees it as sent."""

    async def fetch_mail() -> object:
        got = await stage.outside(CARLA)
        return len(got) >= count and got

    got: list[dict[str, Any]] = await stage.wait_until("the mail reaches the contact", fetch_mail)
    return got


async def reply_outside(
    stage: Stage, told: Told, html: str, files: Sequence[Mapping[str, object]] = ()
) -> None:
    """Carla answers the newest mail that she knows of."""
    await stage.control(
        "POST",
        f"outside/{CARLA}/reply",
        internet_message_id=told.newest_outside["internet_message_id"],
        html=html,
        attachments=list(files),
    )


async def write_outside(stage: Stage, sender: str, subject: str, html: str) -> None:
    """An outsider writes Ann a new mail."""
    await stage.control("POST", f"outside/{sender}/compose", to=[ANN_ADDRESS], subject=subject, html=html)


async def find_in_crm(stage: Stage, told: Told, words: str) -> dict[str, Any] | None:
    """The story's message in the CRM that says these words itself, quotations apart."""
    for message in await stage.crm_messages():
        own = (message.get("html") or "").split("<blockquote", 1)[0] + (message.get("snippet") or "")
        if words in own and message["thread_id"] == told.thread_id:
            return message
    return None


async def wait_until_in_crm(stage: Stage, told: Told, words: str) -> dict[str, Any]:
    """Wait until the CRM shows a message with these words, and return it."""

    async def find() -> object:
        return await find_in_crm(stage, told, words)

    found: dict[str, Any] = await stage.wait_until(f"{words!r} appears in the CRM", find, 40.0)
    return found
