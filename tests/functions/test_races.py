"""Disconnect, Update email, repair, stop and resume while every worker runs at the same time (R5, R6, R9, R12).

Each seed is another interleaving. Whatever it is: nothing is lost, nothing doubled, nothing stuck, and nothing syncs
after the fence closed. More of them: `RACE_SEEDS=100`.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from shared.domain.errors import Ambiguous
from shared.domain.model import MailboxRef, TaskKind
from shared.state import keys
from tests.functions.answers import Answer
from tests.functions.app import BEA_ADDRESS, App, send_body
from tests.functions.racing import at_once, happened, until_done
from tests.functions.test_disconnect import has_tokens, open_tasks
from tests.functions.test_grants import die
from tests.functions.test_send_ends import mailbox_of
from tests.functions.test_stopped_threads import thread_of

SEEDS = range(int(os.environ.get("RACE_SEEDS", "6")))
seeded = pytest.mark.parametrize("seed", SEEDS)
ENDED = {"sent", "failed", "needs_attention"}
Act = Callable[[], Awaitable[object]]


class Busy:
    """A mailbox with work of every kind waiting: sends, a reply, an answer, a sweep, a renewal, an unknown outcome."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.ref, self.thread_id = mailbox_of(app), thread_of(app)
        self.sends: dict[str, str] = {}
        self.answer = ""

    async def make(self, *, unknown: bool) -> None:
        """Bring it all about; nothing of it is worked on yet."""
        app = self.app
        app.clock.forward(minutes=16)
        await app.tick()
        if unknown:
            app.mail.next["send"] = [Ambiguous()]
        for number in range(2, 5):
            thread = {"thread_id": self.thread_id} if number % 2 == 0 else {}
            self.sends[f"m-{number}"] = await app.accepted(f"m-{number}", **thread)
        before = app.mail.last_sent.internet_message_id
        self.answer = app.mail.receive(BEA_ADDRESS, in_reply_to=before)
        foreign = app.mail.receive("else@x.example")
        for _ in range(2):  # Graph tells twice
            assert (await app.notify(self.answer, foreign)).status == 202

    def told(self, kind: str) -> Counter[str]:
        """How often each event of this kind was told, by what it is about."""
        found = {
            event_id: str(event["data"].get("id") or event["data"].get("thread_id") or kind)
            for event, event_id in zip(self.app.crm.told, self.app.crm.ids, strict=True)
            if event["type"] == kind
        }
        return Counter(found.values())

    def answers_told(self) -> int:
        """How often the racing answer was told."""
        return sum(self.told("message.received").values())

    async def hand_over(self) -> None:
        """The CRM hands over another send at the same time; it may be refused."""
        answer = await until_done(lambda: self.app.v1("POST", "messages", json=send_body("m-late")))
        if answer.status == 202:
            self.sends["m-late"] = answer.json()["id"]
        else:
            assert answer.json()["type"].endswith("/no-active-connection")

    async def check_sends(self, reason: str) -> None:
        """Each send has ended: it left once and is told as sent, or it never left and is told as failed with that."""
        for crm_message_id, message_id in self.sends.items():
            status, why = await self.app.standing(message_id)
            assert status in ENDED, (crm_message_id, status, why)
            assert why in {None, reason, "outcome_unknown", "left_in_drafts"}, (crm_message_id, status, why)
            told = {
                kind: self.told(kind)[message_id]
                for kind in ("message.sent", "message.failed", "message.unconfirmed")
            }
            assert max(told.values()) == 1, (crm_message_id, told)
            assert (status == "sent") == (told["message.sent"] == 1)
            assert not (told["message.sent"] and told["message.failed"]), told
        assert len(self.app.mail.sent) == len({draft.key for draft in self.app.mail.sent.values()})

    async def check_nothing_more_comes_in(self) -> None:
        """An answer that arrives now is not told, whatever notification or sweep finds it."""
        before = self.answers_told()
        late = self.app.mail.receive(BEA_ADDRESS, in_reply_to=_first_sent(self.app))
        fetched = self.app.mail.calls.count("fetch")
        if self.app.mail.client_states:
            await self.app.arrives(late)
        await self.app.later(hours=7)
        assert self.answers_told() == before
        assert self.app.mail.calls.count("fetch") == fetched


