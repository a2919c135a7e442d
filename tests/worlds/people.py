"""What the people of a world do: users of the CRMs, contacts who write to several of them, and strangers."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

from sandbox.story.acts import PDF, attached
from sandbox.story.connecting import connect
from sandbox.story.stage import CARLA, DEV, STRANGER, Lie
from tests.worlds.diary import Closing, Mail, Person, Revoked, Send, first_word
from tests.worlds.world import World

CONTACTS = (CARLA, DEV)
LONGEST_PAUSE = 1800.0


async def begin(world: World) -> None:
    """Mailboxes and contacts exist, every user is connected and has sent a first mail."""
    for person in world.diary.people:
        await world.stage(person).control(
            "POST", "users", address=person.address, display_name=person.user_id
        )
    for contact in (*CONTACTS, STRANGER):
        await world.stages[0].control("POST", "contacts", address=contact, name=contact.partition("@")[0])
    world.network.is_calm = True
    for person in world.diary.people:
        await sign_in(world, person)
        await crm_writes(world, person)
    world.network.is_calm = False


async def sign_in(world: World, person: Person) -> None:
    """The user connects, however often it takes."""
    await world.pause(1.0)
    while True:
        try:
            said = await connect(world.stage(person), person.user_id, person.address)
        except (Lie, httpx.HTTPError, KeyError, ValueError) as error:
            said = repr(error)
        if "Mailbox connected" in said:
            return
        world.tell(f"  {person.user_id} cannot sign in: {said[:80]!r}")
        await world.pause(300.0)


async def crm_writes(world: World, person: Person, thread: str = "", *, kills: bool = False) -> None:
    """The CRM writes to a contact in a new thread, or in that one; it asks again until it is answered."""
    diary, dice = world.diary, world.dice
    word = diary.word("Send")
    contact = diary.sends[thread].contact if thread else dice.choice(CONTACTS)
    send = Send(word, f"crm-{word}", person, contact, world.now(), thread=thread or word, kills=kills)
    diary.sends[word] = send
    place: dict[str, str] = {}
    if thread:
        first = world.crms[person.tenant].store.messages[diary.sends[thread].crm_message_id]
        place = {"conversation_id": first.conversation_id}
        if first.thread_id:
            place["thread_id"] = first.thread_id
    others = [other for other in diary.people if other != person and other.tenant == person.tenant]
    cc = [{"address": dice.choice(others).address}] if others and not thread and dice.random() < 0.2 else []
    files = [attached(f"{word}.pdf", "application/pdf", PDF)] if dice.random() < 0.25 else []
    order = {
        "crm_message_id": send.crm_message_id, "user_id": person.user_id, "to": contact, "cc": cc,
        "subject": f"About {word}", "html": f"<p>{word}</p>", "attachments": files, **place,
    }  # fmt: skip
    diary.note_resumption(send.thread, world.now())
    world.tell(
        f"  {word} by {person.user_id} to {contact.partition('@')[0]} in {send.thread}{' kills' * kills}"
    )
    await _until_answered(world, send, order)


async def _until_answered(world: World, send: Send, order: dict[str, Any]) -> None:
    stage, store = world.stage(send.person), world.crms[send.person.tenant].store
    pause = 5.0
    while True:
        known = store.messages.get(send.crm_message_id)
        if known is not None and known.request is not None:
            answer = await stage.crm.post(f"/api/messages/{send.crm_message_id}/retry")
        else:
            # A file that could not be uploaded leaves a message that cannot be sent again: the CRM begins anew.
            store.messages.pop(send.crm_message_id, None)
            answer = await stage.crm.post("/api/messages", json=order)
        if answer.status_code not in {429, 500, 502, 503}:
            send.answer, send.answered_at = answer.status_code, world.now()
            return
        await world.pause(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


async def a_send_kills(world: World, person: Person) -> None:
    """The CRM writes a mail on whose draft the process dies, each time, as on a fault of ours."""
    if not any(send.kills for send in world.diary.sends.values()):
        await crm_writes(world, person, kills=True)


async def an_answer_kills(world: World, person: Person) -> None:
    """A contact's answer on which the process that reads it dies, each time."""
    if not any(mail.kills for mail in world.diary.mails.values()):
        await contact_answers(world, person, kills=True)


async def crm_replies(world: World, person: Person) -> None:
    """The CRM answers in one of the user's threads."""
    threads = sorted(
        {send.thread for send in world.diary.sends.values() if send.person == person and send.answer == 202}
    )
    if threads:
        await crm_writes(world, person, world.dice.choice(threads))


async def contact_answers(world: World, person: Person, *, kills: bool = False) -> None:
    """A contact answers a mail that came from that mailbox; others on it get the answer too."""
    got = [
        (contact, mail)
        for contact in CONTACTS
        for mail in await world.stages[0].outside(contact)
        if mail["from"] == person.address and world.diary.thread_of(first_word(mail["html"]))
    ]
    if not got:
        return
    contact, mail = world.dice.choice(got)
    word = world.diary.word("Answer")
    answer = await _in_thread(world, "answer", word, first_word(mail["html"]))
    answer.kills = kills
    files = [attached("a.pdf", "application/pdf", PDF)] if world.dice.random() < 0.2 else []
    world.tell(
        f"  {word} of {contact.partition('@')[0]} to {person.user_id} in {answer.thread}{' kills' * kills}"
    )
    await world.stages[0].control(
        "POST", f"outside/{contact}/reply", internet_message_id=mail["internet_message_id"],
        html=f"<p>{word}</p>", attachments=files,
    )  # fmt: skip


