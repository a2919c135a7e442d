"""Mails of a thread that come by other ways, and what people do with those that lie in a mailbox."""

from __future__ import annotations

from urllib.parse import quote

from tests.worlds.diary import Person, first_word
from tests.worlds.people import CONTACTS, WRITERS, in_thread, inbox_of, received_from
from tests.worlds.world import World


async def user_forwards(world: World, person: Person) -> None:
    """The user forwards a contact's mail of a thread, in Outlook, to a contact: it is of the thread (R3)."""
    inbox = [
        mail
        for mail in await inbox_of(world, person)
        if not world.diary.mails[first_word(mail["html"])].unfit  # the file would go along, and be told again
    ]
    if not inbox:
        return
    mail, to, word = world.dice.choice(inbox), world.dice.choice(CONTACTS), world.diary.word("Outlook")
    forwarded = await in_thread(world, "outlook", word, mail, to)
    world.tell(f"  {word} of {person.user_id} to {to.partition('@')[0]} in {forwarded.thread}")
    await world.stage(person).control(
        "POST", f"mailboxes/{forwarded.address}/compose", action="forward", graph_message_id=mail["id"],
        html=f"<p>{word}</p>", to=[to],
    )  # fmt: skip


async def another_answers(world: World, person: Person) -> None:
    """Somebody to whom a mail of the thread was handed on answers it: it is of the thread by its tags (R3)."""
    got = await received_from(world, person)
    if not got:
        return
    reader, mail = world.dice.choice(got)
    writer = world.dice.choice([each for each in WRITERS if each != reader])
    word = world.diary.word("Answer")
    answer = await in_thread(world, "answer", word, mail, "")  # in a new conversation: it has its tags alone
    world.tell(f"  {word} of {writer.partition('@')[0]} to {person.user_id} in {answer.thread}")
    await world.stages[0].control(
        "POST", f"outside/{writer}/compose", to=[mail["from"]], subject=f"FW: {mail['subject']}",
        html=f"<p>{word}</p><blockquote>{mail['html']}</blockquote>", in_reply_to=mail["internet_message_id"],
        references=[*mail["references"], mail["internet_message_id"]],
    )  # fmt: skip


async def everything_is_moved(world: World, person: Person) -> None:
    """A desktop client or a rule moves the whole inbox, archive or Sent Items at one instant."""
    stage, box = world.stage(person), f"mailboxes/{world.diary.address_of(person)}"
    here, there = world.dice.choice((("inbox", "archive"), ("archive", "inbox"), ("sentitems", "archive")))
    await stage.control("POST", f"{box}/move-all", **{"from": here, "folder": there})


async def mail_goes(world: World, person: Person) -> None:
    """A mail of a thread, which may not have been looked at yet, is put elsewhere, or deleted for good."""
    address = world.diary.address_of(person)
    mails = [
        mail
        for mail in await world.stage(person).mailbox(address)
        if mail["folder"] in {"inbox", "sentitems", "archive", "deleteditems"}
        and world.diary.may_read(first_word(mail["html"]), address)
    ]
    if not mails:
        return
    mail, draw = world.dice.choice(mails), world.dice.random()
    word, of_it = first_word(mail["html"]), f"mailboxes/{address}/messages/{quote(mail['id'], safe='')}"
    stage = world.stage(person)
    if draw < 0.5:
        there = world.dice.choice(("archive", "deleteditems", "inbox", "junkemail"))
        world.tell(f"  {word} of {person.user_id} goes to {there}")
        await stage.control("POST", f"{of_it}/move", folder=there)
        return
    world.tell(f"  {word} of {person.user_id} is deleted{' for good' * (draw >= 0.75)}")
    gone = await stage.control("POST", f"{of_it}/delete")
    if mail["folder"] == "deleteditems":
        _note_gone(world, word)
    elif draw >= 0.75:
        _note_gone(world, word)
        again = f"mailboxes/{address}/messages/{quote(gone['id'], safe='')}/delete"
        await stage.control("POST", again)


def _note_gone(world: World, word: str) -> None:
    """Nobody can show what was deleted before it was read."""
    mail = world.diary.mails.get(word)
    if mail is not None and mail.must:
        mail.doubt("it was deleted, maybe before it was read")
