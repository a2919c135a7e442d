"""The pairs of the corpus as they are written down, and every name that may stand in them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import Any, Final

MAILS: Final = Path(__file__).parent / "mails"
INCOMING, EXPECTED = "incoming.json", "expected.json"

OF_INCOMING: Final = {"program", "source", "contact", "mails"}
OF_MAIL: Final = {
    "after_minutes", "folder", "conversation", "message", "in_reply_to", "references", "class", "headers",
    "attachments", "fails", "later", "received_minutes_ago",
}  # fmt: skip
OF_FILE: Final = {"sample", "size", "text", "times"}
OF_FAILURE: Final = {"of", "status", "code", "minutes"}
OF_EXPECTED: Final = {"because", "events", "foreign", "original"}
OF_EVENT: Final = {
    "type", "mail", "direction", "kind", "automatic", "subject", "from", "to", "text_has", "text_lacks",
    "html_has", "html_lacks", "files", "left_out", "reason", "reason_files", "truncated", "bounced", "again",
    "without_body",
}  # fmt: skip


class BadPairError(ValueError):
    """A pair says something that nobody reads."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Mails as the mailbox holds them, and what becomes of them. `text` is the incoming file with its placeholders."""

    name: str
    incoming: dict[str, Any]
    expected: dict[str, Any]
    text: str

    @property
    def contact(self) -> str:
        """To whom the CRM writes."""
        return str(self.incoming.get("contact", f"bea@{self.name}.example")).replace("${name}", self.name)

    @property
    def subject(self) -> str:
        """The subject of what the CRM writes."""
        return f"Offer {self.name}"

    def mails(self, fill: dict[str, str]) -> dict[str, Any]:
        """The mails by their names within the pair, placeholders filled in."""
        found: dict[str, Any] = json.loads(Template(self.text).safe_substitute(fill))["mails"]
        return found

    def events(self, fill: dict[str, str]) -> list[dict[str, Any]]:
        """The events that are expected, placeholders filled in."""
        filled = Template(json.dumps(self.expected["events"])).safe_substitute(fill)
        found: list[dict[str, Any]] = json.loads(filled)
        return found


@cache
def pairs() -> tuple[Pair, ...]:
    """All pairs by name. Raises BadPairError where one holds a name that nobody reads."""
    return tuple(_load(folder) for folder in sorted(MAILS.iterdir()))


def _load(folder: Path) -> Pair:
    text = (folder / INCOMING).read_text(encoding="utf-8")
    incoming = json.loads(text)
    expected = json.loads((folder / EXPECTED).read_text(encoding="utf-8"))
    _check(folder.name, incoming, OF_INCOMING)
    for mail in incoming["mails"].values():
        _check_mail(folder.name, mail)
    _check(folder.name, expected, OF_EXPECTED)
    for event in expected["events"]:
        _check(folder.name, event, OF_EVENT)
        if event.get("mail", next(iter(incoming["mails"]))) not in incoming["mails"]:
            raise BadPairError(f"{folder.name}: no mail {event['mail']}")
    if not set(expected.get("foreign", {})) <= set(incoming["mails"]):
        raise BadPairError(f"{folder.name}: a foreign mail that is not there")
    return Pair(folder.name, incoming, expected, text)


def _check_mail(name: str, mail: dict[str, Any]) -> None:
    _check(name, mail, OF_MAIL)
    for change in (mail, *mail.get("later", ())):
        _check(name, change, OF_MAIL)
        for file in change.get("attachments", ()):
            _check(name, file.get("content", {}), OF_FILE)
    _check(name, mail.get("fails", {}), OF_FAILURE)


def _check(name: str, written: dict[str, Any], known: set[str]) -> None:
    if unknown := set(written) - known:
        raise BadPairError(f"{name}: nobody reads {sorted(unknown)}")