def check_closed(happenings: list[str], closing: str) -> None:
    """Once it was closed nothing came in, and no send took its last step."""
    if closing in happenings:
        after = happenings[happenings.index(closing) :]
        assert not {"message.received", "sending"} & set(after), happenings


@pytest.fixture(params=[False, True], ids=["", "one outcome unknown"])
async def busy(begun: App, request: pytest.FixtureRequest) -> Busy:
    made = Busy(begun)
    await made.make(unknown=request.param)
    return made


async def _disconnect(app: App) -> Answer:
    return await until_done(lambda: app.v1("DELETE", "users/u_ann/connection"))


@seeded
async def test_disconnect_against_every_worker(busy: Busy, seed: int) -> None:
    """Told once; sends end; no token, subscription or task stays; nothing comes in afterwards (R5)."""
    app = busy.app
    commits = await at_once(app, seed, lambda: _disconnect(app), busy.hand_over)
    await app.later(hours=3)
    check_closed(happened(app, commits, busy.ref), "closed")
    await busy.check_sends("disconnected")
    assert busy.answers_told() <= 1
    assert list(busy.told("connection.disconnected").values()) == [1]
    assert not await has_tokens(app)
    assert app.mail.subscribed == {}
    assert set(await open_tasks(app)) == {TaskKind.ERASE}
    await busy.check_nothing_more_comes_in()
    assert (await app.v1("POST", "messages", json=send_body("m-9"))).status == 409


@seeded
async def test_two_disconnects_at_once(busy: Busy, seed: int) -> None:
    """The person and the CRM's server end it at the same moment: it is ended once."""
    app = busy.app
    await at_once(app, seed, lambda: _disconnect(app), lambda: _disconnect(app))
    await app.later(hours=3)
    await busy.check_sends("disconnected")
    assert list(busy.told("connection.disconnected").values()) == [1]
    assert not await has_tokens(app)


async def _update(app: App, cookie: str) -> None:
    """The person says yes to another mailbox; whoever is told to repeat signs in anew."""
    shown = await app.call("GET", "/oauth/confirm", cookie=cookie)
    token = re.search(r'name="csrf_token" value="([^"]*)"', shown.text)
    if token:  # a disconnect ends sign-ins that are under way
        await app.call("POST", "/oauth/confirm", form={"csrf_token": token[1]}, cookie=cookie)


def subscriptions_of(app: App, ref: MailboxRef) -> list[str]:
    """The mailbox's subscriptions that stand at Graph."""
    name = keys.mailbox_key(ref)
    return [number for number, found in app.mail.subscribed.items() if name in (found.client_state or "")]


async def _current(app: App) -> str:
    shown = (await app.v1("GET", "users/u_ann/connection")).json()
    return f"{shown['status']} {shown['mailbox'] and shown['mailbox']['address']}"


@seeded
async def test_update_email_against_every_worker(busy: Busy, seed: int) -> None:
    """The new mailbox is current, the old one's threads stop, its sends end, its tokens and subscription go (R6)."""
    app = busy.app
    cookie = await app.signed_in(await app.page_session(), "eve")
    commits = await at_once(app, seed, lambda: _update(app, cookie), busy.hand_over)
    await app.later(hours=3)
    check_closed(happened(app, commits, busy.ref), "closed")
    if await _current(app) != "connected eve@northwind.example":  # lost all its races: nothing had changed
        await app.connect(mailbox="eve")
        await app.later(hours=3)
    assert await _current(app) == "connected eve@northwind.example"
    await busy.check_sends("mailbox_changed")
    assert busy.answers_told() <= 1
    assert list(busy.told("connection.updated").values()) == [1]
    assert subscriptions_of(app, busy.ref) == []
    await busy.check_nothing_more_comes_in()


