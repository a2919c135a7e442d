"""The flows whose every call is crossed: what people and programs do, from a prepared world on (`beginnings`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from sandbox.story.acts import PNG, attached
from sandbox.story.life import SECOND_ADDRESS
from sandbox.story.stage import ANN_ADDRESS
from tests.explore import beginnings
from tests.explore.beginnings import LONG, PAPER
from tests.explore.platform import HOUR, MINUTE
from tests.explore.truth import Truth, at_once
from tests.simulation.parts import CRM

Play = Callable[[Truth], Awaitable[None]]


async def connect(truth: Truth) -> None:
    """A user connects a mailbox."""
    await truth.user_connects()


async def first_send(truth: Truth) -> None:
    """The first send subscribes before it sends."""
    await truth.crm_sends("SendAx", files=(60,))


async def send(truth: Truth) -> None:
    """The CRM begins a thread and answers in another, at the same time."""
    await at_once(
        truth.world,
        truth.crm_sends("SendAx", files=(60,)),
        truth.crm_sends("SendBx", within="Send0x"),
    )


async def sends(truth: Truth) -> None:
    """Five sends to one mailbox at once, and an answer."""
    await at_once(
        truth.world,
        *(truth.crm_sends(f"Send{letter}x") for letter in "ABCDE"),
        truth.contact_answers("AnswerAx", "Send0x"),
    )


async def inbound(truth: Truth) -> None:
    """The contact answers with a file, a stranger writes, the user answers in Outlook."""
    await at_once(
        truth.world,
        truth.contact_answers("AnswerAx", "Send0x", attachments=[PAPER]),
        truth.stranger_writes("PrivateAx"),
        truth.user_answers("OutlookAx", "Answer0x"),
    )


async def own_copy(truth: Truth) -> None:
    """The user answers with a copy to the own mailbox: it lies in Sent Items and in the inbox."""
    await truth.user_answers("OutlookAx", "Answer0x", cc=[ANN_ADDRESS])


async def held(truth: Truth) -> None:
    """Graph does not give an answer's body for half an hour."""
    plan = {"part": "body", "status": 500, "code": "ErrorContentConversionFailed", "minutes": 30}
    await truth.contact_answers("AnswerAx", "Send0x", unreadable=plan)
    await asyncio.sleep(40 * MINUTE)


async def disconnect(truth: Truth) -> None:
    """The user disconnects while the CRM sends and the contact answers."""
    await at_once(
        truth.world,
        truth.crm_sends("SendAx", ends=("sent", "failed", "refused")),
        truth.contact_answers("AnswerAx", "Send0x", where="either"),
        truth.user_disconnects(),
    )
    await asyncio.sleep(MINUTE)
    await truth.contact_answers("AnswerBx", "Send0x", where="kept_out")


async def update(truth: Truth) -> None:
    """A second mailbox replaces the first while the CRM sends."""
    truth.begun = False
    await at_once(
        truth.world,
        truth.crm_sends("SendAx", ends=("sent", "failed")),
        truth.user_connects(SECOND_ADDRESS),
    )
    await truth.crm_sends("SendBx", within="Send0x")


async def repair(truth: Truth) -> None:
    """The consent dies, a send and an answer come, the user signs in again."""
    await truth.consent_dies()
    await at_once(
        truth.world,
        truth.crm_sends("SendAx"),
        truth.contact_answers("AnswerAx", "Send0x"),
    )
    await asyncio.sleep(5 * MINUTE)
    await at_once(truth.world, truth.user_connects(), truth.crm_sends("SendBx"))


async def ask_again(truth: Truth) -> None:
    """The CRM asks again for what was not answered, and the user has another mailbox now."""
    await at_once(truth.world, truth.crm_asks_again("SendAx"), truth.crm_sends("SendBx"))


async def call_off(truth: Truth) -> None:
    """A change of the mailbox came to nothing; the CRM sends and the contact answers, and the former one counts."""
    await at_once(
        truth.world,
        truth.crm_sends("SendAx"),
        truth.contact_answers("AnswerAx", "Send0x"),
    )


async def refresh(truth: Truth) -> None:
    """The access token has ended; a send and an answer need one at the same time."""
    await at_once(
        truth.world,
        truth.crm_sends("SendAx", within="Send0x"),
        truth.contact_answers("AnswerAx", "Send0x"),
    )


async def renew(truth: Truth) -> None:
    """The subscription is renewed, and the contact answers meanwhile."""
    await asyncio.sleep(16 * MINUTE)
    await truth.contact_answers("AnswerAx", "Send0x")


async def recreate(truth: Truth) -> None:
    """Graph removes the subscription, and the contact answers meanwhile."""
    await at_once(
        truth.world,
        _lifecycle(truth, "subscriptionRemoved"),
        truth.contact_answers("AnswerAx", "Send0x"),
    )


async def missed(truth: Truth) -> None:
    """Notifications are lost, and Graph says so."""
    await truth.stage.control("POST", "notifications", action="drop", count=2)
    await truth.contact_answers("AnswerAx", "Send0x")
    await asyncio.sleep(5.0)
    await _lifecycle(truth, "missed")


