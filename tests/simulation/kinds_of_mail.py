"""Mail that is no plain mail, in random days: what programs send, what comes back, and what must be told of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sandbox.story.stage import ANN_ADDRESS, CARLA
from tests.simulation.remembered import Remembered, own_word

if TYPE_CHECKING:
    from tests.simulation.explorer import Explorer

LOST, PRIVATELY_LOST = "nobody@bounces.example", "mine@bounces.example"
# What a program sends, and what may be told of it: from outside a recall may look like any mail.
KINDS = {
    "automatic_reply": {"automatic_reply"},
    "read_receipt": {"read_receipt"},
    "meeting_request": {"meeting_request"},
    "meeting_cancellation": {"meeting_request"},
    "meeting_response": {"meeting_response"},
    "recall": {"recall", "mail"},
}
# Another subject is another conversation, so without tags nothing leads from these to their thread.
OF_THE_SAME_SUBJECT = ["meeting_request"]


def _tags_lead(remembered: Remembered) -> bool:
    """Whether the tags of a mail from outside name what it answers."""
    knobs = remembered.knobs
    return knobs.get("received_reply_tags") != "none" and knobs.get("relay_message_id") != "rewritten"


def _bounces_lead(remembered: Remembered) -> bool:
    """Whether tag or conversation of a report name what came back."""
    knobs = remembered.knobs
    of_exchange = {
        ("bounce_writer", "remote"),
        ("bounce_conversation", "new"),
        ("message_class_tag", "absent"),
    }
    tagged = knobs.get("bounce_in_reply_to") == "present" and _tags_lead(remembered)
    return tagged or not of_exchange & set(knobs.items())


async def a_program_answers(explorer: Explorer) -> None:
    """The contact's program answers, invites, accepts, sends a receipt or a recall."""
    kind = explorer.dice.choice(sorted(KINDS) if _tags_lead(explorer) else OF_THE_SAME_SUBJECT)
    word = await explorer.answer_by_program(kind)
    if word is not None:
        explorer.tale[-1] += f" {kind} {word}"
        explorer.kinds[word] = kind


async def a_send_comes_back(explorer: Explorer) -> None:
    """The CRM writes to the contact and, on copy, to somebody who is not there."""
    word = await explorer.send_to({}, cc=[{"address": LOST}])
    explorer.tale[-1] += f" {word}"
    explorer.may_bounce.append(f"crm-{word}")


async def the_user_is_on_copy(explorer: Explorer) -> None:
    """The CRM writes to the contact and, on copy, to the user, in whose inbox a copy arrives."""
    word = await explorer.send_to({}, cc=[{"address": ANN_ADDRESS}])
    explorer.tale[-1] += f" {word}"


async def a_private_mail_comes_back(explorer: Explorer) -> None:
    """A mail that the user writes in Outlook comes back: its report is foreign."""
    word = explorer.word("Private")
    explorer.foreign_mails.append(word)
    await explorer.stage.control(
        "POST", f"mailboxes/{ANN_ADDRESS}/compose", action="new", to=[CARLA, PRIVATELY_LOST],
        subject=f"Own {word}", html=f"<p>{word}</p>",
    )  # fmt: skip


async def lies_about_kinds(remembered: Remembered) -> list[str]:
    """A mail that is told as another kind, a bounce that is doubled, lost or of nobody, a foreign one that was read."""
    messages = await remembered.stage.crm_messages()
    found = [
        f"{word} is told as {message['kind']}, not as {remembered.kinds[word]}"
        for message in messages
        if (word := own_word(message)) in remembered.kinds
        and message["kind"] not in KINDS[remembered.kinds[word]]
    ]
    bounced = [event["data"]["bounced"] for event in await remembered.stage.crm_events("message.bounced")]
    told = Counter(data["crm_message_id"] for data in bounced if data["crm_message_id"] is not None)
    found += [f"a bounce of {send} is told {count} times" for send, count in told.items() if count > 1]
    found += [f"a bounce of {send} is told" for send in set(told) - set(remembered.may_bounce)]
    possible = await _reports(remembered, LOST)
    expected = possible if _bounces_lead(remembered) and not remembered.was_stopped else 0
    if not expected <= len(bounced) <= possible:
        found.append(f"{len(bounced)} bounces are told, not {expected} to {possible}")
    return found + await _private_reports_read(remembered)


async def _reports(remembered: Remembered, recipient: str) -> int:
    """How many reports about that recipient lie in the mailbox."""
    return len([mail for mail in await remembered.stage.mailbox() if recipient in str(mail["html"])])


async def _private_reports_read(remembered: Remembered) -> list[str]:
    mails = await remembered.stage.mailbox()
    foreign = {mail["id"] for mail in mails if PRIVATELY_LOST in str(mail["html"])}
    _, log = await remembered.stage.requests()
    return [
        f"a private report was read: {request['operation']} of {request['at']}"
        for request in log
        if request["reads_body"] and request["message_id"] in foreign
    ]
