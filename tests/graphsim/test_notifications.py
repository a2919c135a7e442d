"""Notifications: what they say, when they come, and what becomes of those that nobody takes."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import httpx
import pytest

from tests.graphsim import openapi
from tests.graphsim.conftest import ANN, BEN, CAT, HOOK, IMMUTABLE, LIFE, App, Lab, at, draft
from tests.graphsim.test_subscriptions import INBOX, wanted

CALM = {"notification_duplicates": "never", "notification_order": "in_order", "received_updated": "no"}


@pytest.fixture
async def calm(lab: Lab) -> Lab:
    """The simulator with nothing left to random."""
    await lab.knobs(**CALM)
    return lab


async def watch(lab: Lab, app: App, kinds: str = "created,updated,deleted", **changes: Any) -> str:
    given = {"minutes": 10_000, "changeType": kinds, "lifecycleNotificationUrl": LIFE, **changes}
    body = wanted(lab, **given)
    return str((await app.ok("POST", "subscriptions", body, **IMMUTABLE))["id"])


def kinds(lab: Lab) -> list[str]:
    return [notification["changeType"] for notification in lab.endpoint.items()]


async def test_what_it_says(calm: Lab, app: App) -> None:
    """A notification names subscription, secret, tenant, message and change, and nothing of the mail itself."""
    subscription = await watch(calm, app)
    mail = await calm.arrives(subject="Canary")
    (post,) = calm.endpoint.posts
    assert (post.method, post.headers["content-type"]) == ("POST", "application/json")
    (item,) = json.loads(post.content)["value"]
    assert (item["subscriptionId"], item["clientState"], item["changeType"]) == (
        subscription,
        "state",
        "created",
    )
    assert item["resourceData"]["id"] == mail["id"]
    me = await app.ok("GET", "me")
    assert me["id"] in item["resource"]
    assert b"Canary" not in post.content
    assert CAT.encode() not in post.content


async def test_its_shape(lab: Lab, app: App) -> None:
    """Every notification fits Microsoft's description of the collection."""
    subscription = await watch(lab, app)
    for _ in range(6):
        await lab.arrives()
    await lab.control("POST", f"subscriptions/{subscription}/lifecycle", {"event": "missed"})
    await lab.pass_time()
    assert len(lab.endpoint.posts) > 6
    described = openapi.schema_of("changeNotificationCollection")
    for post in lab.endpoint.posts:
        assert openapi.problems(described, json.loads(post.content)) == []


async def test_its_many_spellings(lab: Lab, app: App) -> None:
    """Notifications vary in paths and time offsets, and their times are those of the subscription."""
    await watch(lab, app, "created")
    for _ in range(12):
        await lab.arrives()
    forms = {
        re.sub(r"[0-9a-f-]{36}.*", "", notification["resource"]) for notification in lab.endpoint.items()
    }
    assert forms == {"Users/", "users/", "Users('"}
    times = [notification["subscriptionExpirationDateTime"] for notification in lab.endpoint.items()]
    assert {time[-6:] == "+05:30" for time in times} == {True, False}
    assert len({datetime.fromisoformat(time).astimezone(UTC).replace(microsecond=0) for time in times}) == 1


@pytest.mark.parametrize(
    ("style", "form"),
    [
        ("pascal", "Users/{user}/Messages/{id}"),
        ("lower", "users/{user}@{tenant}/messages/{id}"),
        ("parenthesised", "Users('{user}')/messages('{id}')"),
    ],
)
async def test_one_spelling(calm: Lab, app: App, style: str, form: str) -> None:
    """Knobs choose one way to write a notification's paths, and UTC for its times."""
    await calm.knobs(notification_path_style=style, notification_times="utc")
    await watch(calm, app)
    mail = await calm.arrives()
    me = await app.ok("GET", "me")
    (item,) = calm.endpoint.items()
    assert item["resource"] == form.format(user=me["id"], tenant=item["tenantId"], id=mail["id"])
    assert item["subscriptionExpirationDateTime"].endswith("0Z")


async def test_what_is_noticed(calm: Lab, app: App) -> None:
    """A change is notified to subscriptions that asked for its kind alone."""
    await watch(calm, app, "updated")
    await watch(calm, app, "deleted", resource=INBOX)
    mail = await calm.arrives()
    assert kinds(calm) == []
    await app.ok("PATCH", at(mail["id"]), {"isRead": True})
    await calm.pass_time()
    assert kinds(calm) == ["updated"]
    await app("DELETE", at(mail["id"]))
    await calm.pass_time()
    assert kinds(calm) == ["updated", "deleted"]


async def test_received_mail_is_touched_again(lab: Lab, app: App) -> None:
    """By default an `updated` follows the `created` of each received mail."""
    await lab.knobs(notification_duplicates="never")
    await watch(lab, app)
    await lab.arrives()
    assert kinds(lab) == ["created", "updated"]


