"""What the people of a world write: users of the CRMs, contacts who write to several of them, and strangers."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

from sandbox.story.acts import PDF, attached
from sandbox.story.connecting import connect
from sandbox.story.stage import CARLA, DEV, STRANGER, Lie
from tests.worlds.diary import CLOSED, Mail, Person, Send, first_word
from tests.worlds.files import unfit_file
from tests.worlds.world import World

CONTACTS = (CARLA, DEV)
WRITERS = (*CONTACTS, STRANGER)  # everybody outside who may write in a thread
LONGEST_PAUSE = 1800.0


async def begin(world: World) -> None:
    """Mailboxes and contacts exist, every user is connected and has sent a first mail."""
    for person in world.diary.people:
        for address in (person.address, person.second):
            await world.stage(person).control("POST", "users", address=address, display_name=person.user_id)
    for contact in WRITERS:
        await world.stages[0].control("POST", "contacts", address=contact, name=contact.partition("@")[0])
    world.network.is_calm = True
    for person in world.diary.people:
        await sign_in(world, person, person.address)
        await crm_writes(world, person)
    world.network.is_calm = False


async def sign_in(world: World, person: Person, address: str) -> None:
    """The user connects that mailbox, however often it takes."""
    await world.pause(1.0)
    while True:
        try:
            said = await connect(world.stage(person), person.user_id, address)
        except (Lie, httpx.HTTPError, KeyError, ValueError) as error:
            said = repr(error)
        if "Mailbox connected" in said:
            return
        world.tell(f"  {person.user_id} cannot sign in: {said[:80]!r}")
        await world.pause(300.0)


# ---- the CRM


async def crm_writes(world: World, person: Person, asked: str = "", *, kills: bool = False) -> None:
    """The CRM writes to contacts in a new thread, or in that one; it asks again until it is answered."""
    diary, dice = world.diary, world.dice
    word, address = diary.word("Send"), diary.address_of(person)
    contacts = diary.sends[asked].contacts if asked else _chosen_contacts(world)
    send = Send(
        word, f"crm-{word}", person, contacts, world.now(), address, thread=asked or word, asked=asked or word,
        kills=kills,
    )  # fmt: skip
    diary.sends[word] = send
    send.place(address, diary.sends[send.thread])
    files = [attached(f"{word}.pdf", "application/pdf", PDF)] if dice.random() < 0.25 else []
    if not kills and dice.random() < 0.05:
        send.unfit = True
        files.append(unfit_file(dice, word))
    order = {
        "crm_message_id": send.crm_message_id, "user_id": person.user_id, "subject": f"About {word}",
        "html": f"<p>{word}</p>", "attachments": files, **_recipients(world, send), **_place(world, send),
    }  # fmt: skip
    diary.note_resumption(send.thread, world.now(), CLOSED)
    names = ", ".join(contact.partition("@")[0] for contact in contacts)
    marks = f"{' kills' * kills}{' with an unfit file' * send.unfit}"
    world.tell(f"  {word} by {person.user_id} to {names} in {send.asked}{marks}")
    await _until_answered(world, send, order)


def _chosen_contacts(world: World) -> tuple[str, ...]:
    return CONTACTS if world.dice.random() < 0.2 else (world.dice.choice(CONTACTS),)


def _recipients(world: World, send: Send) -> dict[str, Any]:
    """The first contact in to, another one in to, cc or bcc; now and then a colleague or the user in cc or bcc."""
    dice, diary = world.dice, world.diary
    people: dict[str, list[dict[str, str]]] = {"to": [{"address": send.contacts[0]}], "cc": [], "bcc": []}
    for other in send.contacts[1:]:
        people[dice.choice(("to", "cc", "bcc"))].append({"address": other})
    if send.asked == send.word:
        colleagues = [
            diary.address_of(other)
            for other in diary.people
            if other != send.person and other.tenant == send.person.tenant
        ]
        if colleagues and dice.random() < 0.2:
            people[dice.choice(("cc", "bcc"))].append({"address": dice.choice(colleagues)})
        if dice.random() < 0.1:
            people[dice.choice(("cc", "bcc"))].append({"address": send.address})
    return people


def _place(world: World, send: Send) -> dict[str, str]:
    if send.asked == send.word:
        return {}
    first = world.crms[send.person.tenant].store.messages[world.diary.sends[send.asked].crm_message_id]
    place = {"conversation_id": first.conversation_id}
    return place | ({"thread_id": first.thread_id} if first.thread_id else {})


async def _until_answered(world: World, send: Send, order: dict[str, Any]) -> None:
    stage, store, diary = world.stage(send.person), world.crms[send.person.tenant].store, world.diary
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
            if diary.changes_mailbox(send.person, send.at, send.answered_at):
                send.address = ""
            return
        await world.pause(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


async def crm_replies(world: World, person: Person) -> None:
    """The CRM answers in one of the user's threads, which may be of a mailbox that the user had before."""
    threads = sorted(
        {send.thread for send in world.diary.sends.values() if send.person == person and send.answer == 202}
    )
    threads = [thread for thread in threads if world.diary.sends[thread].address]
    if threads:
        await crm_writes(world, person, world.dice.choice(threads))


