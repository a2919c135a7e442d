"""What a bounce says: which recipient, which status, of which mail (RFC 3464, RFC 3463).

The report's own part is believed first, then the header that names the failed recipients, then the text. Texts are
translated and worded by anybody, so of a text only what is certain is told: a recipient of the original that it names
above the original's headers, and a status code that is the only one there. All else stays None.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from email import policy
from email.message import Message
from email.parser import BytesParser
from itertools import islice
from typing import Final

from shared.domain.addresses import comparable_address
from shared.domain.message_ids import message_ids
from shared.domain.model import Bounce, BounceAction, FetchedMessage, RemoteFile

STATUS_PART: Final = "message/delivery-status"
HEADER_PARTS: Final = ("text/rfc822-headers", "message/rfc822-headers")
MOST_PART_BYTES: Final = 65_536
MOST_TEXT_CHARACTERS: Final = 65_536
MOST_RECIPIENTS: Final = 100
MOST_ORIGINAL_IDS: Final = 10
MOST_DIAGNOSTIC_CHARACTERS: Final = 500

_ACTIONS: Final = {action.value: action for action in BounceAction}
_DELIVERED: Final = frozenset({"delivered", "relayed", "expanded"})
# RFC 3463, 2: class, subject, detail. Not a part of an IP address or a version.
_CODE: Final = re.compile(r"(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?![\d.]*\d)")
# RFC 5321, 4.2 and RFC 2034: a reply code and the status code. What follows on its line are the system's own words.
_REPLY: Final = re.compile(r"(?<![\d.])[45]\d\d[ -]#?([45]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")
_END_OF_WORDS: Final = re.compile(r"[\r\n'\"]")
_HEADER_LINE: Final = re.compile(
    r"^(?:received|from|to|subject|date|message-id|mime-version|return-path|arc-[\w-]+|dkim-signature|"
    r"authentication-results|x-[\w-]+|content-type):",
    re.IGNORECASE | re.MULTILINE,
)
_MESSAGE_ID: Final = re.compile(r"(?<![\w-])message-id:\s{0,9}(<[^<>\s]{1,900}>)", re.IGNORECASE)
_BRACKETED: Final = re.compile(r"<([^<>\s@]{1,64}@[^<>\s@]{1,255})>")


@dataclass(frozen=True, slots=True)
class Report:
    """What a bounce says by itself. `delivered`: it reports success, so it is no bounce."""

    bounces: tuple[Bounce, ...] = ()
    original_ids: tuple[str, ...] = ()
    delivered: bool = False


def read_report(message: FetchedMessage, status: bytes | None, headers: bytes | None, text: str) -> Report:
    """What a bounce says by its report part, the original's headers, its own headers and its text (plain).

    Parts are the bytes of RFC 3464's parts, None where Graph shows none. Malformed ones say nothing.
    """
    found, delivered = _read_status_part(status or b"")
    named = _failed_recipients(message)
    if not found and named:
        found = tuple(Bounce(recipient=address) for address in named)
    cut = text[:MOST_TEXT_CHARACTERS]
    ids = [*_original_ids(message), *_ids_in_headers(headers or b""), *_MESSAGE_ID.findall(cut)]
    if delivered and not found:
        return Report(original_ids=tuple(dict.fromkeys(ids))[:MOST_ORIGINAL_IDS], delivered=True)
    final = None if status else _action_by_class(message.message_class)
    bounces = tuple(_completed(bounce, cut, final) for bounce in found)
    return Report(bounces, tuple(dict.fromkeys(ids))[:MOST_ORIGINAL_IDS])


def with_recipients(
    report: Report, message: FetchedMessage, text: str, recipients: Iterable[str]
) -> tuple[Bounce, ...]:
    """The bounces of a report, where its parts name nobody by its text; `recipients` are those of the original.

    At least one: where nobody can be named for certain, one without a recipient.
    """
    if report.bounces:
        return report.bounces
    head = _head(text[:MOST_TEXT_CHARACTERS])
    folded = head.lower()
    known = dict.fromkeys(comparable_address(address) for address in recipients)
    named = [address for address in known if _names(folded, address)]
    if not named:
        rejected = {comparable_address(a) for _, said in _replies(head) for a in _BRACKETED.findall(said)}
        named = list(rejected) if len(rejected) == 1 else []
    action = _action_by_class(message.message_class)
    found = tuple(_completed(Bounce(recipient=address), head, action) for address in named[:MOST_RECIPIENTS])
    return found or (_completed(Bounce(), head, action),)


def wanted_parts(files: Sequence[RemoteFile]) -> tuple[RemoteFile | None, RemoteFile | None]:
    """The parts of a bounce that are worth reading: its report part, and the headers of the original."""
    small = [file for file in files if file.kind == "file" and file.size_bytes <= 2 * MOST_PART_BYTES]
    return _first(small, (STATUS_PART,)), _first(small, HEADER_PARTS)


def after_report(known: tuple[Bounce, ...], told: Iterable[Bounce]) -> tuple[Bounce, ...]:
    """What is known of a mail's recipients after another report: the newest of each, but a failure stays one."""
    by_recipient = {bounce.recipient: bounce for bounce in known}
    for bounce in told:
        before = by_recipient.get(bounce.recipient)
        if before is None or before.action is not BounceAction.FAILED or bounce.action is BounceAction.FAILED:
            by_recipient[bounce.recipient] = bounce
    return tuple(by_recipient.values())[:MOST_RECIPIENTS]


