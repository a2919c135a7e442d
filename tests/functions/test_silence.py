"""What is silent is seen: a timer that does not tick, a queue nobody takes from, an endpoint that takes nothing."""

from __future__ import annotations

from typing import Any

from shared import ops, ops_work
from shared.domain.errors import CrmUnavailable
from shared.state import keys
from tests.functions.app import App
from tests.functions.fakes import FakeAnswer
from tests.functions.test_endpoint import feed


async def faults(app: App) -> list[str]:
    """What health says."""
    answer = await app.call("GET", "/health/ready")
    return [] if answer.status == 200 else list(answer.json()["faults"])


async def status(app: App) -> list[dict[str, Any]]:
    """What the operator's command says."""
    shown: Any = await ops_work.carry_out(app.services, ops._parser().parse_args(["status", "--json"]))
    return list(shown["rows"])


async def silent_timers(app: App) -> list[str]:
    return [fault.split(":")[0] for fault in await faults(app) if fault.startswith("timer")]


async def endpoint(app: App) -> str:
    shown: Any = await ops_work.carry_out(app.services, ops._parser().parse_args(["list-tenants", "--json"]))
    return next(row["endpoint"] for row in shown["tenants"] if row["tenant_id"] == app.tenant.tenant_id)


async def test_a_timer_that_stands_still_is_a_fault(begun: App) -> None:
    """Half an hour without a tick is a fault by the timer's name, and none any more after the next tick."""
    await begun.later(minutes=20)
    await begun.tick("renew_subscriptions")
    assert await faults(begun) == []
    begun.clock.forward(minutes=14)
    assert await faults(begun) == []
    begun.clock.forward(minutes=16)
    assert await silent_timers(begun) == ["timer enqueue_due_work"]
    assert {"timer": "enqueue_due_work", "state": "silent"}.items() <= (await status(begun))[0].items()
    await begun.tick()
    assert await silent_timers(begun) == []
    begun.clock.forward(hours=2)
    await begun.tick()
    assert await silent_timers(begun) == ["timer renew_subscriptions"]


async def test_a_new_installation_has_no_fault(app: App) -> None:
    """Before its first tick an installation is ready: nobody can tell that a timer should have run."""
    assert await faults(app) == []
    assert {row["state"] for row in await status(app)} == {"never ran", "in time"}


async def test_a_queue_nobody_takes_from_is_a_fault(begun: App) -> None:
    """A message that nobody has taken for a quarter of an hour is a fault by the queue's name, until it is taken."""
    await begun.queues.put(keys.OUTBOX, "anything", 300)
    begun.clock.forward(minutes=15)
    await begun.tick()
    assert await faults(begun) == []
    begun.clock.forward(minutes=2)
    await begun.tick()
    assert [fault.split(":")[0] for fault in await faults(begun)] == ["queue outbox"]
    (message,) = await begun.queues.receive(keys.OUTBOX)
    await begun.queues.delete(keys.OUTBOX, message)
    for queue in keys.QUEUES:
        for other in await begun.queues.receive(queue, 32):
            await begun.queues.delete(queue, other)
    assert await faults(begun) == []


async def test_an_endpoint_that_takes_nothing_for_an_hour_is_said(begun: App) -> None:
    """An endpoint whose tries all fail for an hour is shown to operators; one event that it takes ends that."""
    begun.crm.answers.extend(5 * [CrmUnavailable()])
    await begun.answered()
    await begun.later(minutes=50)
    assert await endpoint(begun) == "open"
    await begun.later(minutes=80)
    assert (await endpoint(begun)).startswith("takes nothing since ")
    assert any("takes nothing" in row.get("state", "") for row in await status(begun))
    begun.crm.answers.clear()
    await begun.answered()
    assert await endpoint(begun) == "open"
    await begun.later(hours=6)
    assert {event["type"] for event in await feed(begun)} >= {"message.received"}


async def test_one_failed_try_costs_no_write(begun: App) -> None:
    """A single failed try notes nothing at the tenant: most are mended by the next one."""
    begun.crm.answers.append(FakeAnswer(500))
    await begun.answered()
    await begun.later(minutes=1)
    assert (await begun.services.tenants.get(begun.tenant.tenant_id)).value.endpoint_silent_since is None


async def test_status_names_what_is_amiss(begun: App) -> None:
    """The operator's first look names mailboxes in trouble and dead letters by their cause."""
    begun.sign_in.dead = True
    begun.clock.forward(minutes=61)
    await begun.later(minutes=20)
    await begun.queues.put("outbox-poison", "nonsense")
    await begun.tick()
    rows = await status(begun)
    assert any(row.get("state") == "consent_refused" and "mailbox_id" in row for row in rows)
    assert {"dead_letters": 1, "cause": "crashed_workers"} in rows
