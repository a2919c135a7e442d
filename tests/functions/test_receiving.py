"""What Graph posts: the handshake, and notifications judged without touching any store (G-1 to G-5, G-7)."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any

import pytest

from shared.domain.errors import ProviderUnavailable, StoreUnavailable
from shared.security.client_state import ClientStateSigner
from shared.state import keys
from shared.state.keys import mailbox_key
from shared.storage.testing import Call
from shared.sync.inbound.receive_change import COMES_AGAIN_SECONDS, MOST_MESSAGES_AT_ONCE, receive_changes
from shared.sync.queueing.jobs import Changes, decode_job
from tests.builders import MAILBOX
from tests.functions.answers import problem
from tests.functions.app import WEBHOOK_SECRET, App, notifications_path
from tests.functions.world import OLD_CLIENT_STATE_KEY

GOOD = notifications_path()
LIFECYCLE = f"/graph/lifecycle/{WEBHOOK_SECRET}"
both = pytest.mark.parametrize("path", [GOOD, LIFECYCLE], ids=["changes", "lifecycle"])


@pytest.fixture
def state(app: App) -> str:
    """A clientState of ours; whether its mailbox exists is the worker's question."""
    return app.services.client_states.mint(mailbox_key(MAILBOX), 1, "nonce")


def item(state: str, **changes: Any) -> dict[str, Any]:
    """One change notification as Graph writes it."""
    return {
        "subscriptionId": "sub-1",
        "subscriptionExpirationDateTime": "2026-03-09T09:15:00.0000000Z",
        "changeType": "created",
        "resource": "Users/oid/Messages/AAMk-1",
        "resourceData": {"@odata.type": "#Microsoft.Graph.Message", "id": "AAMk-1"},
        "clientState": state,
        "tenantId": "tid-1",
        **changes,
    }


async def hints(app: App) -> list[str]:
    """The hints that lie in the queue, in short."""
    found = [decode_job(Changes, text) for text in await app.queues.peek(keys.CHANGES, 32)]
    return [hint.graph_message_id or hint.lifecycle_event or "" for job in found for hint in job.hints]


# ---- the handshake

TOKENS = {
    "as Graph writes it": "Validation: Testing client application reachability for subscription Request-Id: 1-a",
    "encoded twice": "%56alidation%3A%20Testing",
    "a plus": "a+b=c&d",
    "markup": "<script>alert(1)</script>",
    "other letters": "Prüfung \u2713",
    "the longest": "x" * 2048,
}


@both
@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
async def test_the_handshake_gives_the_token_back(app: App, path: str, token: str) -> None:
    """The handshake answers with the exact decoded token, as plain text that no browser interprets."""
    answer = await app.call("POST", path, params={"validationToken": token})
    assert (answer.status, answer.text) == (200, token)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


NO_TOKENS = {"empty": "", "long": "x" * 2049, "bytes": "é" * 1025, "lines": "a\r\nX: y", "nul": "\x00"}


@both
@pytest.mark.parametrize("token", NO_TOKENS.values(), ids=NO_TOKENS)
async def test_what_is_no_token_is_not_given_back(app: App, path: str, token: str) -> None:
    """A validation token that is empty, too long or not printable is answered with an empty 400."""
    answer = await app.call("POST", path, params={"validationToken": token})
    assert (answer.status, answer.body) == (400, b"")


@pytest.mark.parametrize(
    "secret", ["wrong", WEBHOOK_SECRET[:-1], f"{WEBHOOK_SECRET}x", "é", WEBHOOK_SECRET.upper()]
)
@pytest.mark.parametrize("kind", ["notifications", "lifecycle"])
async def test_another_path_is_not_there(app: App, state: str, kind: str, secret: str) -> None:
    """Without the secret of the path neither a handshake nor a good notification is answered."""
    path = f"/graph/{kind}/{secret}"
    problem(await app.call("POST", path, params={"validationToken": "x"}), 404, "not-found")
    problem(await app.call("POST", path, json={"value": [item(state)]}), 404, "not-found")
    assert await hints(app) == []


