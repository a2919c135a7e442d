"""What a CRM can ask: where a message stands, and every event since a cursor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.domain.errors import CrmUnavailable, StoreUnavailable
from shared.storage.testing import Call
from tests.functions.answers import problem
from tests.functions.app import ANN_ADDRESS, BEA_ADDRESS, App, send_body


async def status(app: App, message_id: str) -> dict[str, Any]:
    answer = await app.v1("GET", f"messages/{message_id}")
    assert answer.status == 200, answer.text
    return dict(answer.json())


async def page(app: App, **params: str) -> dict[str, Any]:
    answer = await app.v1("GET", "events", params=params)
    assert answer.status == 200, answer.text
    return dict(answer.json())


# ---- messages


async def test_the_life_of_a_send(ready: App) -> None:
    """A send is shown as accepted, sending and sent, and once sent with the content that was told."""
    message_id = (await ready.v1("POST", "messages", json=send_body())).json()["id"]
    seen = [await status(ready, message_id)]
    await ready.pump()
    seen.append(await status(ready, message_id))
    await ready.later(minutes=2)
    seen.append(await status(ready, message_id))
    assert [answer["status"] for answer in seen] == ["accepted", "sending", "sent"]
    assert [answer["crm_message_id"] for answer in seen] == 3 * ["m-1"]
    assert "message" not in seen[1]
    assert seen[2]["message"] == ready.crm.last


async def test_a_mail_of_the_mailbox_as_it_was_told(begun: App) -> None:
    """A received mail and the user's own are shown by their ids exactly as the CRM was told."""
    for sender, direction, shown_as in (
        (BEA_ADDRESS, "inbound", "received"),
        (ANN_ADDRESS, "outbound", "sent"),
    ):
        told = await begun.answered(sender)
        shown = await status(begun, told["id"])
        assert (shown["direction"], shown["origin"], shown["status"]) == (direction, "mailbox", shown_as)
        assert shown["message"] == told
        assert (shown["user_id"], shown["crm_thread_id"]) == ("u_ann", "c-7")


async def test_a_very_long_mail(begun: App) -> None:
    """A mail too long for a row reads the same from staging.

    One over a mebibyte is cut and marked as truncated (H-4).
    """
    begun.clock.forward(seconds=1)
    long = await begun.answered(html="<p>" + "é" * 100_000 + "</p>", text="é" * 100_000)
    assert (len(long["body"]["text"]), long["body"]["truncated"]) == (100_000, False)
    assert (await status(begun, long["id"]))["message"] == long
    begun.clock.forward(seconds=1)
    huge = await begun.answered(html="<p>" + "x" * 3_000_000 + "</p>", text="x" * 3_000_000)
    assert huge["body"]["truncated"]
    assert len(huge["body"]["text"]) <= 2**20
    listed = (await page(begun))["events"]
    assert [event["data"] for event in listed[-2:]] == [long, huge]


async def test_a_mail_without_people_or_subject(begun: App) -> None:
    """A mail without sender, recipients, subject and body, as calendar items may be, is brought in."""
    bare: dict[str, Any] = {"to": (), "subject": "", "html": None, "text": None, "sent_at": None}
    number = begun.mail.receive(BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id, **bare)
    begun.mail.mails[number] = _without_sender(begun, number)
    await begun.arrives(number)
    assert (begun.crm.types()[-1], begun.crm.last["from"], begun.crm.last["to"]) == (
        "message.received",
        None,
        [],
    )


def _without_sender(app: App, number: str) -> Any:
    return replace(app.mail.mails[number], sender=None, received_at=None)


# ---- events


async def filled(app: App) -> list[dict[str, Any]]:
    """Seven events of two mailboxes, some in the same minute; all of them, as told."""
    await app.connect()
    await app.connect("u_bob", "bob")
    await app.sent()
    for _ in range(2):
        await app.answered()
        app.clock.forward(seconds=1)
    await app.sent("m-2", user_id="u_bob")
    await app.answered()
    app.clock.forward(minutes=6)
    return [{"id": name, **event} for name, event in zip(app.crm.ids, app.crm.told, strict=True)]


