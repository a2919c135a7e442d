"""Compare what came of a pair with what it expects; only what a pair names is compared."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.corpus.pairs import Pair
from tests.corpus.playing import Played


def differences(pair: Pair, played: Played) -> list[str]:
    """Everything that is not as expected, in words."""
    expected = pair.events(played.fill)
    found = [_summary(event) for event in played.events]
    if len(found) != len(expected):
        return [f"told {found}, not {[event['type'] for event in expected]}", *_asked(pair, played)]
    wrong: list[str] = []
    for number, (wanted, event) in enumerate(zip(expected, played.events, strict=True)):
        wrong += [f"event {number} ({found[number]}): {what}" for what in _of_event(wanted, event, played)]
    return [*wrong, *_nul(played), *_asked(pair, played), *_of_original(pair, played)]


def _summary(event: dict[str, Any]) -> str:
    reason = (event["data"].get("reason") or {}).get("code", "")
    files = [file.get("problem") for file in (event["data"].get("reason") or {}).get("files", ())]
    return f"{event['type']} {reason} {files or ''}".strip()


def _asked(pair: Pair, played: Played) -> list[str]:
    return [
        f"{name} is foreign and was asked for its {', '.join(sorted(more))}"
        for name, allowed in pair.expected.get("foreign", {}).items()
        if (more := played.asked[name] - set(allowed))
    ]


def _nul(played: Played) -> list[str]:
    """No database takes it, whatever the mail holds."""
    return [f"NUL in {_summary(event)}" for event in played.events if "\\u0000" in json.dumps(event)]


def _of_original(pair: Pair, played: Played) -> list[str]:
    wanted = pair.expected.get("original", {})
    return _unlike("of the CRM's mail ", wanted, played.original)


def _of_event(wanted: dict[str, Any], event: dict[str, Any], played: Played) -> list[str]:
    data = event["data"]
    body = data.get("body") or {}
    attachments = data.get("attachments") or []
    seen = {
        "type": event["type"],
        "direction": data.get("direction"),
        "kind": data.get("kind"),
        "automatic": data.get("automatic"),
        "subject": data.get("subject"),
        "from": (data.get("from") or {}).get("address"),
        "to": [person["address"] for person in data.get("to") or ()],
        "files": [file["name"] for file in attachments if not file.get("omitted")],
        "left_out": {file["name"]: file["omitted"] for file in attachments if file.get("omitted")},
        "reason": (data.get("reason") or {}).get("code"),
        "reason_files": [file["name"] for file in (data.get("reason") or {}).get("files", ())],
        "truncated": body.get("truncated"),
        "mail": _mail_of(data, played),
        "without_body": not (_words(body.get("html")) or _words(body.get("text"))),
    }
    wrong = [
        f"{name} is {seen[name]!r}, not {value!r}"
        for name, value in wanted.items()
        if name in seen and name != "left_out" and seen[name] != value
    ]
    if "left_out" in wanted and sorted(seen["left_out"]) != sorted(wanted["left_out"]):
        wrong.append(f"left out is {seen['left_out']}, not {wanted['left_out']}")
    wrong += _texts(wanted, {"text": body.get("text"), "html": body.get("html")})
    wrong += _unlike("bounced ", wanted.get("bounced", {}), data.get("bounced") or {})
    if "again" in wanted and data["id"] != played.events[wanted["again"]]["data"]["id"]:
        wrong.append("it has another message id than before")
    return wrong


def _words(text: str | None) -> str:
    return re.sub(r"<[^>]*>", "", text or "").strip()


def _texts(wanted: dict[str, Any], told: dict[str, str | None]) -> list[str]:
    wrong = []
    for name, text in told.items():
        wrong += [
            f"{name} lacks {word!r}" for word in wanted.get(f"{name}_has", ()) if word not in (text or "")
        ]
        wrong += [
            f"{name} holds {word!r}" for word in wanted.get(f"{name}_lacks", ()) if word in (text or "")
        ]
    return wrong


def _mail_of(data: dict[str, Any], played: Played) -> str | None:
    """The mail that an event is about, by the time at which it came."""
    return next(
        (
            name
            for name, placed in played.placed.items()
            if data.get("received_at") == placed.received_at.isoformat().replace("+00:00", "Z")
        ),
        None,
    )


def _unlike(where: str, wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    return [
        f"{where}{name} is {found.get(name)!r}, not {value!r}"
        for name, value in wanted.items()
        if found.get(name) != value
    ]
