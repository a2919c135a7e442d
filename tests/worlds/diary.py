"""What was done in a world: the truth by which `oracle` judges. Plain facts; nothing of the product is known here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

_WORD = re.compile(r"(?:Send|Answer|Outlook|Private)\d{4}x")
NEVER = float("inf")
CLOSED = "its mailbox was disconnected or replaced"
STOPPED = "its thread was stopped"
ON_ITS_WAY = 400.0  # seconds that a mail takes at most, by the knobs


def first_word(text: str) -> str:
    """The word of a mail: the first, since what a mail quotes comes after; empty where there is none."""
    found = _WORD.search(text)
    return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class Person:
    """A user of a CRM: of which tenant, with which mailbox at first, and another one to change to."""

    tenant: int
    user_id: str
    address: str
    second: str


@dataclass(slots=True)
class Send:
    """A mail that a CRM was asked to send. `answer` is the last status of that request, 0 for none yet.

    `thread` is the word of the send that began its thread, `asked` that of the thread it was written in: after a change
    of mailbox these are two. `address` is the mailbox that took it, empty while a change makes that uncertain.
    """

    word: str
    crm_message_id: str
    person: Person
    contacts: tuple[str, ...]
    at: float
    address: str
    answer: int = 0
    answered_at: float = NEVER
    thread: str = ""
    asked: str = ""
    kills: bool = False
    unfit: bool = False  # one of its files may not be sent

    def place(self, address: str, root: Send) -> None:
        """It is known now which mailbox took it; in a thread of another mailbox it begins one of its own (R6)."""
        self.address = address
        if root is not self and root.address != address:
            self.thread = self.word


@dataclass(slots=True)
class Mail:
    """A mail that somebody wrote, and whether it has to be shown; `why_not` says why not, `maybe` where it may be.

    One whose file is `unfit` must be told as not synced instead, by its subject, which begins with its word.
    """

    word: str
    kind: str  # answer, outlook, private
    person: Person  # whose thread it is of, or whose mailbox it came to
    at: float
    address: str
    thread: str = ""
    must: bool = True
    why_not: str = ""
    kills: bool = False
    unfit: bool = False

    def doubt(self, why: str) -> None:
        """It may be shown, and need not."""
        self.must, self.why_not = False, f"maybe: {why}"


@dataclass(slots=True)
class Closing:
    """A time in which a mailbox was not connected; `by_change`: since another took its place.

    `since` it was asked for, `told` that it is so, `back` when the next sign-in began, `until` when that was done.
    """

    person: Person
    address: str
    since: float
    told: float = NEVER
    back: float = NEVER
    until: float = NEVER
    by_change: bool = False


@dataclass(slots=True)
class Stop:
    """A time in which one thread was stopped, with times as those of a closing; `by` the crm or the user."""

    thread: str
    by: str
    since: float
    told: float = NEVER
    back: float = NEVER
    until: float = NEVER


@dataclass(slots=True)
class Change:
    """A time in which another mailbox took a place, as the person saw it."""

    person: Person
    since: float
    until: float = NEVER


@dataclass(slots=True)
class Revoked:
    """A time in which a person's consent was dead."""

    person: Person
    since: float
    until: float = NEVER


