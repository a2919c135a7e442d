"""Throttling and outages."""

from __future__ import annotations

import asyncio

import pytest

from shared.domain import errors
from shared.domain.listing import Ask
from shared.graph.provider import GraphMail
from tests.contract.graph.conftest import ANN, Office, SignedIn


@pytest.mark.parametrize(("form", "seconds"), [("decimal", 2.5), ("integer", 3.0), ("absent", 10.0)])
async def test_a_pause_is_told(
    office: Office, mail: GraphMail, ann: SignedIn, form: str, seconds: float
) -> None:
    """A 429 with Retry-After in any form becomes a pause, and the call is not repeated meanwhile."""
    await office.knobs(retry_after=form)
    await office.control("POST", "throttle", {"address": ANN, "count": 1, "retry_after": 2.5})
    await office.watch()
    with pytest.raises(errors.Throttled) as caught:
        await mail.sweep(ann, Ask(office.clock.now()))
    assert caught.value.retry_after_seconds == seconds
    assert await office.operations() == ["message.list"]
    assert await mail.sweep(ann, Ask(office.clock.now()))


async def test_a_mailbox_is_never_crowded(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """Many calls at once for one mailbox stay below Graph's limit (E-24)."""
    await office.knobs(mailbox_concurrency=2, service_seconds=0.001, list_504="never")
    await office.watch()
    await asyncio.gather(*(mail.sweep(ann, Ask(office.clock.now())) for _ in range(8)))
    assert [request["status"] for request in await office.requests()] == [200] * 8


@pytest.mark.parametrize("style", ["innererror", "innerError"])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_an_outage_is_waited_out(
    office: Office, mail: GraphMail, ann: SignedIn, status: int, style: str
) -> None:
    """A read that Graph cannot answer fails as an outage that names the request, and may be repeated."""
    await office.knobs(inner_error_name=style)
    await office.fault("message.list", "status", status=status)
    with pytest.raises(errors.ProviderUnavailable) as caught:
        await mail.sweep(ann, Ask(office.clock.now()))
    assert vars(caught.value)["status"] == status
    assert vars(caught.value)["request_id"]


async def test_a_pause_with_a_time(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """A 503 with Retry-After is a pause like a 429."""
    await office.fault("message.list", "status", status=503, retry_after="7")
    with pytest.raises(errors.Throttled) as caught:
        await mail.sweep(ann, Ask(office.clock.now()))
    assert caught.value.retry_after_seconds == 7.0