@pytest.mark.parametrize("order", ["deleted_first", "created_first"])
async def test_a_move_is_two(calm: Lab, app: App, order: str) -> None:
    """A move is notified as a deletion and a creation, in either order, under one immutable id."""
    await calm.knobs(move_notifications=order)
    await watch(calm, app)
    mail = await calm.arrives()
    await app.ok("POST", f"{at(mail['id'])}/move", {"DestinationId": "archive"})
    await calm.pass_time()
    moved = calm.endpoint.items()[1:]
    assert [notification["changeType"] for notification in moved] == (
        ["deleted", "created"] if order == "deleted_first" else ["created", "deleted"]
    )
    assert {notification["resourceData"]["id"] for notification in moved} == {mail["id"]}


async def test_one_folder(calm: Lab, app: App) -> None:
    """A subscription of a folder is notified of that folder alone."""
    await watch(calm, app, resource=INBOX)
    await app.ok("POST", "me/messages", draft())
    await calm.pass_time()
    assert kinds(calm) == []
    await calm.arrives()
    assert kinds(calm) == ["created"]


async def test_drafts_are_noticed(calm: Lab, app: App) -> None:
    """A subscription of the whole mailbox is notified of each step of a draft and its sending."""
    await watch(calm, app)
    made = await app.ok("POST", "me/messages", draft())
    await app.ok("PATCH", at(made["id"]), {"subject": "x"})
    await app("POST", f"{at(made['id'])}/send")
    await calm.pass_time()
    assert kinds(calm) == ["created", "updated", "deleted", "created"]


async def test_with_drafts_left_out(calm: Lab, app: App) -> None:
    """With the filter on drafts a send is notified as one creation."""
    await calm.knobs(subscription_is_draft_filter="accepted")
    await watch(calm, app, resource="me/messages?$filter=isDraft eq false")
    made = await app.ok("POST", "me/messages", draft())
    await app.ok("PATCH", at(made["id"]), {"subject": "x"})
    await app("POST", f"{at(made['id'])}/send")
    await calm.pass_time()
    assert kinds(calm) == ["created"]


async def test_own_mailbox_only(calm: Lab, app: App) -> None:
    """Mail in another mailbox is not notified."""
    await watch(calm, app)
    await calm.control("POST", f"outside/{CAT}/compose", {"to": [BEN], "subject": "x", "text": "x"})
    await calm.pass_time()
    assert kinds(calm) == []


async def test_batches(calm: Lab, app: App) -> None:
    """Notifications for one address come in one POST up to the limit, whosever they are."""
    await calm.knobs(notification_batch_items=5)
    await watch(calm, app, "created")
    await watch(calm, await calm.app(BEN), "created")
    for _ in range(4):
        body = {"to": [ANN, BEN], "subject": "x", "text": "x"}
        await calm.control("POST", f"outside/{CAT}/compose", body)
    await calm.pass_time()
    sizes = [len(json.loads(post.content)["value"]) for post in calm.endpoint.posts]
    assert sizes == [5, 3]
    assert len({notification["subscriptionId"] for notification in calm.endpoint.items()}) == 2


async def test_order_is_not_promised(lab: Lab, app: App) -> None:
    """The items of one POST are shuffled."""
    await lab.knobs(notification_duplicates="never", received_updated="no")
    await watch(lab, app, "created")
    for number in range(10):
        await lab.control(
            "POST", f"outside/{CAT}/compose", {"to": [ANN], "subject": f"{number}", "text": "x"}
        )
    await lab.pass_time()
    arrived = [mail["id"] for mail in await lab.mailbox()]
    told = [notification["resourceData"]["id"] for notification in lab.endpoint.items()]
    assert sorted(told) == sorted(arrived)
    assert told != arrived


@pytest.mark.parametrize(
    ("knob", "least", "most"), [("never", 20, 20), ("sometimes", 21, 30), ("always", 40, 40)]
)
async def test_duplicates(lab: Lab, app: App, knob: str, least: int, most: int) -> None:
    """By the knob notifications come twice never, sometimes or always."""
    await lab.knobs(**CALM | {"notification_duplicates": knob})
    await watch(lab, app, "created")
    for _ in range(20):
        await lab.arrives()
    assert least <= len(lab.endpoint.items()) <= most


async def test_the_delay(calm: Lab, app: App) -> None:
    """A notification comes so many seconds after the change as its knob says."""
    await calm.knobs(notification_delay_seconds=30)
    await watch(calm, app)
    await calm.control("POST", f"outside/{CAT}/compose", {"to": [ANN], "subject": "x", "text": "x"})
    await calm.pass_time(30.5)
    assert calm.endpoint.posts == []
    await calm.pass_time(1)
    assert len(calm.endpoint.posts) == 1