async def crm_repeats(world: World, person: Person) -> None:
    """The CRM makes a request again that was accepted: the first answer again; with other words it is a conflict."""
    store = world.crms[person.tenant].store
    sends = [
        send
        for send in world.diary.sends.values()
        if send.person == person and send.answer == 202 and store.messages[send.crm_message_id].request
    ]
    if not sends:
        return
    send = world.dice.choice(sends)
    message = store.messages[send.crm_message_id]
    first, request = message.product_id, dict(message.request or {})
    other = world.dice.random() < 0.3
    world.tell(f"  {send.word} again{' with another subject' * other}")
    if other:
        request["subject"] = f"Not {send.word}"
    try:
        answer = await world.stage(person).api("POST", "/v1/messages", json=request)
        said = answer.json().get("id")
    except (httpx.HTTPError, ValueError):
        return
    if answer.status_code in {429, 500, 502, 503}:
        return
    if other and answer.status_code != 409:
        world.diary.wrong.append(
            ("doubled", f"{send.word} with another subject was answered {answer.status_code}")
        )
    if not other and (answer.status_code, said) != (202, first):
        world.diary.wrong.append(("doubled", f"{send.word} again was answered {answer.status_code} {said}"))


async def a_send_kills(world: World, person: Person) -> None:
    """The CRM writes a mail on whose draft the process dies, each time, as on a fault of ours."""
    if not any(send.kills for send in world.diary.sends.values()):
        await crm_writes(world, person, kills=True)


# ---- contacts


async def an_answer_kills(world: World, person: Person) -> None:
    """A contact's answer on which the process that reads it dies, each time."""
    if not any(mail.kills for mail in world.diary.mails.values()):
        await contact_answers(world, person, kills=True)


async def received_from(world: World, person: Person) -> list[tuple[str, dict[str, Any]]]:
    """What people outside got of that user's threads, and who got it: mails that the user's mailboxes sent."""
    return [
        (writer, mail)
        for writer in WRITERS
        for mail in await world.stages[0].outside(writer)
        if mail["from"] in {person.address, person.second}
        and world.diary.person_of(first_word(mail["html"])) == person
        and world.diary.thread_of(first_word(mail["html"]))
    ]


async def contact_answers(world: World, person: Person, *, kills: bool = False) -> None:
    """A contact answers a mail that came from that user; others on it get the answer too."""
    got = await received_from(world, person)
    if not got:
        return
    writer, mail = world.dice.choice(got)
    word = world.diary.word("Answer")
    answer = await in_thread(world, "answer", word, mail, writer)
    answer.kills = kills
    files = _files_of_answer(world, answer)
    marks = f"{' kills' * kills}{' with an unfit file' * answer.unfit}"
    world.tell(f"  {word} of {writer.partition('@')[0]} to {person.user_id} in {answer.thread}{marks}")
    await world.stages[0].control(
        "POST", f"outside/{writer}/reply", internet_message_id=mail["internet_message_id"],
        html=f"<p>{word}</p>", attachments=files,
    )  # fmt: skip


def _files_of_answer(world: World, answer: Mail) -> list[dict[str, str]]:
    draw = world.dice.random()
    if draw < 0.12 and not answer.kills:
        answer.unfit = True
        return [unfit_file(world.dice, answer.word)]
    return [attached("a.pdf", "application/pdf", PDF)] if draw < 0.3 else []


async def words_that_left(world: World) -> set[str]:
    """The words of all that has reached somebody outside."""
    return {first_word(mail["html"]) for writer in WRITERS for mail in await world.stages[0].outside(writer)}