@seeded
async def test_update_email_against_disconnect(busy: Busy, seed: int) -> None:
    """Whoever comes first: one mailbox is connected afterwards or none, and the old one is closed either way."""
    app = busy.app
    cookie = await app.signed_in(await app.page_session(), "eve")
    await at_once(app, seed, lambda: _update(app, cookie), lambda: _disconnect(app))
    await app.later(hours=3)
    assert await _current(app) in {
        "connected eve@northwind.example",
        "disconnected eve@northwind.example",
        "disconnected ann@northwind.example",
    }
    for crm_message_id, message_id in busy.sends.items():
        status, why = await app.standing(message_id)
        assert status in ENDED, (crm_message_id, status, why)
    await busy.check_nothing_more_comes_in()


@seeded
async def test_repair_against_every_worker(begun: App, seed: int) -> None:
    """The same account signs in again while workers find the consent dead: all that waited goes on, once each (R9)."""
    await die(begun)
    busy = Busy(begun)
    await busy.make(unknown=False)
    begun.sign_in.dead = False
    cookie = await begun.signed_in(await begun.page_session())
    await at_once(begun, seed, lambda: _update(begun, cookie))
    await begun.later(hours=1)
    if await _current(begun) != "connected ann@northwind.example":
        await begun.connect()
        await begun.later(hours=1)
    assert await _current(begun) == "connected ann@northwind.example"
    for message_id in busy.sends.values():
        assert await begun.standing(message_id) == ("sent", None)
        assert busy.told("message.sent")[message_id] == 1
    assert busy.answers_told() == 1
    assert len(begun.mail.sent) == 5


@seeded
async def test_a_stop_against_every_worker(busy: Busy, seed: int) -> None:
    """Sends in the thread end or have left before, the others leave, and nothing of it comes in afterwards (R12)."""
    app = busy.app
    await at_once(app, seed, lambda: until_done(lambda: app.v1("POST", f"threads/{busy.thread_id}/stop")))
    await app.later(hours=3)
    await busy.check_sends("thread_stopped")
    assert await app.standing(busy.sends["m-3"]) in {("sent", None), ("needs_attention", "outcome_unknown")}
    assert busy.answers_told() <= 1
    assert list(busy.told("thread.stopped").values()) == [1]
    shown = (await app.v1("GET", f"threads/{busy.thread_id}")).json()
    assert shown["status"] == "stopped"
    before = busy.answers_told()
    late = app.mail.receive(BEA_ADDRESS, in_reply_to=_first_sent(app))
    await app.arrives(late)
    await app.later(hours=1)
    assert busy.answers_told() == before


def _first_sent(app: App) -> str:
    """The Message-ID of the mail that began the thread."""
    return str(app.mail.sent_outline(next(iter(app.mail.sent))).internet_message_id)


@seeded
async def test_stop_and_resume_at_once(busy: Busy, seed: int) -> None:
    """Whichever wins: the thread stands as the last one said, and told events alternate."""
    app = busy.app
    steer = {
        verb: (lambda verb=verb: until_done(lambda: app.v1("POST", f"threads/{busy.thread_id}/{verb}")))
        for verb in ("stop", "resume")
    }
    await at_once(app, seed, steer["stop"], steer["resume"], steer["stop"])
    await app.later(hours=2)
    await busy.check_sends("thread_stopped")
    shown = (await app.v1("GET", f"threads/{busy.thread_id}")).json()
    stops, resumptions = (sum(busy.told(f"thread.{kind}").values()) for kind in ("stopped", "resumed"))
    assert stops - resumptions == (1 if shown["status"] == "stopped" else 0)


@seeded
async def test_a_send_and_a_stop_at_once(begun: App, seed: int) -> None:
    """A send handed over while its thread is stopped is refused, or taken and ended, or has left before: never lost."""
    thread_id, answers = thread_of(begun), list[Answer]()

    async def hand_over() -> None:
        body = send_body("m-2", thread_id=thread_id)
        answers.append(await until_done(lambda: begun.v1("POST", "messages", json=body)))

    await at_once(
        begun, seed, hand_over, lambda: until_done(lambda: begun.v1("POST", f"threads/{thread_id}/stop"))
    )
    await begun.later(hours=1)
    (answer,) = answers
    if answer.status == 409:
        assert answer.json()["type"].endswith("/thread-stopped")
        assert len(begun.mail.sent) == 1
    else:
        assert await begun.standing(answer.json()["id"]) in {("sent", None), ("failed", "thread_stopped")}