def _cut(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("", request=request)


@pytest.mark.parametrize(
    "answer",
    [lambda _: httpx.Response(503), lambda _: httpx.Response(404), _cut],
    ids=["503", "404", "timeout"],
)
async def test_retries(calm: Lab, app: App, answer: Any) -> None:
    """A notification without a 2xx in time is repeated with growing waits until it is taken."""
    await watch(calm, app, "created")
    calm.endpoint.answer = answer
    await calm.arrives()
    times = []
    for _ in range(12):
        before = len(calm.endpoint.posts)
        await calm.pass_time(10)
        if len(calm.endpoint.posts) > before:
            times.append(calm.clock.now())
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits == sorted(waits)
    assert waits[-1] >= 2 * waits[0]
    calm.endpoint.answer = None
    await calm.pass_time(3600)
    ids = {notification["id"] for notification in calm.endpoint.items()}
    count = len(calm.endpoint.items())
    assert len(ids) == 1
    await calm.pass_time(5 * 3600)
    assert len(calm.endpoint.items()) == count


async def test_the_first_wait(calm: Lab, app: App) -> None:
    """The knob says how soon a notification is first repeated."""
    await calm.knobs(notification_retry_first_seconds=100)
    await watch(calm, app, "created")
    calm.endpoint.answer = lambda _: httpx.Response(503)
    await calm.arrives()
    counts = []
    for _ in range(4):
        await calm.pass_time(100)
        counts.append(len(calm.endpoint.posts))
    assert counts == [2, 2, 3, 3]


async def test_how_long_an_answer_may_take(calm: Lab, app: App) -> None:
    """The first attempt of a notification may take 3 seconds, a later one 10."""
    await watch(calm, app, "created")
    calm.endpoint.answer = lambda _: httpx.Response(503)
    await calm.arrives()
    await calm.pass_time(60)
    allowed = [post.extensions["timeout"]["read"] for post in calm.endpoint.posts]
    assert allowed[:3] == [3.0, 10.0, 10.0]


@pytest.mark.parametrize(("knob", "told"), [("silent", []), ("sent", ["missed"])])
async def test_giving_up(calm: Lab, app: App, knob: str, told: list[str]) -> None:
    """A notification that nobody takes is dropped after four hours, with a `missed` if the knob says so."""
    await calm.knobs(missed_event=knob, reauthorization_events="none", subscription_pauses_with_token="no")
    await watch(calm, app, "created")
    calm.endpoint.answer = lambda request: httpx.Response(503 if request.url.path == "/hook" else 202)
    await calm.arrives()
    await calm.pass_time(4 * 3600 - 60)
    before = len(calm.endpoint.posts)
    await calm.pass_time(2 * 3600)
    calm.endpoint.answer = None
    await calm.pass_time(24 * 3600)
    assert (await calm.control("GET", "notifications"))["dropped"] == 1
    assert [notification["lifecycleEvent"] for notification in calm.endpoint.items("/life")] == told
    assert len(calm.endpoint.posts) - before <= 2 + len(told)


async def test_before_the_subscription_is_told(calm: Lab, app: App) -> None:
    """By default mail may be notified before the app has the new subscription's id."""
    mail = await calm.arrives()
    subscription = await watch(calm, app, "created")
    assert [notification["subscriptionId"] for notification in calm.endpoint.items()] == [subscription]
    assert calm.endpoint.items()[0]["resourceData"]["id"] == mail["id"]
    await calm.knobs(notification_before_answer="no")
    await watch(calm, app, "created", resource=INBOX)
    assert len(calm.endpoint.items()) == 1


async def test_late_ones_come_after_the_end(calm: Lab, app: App) -> None:
    """A notification that is under way comes although its subscription was deleted."""
    subscription = await watch(calm, app, "created")
    await calm.control("POST", f"outside/{CAT}/compose", {"to": [ANN], "subject": "x", "text": "x"})
    await calm.pass_time(1.2)
    await app("DELETE", f"subscriptions/{subscription}")
    await calm.pass_time()
    assert kinds(calm) == ["created"]


async def test_the_address_keeps_its_query(calm: Lab, app: App) -> None:
    """A query in the notification address comes with every POST."""
    await watch(calm, app, "created", notificationUrl=f"{HOOK}?key=7")
    await calm.arrives()
    assert calm.endpoint.posts[0].url.params["key"] == "7"


async def test_dropping_and_doubling_by_hand(calm: Lab, app: App) -> None:
    """The controls can lose or double the next notifications of a mailbox and a kind."""
    await watch(calm, app)
    await calm.control(
        "POST", "notifications", {"action": "drop", "count": 1, "address": ANN, "change_type": "created"}
    )
    lost = await calm.arrives()
    await calm.control("POST", "notifications", {"action": "double", "count": 1})
    twice = await calm.arrives()
    ids = [notification["resourceData"]["id"] for notification in calm.endpoint.items()]
    assert ids == [twice["id"], twice["id"]]
    assert lost["id"] not in ids


async def test_holding_them_back(calm: Lab, app: App) -> None:
    """Notifications that the controls hold back all come when they are resumed."""
    await watch(calm, app, "created")
    await calm.control("POST", "notifications", {"action": "pause"})
    for _ in range(3):
        await calm.arrives()
    assert calm.endpoint.posts == []
    assert (await calm.control("GET", "notifications"))["waiting"] == 3
    await calm.control("POST", "notifications", {"action": "resume"})
    assert len(calm.endpoint.items()) == 3