@dataclass(slots=True)
class Diary:
    """Everything that was done."""

    people: list[Person] = field(default_factory=list)
    present: dict[Person, str] = field(default_factory=dict)  # the mailbox of each
    sends: dict[str, Send] = field(default_factory=dict)
    mails: dict[str, Mail] = field(default_factory=dict)
    drafts: dict[str, str] = field(default_factory=dict)  # a word that stays a draft → its mailbox
    closings: list[Closing] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    revocations: list[Revoked] = field(default_factory=list)
    steps_back: list[float] = field(default_factory=list)  # when Graph's clock was set back
    outages: list[tuple[str, str | None, float, float]] = field(
        default_factory=list
    )  # what, address, from, until
    wrong: list[tuple[str, str]] = field(default_factory=list)  # seen at once: the kind of fault, and what
    done: Counter[str] = field(default_factory=Counter)
    words: int = 0

    def word(self, kind: str) -> str:
        """A word that no other mail has."""
        self.words += 1
        return f"{kind}{self.words:04}x"

    def figures(self) -> dict[str, int]:
        """How often what was done."""
        return {
            **self.done,
            "unfit answers": sum(mail.unfit for mail in self.mails.values()),
            "unfit sends": sum(send.unfit for send in self.sends.values()),
            "drafts": len(self.drafts),
        }

    def address_of(self, person: Person) -> str:
        """The mailbox that the person has now."""
        return self.present.get(person, person.address)

    def changes_mailbox(self, person: Person, since: float, until: float) -> bool:
        """Whether another mailbox took the place of the person's in that time."""
        return any(
            each.person == person and each.since <= until and since <= each.until for each in self.changes
        )

    def thread_of(self, word: str) -> str:
        """The word of the send that began its thread; empty for a private mail."""
        if word in self.sends:
            return self.sends[word].thread
        return self.mails[word].thread if word in self.mails else ""

    def person_of(self, word: str) -> Person | None:
        """Of whom the thread of a mail is."""
        if word in self.sends:
            return self.sends[word].person
        found = self.mails.get(word)
        return found.person if found and found.kind != "private" else None

    def may_read(self, word: str, address: str) -> bool:
        """Whether a mail of that word is of a thread of that mailbox."""
        person = self.person_of(word)
        if person is None:
            return False
        known = self.sends[word].address if word in self.sends else self.mails[word].address
        return address == known if known else address in {person.address, person.second}

    def fate(self, address: str, thread: str, now: float, left: set[str]) -> str:
        """What becomes of a mail written now in that thread: `shown`, `maybe`, or why it is not shown.

        `left` are the words of the mails that have left.
        """
        fates = [self._fate_of_mailbox(address, thread, now, left), self._fate_of_thread(thread, now)]
        definite = [fate for fate in fates if fate != "shown" and not fate.startswith("maybe")]
        return next(iter(definite), next((fate for fate in fates if fate != "shown"), "shown"))

    def _fate_of_mailbox(self, address: str, thread: str, now: float, left: set[str]) -> str:
        """A mailbox that is connected anew shows an old thread again from the CRM's next mail in it (R9)."""
        closings = [each for each in self.closings if each.address == address]
        began = self.sends[thread].at
        if not any(began <= each.until for each in closings):
            return "shown"
        last = closings[-1]
        if last.told == NEVER:
            return "maybe: it is being disconnected or replaced"
        later = [
            each
            for each in self.sends.values()
            if thread in {each.thread, each.asked} and each.answered_at >= last.back
        ]
        if any(
            each.at >= last.until and each.word in left and not self._set_back(each.at, now) for each in later
        ):
            return "shown"
        return "maybe: it is being resumed" if later else CLOSED

    def _fate_of_thread(self, thread: str, now: float) -> str:
        """A thread that was stopped shows what comes after it was resumed (R12)."""
        for stop in self.stops:
            if stop.thread != thread:
                continue
            if now >= stop.until:
                if self._set_back(stop.until, now):
                    return "maybe: by the clock that was set back it came before the thread was resumed"
            elif stop.told == NEVER or now >= stop.back:
                return "maybe: its thread is being stopped or resumed"
            else:
                return STOPPED
        return "shown"

    def _set_back(self, since: float, now: float) -> bool:
        return now - since < 2 * ON_ITS_WAY and any(since <= at <= now for at in self.steps_back)

    def note_resumption(self, thread: str, now: float, why: str) -> None:
        """A thread goes on: what was written shortly before may arrive afterwards, and then be shown."""
        for mail in self.mails.values():
            if mail.thread == thread and mail.why_not == why and now - mail.at < ON_ITS_WAY:
                mail.doubt(f"{why}, and was resumed shortly after")

    def note_end(self, mails: Iterable[Mail], shown: set[str], why: str) -> None:
        """What is not shown yet, and will be kept out unless it is seen before that."""
        for mail in mails:
            if mail.must and mail.word not in shown:
                mail.doubt(why)
