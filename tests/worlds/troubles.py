"""What goes wrong in a world: outages, deaths, lost notifications, single failures of Graph."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.simulation.explorer import PATTERNS
from tests.worlds.outages import Outage
from tests.worlds.world import World

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
HOW = {
    "graph": ("refused", "hangs", "cut", "500", "503", "504", "401", "nonsense"),
    "mailbox": ("500", "503", "403", "401", "nonsense", "cut", "hangs"),
    "entra": ("refused", "hangs", "cut", "500", "503", "nonsense"),
    "crm": ("refused", "hangs", "cut", "500", "503", "slow", "410"),
    "tables": ("refused", "cut"),
    "queues": ("refused", "cut"),
    "blobs": ("refused", "cut"),
}
LENGTHS = ((MINUTE, 6), (10 * MINUTE, 7), (2 * HOUR, 5), (26 * HOUR, 1), (5 * DAY, 1))
LONG = 20 * HOUR
MOST_CROSSINGS = 80
MOST_WRONG, MOST_BACK = timedelta(minutes=20), 8.0  # a sweep reads ten minutes back


async def outage_begins(world: World) -> None:
    """Something fails, as a whole or in part."""
    dice, now = world.dice, world.now()
    what = dice.choice(sorted(HOW))
    seconds = dice.choices([length for length, _ in LENGTHS], weights=[weight for _, weight in LENGTHS])[0]
    if seconds > LONG and any(until - since > LONG for _, _, since, until in world.diary.outages):
        seconds = 2 * HOUR
    seconds *= dice.uniform(0.7, 1.0)
    address = world.diary.address_of(dice.choice(world.diary.people)) if what == "mailbox" else None
    if what == "crm":
        address = dice.choice(sorted(world.network.crms.values()))
    share = dice.choice((1.0, 1.0, 0.5, 0.1)) if seconds < LONG else 1.0
    outage = Outage(what, dice.choice(HOW[what]), now + seconds, address, share)
    world.outages.plan.append(outage)
    world.diary.outages.append((what, address, now, now + seconds))
    world.tell(f"  {outage} for {seconds / 60:.0f} minutes")


async def a_process_dies(world: World) -> None:
    """At one of its next calls, a process dies."""
    alive = world.product.alive([*world.product.workers, *world.product.fronts])
    if alive:
        process = world.dice.choice(alive)
        process.left = world.dice.randrange(MOST_CROSSINGS)
        world.tell(f"  {process.name} after {process.left} crossings")


async def all_workers_die(world: World) -> None:
    """Every worker dies at once, as in a deploy that does not wait."""
    for process in world.product.alive(world.product.workers):
        process.die()


async def notifications_fail(world: World) -> None:
    """The next notifications are lost, doubled, or held back for a while."""
    action = world.dice.choice(("drop", "double", "pause"))
    if action == "pause":
        await world.stages[0].control("POST", "notifications", action="pause")
        await world.pause(world.dice.choice((30.0, 1200.0)))
        await world.stages[0].control("POST", "notifications", action="resume")
        return
    await world.stages[0].control("POST", "notifications", action=action, count=world.dice.randint(1, 4))


async def lifecycle(world: World) -> None:
    """Graph says something about the subscriptions."""
    event = world.dice.choice(("missed", "subscriptionRemoved", "reauthorizationRequired"))
    for subscription in (await world.stages[0].control("GET", "subscriptions"))["subscriptions"]:
        if world.dice.random() < 0.5:
            path = f"subscriptions/{subscription['id']}/lifecycle"
            await world.stages[0].control("POST", path, event=event)


async def graph_fails(world: World) -> None:
    """Graph answers some requests wrongly: before or after it has done the work, or doing it later."""
    dice = world.dice
    kind = dice.choice(("status", "status", "drop_before", "drop_after", "commit_late"))
    fault: dict[str, Any] = {
        "operation": dice.choice(PATTERNS), "kind": kind, "count": dice.randint(1, 3),
        "address": world.diary.address_of(dice.choice(world.diary.people)),
    }  # fmt: skip
    if kind == "status":
        fault |= {"status": dice.choice((429, 500, 503, 504)), "retry_after": dice.choice((None, "5", "120"))}
    if kind == "commit_late":
        fault["seconds"] = dice.choice((1.0, 20.0, 200.0))
    world.tell(f"  {fault}")
    await world.stages[0].control("POST", "faults", **fault)


async def a_mailbox_is_throttled(world: World) -> None:
    """Every call for a mailbox is answered 429 for a while."""
    person, seconds = world.dice.choice(world.diary.people), world.dice.choice((20, 120, 700))
    address = world.diary.address_of(person)
    await world.stages[0].control("POST", "throttle", address=address, seconds=seconds, retry_after=15)


async def graphs_clock_is_set(world: World) -> None:
    """Graph's clock is set: forward by up to twenty minutes, or back by up to eight, and never beyond twenty."""
    dice, clock = world.dice, world.graph_clock
    step = timedelta(minutes=dice.choice((dice.uniform(0, 20), dice.uniform(-MOST_BACK, 0))))
    step = min(max(step, -MOST_WRONG - clock.wrong_by), MOST_WRONG - clock.wrong_by)
    if step < timedelta() and any(world.now() - at < HOUR for at in world.diary.steps_back):
        return
    if step < timedelta():
        world.diary.steps_back.append(world.now())
    clock.wrong_by += step
    world.tell(
        f"  by {step.total_seconds() / 60:+.1f} minutes, to {clock.wrong_by.total_seconds() / 60:+.1f}"
    )
    world.network.called()


async def endpoints_are_opened(world: World) -> None:
    """An operator opens the endpoints that were turned off by a 410."""
    await world.open_endpoints()


async def everything_works(world: World) -> None:
    """All that was broken is mended, once and for all."""
    world.outages.end()
    now = world.now()
    world.diary.outages = [
        (what, address, since, min(until, now)) for what, address, since, until in world.diary.outages
    ]
    stage = world.stages[0]
    await stage.control("DELETE", "faults")
    await stage.control("POST", "notifications", action="resume")
    await world.open_endpoints()
    for process in (*world.product.workers, *world.product.fronts):
        process.left = None
    world.kills = False
