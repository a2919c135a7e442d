"""What was done in a random day, and what must therefore be true at its end."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.graphsim.knobs import Value
from sandbox.story.stage import CARLA, Stage
from tests.simulation.world import OneProcess

_WORD = re.compile(r"(?:Send|Answer|Outlook|Private)\d{3}x")


def own_word(mail: dict[str, Any]) -> str:
    """The word of a mail, wherever it lies: the first, for what it quotes comes after. A bounce only quotes."""
    if mail.get("kind") == "bounce":
        return ""
    found = _WORD.search(str(mail.get("html") or mail.get("text") or mail.get("snippet") or ""))
    return found[0] if found else ""


@dataclass(slots=True, kw_only=True)
class Remembered:
    """The words of all mails, by what must become of them."""

    world: OneProcess
    sends: dict[str, str] = field(default_factory=dict)  # word → id in the CRM
    thread_mails: list[str] = field(default_factory=list)  # must be in the CRM once
    refused_mails: list[str] = field(default_factory=list)  # their file keeps them out
    foreign_mails: list[str] = field(default_factory=list)  # nobody may read them
    thread_of: dict[str, str] = field(default_factory=dict)  # word → thread
    stopped: dict[str, datetime] = field(default_factory=dict)  # thread → since when
    stops: list[tuple[str, datetime, datetime]] = field(default_factory=list)  # thread, from, until
    kept_out: list[str] = field(default_factory=list)  # a stop of their thread may have kept them out
    unreadable_mails: list[str] = field(default_factory=list)  # Graph never gives them
    without_evidence: list[str] = field(
        default_factory=list
    )  # of those, whose thread nothing readable may tell
    unreadable_for_a_while: list[str] = field(default_factory=list)  # may be told so before they are shown
    untold_refusals: int = 0  # so many may have been kept from being told by a stop
    refused_sends: list[str] = field(default_factory=list)  # into a stopped thread
    files: dict[str, tuple[str, str]] = field(default_factory=dict)  # word → its file, and the text behind it
    sent_files: dict[str, int] = field(default_factory=dict)  # word of a send → bytes of its file
    kinds: dict[str, str] = field(default_factory=dict)  # word → the kind that it was sent as
    may_bounce: list[str] = field(default_factory=list)  # ids in the CRM of sends that come back
    knobs: dict[str, Value] = field(default_factory=dict)  # as far as they were turned
    was_stopped: bool = False  # a stop may have kept out what came back
    waited: list[str] = field(default_factory=list)  # sends taken while the consent was dead

    @property
    def stage(self) -> Stage:
        """Where it is played."""
        return self.world.stage

    async def lies(self) -> list[str]:
        """Everything that is not as it must be."""
        return [
            *await self._about_sends(),
            *await self._about_what_left(),
            *await self._about_mails(),
            *await self._about_foreign_mail(),
            *await self._about_events(),
        ]

    async def _about_sends(self) -> list[str]:
        left = Counter(own_word(mail) for mail in await self.stage.outside(CARLA))
        found = []
        for word, identity in self.sends.items():
            status = (await self.stage.of_crm("GET", f"/api/messages/{identity}"))["status"]
            fits = {"sent": (1,), "failed": (0,), "unconfirmed": (0, 1)}
            if left[word] not in fits.get(status, ()):
                found.append(f"{word} is {status} and left {left[word]} times")
            if word in self.refused_sends and status != "failed":
                found.append(f"{word} was refused and is {status}")
        return found + [lie for word in self.waited for lie in await self._about_a_wait(word)]

    async def _about_what_left(self) -> list[str]:
        """Every send that left has its file whole and once, and quotes plain text as it was typed."""
        found = []
        for mail in await self.stage.outside(CARLA):
            word = own_word(mail)
            sizes = [file["size_bytes"] for file in mail["attachments"] if file["name"] == f"{word}.pdf"]
            if word in self.sends and sizes != [size for size in (self.sent_files.get(word),) if size]:
                found.append(f"{word} left with files of {sizes} bytes")
            if "<b>plain</b>" in mail["html"]:
                found.append(f"{word} made plain text live")
        return found

    async def _about_a_wait(self, word: str) -> list[str]:
        """A send that waited for the user to sign in has left, unless a stop or a draft that lay too long ended it."""
        shown = await self.stage.of_crm("GET", f"/api/messages/{self.sends[word]}")
        code = (shown["reason"] or {}).get("code")
        if shown["status"] == "failed" and code not in {"left_in_drafts", "thread_stopped"}:
            return [f"{word} waited for the consent and failed: {code}"]
        return []

    async def _about_mails(self) -> list[str]:
        seen = Counter(own_word(message) for message in await self.stage.crm_messages())
        events = await self.stage.crm_events("message.not_synced")
        told = [event for event in events if event["data"]["reason"]["code"] != "message_unreadable"]
        found = [
            f"{word} is shown {seen[word]} times"
            for word in (*self.thread_mails, *self.sends)
            if seen[word] != 1
        ]
        found += await self._about_directions()
        found += await self._about_files()
        found += [
            f"{word} is shown"
            for word in (*self.refused_mails, *self.unreadable_mails, *self.foreign_mails)
            if seen[word]
        ]
        if not len(self.refused_mails) - self.untold_refusals <= len(told) <= len(self.refused_mails):
            found.append(f"{len(told)} refusals were told, not {len(self.refused_mails)}")
        found += self._about_unreadable_mail(len(events) - len(told))
        found += [f"{word} is shown {seen[word]} times" for word in self.kept_out if seen[word] > 1]
        came_in_between = await self._received_in_between()
        return found + [f"{word} came in between and is shown" for word in came_in_between if seen[word]]

    def lists_lead(self) -> bool:
        """Whether a list tells the thread of a mail that cannot be read by its id: it shows each, and its tags lead."""
        of_lists = self.knobs.get("list_500") == "never"
        tagged = (
            self.knobs.get("received_reply_tags") != "none"
            and self.knobs.get("relay_message_id") != "rewritten"
        )
        return of_lists and tagged

    def _about_unreadable_mail(self, told: int) -> list[str]:
        """What Graph never gives is told once, unless its thread was stopped meanwhile."""
        stopped = {*self.stopped, *(thread for thread, _, _ in self.stops)}
        certain = [
            word
            for word in self.unreadable_mails
            if self.thread_of[word] not in stopped and word not in self.without_evidence
        ]
        most = len(self.unreadable_mails) + len(self.unreadable_for_a_while)
        if not len(certain) <= told <= most:
            return [f"{told} unreadable mails were told, not {len(certain)} to {most}"]
        return []

    async def _about_directions(self) -> list[str]:
        """The user's own mail is outbound, whatever it names its user by; a contact's is inbound."""
        shown = [(own_word(message), message["direction"]) for message in await self.stage.crm_messages()]
        return [
            f"{word} is shown as {direction}"
            for word, direction in shown
            if word and (direction == "inbound") is not word.startswith("Answer")
        ]

    async def _about_files(self) -> list[str]:
        """What is shown of a mail has its file, and the text that was written behind it."""
        found = []
        for message in await self.stage.crm_messages():
            word = own_word(message)
            name, behind = self.files.get(word, ("", ""))
            names = [file["name"] for file in message["attachments"] if not file["omitted"]]
            if name and name not in names:
                found.append(f"{word} is shown without {name}")
            if behind not in str(message["html"]):
                found.append(f"{word} is shown without the text behind its file")
        return found

    async def _received_in_between(self) -> list[str]:
        """Words of mails that the mailbox received while their thread was stopped, some seconds apart."""
        margin = timedelta(seconds=6)
        stops = [
            *self.stops,
            *((thread, at, datetime.max.replace(tzinfo=UTC)) for thread, at in self.stopped.items()),
        ]
        return [
            word
            for mail in await self.stage.mailbox()
            if (word := own_word(mail)) in self.kept_out
            for thread, begun, ended in stops
            if thread == self.thread_of[word]
            and begun <= datetime.fromisoformat(mail["received_at"]) < ended - margin
        ]

    async def _about_foreign_mail(self) -> list[str]:
        mails = await self.stage.mailbox()
        foreign = {mail["id"] for mail in mails if own_word(mail) in self.foreign_mails}
        _, log = await self.stage.requests()
        read = [request for request in log if request["reads_body"] and request["message_id"] in foreign]
        lists = [
            request for request in log if request["reads_body"] and request["operation"] == "message.list"
        ]
        return [f"read: {request['operation']} of {request['at']}" for request in (*read, *lists)]

    async def _about_events(self) -> list[str]:
        feed = {
            event["id"] for event in (await self.stage.api("GET", "/v1/events?limit=500")).json()["events"]
        }
        heard = [event["id"] for event in await self.stage.crm_events()]
        poison = [
            queue
            for queue in ("changes", "outbox", "deliveries", "maintenance")
            if await self.world.services.queues.count(f"{queue}-poison")
        ]
        return [
            *(f"{event_id} was not told" for event_id in feed - set(heard)),
            *(f"{event_id} is not in the feed" for event_id in set(heard) - feed),
            *(f"poison in {queue}" for queue in poison),
        ]