async def _in_thread(world: World, kind: str, word: str, answered: str) -> Mail:
    """Remember a mail that is written now in the thread of what it answers, and whether it has to be shown."""
    thread, person = world.diary.thread_of(answered), world.diary.person_of(answered)
    assert person is not None
    left = {
        first_word(mail["html"]) for contact in CONTACTS for mail in await world.stages[0].outside(contact)
    }
    fate = world.diary.fate(person, thread, world.now(), left)
    why_not = "" if fate == "shown" else fate
    mail = Mail(word, kind, person, world.now(), thread, must=fate == "shown", why_not=why_not)
    world.diary.mails[word] = mail
    return mail


async def user_answers(world: World, person: Person) -> None:
    """The user answers a contact's mail in Outlook, maybe from a draft that lies for a while."""
    stage = world.stage(person)
    inbox = [
        (mail, word)
        for mail in await stage.mailbox(person.address)
        if mail["folder"] == "inbox"
        and (word := first_word(mail["html"])) in world.diary.mails
        and world.diary.mails[word].kind == "answer"
        and world.diary.person_of(word) == person
    ]
    if not inbox:
        return
    mail, answered = world.dice.choice(inbox)
    word, later = world.diary.word("Outlook"), world.dice.random() < 0.4
    box = f"mailboxes/{person.address}"
    draft = await stage.control(
        "POST", f"{box}/compose", action="reply", graph_message_id=mail["id"], html=f"<p>{word}</p>",
        draft_only=later,
    )  # fmt: skip
    await _in_thread(world, "outlook", word, answered)
    world.tell(f"  {word} of {person.user_id} in {world.diary.thread_of(answered)}")
    if later:
        await world.pause(world.dice.choice((5.0, 300.0)))
        await _in_thread(world, "outlook", word, answered)
        await stage.control("POST", f"{box}/messages/{quote(draft['id'], safe='')}/send")


async def private_mail(world: World, person: Person) -> None:
    """A stranger or a contact writes a new mail, under a subject of ours, or the user begins a thread in Outlook."""
    word, stage = world.diary.word("Private"), world.stage(person)
    world.diary.mails[word] = Mail(word, "private", person, world.now(), must=False, why_not="private")
    subject = world.dice.choice(["Lunch", *(f"Re: About {send}" for send in world.diary.sends)])
    if world.dice.random() < 0.3:
        await stage.control(
            "POST", f"mailboxes/{person.address}/compose", action="new", to=[CARLA], subject=subject,
            html=f"<p>{word}</p>",
        )  # fmt: skip
        return
    writer = world.dice.choice((STRANGER, *CONTACTS))
    others = [other.address for other in world.diary.people if world.dice.random() < 0.3]
    await stage.control(
        "POST", f"outside/{writer}/compose", to=sorted({person.address, *others}), subject=subject,
        html=f"<p>{word}</p>",
    )  # fmt: skip


async def tidy(world: World, person: Person) -> None:
    """Mails are read, or all moved at once."""
    stage, box = world.stage(person), f"mailboxes/{person.address}"
    here, there = world.dice.choice((("inbox", "archive"), ("archive", "inbox"), ("sentitems", "archive")))
    await stage.control("POST", f"{box}/move-all", **{"from": here, "folder": there})


async def consent_dies(world: World, person: Person) -> None:
    """The consent is revoked, and after a while the user signs in again."""
    revoked = Revoked(person, world.now())
    await world.stage(person).control("POST", f"users/{quote(person.address)}/revoke")
    world.diary.revocations.append(revoked)
    await world.pause(world.dice.choice((60.0, 1200.0, 4 * 3600.0, 30 * 3600.0)))
    await sign_in(world, person)
    revoked.until = world.now()


async def disconnects(world: World, person: Person) -> None:
    """The user disconnects, and later connects the same mailbox again: old threads stay stopped."""
    closing = Closing(person, world.now())
    world.diary.closings.append(closing)
    for mail in world.diary.mails.values():
        if mail.person == person and mail.must and mail.word not in shown_words(world, person):
            mail.must, mail.why_not = False, "maybe: it was on its way when the mailbox was disconnected"
    while (
        await world.stage(person).api("DELETE", f"/v1/users/{person.user_id}/connection")
    ).status_code != 200:
        await world.pause(60.0)
    closing.told = world.now()
    await world.pause(world.dice.choice((5.0, 600.0, 2 * 3600.0)))
    closing.back = world.now()
    await sign_in(world, person)
    closing.until = world.now()


def shown_words(world: World, person: Person) -> set[str]:
    """The words of all that the person's CRM shows."""
    messages = world.crms[person.tenant].store.messages.values()
    return {first_word(str(message.html or message.text or "")) for message in messages}
