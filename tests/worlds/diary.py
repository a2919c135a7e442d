"""What was done in a world: the truth by which `oracle` judges. Plain facts; nothing of the product is known here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_WORD = re.compile(r"(?:Send|Answer|Outlook|Private)\d{4}x")
NEVER = float("inf")
STOPPED = "its mailbox was disconnected"
ON_ITS_WAY = 400.0  # seconds that a mail takes at most, by the knobs


def first_word(text: str) -> str:
    """The word of a mail: the first, since what a mail quotes comes after; empty where there is none."""
    found = _WORD.search(text)
    return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class Person:
    """A user of a CRM: of which tenant, with which mailbox."""

    tenant: int
    user_id: str
    address: str


@dataclass(slots=True)
class Send:
    """A mail that a CRM was asked to send. `answer` is the last status of that request, 0 for none yet."""

    word: str
    crm_message_id: str
    person: Person
    contact: str
    at: float
    answer: int = 0
    answered_at: float = NEVER
    thread: str = ""
    kills: bool = False


@dataclass(slots=True)
class Mail:
    """A mail that somebody wrote, and whether it has to be shown; `why_not` says why not, `maybe` where it may be."""

    word: str
    kind: str  # answer, outlook, private
    person: Person  # whose thread it is of, or whose mailbox it came to
    at: float
    thread: str = ""
    must: bool = True
    why_not: str = ""
    kills: bool = False


@dataclass(slots=True)
class Closing:
    """A time in which a mailbox was not connected.

    `since` it was asked for, `told` that it is so, `back` when the next sign-in began, `until` when that was done.
    """

    person: Person
    since: float
    told: float | None = None
    back: float | None = None
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
    sends: dict[str, Send] = field(default_factory=dict)
    mails: dict[str, Mail] = field(default_factory=dict)
    closings: list[Closing] = field(default_factory=list)
    revocations: list[Revoked] = field(default_factory=list)
    outages: list[tuple[str, str | None, float, float]] = field(
        default_factory=list
    )  # what, address, from, until
    words: int = 0

    def word(self, kind: str) -> str:
        """A word that no other mail has."""
        self.words += 1
        return f"{kind}{self.words:04}x"

    def thread_of(self, word: str) -> str:
        """The word of the send that began its thread; empty for a private mail."""
        if word in self.sends:
            return self.sends[word].thread
        return self.mails[word].thread if word in self.mails else ""

    def person_of(self, word: str) -> Person | None:
        """In whose mailbox the thread of a mail is."""
        if word in self.sends:
            return self.sends[word].person
        found = self.mails.get(word)
        return found.person if found and found.kind != "private" else None

    def fate(self, person: Person, thread: str, now: float, left: set[str]) -> str:
        """What becomes of a mail written now in that thread: `shown`, `maybe`, or why it is not shown.

        A mailbox that is connected anew shows an old thread again from the CRM's next mail in it (R9). `left` are the
        words of the mails that have left.
        """
        closings = [each for each in self.closings if each.person == person]
        began = self.sends[thread].at
        if not any(began <= each.until for each in closings):
            return "shown"
        last = closings[-1]
        if last.told is None:
            return "maybe: it is being disconnected"
        later = [each for each in self.sends.values() if each.thread == thread and each.at >= last.until]
        if any(each.word in left for each in later):
            return "shown"
        return "maybe: it is being resumed" if later else STOPPED

    def note_resumption(self, thread: str, now: float) -> None:
        """The CRM writes in a thread: what was written shortly before may arrive afterwards, and then be shown."""
        for mail in self.mails.values():
            if mail.thread == thread and mail.why_not == STOPPED and now - mail.at < ON_ITS_WAY:
                mail.why_not = f"maybe: {STOPPED}, and was resumed shortly after"