# ---- notifications

LIFECYCLE_EVENTS = ["reauthorizationRequired", "subscriptionRemoved", "missed"]


async def test_a_change_becomes_a_hint(app: App, state: str) -> None:
    """A change notification is answered with an empty 202 and becomes one queue message."""
    answer = await app.call("POST", GOOD, json={"value": [item(state)]})
    assert (answer.status, answer.body) == (202, b"")
    assert await hints(app) == ["AAMk-1"]


@pytest.mark.parametrize("event", LIFECYCLE_EVENTS)
async def test_a_lifecycle_event_becomes_a_hint(app: App, state: str, event: str) -> None:
    """A lifecycle notification without change or message is taken at its own address and becomes one hint."""
    members = {"lifecycleEvent": event, "changeType": None, "resourceData": None}
    assert (await app.call("POST", LIFECYCLE, json={"value": [item(state, **members)]})).status == 202
    assert await hints(app) == [event]


def forged(state: str) -> dict[str, Any]:
    head, _, mac = state.rpartition(".")
    version, mailbox, generation, nonce = head.split(".")
    return {
        "none": None,
        "empty": "",
        "cut": state[:-1],
        "longer": f"{state}A",
        "another generation": f"{version}.{mailbox}.{int(generation) + 1}.{nonce}.{mac}",
        "another mailbox": f"{version}.{mailbox[::-1]}.{generation}.{nonce}.{mac}",
        "another version": f"v2.{mailbox}.{generation}.{nonce}.{mac}",
        "another key": ClientStateSigner(["a-key-of-somebody-else-altogether"]).mint(mailbox, 1, nonce),
        "a number": 7,
        "a list": [state],
        "very long": "v1." + "x" * 10_000,
    }


@both
@pytest.mark.parametrize("kind", forged("v1.m.1.n.mac"))
async def test_a_forged_item_is_dropped_in_silence(app: App, state: str, path: str, kind: str) -> None:
    """An item with a wrong clientState is dropped and answered with 202, so that nobody learns anything (G-3)."""
    answer = await app.call("POST", path, json={"value": [item(forged(state)[kind])]})
    assert (answer.status, answer.body) == (202, b"")
    assert await hints(app) == []


async def test_the_key_of_before_the_rotation_is_good(app: App) -> None:
    """A clientState minted with the former key is accepted, because subscriptions live for a week (G-2)."""
    old = ClientStateSigner([OLD_CLIENT_STATE_KEY]).mint(mailbox_key(MAILBOX), 1, "nonce")
    assert (await app.call("POST", GOOD, json={"value": [item(old)]})).status == 202
    assert await hints(app) == ["AAMk-1"]


BAD_ITEMS: dict[str, Any] = {
    "no object": 7,
    "null": None,
    "a text": "x",
    "no ids": {},
    "a path for an id": {"resourceData": {"id": "../../users/boss/messages/1"}},
    "an id of another type": {"resourceData": {"id": 7}},
    "no message": {"resourceData": None},
    "deleted": {"changeType": "deleted"},
    "a subscription with spaces": {"subscriptionId": "a b"},
    "an unknown lifecycle event": {"lifecycleEvent": "tomorrow"},
}


@pytest.mark.parametrize("bad", BAD_ITEMS.values(), ids=BAD_ITEMS)
async def test_every_item_is_judged_by_itself(app: App, state: str, bad: Any) -> None:
    """A bad item between two good ones is dropped alone; both good ones are queued."""
    second = item(state, resourceData={"id": "AAMk-2"})
    middle = item(state, **bad) if isinstance(bad, dict) and bad else bad
    answer = await app.call("POST", GOOD, json={"value": [item(state), middle, second]})
    assert answer.status == 202
    assert await hints(app) == ["AAMk-1", "AAMk-2"]


