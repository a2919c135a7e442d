"""Limits per app and mailbox, and how they are told."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

import pytest

from tests.graphsim.conftest import ANN, BEN, App, Lab, at, draft, file


async def test_four_in_flight(lab: Lab, app: App) -> None:
    """A fifth request at the same time for one mailbox is refused, and another mailbox's is not."""
    await lab.knobs(service_seconds=0.01)
    ben = await lab.app(BEN)
    answers = await asyncio.gather(*(app("GET", "me") for _ in range(6)), ben("GET", "me"))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 2
    assert answers[-1].status_code == 200
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"]["code"] == "ApplicationThrottled"
    assert "MailboxConcurrency" in refused.json()["error"]["message"]
    assert (await app("GET", "me")).status_code == 200


async def test_the_number_in_flight(lab: Lab, app: App) -> None:
    """The knob says how many requests of a mailbox are let in at a time."""
    await lab.knobs(service_seconds=0.01, mailbox_concurrency=1)
    answers = await asyncio.gather(app("GET", "me"), app("GET", "me"))
    assert sorted(answer.status_code for answer in answers) == [200, 429]


@pytest.mark.parametrize(("knob", "form"), [("decimal", r"\d+\.\d{3}"), ("integer", r"\d+"), ("absent", "")])
async def test_how_long_to_wait(lab: Lab, app: App, knob: str, form: str) -> None:
    """By the knob Retry-After is a decimal, a whole number that is never too short, or absent."""
    await lab.knobs(retry_after=knob)
    await lab.control("POST", "throttle", {"address": ANN, "count": 1, "retry_after": 2.128})
    answer = await app("GET", "me")
    assert answer.status_code == 429
    said = answer.headers.get("retry-after", "")
    assert re.fullmatch(form, said)
    assert float(said or 3) >= 2.128


async def test_requests_in_ten_minutes(lab: Lab, app: App) -> None:
    """Requests over a mailbox's number are refused until the window has passed, and count themselves."""
    await lab.knobs(mailbox_requests=5)
    for _ in range(5):
        assert (await app("GET", "me")).status_code == 200
    lab.clock.advance(300)
    answer = await app("GET", "me")
    assert answer.status_code == 429
    assert float(answer.headers["retry-after"]) == pytest.approx(300)
    lab.clock.advance(300)
    assert [(await app("GET", "me")).status_code for _ in range(5)] == [200] * 4 + [429]
    assert await (await lab.app(BEN)).ok("GET", "me")


async def test_uploads_in_five_minutes(lab: Lab, app: App) -> None:
    """More than 150 MB of a mailbox's uploads in five minutes are refused."""
    made = await app.ok("POST", "me/messages", draft())
    lab.simulator.world.throttle.uploads[next(iter(lab.simulator.world.throttle.uploads))].append(
        (lab.clock.now(), 149 * 1024 * 1024)
    )
    big = file(content=b"x" * 1024 * 1024)
    assert await app.refused("POST", f"{at(made['id'])}/attachments", big) == (429, "ApplicationThrottled")
    lab.clock.advance(301)
    assert await app.ok("POST", f"{at(made['id'])}/attachments", big)


async def test_throttled_by_hand(lab: Lab, app: App) -> None:
    """The controls can throttle one mailbox for a number of answers or for a time."""
    ben = await lab.app(BEN)
    await lab.control("POST", "throttle", {"address": ANN.upper(), "count": 2})
    assert [(await app("GET", "me")).status_code for _ in range(3)] == [429, 429, 200]
    await lab.control("POST", "throttle", {"address": ANN, "seconds": 30})
    assert (await app("GET", "me")).status_code == 429
    assert (await ben("GET", "me")).status_code == 200
    lab.clock.advance(timedelta(seconds=30).total_seconds())
    assert (await app("GET", "me")).status_code == 200


async def test_a_refused_request_does_nothing(lab: Lab, app: App) -> None:
    """A send that was throttled was not sent."""
    made = await app.ok("POST", "me/messages", draft())
    await lab.control("POST", "throttle", {"address": ANN, "count": 1})
    assert (await app("POST", f"{at(made['id'])}/send")).status_code == 429
    await lab.pass_time()
    assert await lab.outside() == []
    assert (await app("POST", f"{at(made['id'])}/send")).status_code == 202
