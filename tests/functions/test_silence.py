"""What is silent is seen: a timer that does not tick, a queue nobody takes from, an endpoint that takes nothing."""

from __future__ import annotations

from typing import Any

from shared import ops, ops_work
from shared.domain.errors import CrmUnavailable, ItemUnreadable
from shared.state import keys
from shared.sync.events.endpoint import open_endpoint
from tests.functions.app import BEA_ADDRESS, App
from tests.functions.fakes import FakeAnswer
from tests.functions.test_endpoint import feed


async def faults(app: App) -> list[str]:
    """What health says."""
    answer = await app.call("GET", "/health/ready")
    return [] if answer.status == 200 else list(answer.json()["faults"])


async def status(app: App) -> list[dict[str, Any]]:
    """What the operator's command says."""
    return list((await verdict(app))["rows"])


async def verdict(app: App) -> dict[str, Any]:
    """The same with what is to be done."""
    done: Any = await ops_work.carry_out(app.services, ops._parser().parse_args(["status", "--json"]))
    assert done.shown["well"] is done.is_well
    return dict(done.shown)


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
    assert {"dead_letters": 1, "cause": "crashed_workers", "state": "ended"} in rows


async def said(app: App, *words: str) -> tuple[str, int]:
    """What a command prints and its exit code, over the app's stores."""
    asked = ops._parser().parse_args(words)
    done = await ops_work.carry_out(app.services, asked)
    shown = done.shown if isinstance(done, ops_work.Verdict) else done
    return str(shown), 1 if isinstance(done, ops_work.Verdict) and not done.is_well else 0


async def quiet(app: App) -> None:
    """Both timers have run."""
    await app.tick()
    await app.tick("renew_subscriptions")


async def test_status_says_that_all_is_well(begun: App) -> None:
    """Where nothing is to be done, status ends with `all well` and exits with 0, also for what its user must mend."""
    await quiet(begun)
    shown, code = await said(begun, "status")
    assert (shown.splitlines()[-1], code) == ("all well", 0)
    begun.sign_in.dead = True
    begun.clock.forward(minutes=61)
    await begun.later(minutes=20)
    await quiet(begun)
    shown, code = await said(begun, "status")
    assert "state=consent_refused" in shown
    assert (shown.splitlines()[-1], code) == ("all well", 0)


async def test_a_new_installation_is_not_well_until_a_timer_runs(app: App) -> None:
    """Status asks for what never ran; once the one timer ticks, the slower one is given its time."""
    assert len((await verdict(app))["to_do"]) == 2
    await app.tick()
    done = await verdict(app)
    assert {row["timer"]: row["state"] for row in done["rows"] if "timer" in row} == {
        "enqueue_due_work": "runs",
        "renew_subscriptions": "never ran",
    }
    assert done["to_do"] == []


async def test_status_is_clean_again_when_the_work_is_done(begun: App) -> None:
    """Each thing to do has its command; what was mended, by whatever way, is counted no more."""
    tenant_id = begun.tenant.tenant_id
    begun.crm.answers.append(FakeAnswer(410))
    await begun.answered()
    number = begun.mail.receive(BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id)
    begun.mail.unreadable[number] = ItemUnreadable()
    await begun.arrives(number)
    await begun.later(minutes=50)
    await quiet(begun)
    to_do = (await verdict(begun))["to_do"]
    assert [each.partition(":")[0].partition(" since")[0] for each in to_do] == [
        "endpoint off",
        f"1 held mail of {tenant_id}",
        "1 dead letter, endpoint_gone, open",
        "1 dead letter, given_up",
    ]
    assert f"python -m shared.ops open-endpoint {tenant_id}" in to_do[0]
    assert f"python -m shared.ops list-held {tenant_id}" in to_do[1]
    shown, code = await said(begun, "status")
    assert ("to do:" in shown.splitlines(), code) == (True, 1)
    await open_endpoint(begun.services, tenant_id)
    assert len((await verdict(begun))["to_do"]) == 2
    begun.mail.unreadable.clear()
    await begun.later(hours=2)
    await quiet(begun)
    assert begun.crm.types()[-1] == "message.received"
    shown, code = await said(begun, "status")
    assert (shown.splitlines()[-1], code) == ("all well", 0)
    listed, _ = await said(begun, "list-dead-letters")
    assert [line.rpartition("state=")[2] for line in listed.splitlines()[:-1]] == ["done", "done"]


async def test_what_ended_for_good_is_news_for_a_day(ready: App) -> None:
    """A send that was given up cannot be repeated: status names it for a day, then only the list does."""
    ready.mail.next["create_draft"] = [KeyError("odd") for _ in range(9)]
    await ready.accepted()
    await ready.later(minutes=50)
    await quiet(ready)
    assert [each.partition(":")[0] for each in (await verdict(ready))["to_do"]] == ["1 dead letter, given_up"]
    ready.clock.forward(days=1)
    await ready.later(minutes=20)
    await quiet(ready)
    assert (await verdict(ready))["to_do"] == []
    assert (await said(ready, "list-dead-letters"))[0].endswith("1 dead letter")


async def test_a_mail_held_for_long_is_no_news(begun: App) -> None:
    """A mail that stays unreadable was told and is looked at daily: after a week status asks for nothing."""
    number = begun.mail.receive(BEA_ADDRESS, in_reply_to=begun.mail.last_sent.internet_message_id)
    begun.mail.unreadable[number] = ItemUnreadable()
    await begun.arrives(number)
    await begun.later(minutes=50)
    await said(begun, "replay-dead-letter", "--all")
    for _ in range(8):
        begun.clock.forward(days=1)
        await begun.later(minutes=20)
    await quiet(begun)
    done = await verdict(begun)
    assert [row["held"] for row in done["rows"] if "held" in row] == [1]
    assert not any("held mail" in each for each in done["to_do"])
