"""Random days in the life of the system, by a seed: what is done, what goes wrong, and what must be true afterwards."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from sandbox.graphsim.knobs import KNOBS, Value
from sandbox.story.acts import PDF, PNG, attached
from sandbox.story.connecting import connect
from sandbox.story.stage import ANN, ANN_ADDRESS, CARLA, STRANGER
from tests.simulation import kinds_of_mail
from tests.simulation.remembered import Remembered, own_word
from tests.simulation.settings import BESIDE, LEFT_OUT, NUMBERS

MINUTE, HOUR = 60.0, 3600.0
PATTERNS = (
    *(
        "message.get",
        "message.list",
        "message.create",
        "message.createReply",
        "message.update",
        "message.send",
    ),
    *("message.*", "attachment.*", "subscription.*", "*"),
)
LARGE_BYTES = 3_000_000  # fits a request too, where the upload host fails
MOST_STOPPED = 2  # the others go on
MAILBOX = f"mailboxes/{ANN_ADDRESS}"


def chosen_knobs(dice: random.Random) -> dict[str, Value]:
    """Some knobs turned, as far as something is left to go by."""
    turned: dict[str, Value] = {}
    for knob in KNOBS:
        if knob.name in LEFT_OUT or dice.random() < 0.5:
            continue
        value = dice.choice(knob.values if knob.values is not None else NUMBERS[knob.name])
        for beside in BESIDE.get((knob.name, value), ())[:1]:
            turned |= beside
        turned.setdefault(knob.name, value)
    for (name, value), besides in BESIDE.items():
        if turned.get(name) == value:
            turned |= besides[0]
    return turned


@dataclass(slots=True, kw_only=True)
class Explorer(Remembered):
    """Makes moves at random and remembers what must come of them. Every mail has a word of its own."""

    dice: random.Random
    tale: list[str] = field(default_factory=list)
    _words: int = 0

    def word(self, kind: str) -> str:
        """A word that no other mail has."""
        self._words += 1
        return f"{kind}{self._words:03}x"

    async def move(self) -> None:
        """One move, and a little time."""
        name, act = self.dice.choices(MOVES, weights=[move[2] for move in MOVES])[0][:2]
        self.tale.append(f"{self.world.clock.now():%d %H:%M:%S} {name}")
        await act(self)
        await self.world.advance(self.dice.choice((0.0, 1.0, 5.0, 30.0, 90.0)))

    async def drain(self) -> None:
        """Everything is well again, and time enough for all that waits."""
        await self.stage.control("DELETE", "faults")
        await self.stage.control("POST", "notifications", action="resume")
        await self.stage.of_crm("POST", "/__control/outage", count=0)
        for hours in (1, 2, 6, 24):
            await self.world.advance(hours * HOUR)

    # ---- moves

    async def crm_begins(self) -> None:
        """The CRM writes to the contact."""
        await self._send({})

    async def crm_replies(self) -> None:
        """The CRM answers in one of its threads."""
        known = [message for message in await self.stage.crm_messages() if message["thread_id"]]
        if known:
            message = self.dice.choice(known)
            await self._send(
                {"conversation_id": message["conversation_id"], "thread_id": message["thread_id"]}
            )

    async def _send(self, place: dict[str, str]) -> None:
        await self.send_to(place)

    async def send_to(self, place: dict[str, str], **more: Any) -> str:
        """The CRM sends the contact a mail there; its word."""
        word = self.word("Send")
        files = []
        if self.dice.random() < 0.3:
            self.sent_files[word] = LARGE_BYTES if self.dice.random() < 0.1 else len(PDF)
            content = PDF + b"\0" * (self.sent_files[word] - len(PDF))
            files = [attached(f"{word}.pdf", "application/pdf", content)]
        order = {
            "crm_message_id": f"crm-{word}", "user_id": ANN, "to": CARLA, "subject": f"About {word}",
            "html": f"<p>{word}</p>", "attachments": files, **place, **more,
        }  # fmt: skip
        answer = await self.stage.crm.post("/api/messages", json=order)
        is_stopped = place.get("thread_id") in self.stopped
        assert answer.status_code == (409 if is_stopped else 202), (
            f"{word}: {answer.status_code} {answer.text}"
        )
        self.sends[word] = f"crm-{word}"
        if is_stopped:
            self.refused_sends.append(word)
        else:
            self.thread_of[word] = str(answer.json()["thread_id"])
        return word

    async def answer_by_program(self, kind: str) -> str | None:
        """The contact's program answers a mail of some thread; its word, None where there is none to answer."""
        got = [mail for mail in await self.stage.outside(CARLA) if self._may_be_answered(own_word(mail))]
        if not got:
            return None
        mail, word = self.dice.choice(got), self.word("Answer")
        self._remember(word, self.thread_of[own_word(mail)], self.thread_mails)
        await self._outside_reply(mail, word, [], kind=kind)
        return word

    async def contact_answers(self) -> None:
        """The contact answers a mail of some thread, now and then with a file that must not pass."""
        got = [mail for mail in await self.stage.outside(CARLA) if self._may_be_answered(own_word(mail))]
        if not got:
            return
        mail = self.dice.choice(got)
        bad = self.dice.random() < 0.2 and self.thread_of[own_word(mail)] not in self.stopped
        word = self.word("Answer")
        self._remember(word, self.thread_of[own_word(mail)], self.refused_mails if bad else self.thread_mails)
        files = [attached("run.exe", "application/octet-stream", b"MZ\0\0")] if bad else []
        if not bad and self.dice.random() < 0.3:
            files = self._files_with(word)
        await self._outside_reply(mail, word, files)

    def _answer(self, word: str, files: list[dict[str, str]]) -> dict[str, Any]:
        """What a contact writes: HTML, now and then with a picture in it, or plain text."""
        form = "html" if files else self.dice.choice(("html", "html", "picture", "text"))
        if form == "text":
            return {"text": f"{word} <b>plain</b> \U0001f44d"}
        if form == "html":
            return {"html": f"<p>{word}</p><p>\U0001f44d</p>", "attachments": files}
        picture = {**attached("logo.png", "image/png", PNG), "inline": True, "content_id": f"{word}@x"}
        return {"html": f'<p>{word}</p><img src="cid:{word}@x">', "attachments": [picture]}

    def _files_with(self, word: str) -> list[dict[str, str]]:
        """A file, and behind every second one text, as Apple Mail writes it."""
        behind = f"behind {word}" if self._words % 2 else ""
        self.files[word] = ("a.pdf", behind)
        text = attached("", "text/html", f"<p>{behind}</p>".encode())
        return [attached("a.pdf", "application/pdf", PDF), *([text] if behind else [])]

    async def contact_is_not_readable(self) -> None:
        """The contact answers, and Graph does not give the mail: for a while, or for ever."""
        got = [mail for mail in await self.stage.outside(CARLA) if self._may_be_answered(own_word(mail))]
        if not got:
            return
        mail, minutes = self.dice.choice(got), self.dice.choice((2, 30, 200, None))
        word, thread = self.word("Answer"), self.thread_of[own_word(mail)]
        self._remember(word, thread, self.thread_mails if minutes is not None else self.unreadable_mails)
        plan: dict[str, Any] = {
            "part": self.dice.choice(("body", "body", "item")),
            "status": self.dice.choice((400, 500)),
            "code": self.dice.choice(("ErrorContentConversionFailed", "ErrorItemCorrupt")),
        }
        if minutes is not None:
            plan["minutes"] = minutes
            self.unreadable_for_a_while.append(word)
        elif plan["part"] == "item" and not self.lists_lead():
            self.without_evidence.append(word)
        self.tale[-1] += f" {word} {plan}"
        await self._outside_reply(mail, word, [], unreadable=plan)

    def _may_be_answered(self, word: str) -> bool:
        """What a stop has kept out leads nowhere, and nobody answers private mail here."""
        return word in self.thread_of and word not in self.kept_out

    def _remember(self, word: str, thread: str, where: list[str]) -> None:
        """A mail in this thread; in a stopped one it may be kept out, whatever else would become of it."""
        self.thread_of[word] = thread
        (self.kept_out if thread in self.stopped else where).append(word)

    async def _outside_reply(
        self, mail: dict[str, Any], word: str, files: list[dict[str, str]], **more: Any
    ) -> None:
        number = mail["internet_message_id"]
        await self.stage.control(
            "POST",
            f"outside/{CARLA}/reply",
            internet_message_id=number,
            **{**self._answer(word, files), **more},
        )

    async def user_answers(self) -> None:
        """The user answers a contact's mail in Outlook, maybe from a draft that lay for a while."""
        inbox = [
            mail
            for mail in await self.stage.mailbox()
            if mail["folder"] == "inbox" and own_word(mail) in self.thread_mails
        ]
        if not inbox:
            return
        word, later, mail = self.word("Outlook"), self.dice.random() < 0.5, self.dice.choice(inbox)
        self._remember(word, self.thread_of[own_word(mail)], self.thread_mails)
        draft = await self.stage.control(
            "POST", f"{MAILBOX}/compose", action="reply", graph_message_id=mail["id"],
            html=f"<p>{word}</p>", draft_only=later,
        )  # fmt: skip
        if later:
            await self.world.advance(self.dice.choice((5.0, 300.0)))
            await self.stage.control("POST", f"{MAILBOX}/messages/{quote(draft['id'], safe='')}/send")

    async def stranger_writes(self) -> None:
        """Foreign mail, under a subject of ours."""
        word = self.word("Private")
        self.foreign_mails.append(word)
        subject = self.dice.choice(["Lunch", *(f"Re: About {send}" for send in self.sends)])
        writer = self.dice.choice((STRANGER, CARLA))
        await self.stage.control(
            "POST", f"outside/{writer}/compose", to=[ANN_ADDRESS], subject=subject, html=f"<p>{word}</p>"
        )

    async def user_writes(self) -> None:
        """The user begins a thread in Outlook, with a contact of the CRM."""
        word = self.word("Private")
        self.foreign_mails.append(word)
        await self.stage.control(
            "POST",
            f"{MAILBOX}/compose",
            action="new",
            to=[CARLA],
            subject=f"Own {word}",
            html=f"<p>{word}</p>",
        )

    async def tidy(self) -> None:
        """A mail is read or moved."""
        mails = [message for message in await self.stage.mailbox() if message["folder"] == "inbox"]
        if mails:
            action, more = self.dice.choice([("read", {"is_read": True}), ("move", {"folder": "archive"})])
            mail = quote(self.dice.choice(mails)["id"], safe="")
            await self.stage.control("POST", f"{MAILBOX}/messages/{mail}/{action}", **more)

    async def everything_is_moved(self) -> None:
        """A desktop client or a rule moves the whole inbox or archive at one instant."""
        here, there = self.dice.choice((("inbox", "archive"), ("archive", "inbox"), ("sentitems", "archive")))
        await self.stage.control("POST", f"{MAILBOX}/move-all", **{"from": here, "folder": there})

    async def notifications_fail(self) -> None:
        """The next notifications are lost or doubled."""
        action, count = self.dice.choice(("drop", "double")), self.dice.randint(1, 3)
        await self.stage.control("POST", "notifications", action=action, count=count)

    async def notifications_late(self) -> None:
        """Notifications are held back for a while."""
        await self.stage.control("POST", "notifications", action="pause")
        await self.world.advance(self.dice.choice((30.0, 1200.0)))
        await self.stage.control("POST", "notifications", action="resume")

    async def graph_fails(self) -> None:
        """Graph answers wrongly: before or after it has done the work, or doing it later."""
        kind = self.dice.choice(("status", "status", "drop_before", "drop_after", "commit_late"))
        fault = {
            "operation": self.dice.choice(PATTERNS), "kind": kind, "count": self.dice.randint(1, 3),
            "address": ANN_ADDRESS,
        }  # fmt: skip
        if kind == "status":
            fault["status"] = self.dice.choice((429, 500, 503, 504))
            fault["retry_after"] = self.dice.choice((None, "5", "2.5", "120"))
        if kind == "commit_late":
            fault["seconds"] = self.dice.choice((1.0, 20.0, 200.0))
        self.tale[-1] += f" {fault}"
        await self.stage.control("POST", "faults", **fault)

    async def mailbox_is_throttled(self) -> None:
        """Every call for the mailbox is answered 429 for a while."""
        seconds = self.dice.choice((20, 120, 700))
        await self.stage.control("POST", "throttle", address=ANN_ADDRESS, seconds=seconds, retry_after=15)

    async def crm_is_down(self) -> None:
        """The CRM's endpoint refuses the next deliveries."""
        await self.stage.of_crm("POST", "/__control/outage", count=self.dice.randint(1, 4))

    async def lifecycle(self) -> None:
        """Graph says something about the subscription."""
        event = self.dice.choice(("missed", "subscriptionRemoved", "reauthorizationRequired"))
        for subscription in (await self.stage.control("GET", "subscriptions"))["subscriptions"]:
            await self.stage.control("POST", f"subscriptions/{subscription['id']}/lifecycle", event=event)

    async def crm_stops(self) -> None:
        """The CRM stops a thread: what is not in the CRM yet may stay out."""
        running = sorted(set(self.thread_of.values()) - set(self.stopped))
        if not running or len(self.stopped) >= MOST_STOPPED:
            return
        thread = self.dice.choice(running)
        await self._steer(thread, "stop")
        self.stopped[thread] = self.world.clock.now()
        self.was_stopped = True
        seen = {own_word(message) for message in await self.stage.crm_messages()}
        late = [word for word in self.thread_mails if self.thread_of[word] == thread and word not in seen]
        self.thread_mails = [word for word in self.thread_mails if word not in late]
        self.kept_out += late
        events = await self.stage.crm_events("message.not_synced")
        told = len([event for event in events if event["data"]["reason"]["code"] != "message_unreadable"])
        self.untold_refusals = max(self.untold_refusals, len(self.refused_mails) - told)

    async def crm_resumes(self) -> None:
        """The CRM resumes a thread that it stopped."""
        if self.stopped:
            thread = self.dice.choice(sorted(self.stopped))
            self.stops.append((thread, self.stopped.pop(thread), self.world.clock.now()))
            await self._steer(thread, "resume")

    async def _steer(self, thread: str, verb: str) -> None:
        self.tale[-1] += f" {thread}"
        answer = await self.stage.api("POST", f"/v1/threads/{thread}/{verb}")
        assert answer.status_code == 200, f"{verb} {thread}: {answer.status_code} {answer.text}"

    async def consent_dies(self) -> None:
        """The consent is revoked; after a while, in which others go on, the user signs in again."""
        await self.stage.control("POST", f"users/{quote(ANN_ADDRESS)}/revoke")
        before = set(self.sends)
        for _ in range(self.dice.randint(0, 3)):
            await self.world.advance(self.dice.choice((0.0, MINUTE, 10 * MINUTE, 2 * HOUR)))
            await self.dice.choice((Explorer.crm_begins, Explorer.crm_replies, Explorer.contact_answers))(
                self
            )
        self.waited += [word for word in self.sends if word not in {*before, *self.refused_sends}]
        await self.world.advance(self.dice.choice((0.0, MINUTE, 20 * MINUTE)))
        for _ in range(30):  # what fails in between fails the sign-in as well
            if "Mailbox connected" in await connect(self.stage):
                return
            await self.world.advance(5 * MINUTE)
        raise AssertionError("nobody can sign in again")

    async def time_passes(self) -> None:
        """The clock jumps."""
        await self.world.advance(self.dice.choice((2 * MINUTE, 20 * MINUTE, 2 * HOUR, 9 * HOUR)))