def _first(files: Sequence[RemoteFile], types: Sequence[str]) -> RemoteFile | None:
    return next((f for f in files if (f.content_type or "").split(";")[0].strip().lower() in types), None)


def _read_status_part(content: bytes) -> tuple[tuple[Bounce, ...], bool]:
    """RFC 3464, 2: blocks of fields, the first about the message. The bounces, and whether any was delivered."""
    parsed = BytesParser(policy=policy.compat32).parsebytes(
        b"Content-Type: message/delivery-status\r\n\r\n" + content[:MOST_PART_BYTES]
    )
    blocks = parsed.get_payload()
    found: list[Bounce] = []
    delivered = False
    for block in blocks if isinstance(blocks, list) else ():
        if not isinstance(block, Message) or len(found) >= MOST_RECIPIENTS:
            continue
        action = _word(block, "Action").lower()
        address = _typed(_word(block, "Original-Recipient")) or _typed(_word(block, "Final-Recipient"))
        if action in _DELIVERED:
            delivered = True
        elif address or action:
            code = _CODE.search(_word(block, "Status"))
            diagnostic = _typed(_word(block, "Diagnostic-Code"))[:MOST_DIAGNOSTIC_CHARACTERS]
            found.append(
                Bounce(address or None, code[0] if code else None, diagnostic or None, _ACTIONS.get(action))
            )
    return tuple(found), delivered


def _word(block: Message, name: str) -> str:
    return " ".join(str(block.get(name, "")).split())


def _typed(value: str) -> str:
    """The value behind `rfc822;` or `smtp;` (RFC 3464, 2.1.2)."""
    before, separator, after = value.partition(";")
    return (after if separator else before).strip().strip("<>")


def _failed_recipients(message: FetchedMessage) -> list[str]:
    """Exim's header names the recipients that failed."""
    values = [value for name, value in message.headers if name.lower() == "x-failed-recipients"]
    named = [part.strip() for value in values for part in value.split(",")]
    return [address for address in named if "@" in address][:MOST_RECIPIENTS]


def _original_ids(message: FetchedMessage) -> list[str]:
    outline = message.outline
    return [*([outline.in_reply_to] if outline.in_reply_to else ()), *reversed(outline.references)]


def _ids_in_headers(content: bytes) -> list[str]:
    parsed = BytesParser(policy=policy.compat32).parsebytes(content[:MOST_PART_BYTES], headersonly=True)
    return list(message_ids(str(parsed.get("Message-ID", ""))))


def _completed(bounce: Bounce, text: str, action: BounceAction | None) -> Bounce:
    """What the report part leaves open, as far as the text has only one answer."""
    head = _head(text)
    replies = _replies(head)
    own = [
        reply for reply in replies if bounce.recipient and _names(reply[1].lower(), bounce.recipient.lower())
    ]
    codes = {code for code, _ in own or replies} or set(_CODE.findall(head))
    status = bounce.status or (next(iter(codes)) if len(codes) == 1 else None)
    words = {said for code, said in own or replies if code == status}
    return replace(
        bounce,
        status=status,
        diagnostic_code=bounce.diagnostic_code or (next(iter(words)) if len(words) == 1 else None),
        action=bounce.action or action or _action_by_status(status),
    )


def _replies(text: str) -> list[tuple[str, str]]:
    """(status code, the words on its line) of each reply of a mail system that the text quotes."""
    found = []
    for reply in islice(_REPLY.finditer(text), MOST_RECIPIENTS):
        line = text[reply.start() : reply.start() + MOST_DIAGNOSTIC_CHARACTERS]
        found.append((reply[1], _END_OF_WORDS.split(line, maxsplit=1)[0].strip()))
    return found


def _head(text: str) -> str:
    """A report's text above the headers of the original that it quotes, in which everybody is named."""
    quoted = _HEADER_LINE.search(text)
    return text[: quoted.start()] if quoted else text


def _names(folded: str, address: str) -> bool:
    """Whether a text in lower case names this very address, and not only as a part of another."""
    return re.search(rf"(?<![\w.+-]){re.escape(address)}(?![\w-]|\.\w)", folded) is not None


def _action_by_class(message_class: str | None) -> BounceAction | None:
    """Exchange's class tells a failure from a delay, whatever the status code begins with."""
    ending = (message_class or "").rpartition(".")[2].lower()
    return {"ndr": BounceAction.FAILED, "delayed": BounceAction.DELAYED}.get(ending)


def _action_by_status(status: str | None) -> BounceAction | None:
    """RFC 3463, 2: 5 is permanent. 4 may be a delay, or the last of them: that is not certain."""
    return BounceAction.FAILED if status is not None and status.startswith("5") else None
