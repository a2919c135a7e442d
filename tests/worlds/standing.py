"""What changes how a mailbox or a thread stands: consents that die, disconnects, another mailbox, stops."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import quote

import httpx

from sandbox.story.connecting import connect, open_session
from sandbox.story.stage import Lie
from tests.worlds.diary import NEVER, STOPPED, Change, Closing, Person, Revoked, Stop
from tests.worlds.people import shown_words, sign_in
from tests.worlds.world import World

PAUSE = 60.0
MOST_TRIES = 5_000


async def consent_dies(world: World, person: Person) -> None:
    """The consent is revoked, and after a while the user signs in again."""
    revoked = Revoked(person, world.now())
    address = world.diary.address_of(person)
    await world.stage(person).control("POST", f"users/{quote(address)}/revoke")
    world.diary.revocations.append(revoked)
    await world.pause(world.dice.choice((60.0, 1200.0, 4 * 3600.0, 30 * 3600.0)))
    await sign_in(world, person, address)
    revoked.until = world.now()


async def signs_in_again(world: World, person: Person) -> None:
    """The user signs in again with the same mailbox, whatever its state: nothing of it begins anew (R9, O-11)."""
    await sign_in(world, person, world.diary.address_of(person))


async def disconnects(world: World, person: Person) -> None:
    """The user disconnects, and later connects the same mailbox again: old threads stay stopped."""
    address = world.diary.address_of(person)
    closing = Closing(person, address, world.now())
    world.diary.closings.append(closing)
    _note_end(world, person, address, "it was on its way when the mailbox was disconnected")
    await _until_done(
        world, lambda: world.stage(person).api("DELETE", f"/v1/users/{person.user_id}/connection")
    )
    closing.told = world.now()
    await world.pause(world.dice.choice((5.0, 600.0, 2 * 3600.0)))
    closing.back = world.now()
    await sign_in(world, person, address)
    closing.until = world.now()


async def updates_email(world: World, person: Person) -> None:
    """Another mailbox takes the place of the first (R6); where the user says no at Microsoft, the first goes on."""
    diary = world.diary
    old = diary.address_of(person)
    new = person.second if old == person.address else person.address
    if world.dice.random() < 0.25:
        with suppress(Lie, httpx.HTTPError, KeyError, ValueError):
            await connect(world.stage(person), person.user_id, new, decision="decline")
        world.tell(f"  {person.user_id} says no to {new}")
        return
    world.tell(f"  {person.user_id} from {old} to {new}")
    now = world.now()
    change, closing = Change(person, now), Closing(person, old, now, by_change=True)
    before = [each for each in diary.closings if each.address == new and each.until == NEVER]
    diary.changes.append(change)
    diary.closings.append(closing)
    for each in before:
        each.back = now
    for send in diary.sends.values():
        if send.person == person and send.answer == 0:
            send.address = ""
    _note_end(world, person, old, "it was on its way when another mailbox took the place of its own")
    await sign_in(world, person, new)
    diary.present[person] = new
    change.until = closing.told = world.now()
    for each in before:
        each.until = world.now()


def _note_end(world: World, person: Person, address: str, why: str) -> None:
    mails = [mail for mail in world.diary.mails.values() if mail.address == address]
    world.diary.note_end(mails, shown_words(world, person), why)


async def a_thread_stops(world: World, person: Person) -> None:
    """The CRM or the person stops one thread, and whoever did resumes it after a while (R12)."""
    diary, dice = world.diary, world.dice
    store = world.crms[person.tenant].store
    running = {stop.thread for stop in diary.stops if stop.until == NEVER}
    threads = [
        word
        for word, send in diary.sends.items()
        if send.person == person and send.thread == word and word not in running
        and send.answer == 202 and send.address == diary.address_of(person)
        and store.messages[send.crm_message_id].thread_id
    ]  # fmt: skip
    if not threads:
        return
    word, by = dice.choice(threads), dice.choice(("crm", "user"))
    thread_id = str(store.messages[diary.sends[word].crm_message_id].thread_id)
    stop = Stop(word, by, world.now())
    diary.stops.append(stop)
    world.tell(f"  {word} is stopped by the {by}")
    mails = [mail for mail in diary.mails.values() if mail.thread == word]
    diary.note_end(mails, shown_words(world, person), "it was on its way when its thread was stopped")
    if not await _until_done(world, _steering(world, person, thread_id, by, "stop")):
        return  # the user has another mailbox now, and nothing to say about the threads of the former
    stop.told = world.now()
    await world.pause(dice.choice((5.0, 600.0, 3 * 3600.0)))
    if by == "user" and dice.random() < 0.5:
        await _the_crm_may_not_resume(world, person, thread_id, word)
    stop.back = world.now()
    diary.note_resumption(word, world.now(), STOPPED)
    world.tell(f"  {word} is to be resumed by the {by}")
    if await _until_done(world, _steering(world, person, thread_id, by, "resume")):
        stop.until = world.now()


async def _the_crm_may_not_resume(world: World, person: Person, thread_id: str, word: str) -> None:
    """What the person stopped only the person resumes."""
    with suppress(httpx.HTTPError):
        answer = await _steering(world, person, thread_id, "crm", "resume")()
        if answer.is_success:
            world.diary.wrong.append(("unexpected", f"{word} was stopped by the user and resumed by the CRM"))


def _steering(
    world: World, person: Person, thread_id: str, by: str, verb: str
) -> Callable[[], Awaitable[httpx.Response]]:
    async def ask() -> httpx.Response:
        stage, of_thread = world.stage(person), f"threads/{quote(thread_id, safe='')}/{verb}"
        if by == "crm":
            return await stage.api("POST", f"/v1/{of_thread}")
        session = await open_session(stage, person.user_id)
        return await stage.app.post(f"/api/session/{of_thread}", headers=session)

    return ask


async def _until_done(world: World, ask: Callable[[], Awaitable[httpx.Response]]) -> bool:
    """Ask until it is done; False where there is nothing to do it with."""
    for _ in range(MOST_TRIES):
        with suppress(Lie, httpx.HTTPError, KeyError, ValueError):
            answer = await ask()
            if answer.status_code in {200, 404}:
                return answer.status_code == 200
        await world.pause(PAUSE)
    return False