async def in_thread(world: World, kind: str, word: str, answered: dict[str, Any], other: str) -> Mail:
    """Remember a mail that is written now in the thread of what it answers, and whether it has to be shown.

    `answered` is as the simulator shows it, to a person outside or in a mailbox; `other` is who writes or is written
    to, besides the user.
    """
    diary, before = world.diary, first_word(answered["html"])
    if before in diary.sends:  # whoever sent it took it
        send = diary.sends[before]
        send.place(answered["from"], diary.sends[send.thread])
    thread, person = diary.thread_of(before), diary.person_of(before)
    assert person is not None
    address = diary.sends[before].address if before in diary.sends else diary.mails[before].address
    fate = diary.fate(address, thread, world.now(), await words_that_left(world))
    why_not = "" if fate == "shown" else fate
    mail = Mail(word, kind, person, world.now(), address, thread, must=fate == "shown", why_not=why_not)
    diary.mails[word] = mail
    if mail.must and not _leads_by_tags(world, kind) and other not in people_of(world, thread):
        mail.doubt("its tags are absent, and nobody of the thread is on it")
    return mail


def _leads_by_tags(world: World, kind: str) -> bool:
    """Whether a mail's tags name what it answers, as the simulator's knobs stand."""
    if kind == "outlook":
        return world.knobs.get("sent_items_reply_tags", "absent") == "present"
    whole = world.knobs.get("relay_message_id") != "rewritten"
    return whole and world.knobs.get("received_reply_tags") != "none"


def people_of(world: World, thread: str) -> set[str]:
    """To whom the CRM has written in it."""
    return {
        contact
        for send in world.diary.sends.values()
        if send.thread == thread and send.answer == 202
        for contact in send.contacts
    }


# ---- users in Outlook


async def inbox_of(world: World, person: Person) -> list[dict[str, Any]]:
    """What contacts have answered in that user's threads, as it lies in the inbox."""
    return [
        mail
        for mail in await world.stage(person).mailbox(world.diary.address_of(person))
        if mail["folder"] == "inbox"
        and (word := first_word(mail["html"])) in world.diary.mails
        and world.diary.mails[word].kind == "answer"
        and world.diary.person_of(word) == person
        and world.diary.mails[word].address == world.diary.address_of(person)
    ]


async def user_answers(world: World, person: Person) -> None:
    """The user answers a contact's mail in Outlook, maybe from a draft that lies for a while, or for ever."""
    stage, inbox = world.stage(person), await inbox_of(world, person)
    if not inbox:
        return
    mail = world.dice.choice(inbox)
    word, later = world.diary.word("Outlook"), world.dice.random() < 0.4
    box = f"mailboxes/{world.diary.address_of(person)}"
    draft = await stage.control(
        "POST", f"{box}/compose", action="reply", graph_message_id=mail["id"], html=f"<p>{word}</p>",
        draft_only=later,
    )  # fmt: skip
    written = await in_thread(world, "outlook", word, mail, mail["from"])
    world.tell(f"  {word} of {person.user_id} in {written.thread}")
    if not later:
        return
    written.must, written.why_not = False, "it is a draft"
    if world.dice.random() < 0.3:
        world.diary.drafts[word] = written.address
        return
    await world.pause(world.dice.choice((5.0, 300.0)))
    await in_thread(world, "outlook", word, mail, mail["from"])
    await stage.control("POST", f"{box}/messages/{quote(draft['id'], safe='')}/send")


async def private_mail(world: World, person: Person) -> None:
    """A stranger or a contact writes a new mail, under a subject of ours, or the user begins a thread in Outlook."""
    word, stage, address = world.diary.word("Private"), world.stage(person), world.diary.address_of(person)
    world.diary.mails[word] = Mail(
        word, "private", person, world.now(), address, must=False, why_not="private"
    )
    subject = world.dice.choice(["Lunch", *(f"Re: About {send}" for send in world.diary.sends)])
    if world.dice.random() < 0.3:
        await stage.control(
            "POST", f"mailboxes/{address}/compose", action="new", to=[CARLA], subject=subject,
            html=f"<p>{word}</p>",
        )  # fmt: skip
        return
    writer = world.dice.choice(WRITERS)
    others = [world.diary.address_of(other) for other in world.diary.people if world.dice.random() < 0.3]
    await stage.control(
        "POST", f"outside/{writer}/compose", to=sorted({address, *others}), subject=subject,
        html=f"<p>{word}</p>",
    )  # fmt: skip


def shown_words(world: World, person: Person) -> set[str]:
    """The words of all that the person's CRM shows, or tells as not synced because of a file."""
    messages = world.crms[person.tenant].store.messages.values()
    shown = {first_word(str(message.html or message.text or "")) for message in messages}
    files = [file for message in messages if message.reason for file in message.reason.files]
    return shown | {first_word(str(file.name)) for file in files}