Act = Callable[[Explorer], Awaitable[None]]
MOVES: tuple[tuple[str, Act, int], ...] = (
    ("the CRM begins a thread", Explorer.crm_begins, 3),
    ("the CRM replies", Explorer.crm_replies, 4),
    ("the contact answers", Explorer.contact_answers, 6),
    ("the contact answers, not readable", Explorer.contact_is_not_readable, 2),
    ("the user answers in Outlook", Explorer.user_answers, 3),
    ("a stranger writes", Explorer.stranger_writes, 2),
    ("the user writes in Outlook", Explorer.user_writes, 1),
    ("a mail is tidied up", Explorer.tidy, 1),
    ("everything is moved", Explorer.everything_is_moved, 1),
    ("notifications fail", Explorer.notifications_fail, 2),
    ("notifications are late", Explorer.notifications_late, 1),
    ("Graph fails", Explorer.graph_fails, 5),
    ("the mailbox is throttled", Explorer.mailbox_is_throttled, 1),
    ("the CRM is down", Explorer.crm_is_down, 1),
    ("a lifecycle event", Explorer.lifecycle, 1),
    ("time passes", Explorer.time_passes, 2),
    ("the CRM stops a thread", Explorer.crm_stops, 1),
    ("the CRM resumes a thread", Explorer.crm_resumes, 2),
    ("the consent dies", Explorer.consent_dies, 1),
    ("a program answers", kinds_of_mail.a_program_answers, 2),
    ("a send comes back", kinds_of_mail.a_send_comes_back, 1),
    ("the user is on copy", kinds_of_mail.the_user_is_on_copy, 1),
    ("a private mail comes back", kinds_of_mail.a_private_mail_comes_back, 1),
)