async def sweep(truth: Truth) -> None:
    """Notifications are lost, and nobody says so."""
    await truth.stage.control("POST", "notifications", action="drop", count=6)
    await at_once(
        truth.world,
        truth.contact_answers("AnswerAx", "Send0x"),
        truth.stranger_writes("PrivateAx"),
        truth.user_answers("OutlookAx", "Answer0x"),
    )
    await asyncio.sleep(20 * MINUTE)


async def crowd(truth: Truth) -> None:
    """A program moves all mails at once, so that a sweep lists more of one second than a page holds."""
    await truth.stage.control("PUT", "knobs", list_next_link="kept", list_500="never", list_504="never")
    await truth.stage.control("POST", "notifications", action="drop", count=1)
    await truth.contact_answers("AnswerAx", "Send0x")
    await asyncio.sleep(30.0)
    moved = {"from": "inbox", "folder": "archive"}
    await truth.stage.control("POST", f"mailboxes/{ANN_ADDRESS}/move-all", **moved)
    await asyncio.sleep(20 * MINUTE)


async def come_late(truth: Truth) -> None:
    """Graph answers again, lists last; what answered a late mail is looked for in its conversation."""
    await truth.stage.control("DELETE", "faults")
    await truth.stage.control("POST", "faults", operation="message.list", kind="status", status=503, count=2)
    await asyncio.sleep(40 * MINUTE)


async def deliver(truth: Truth) -> None:
    """The CRM's endpoint is down for some deliveries."""
    await truth.stage.of_crm("POST", "/__control/outage", count=3)
    await truth.contact_answers("AnswerAx", "Send0x")
    await asyncio.sleep(45 * MINUTE)


async def stop(truth: Truth) -> None:
    """The CRM stops a thread and resumes it, while the contact answers."""
    thread = truth.sends["Send0x"].thread_id
    await at_once(
        truth.world,
        truth.insists("POST", f"/v1/threads/{thread}/stop", lambda answer: answer.status_code == 200),
        truth.contact_answers("AnswerAx", "Send0x", where="either"),
    )
    await asyncio.sleep(3 * MINUTE)
    await truth.contact_answers("AnswerBx", "Send0x", where="kept_out")
    await asyncio.sleep(3 * MINUTE)
    await truth.insists("POST", f"/v1/threads/{thread}/resume", lambda answer: answer.status_code == 200)
    await asyncio.sleep(10.0)
    await truth.contact_answers("AnswerCx", "Send0x")


async def files(truth: Truth) -> None:
    """Files leave: a large, two in a thread, a fetched; answers come with a picture and with a bad file."""
    picture = {**attached("logo.png", "image/png", PNG), "inline": True, "content_id": "logo@x"}
    bad = attached("run.pdf", "application/pdf", b"MZ\0\0")
    named = [{"name": "far.pdf", "content_type": "application/pdf", "url": f"{CRM}/files/far.pdf"}]
    await at_once(
        truth.world,
        truth.crm_sends("SendAx", files=(60, 3_000_000)),
        truth.crm_sends("SendBx", within="Send0x", files=(60, 70)),
        truth.server_sends("SendCx", attachments=named),
        truth.contact_answers(
            "AnswerAx", "Send0x", html='<p>AnswerAx</p><img src="cid:logo@x">', attachments=[picture]
        ),
        truth.contact_answers("AnswerBx", "Send0x", where="refused", attachments=[PAPER, bad]),
    )


async def broken_upload(truth: Truth) -> None:
    """The host of large files fails: the draft that lacks one is thrown away, another is made without that host."""
    await truth.stage.control("POST", "faults", operation="upload.put", kind="status", status=500, count=1)
    await truth.crm_sends("SendAx", files=(3_145_728, 1_500_000))


async def untagged(truth: Truth) -> None:
    """An answer names nothing that it answers: its conversation and its writer lead to the thread."""
    await truth.stage.control(
        "PUT", "knobs", received_reply_tags="none", contact_thread_index="present", reply_prefix="re"
    )
    await truth.contact_answers("AnswerAx", "Send0x")


async def odd_files(truth: Truth) -> None:
    """Graph gives files one by one and refuses what would tell more of them at once."""
    knobs = {"expand_attachments": "refused", "expanded_attachments_page": 1, "content_id_cast": "refused"}
    await truth.stage.control("PUT", "knobs", **knobs)
    picture = {**attached("logo.png", "image/png", PNG), "inline": True, "content_id": "logo@x"}
    html = f'<p>AnswerAx</p><img src="cid:logo@x">{LONG}'
    await truth.contact_answers("AnswerAx", "Send0x", html=html, attachments=[picture, PAPER, PAPER])


async def unreadable(truth: Truth) -> None:
    """Queues hold what no version of ours has written, while the contact answers."""
    await at_once(truth.world, truth.contact_answers("AnswerAx", "Send0x"), beginnings.put_unreadable(truth))


async def put_back(truth: Truth) -> None:
    """A hint that failed for a day, with the only notification of its mail, comes once more."""
    await truth.stage.control("POST", "notifications", action="drop", count=1)
    await truth.contact_answers("AnswerAx", "Send0x")
    await asyncio.sleep(5.0)
    await beginnings.put_worn_hint(truth, "AnswerAx")