async def test_the_feed_is_what_was_told(app: App) -> None:
    """The feed lists the webhooks' ids, types, times and data, oldest first, for all mailboxes of the tenant."""
    told = await filled(app)
    listed = await page(app)
    assert sorted(listed["events"], key=lambda event: event["id"]) == sorted(
        told, key=lambda event: event["id"]
    )
    times = [event["timestamp"] for event in listed["events"]]
    assert times == sorted(times)
    assert listed["has_more"] is False
    assert len(told) == 7


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 500])
async def test_pages_join_without_gap_or_double(app: App, limit: int) -> None:
    """Pages of any size hold each event of the feed exactly once."""
    told = await filled(app)
    found: list[str] = []
    after, more = "", True
    while more:
        shown = await page(app, limit=str(limit), **({"after": after} if after else {}))
        assert len(shown["events"]) <= limit
        found += [event["id"] for event in shown["events"]]
        after, more = shown["next"], shown["has_more"]
    assert sorted(found) == sorted(event["id"] for event in told)
    assert (await page(app, after=after))["events"] == []


async def test_a_cursor_waits_for_what_may_still_land(begun: App) -> None:
    """An event younger than five minutes is listed, but the cursor does not pass it, so it is listed again."""
    begun.clock.forward(minutes=6)
    settled = await page(begun)
    told = await begun.answered()
    first = await page(begun, after=settled["next"])
    assert [event["data"]["id"] for event in first["events"]] == [told["id"]]
    assert first["next"] == settled["next"]
    begun.clock.forward(minutes=6)
    again = await page(begun, after=first["next"])
    assert again["events"] == first["events"]
    assert (await page(begun, after=again["next"]))["events"] == []


async def test_a_crm_that_was_down_for_a_day_reads_what_it_missed(begun: App) -> None:
    """A CRM that was down reads from its cursor every event it missed, those not yet delivered included."""
    begun.clock.forward(minutes=6)
    cursor = (await page(begun))["next"]
    begun.crm.answers.extend(CrmUnavailable() for _ in range(50))
    for _ in range(3):
        await begun.arrives(
            begun.mail.receive(BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id)
        )
        begun.clock.forward(hours=2)
    missed = (await page(begun, after=cursor))["events"]
    assert [event["type"] for event in missed] == 3 * ["message.received"]


BAD_CURSORS = [
    *(
        "x" * 101,
        "../x",
        "a b",
        "'",
        "é",
        "\x00",
        "a%7C",
        "evt_?",
        "0",
        "z",
        "|",
        "garbage",
        "99999999T999999Z",
    ),
    *("20260302T093000.000000Z|evt_x", "20260302T093000.000000Z", "²0260302T093000.000000Z|evt_" + "a" * 26),
]


@pytest.mark.parametrize("after", BAD_CURSORS)
async def test_a_cursor_that_is_not_ours(begun: App, after: str) -> None:
    """A damaged cursor is answered with 422, so that no CRM believes that it is up to date."""
    document = problem(await begun.v1("GET", "events", params={"after": after}), 422, "invalid-request")
    assert document["errors"][0]["pointer"] == "/after"


async def test_a_cursor_of_another_time_is_a_place_in_the_feed(begun: App) -> None:
    """A well-formed cursor of no event lists what sorts behind it."""
    listed = await page(begun, after="20200101T000000.000000Z|evt_" + "a" * 26)
    assert len(listed["events"]) == 2


@pytest.mark.parametrize("limit", ["0", "501", "-1", "1.5", "x", "", " 1", "1e2", "²", "9" * 5000])
async def test_a_limit_that_is_none(begun: App, limit: str) -> None:
    """A page limit other than 1 to 500 in digits is answered with 422."""
    document = problem(await begun.v1("GET", "events", params={"limit": limit}), 422, "invalid-request")
    assert document["errors"][0]["pointer"] == "/limit"


# ---- health and the document


@pytest.mark.parametrize("store", ["tables", "blobs", "queues"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_not_ready_while_a_store_is_down(app: App, store: str, method: str) -> None:
    """Readiness is 503 while any one of the three stores is down, and 200 as soon as it answers again."""

    def down(_: Call) -> None:
        raise StoreUnavailable

    getattr(app, store).before = down
    answer = await app.call(method, "/health/ready")
    assert (answer.status, int(answer.headers["retry-after"]) > 0) == (503, True)
    assert (await app.call(method, "/health/live")).status == 200
    app.store_up()
    assert (await app.call(method, "/health/ready")).status == 200


async def test_health_tells_nobody_about_the_inside(app: App) -> None:
    """The health checks answer with one word and no version, name or address."""
    for path, word in (("live", "live"), ("ready", "ready")):
        assert (await app.call("GET", f"/health/{path}")).json() == {"status": word}
