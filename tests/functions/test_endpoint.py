"""A webhook endpoint that says it is gone, or that refuses one event again and again (C-8)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.domain.model import Tenant
from shared.ops import rotate_key, rotate_webhook_secret
from shared.security.api_keys import ApiKeyring
from shared.state import keys
from shared.state.codec import Stored
from shared.sync.events.endpoint import open_endpoint
from tests.functions.app import App
from tests.functions.fakes import FakeAnswer
from tests.functions.world import PEPPER


async def dead_letters(app: App) -> list[str]:
    """The tenant's dead letters of deliveries: cause, owner and payload."""
    return [
        f"{kept.letter.cause} {kept.letter.tenant_id} {await app.services.dead_letters.payload_of(kept)}"
        for kept in await app.services.dead_letters.of_tenant(app.tenant.tenant_id, "", 100)
        if kept.letter.queue == keys.DELIVERIES
    ]


async def feed(app: App) -> list[dict[str, Any]]:
    return list((await app.v1("GET", "events")).json()["events"])


@pytest.fixture
async def gone(begun: App) -> App:
    """The endpoint said 410 to one event; a second was recorded afterwards."""
    begun.clock.forward(seconds=1)
    begun.crm.answers.append(FakeAnswer(410))
    await begun.answered()
    begun.clock.forward(seconds=1)
    await begun.answered()
    return begun


async def test_after_a_410_the_endpoint_is_not_called(gone: App) -> None:
    """After a 410 the endpoint is not called again for that event or a later one, and both are listed in the feed."""
    tried = len(gone.crm.tried)
    await gone.later(hours=1)
    assert len(gone.crm.tried) == tried
    assert gone.crm.tried[-1] == (await feed(gone))[-2]["id"]
    assert [event["type"] for event in (await feed(gone))[-2:]] == 2 * ["message.received"]


async def test_what_was_due_when_it_went_off_is_not_tried(begun: App) -> None:
    """An event that waits for its next attempt is not sent once the endpoint has been turned off."""
    begun.crm.answers.extend([FakeAnswer(500), FakeAnswer(410)])
    await begun.answered()
    begun.clock.forward(seconds=1)
    await begun.answered()
    tried = len(begun.crm.tried)
    await begun.later(minutes=10)
    assert len(begun.crm.tried) == tried


async def test_an_endpoint_that_is_gone_is_one_dead_letter(gone: App) -> None:
    """An endpoint that says it is gone leaves one dead letter, however many events are held."""
    found = await dead_letters(gone)
    assert len(found) == 1
    assert "endpoint_gone" in found[0]
    assert gone.tenant.tenant_id in found[0]


async def test_other_tenants_go_on(gone: App) -> None:
    """While one tenant's endpoint is off, another tenant's endpoint is called as before."""
    told = len(gone.crm.told)
    await gone.connect("u_cat", "cat", gone.other.api_key)
    assert len(gone.crm.told) == told + 1


async def test_switched_on_it_gets_what_was_held(gone: App) -> None:
    """An endpoint that is switched on gets each held event once and every later one.

    A second run of the command releases nothing.
    """
    told = len(gone.crm.told)
    assert await open_endpoint(gone.services, gone.tenant.tenant_id) == 2
    assert await open_endpoint(gone.services, gone.tenant.tenant_id) == 0
    await gone.later(minutes=3)
    assert sorted(gone.crm.ids[told:]) == sorted(event["id"] for event in (await feed(gone))[-2:])
    await gone.answered()
    assert len(gone.crm.told) == told + 3