async def by_page(truth: Truth) -> None:
    """The user disconnects on the settings page while the contact answers, and connects again."""
    await at_once(
        truth.world,
        truth.contact_answers("AnswerAx", "Send0x", where="either"),
        truth.user_disconnects_by_page(),
    )
    await asyncio.sleep(2 * MINUTE)
    await truth.contact_answers("AnswerBx", "Send0x", where="kept_out")
    await asyncio.sleep(2 * MINUTE)
    await truth.user_connects()
    await truth.crm_sends("SendAx", within="Send0x")


async def give_up(truth: Truth) -> None:
    """The CRM refuses an event until it is given up; its operators repair that and have it told again."""
    truth.has_letters = True
    await truth.stage.of_crm("POST", "/__control/outage", count=12, status=422)
    await truth.contact_answers("AnswerAx", "Send0x")
    await asyncio.sleep(3 * HOUR)
    await truth.stage.of_crm("POST", "/__control/outage", count=0)
    await truth.insists("GET", "/v1/dead-letters", _is_well)
    await truth.insists("POST", "/v1/replays", _is_well, json={"of": "dead_letters"})
    await asyncio.sleep(5 * MINUTE)
    await truth.insists("POST", "/v1/replays", _is_well, json={"of": "dead_letters"})


async def look_now(truth: Truth) -> None:
    """Graph does not give an answer, and then it does; its operators have it looked at again at once."""
    plan = {"part": "body", "status": 500, "code": "ErrorContentConversionFailed", "minutes": 20}
    await truth.contact_answers("AnswerAx", "Send0x", unreadable=plan)
    await asyncio.sleep(25 * MINUTE)
    await truth.insists("GET", "/v1/held-messages", _is_well)
    await truth.insists("POST", "/v1/replays", _is_well, json={"of": "held_messages"})


def _is_well(answer: httpx.Response) -> bool:
    return answer.is_success


async def erase(truth: Truth) -> None:
    """What has lain long enough is erased."""
    await asyncio.sleep(10 * MINUTE)


async def forget(truth: Truth) -> None:
    """Lines that only tell what happened are erased while the CRM sends."""
    await at_once(truth.world, truth.crm_sends("SendAx"), asyncio.sleep(10 * MINUTE))


async def _lifecycle(truth: Truth, event: str) -> None:
    found: list[dict[str, Any]] = (await truth.stage.control("GET", "subscriptions"))["subscriptions"]
    for subscription in found:
        await truth.stage.control("POST", f"subscriptions/{subscription['id']}/lifecycle", event=event)


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow by its name. `minutes`: how long its calls are still crossed after its last act.

    `whole`: what a failure leads to is this flow's alone, so each of its calls fails here, also under ONCE.
    """

    prepare: Play
    play: Play
    minutes: float = 30.0
    whole: bool = False


FLOWS: Final[dict[str, Flow]] = {
    "connect": Flow(beginnings.fresh, connect, 3),
    "first_send": Flow(beginnings.connected, first_send, 10),
    "send": Flow(beginnings.begun, send, 10),
    "sends": Flow(beginnings.begun, sends, 10),
    "inbound": Flow(beginnings.begun, inbound, 10),
    "own_copy": Flow(beginnings.begun, own_copy, 10),
    "held": Flow(beginnings.begun, held, 1),
    "disconnect": Flow(beginnings.begun, disconnect, 20),
    "update": Flow(beginnings.begun, update, 20),
    "repair": Flow(beginnings.begun, repair, 20),
    "ask_again": Flow(beginnings.claimed, ask_again, 10),
    "call_off": Flow(beginnings.unopened, call_off, 20),
    "refresh": Flow(beginnings.stale, refresh, 10),
    "renew": Flow(beginnings.old, renew, 3),
    "recreate": Flow(beginnings.begun, recreate, 20),
    "missed": Flow(beginnings.begun, missed, 20),
    "sweep": Flow(beginnings.begun, sweep, 3),
    "crowd": Flow(beginnings.crowded, crowd, 3),
    "come_late": Flow(beginnings.silent, come_late, 3),
    "deliver": Flow(beginnings.begun, deliver, 3),
    "stop": Flow(beginnings.begun, stop, 10),
    "files": Flow(beginnings.begun, files, 10),
    "broken_upload": Flow(beginnings.begun, broken_upload, 10),
    "untagged": Flow(beginnings.begun, untagged, 5),
    "odd_files": Flow(beginnings.begun, odd_files, 5),
    "unreadable": Flow(beginnings.begun, unreadable, 1),
    "put_back": Flow(beginnings.begun, put_back, 5, whole=True),
    "by_page": Flow(beginnings.begun, by_page, 5),
    "give_up": Flow(beginnings.begun, give_up, 3),
    "look_now": Flow(beginnings.begun, look_now, 3),
    "erase": Flow(beginnings.aged, erase, 3),
    "forget": Flow(beginnings.ancient, forget, 3),
}
