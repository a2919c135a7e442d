"""What was done in a random day, and what must therefore be true at its end."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sandbox.story.stage import CARLA, Stage
from tests.simulation.world import OneProcess

_WORD = re.compile(r"(?:Send|Answer|Outlook|Private)\d{3}x")


def own_word(mail: dict[str, Any]) -> str:
    """The word of a mail, wherever it lies: the first, for what it quotes comes after."""
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

    @property
    def stage(self) -> Stage:
        """Where it is played."""
        return self.world.stage

    async def lies(self) -> list[str]:
        """Everything that is not as it must be."""
        return [
            *await self._about_sends(),
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
        return found

    async def _about_mails(self) -> list[str]:
        seen = Counter(own_word(message) for message in await self.stage.crm_messages())
        told = await self.stage.crm_events("message.not_synced")
        found = [
            f"{word} is shown {seen[word]} times"
            for word in (*self.thread_mails, *self.sends)
            if seen[word] != 1
        ]
        found += [f"{word} is shown" for word in (*self.refused_mails, *self.foreign_mails) if seen[word]]
        if len(told) != len(self.refused_mails):
            found.append(f"{len(told)} refusals were told, not {len(self.refused_mails)}")
        return found

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
