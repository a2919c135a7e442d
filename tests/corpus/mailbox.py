"""Put a pair's mails into the simulator's mailbox, by the calls that its own transport uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sandbox.graphsim import mail as mails
from sandbox.graphsim.store import Address, Attachment, Mailbox, Message
from tests.corpus.answers import Answers, Failure
from tests.corpus.samples import content_of
from tests.simulation.world import OneProcess

KINDS = {"file", "item", "reference"}
TRACE = ["Received", "from mailer.example by simulated.outlook.example; Mon, 2 Mar 2026 09:00:00 +0000"]
IN_REPLY_TO, REFERENCES, CLASS = 0x1042, 0x1039, 0x001A


@dataclass(slots=True)
class Placed:
    """A mail in the mailbox, and when it came."""

    message: Message
    received_at: datetime
    ids: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Corpus:
    """Ann's mailbox and what Graph answers about it."""

    world: OneProcess
    answers: Answers
    mailbox: Mailbox

    def place(self, wanted: dict[str, Any], given: dict[str, Any], fill: dict[str, str]) -> Placed:
        """Put a mail where it lies; notifications go out. `given`: the members that Graph answers."""
        sim, now = self.world.simulator.world, self.world.clock.now()
        message = mails.blank(sim, self.mailbox, folder=wanted.get("folder", "inbox"))
        if wanted.get("conversation") == "thread":
            message.conversation_id = fill["conversation"]
        message.is_draft = bool(given.get("isDraft"))
        message.internet_message_id = _whole(given["internetMessageId"] or "")
        message.subject = str(given["subject"] or "")
        _take_body(message, given["body"])
        message.from_ = message.sender = _person(given["from"])
        message.to = _people(given["toRecipients"])
        message.cc = _people(given["ccRecipients"])
        message.bcc = _people(given["bccRecipients"])
        message.headers = [(str(name), str(value)) for name, value in _headers(wanted)]
        message.received_at = message.sent_at = now - timedelta(minutes=wanted.get("received_minutes_ago", 0))
        placed = Placed(message, message.received_at, {message.immutable_id, message.ordinary_id})
        self._write_down(placed, wanted, given)
        self._attach(placed, wanted.get("attachments", ()), fill)
        self._fail(placed, wanted.get("fails"))
        mails.place(sim, self.mailbox, message)
        return placed

    def change(self, placed: Placed, wanted: dict[str, Any], fill: dict[str, str]) -> None:
        """Exchange changes a mail that lies there: other files, other members."""
        for own in placed.ids:
            self.answers.members[own] |= wanted.get("message", {})
        if "attachments" in wanted:
            placed.message.attachments.clear()
            self._attach(placed, wanted["attachments"], fill)
        mails.touch(self.world.simulator.world, self.mailbox, placed.message)

    def _write_down(self, placed: Placed, wanted: dict[str, Any], given: dict[str, Any]) -> None:
        """What Graph answers, by both ids of the mail."""
        lines = [{"name": name, "value": value} for name, value in _headers(wanted)]
        named = [line if line["name"] else {"value": line["value"]} for line in lines]
        written = {"internetMessageHeaders": named, **given}
        for unsure in ("conversationId", "receivedDateTime", "sentDateTime"):
            if unsure not in wanted.get("message", {}):
                written.pop(unsure, None)
        tags = {IN_REPLY_TO: "in_reply_to", REFERENCES: "references", CLASS: "class"}
        own_tags = {tag: str(wanted[name]) for tag, name in tags.items() if wanted.get(name)}
        for own in placed.ids:
            self.answers.members[own] = written
            self.answers.tags[own] = own_tags

    def _attach(self, placed: Placed, wanted: Any, fill: dict[str, str]) -> None:
        for file in wanted:
            for number in range(file.get("content", {}).get("times", 1)):
                self._attach_one(placed, file, fill | {"number": f"{number + 1:02}"})

    def _attach_one(self, placed: Placed, wanted: dict[str, Any], fill: dict[str, str]) -> None:
        """One file; `@odata.type`, `name` and the like are Graph's own members."""
        content = content_of(wanted.get("content", {"sample": "empty"}), fill)
        kind = str(wanted.get("@odata.type", "#microsoft.graph.fileAttachment"))
        short = kind.rpartition(".")[2].removesuffix("Attachment")
        given = {name: value for name, value in wanted.items() if name != "content"}
        if isinstance(given.get("name"), str):
            given["name"] = given["name"].replace("${number}", fill["number"])
        attachment = Attachment(
            attachment_id=self.world.simulator.world.ids.opaque("att", 20),
            kind=short if short in KINDS else "file",  # type: ignore[arg-type] # one of the three
            name=_text(given.get("name")) or "",
            content_type=_text(given.get("contentType")),
            content=content,
            modified_at=self.world.clock.now(),
            inline=bool(given.get("isInline")),
            content_id=_text(given.get("contentId")),
        )
        attachment = mails.with_new_id(self.world.simulator.world, self.mailbox, attachment)
        self.answers.members[attachment.attachment_id] = given
        placed.message.attachments.append(attachment)

    def _fail(self, placed: Placed, wanted: dict[str, Any] | None) -> None:
        if wanted is None:
            return
        minutes = wanted.get("minutes")
        until = None if minutes is None else self.world.clock.now() + timedelta(minutes=minutes)
        for own in placed.ids:
            self.answers.failures[own] = Failure(wanted["of"], wanted["status"], wanted["code"], until)


def _headers(wanted: dict[str, Any]) -> list[list[Any]]:
    """The header lines; what did not begin in the mailbox has come on some way (RFC 5321, 4.4)."""
    own = wanted.get("folder") in {"sentitems", "drafts"}
    return [*([] if own else [TRACE]), *wanted.get("headers", ())]


def _whole(text: str) -> str:
    """Without half characters, which the simulator's own pages and logs cannot write."""
    return text.encode("utf-8", "replace").decode()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _take_body(message: Message, body: Any) -> None:
    if not isinstance(body, dict):
        message.body = str(body or "")
        return
    message.body_type = "text" if str(body.get("contentType")).lower() == "text" else "html"
    message.body = body.get("content") or ""


def _person(given: dict[str, Any] | None) -> Address | None:
    address = (given or {}).get("emailAddress") or {}
    return Address(str(address.get("name") or ""), str(address.get("address") or "")) if address else None


def _people(given: list[dict[str, Any] | None] | None) -> tuple[Address, ...]:
    return tuple(person for written in given or () if (person := _person(written)))