async def test_many_items_are_one_message(app: App, state: str) -> None:
    """The items of a POST are one queue message while they fit, and few beyond 64 KiB, with none lost (G-7)."""
    few = [item(state, resourceData={"id": f"AAMk-{n}"}) for n in range(50)]
    assert (await app.call("POST", GOOD, json={"value": few})).status == 202
    assert await app.queues.count(keys.CHANGES) == 1
    many = [item(state, resourceData={"id": f"{n}-{'x' * 300}"}) for n in range(500)]
    assert (await app.call("POST", GOOD, json={"value": many})).status == 202
    assert await app.queues.count(keys.CHANGES) < 12
    assert len(await hints(app)) == 550


MALFORMED = {
    "nothing": b"",
    "no JSON": b"value=1",
    "cut": b'{"value": [{}',
    "bytes": b"\xff\xfe\x00",
    "another encoding": b'{"value": ["\xe9"]}',
    "a list": b"[]",
    "no value": b"{}",
    "a value of another type": b'{"value": {}}',
    "null": b'{"value": null}',
    "too many items": json.dumps({"value": [{}] * 1001}).encode(),
    "deeper than any stack": b'{"value": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@both
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_no_notification_is_a_400(app: App, path: str, body: bytes) -> None:
    """A body that is no collection of items is answered with a 400 problem, and nothing is kept (G-4)."""
    problem(await app.call("POST", path, body=body), 400, "malformed-body")
    assert await hints(app) == []


@both
async def test_more_than_a_mebibyte_is_a_413(app: App, state: str, path: str) -> None:
    """A body over a mebibyte is refused before it is parsed; one of exactly a mebibyte is read."""
    body = json.dumps({"value": [item(state)]}).encode()
    room = b" " * (2**20 - len(body))
    problem(await app.call("POST", path, body=body + room + b" "), 413, "body-too-large")
    assert await hints(app) == []
    assert (await app.call("POST", path, body=body + room)).status == 202


# ---- stores


async def test_no_store_is_touched_on_this_path(app: App, state: str) -> None:
    """Handshakes, forged items and nonsense touch no store; a good item only the queue (G-2, G-7)."""
    used: list[str] = []

    def note(call: Call) -> None:
        used.append(f"{call.port} {call.operation}")

    for store in (app.tables, app.blobs, app.queues):
        store.before = note
    await app.call("POST", GOOD, params={"validationToken": "x"})
    await app.call("POST", GOOD, json={"value": [item("forged")]})
    await app.call("POST", GOOD, body=b"x")
    assert used == []
    await app.call("POST", GOOD, json={"value": [item(state)]})
    assert used == ["queue put"]  # the host's own output binding


async def test_a_queue_that_is_down_is_the_hosts_5xx(app: App, state: str) -> None:
    """When the queue is down the host answers 500, so that Graph repeats what nobody kept."""
    app.store_down(StoreUnavailable())
    answer = await app.call("POST", GOOD, json={"value": [item(state)]})
    assert (answer.status, answer.headers) == (500, {"x-answered-by": "host"})
    app.store_up()
    assert (await app.call("POST", GOOD, json={"value": [item(state)]})).status == 202
    assert await hints(app) == ["AAMk-1"]


# ---- one mailbox's backlog


async def test_a_mailbox_with_a_backlog_leaves_room_for_others(begun: App) -> None:
    """With three messages of a mailbox at work here its hints come again after seconds, the POST's others at once.

    Nothing is lost: what comes again is looked at then. What a newer version wrote beside it stays.
    """
    mail = begun.mail.receive("bea@fabrikam.example", in_reply_to=begun.mail.last_sent.internet_message_id)
    assert (await begun.notify(mail)).status == 202
    (text,) = await begun.queues.peek(keys.CHANGES, 2)
    await begun.queues.delete(keys.CHANGES, (await begun.queues.receive(keys.CHANGES))[0])
    message = json.loads(text)
    own = {**message["job"]["hints"][0], "newer": 1}
    other = {**own, "mailbox_key": mailbox_key(MAILBOX)}
    both = json.dumps({**message, "job": {"hints": [own, other]}})
    decided: dict[str, int] = {}
    with ExitStack() as stack:
        for _ in range(MOST_MESSAGES_AT_ONCE):
            stack.enter_context(begun.services.turns.at_work(own["mailbox_key"]))
        await receive_changes(begun.services, both, decode_job(Changes, both).hints, decided)
    assert decided == {"later": 2}
    (at_once,) = await begun.queues.peek(keys.CHANGES, 2)
    assert json.loads(at_once)["job"]["hints"] == [other]
    told = len(begun.crm.types())
    await begun.pump()
    assert begun.crm.types()[told:] == []
    begun.clock.forward(seconds=2 * COMES_AGAIN_SECONDS)
    await begun.pump()
    assert begun.crm.types()[told:] == ["message.received"]


async def test_what_comes_again_in_vain_comes_ever_later_and_keeps_its_deaths(begun: App) -> None:
    """Half a minute at last, so that a backlog of thousands costs little; a message that the host repeats is worked on.

    As a new message it would begin anew with the deaths that the host counts.
    """
    mail = begun.mail.receive("bea@fabrikam.example", in_reply_to=begun.mail.last_sent.internet_message_id)
    assert (await begun.notify(mail)).status == 202
    (text,) = await begun.queues.peek(keys.CHANGES, 2)
    (hint,) = decode_job(Changes, text).hints
    with ExitStack() as stack:
        for _ in range(MOST_MESSAGES_AT_ONCE):
            stack.enter_context(begun.services.turns.at_work(hint.mailbox_key))
        for shortest in (6, 12, 24, 30, 30):
            await begun.queues.delete(keys.CHANGES, (await begun.queues.receive(keys.CHANGES))[0])
            await receive_changes(begun.services, text, [hint], {})
            begun.clock.forward(seconds=shortest - 1)
            assert await begun.queues.peek(keys.CHANGES, 2) == []
            begun.clock.forward(seconds=shortest + 2)
            (text,) = await begun.queues.peek(keys.CHANGES, 2)
        decided: dict[str, int] = {}
        await receive_changes(begun.services, text, [hint], decided, again=True)
    assert decided == {"import": 1}


async def test_three_messages_of_a_mailbox_are_worked_on(begun: App) -> None:
    """Two beside it are no backlog, so that both of the calls that a mailbox has are under way."""
    mail = begun.mail.receive("bea@fabrikam.example", in_reply_to=begun.mail.last_sent.internet_message_id)
    assert (await begun.notify(mail)).status == 202
    (text,) = await begun.queues.peek(keys.CHANGES, 2)
    key = json.loads(text)["job"]["hints"][0]["mailbox_key"]
    with begun.services.turns.at_work(key), begun.services.turns.at_work(key):
        await begun.pump()
    assert begun.crm.types()[-1] == "message.received"


async def test_looks_of_a_mailbox_with_a_backlog_come_again(begun: App) -> None:
    """After an outage each notified mail has a task of its own: three of a mailbox are done at once, none is lost."""
    mail = begun.mail.receive("bea@fabrikam.example", in_reply_to=begun.mail.last_sent.internet_message_id)
    begun.mail.next["outline"] = [ProviderUnavailable()]
    assert (await begun.notify(mail)).status == 202
    (text,) = await begun.queues.peek(keys.CHANGES, 2)
    await begun.pump()
    ref = keys.mailbox_of_key(json.loads(text)["job"]["hints"][0]["mailbox_key"])
    whose = f"{keys.MAINTENANCE}|{ref.mailbox_id if ref else None}"
    begun.clock.forward(seconds=20)
    with ExitStack() as stack:
        for _ in range(MOST_MESSAGES_AT_ONCE):
            stack.enter_context(begun.services.turns.at_work(whose))
        await begun.pump()
    assert begun.crm.types()[-1] != "message.received"
    begun.clock.forward(seconds=2 * COMES_AGAIN_SECONDS)
    await begun.pump()
    assert begun.crm.types()[-1] == "message.received"