@pytest.mark.parametrize("answers", [[], [FakeAnswer(410)]], ids=["it was off", "it goes off once more"])
async def test_an_event_held_at_the_moment_of_switching_on_goes_out(
    gone: App, answers: list[FakeAnswer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event that a worker holds while the command switches the endpoint on is delivered all the same."""
    tenants = gone.services.tenants
    told, get, off = len(gone.crm.told), tenants.get, tenants.set_endpoint_off
    if answers:
        await open_endpoint(gone.services, gone.tenant.tenant_id)
        await gone.later(minutes=2)
        gone.crm.answers.extend(answers)

    async def switched_on_after(tenant_id: str) -> Stored[Tenant]:
        read = await get(tenant_id)
        if not answers:
            monkeypatch.undo()
            await open_endpoint(gone.services, tenant_id)
        return read

    async def switched_on_again(tenant_id: str, at: datetime | None) -> bool:
        monkeypatch.undo()
        done = await off(tenant_id, at)
        await open_endpoint(gone.services, tenant_id)
        return done

    monkeypatch.setattr(tenants, "get", switched_on_after)
    monkeypatch.setattr(tenants, "set_endpoint_off", switched_on_again)
    await gone.answered()
    await gone.later(minutes=3)
    assert len(gone.crm.told) == told + 3


async def test_what_was_refused_is_not_released(begun: App) -> None:
    """Switching the endpoint on releases only events held because it was off, not those that it had refused."""
    begun.crm.answers.extend(3 * [FakeAnswer(422)])
    await begun.answered()
    await begun.later(minutes=50)
    assert await open_endpoint(begun.services, begun.tenant.tenant_id) == 0


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_an_event_that_is_refused_three_times_is_a_dead_letter(begun: App, status: int) -> None:
    """An event that is refused three times alike is not tried again and leaves one dead letter with the status.

    Later events are delivered.
    """
    begun.crm.answers.extend(3 * [FakeAnswer(status)])
    await begun.answered()
    await begun.later(minutes=50)
    tried = begun.crm.tried.count(begun.crm.tried[-1])
    assert tried == 3
    found = await dead_letters(begun)
    assert len(found) == 1
    assert f"refused:{status}" in found[0]
    assert begun.crm.tried[-1] in found[0]
    told = len(begun.crm.told)
    await begun.answered()
    assert len(begun.crm.told) == told + 1


async def test_an_event_without_content_is_not_tried(begun: App) -> None:
    """An event whose staged content is gone is not tried any more and leaves no dead letter."""
    begun.crm.answers.append(FakeAnswer(500))
    number = begun.mail.receive(
        "bea@fabrikam.example", in_reply_to=begun.mail.last_sent.internet_message_id, text="é" * 30_000
    )
    await begun.arrives(number)
    tried = len(begun.crm.tried)
    for name in await begun.staged():
        await begun.blobs.delete(keys.STAGING, name)
    await begun.later(hours=1)
    assert (len(begun.crm.tried), await dead_letters(begun)) == (tried, [])


# ---- keys and secrets


async def read(app: App, key: str) -> int:
    return (await app.call("GET", "/v1/events", key=key)).status


async def test_a_rotated_key_is_good_beside_the_former_one_for_a_while(app: App) -> None:
    """After a rotation both API keys open the API until the overlap is over, then the new one alone."""
    tenant = app.tenant
    new = await rotate_key(app.services, ApiKeyring(PEPPER), tenant.tenant_id, timedelta(hours=2))
    assert [await read(app, key) for key in (tenant.api_key, new)] == [200, 200]
    app.clock.forward(hours=2)
    assert [await read(app, key) for key in (tenant.api_key, new)] == [401, 200]
    assert await read(app, app.other.api_key) == 200


async def test_at_most_two_keys_are_good(app: App) -> None:
    """A second key rotation within the overlap ends the oldest key at once."""
    tenant, ring = app.tenant, ApiKeyring(PEPPER)
    keys_made = [await rotate_key(app.services, ring, tenant.tenant_id, timedelta(hours=2)) for _ in range(2)]
    assert [await read(app, key) for key in (tenant.api_key, *keys_made)] == [401, 200, 200]


async def test_a_leaked_key_ends_at_once(app: App) -> None:
    """A key that is rotated with no overlap is refused at once."""
    new = await rotate_key(app.services, ApiKeyring(PEPPER), app.tenant.tenant_id, timedelta(0))
    assert [await read(app, key) for key in (app.tenant.api_key, new)] == [401, 200]


async def test_webhooks_carry_both_signatures_during_the_overlap(ready: App) -> None:
    """During the overlap a webhook is signed with the new secret and the old one, afterwards with the new alone."""
    await ready.sent()
    await rotate_webhook_secret(ready.services, ready.tenant.tenant_id, timedelta(hours=1))
    await ready.answered()
    ready.clock.forward(hours=1)
    await ready.answered()
    old, both, new = ready.crm.signed_with[-3:]
    assert (len(old), len(new), both) == (1, 1, new + old)
    assert new != old
