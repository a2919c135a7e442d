"""Set properties of a message from JSON, by Graph's rules about what may be set when.

Sources: Microsoft Graph, "Create message" and "Update message" (subject, body, Message-ID and recipients only while a
draft; own headers only at creation, names beginning with x-, at most five), "Outlook extended properties overview".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sandbox.graphsim import mail, schema
from sandbox.graphsim.bodies import to_document, without_active_content
from sandbox.graphsim.calls import decode_base64
from sandbox.graphsim.errors import GraphError, bad_body, bad_request, read_only
from sandbox.graphsim.extended import is_tag, normal_property_id
from sandbox.graphsim.store import Address

if TYPE_CHECKING:
    from sandbox.graphsim.store import Attachment, Mailbox, Message
    from sandbox.graphsim.world import World

Json = dict[str, Any]
MAX_HEADERS = 5
MAX_JSON_ATTACHMENT_BYTES = 3 * 1024 * 1024

_ANY_TIME = frozenset({
    "isRead", "categories", "flag", "importance", "inferenceClassification", "isDeliveryReceiptRequested",
    "isReadReceiptRequested", "singleValueExtendedProperties", "multiValueExtendedProperties",
})  # fmt: skip
_WHILE_DRAFT = frozenset({
    "subject", "body", "internetMessageId", "replyTo", "toRecipients", "ccRecipients", "bccRecipients", "from",
    "sender",
})  # fmt: skip
_AT_CREATION = frozenset({"internetMessageHeaders", "attachments"})


def check_message(value: Json) -> None:
    """Raise Graph's 400 when `value` does not have the form of a message."""
    if problem := schema.check("message", value, request=True):
        raise bad_body(problem)
    if not str(value.get("@odata.type", "message")).lower().endswith("message"):
        raise bad_body("The type of the request body is not 'microsoft.graph.message'.")


def fill(world: World, mailbox: Mailbox, draft: Message, value: Json, *, adding: bool = False) -> None:
    """Set the properties of a new draft; with `adding`, recipients are added to those it has."""
    check_message(value)
    for name in value:
        _check_settable(name, _ANY_TIME | _WHILE_DRAFT | _AT_CREATION)
    _check_named_properties(world, value)
    _apply(world, mailbox, draft, value, adding=adding)
    _add_headers(draft, value.get("internetMessageHeaders") or [])
    for item in value.get("attachments") or []:
        draft.attachments.append(attachment_from(world, mailbox, item))


def update(world: World, mailbox: Mailbox, message: Message, value: Json) -> None:
    """Set the properties in a PATCH and publish the change; raises Graph's 400 for those that may not be set."""
    check_message(value)
    permitted = _ANY_TIME | _WHILE_DRAFT if message.is_draft else _ANY_TIME
    for name in value:
        _check_settable(name, permitted)
    _check_named_properties(world, value)
    _apply(world, mailbox, message, value, adding=False)
    mail.touch(world, mailbox, message)


def _check_settable(name: str, permitted: frozenset[str]) -> None:
    if name not in permitted and not name.startswith("@"):
        raise read_only(name)


def _check_named_properties(world: World, value: Json) -> None:
    """Refuse extended properties by name where the mailbox has no room for names (knob); plain writes pass.

    Sources: msgraph-sdk-java issue 764, O365ServiceDescriptions issue 527. Really a name that the mailbox knows already
    needs no room; here all are refused.
    """
    given = [
        *(value.get("singleValueExtendedProperties") or ()), *(value.get("multiValueExtendedProperties") or ()),
    ]  # fmt: skip
    named = any(" Name " in str(item.get("id") or "") for item in given)
    if named and world.knobs.text("named_property_quota") == "spent":
        raise GraphError(403, "ErrorQuotaExceeded", "Cannot get ID from name.")


def _apply(world: World, mailbox: Mailbox, message: Message, value: Json, *, adding: bool) -> None:
    for name, item in value.items():
        if name in _RECIPIENTS:
            attribute = _RECIPIENTS[name]
            people = recipients(item or [])
            before = getattr(message, attribute) if adding else ()
            known = {a.key for a in before}
            setattr(message, attribute, (*before, *(a for a in people if a.key not in known)))
        elif name == "subject":
            mail.set_subject(world, mailbox, message, item or "")
        elif name in _SETTERS:
            _SETTERS[name](message, item)
    if value.get("from"):
        _check_sender(mailbox, message)


_RECIPIENTS = {"toRecipients": "to", "ccRecipients": "cc", "bccRecipients": "bcc", "replyTo": "reply_to"}


def recipients(items: list[Json]) -> tuple[Address, ...]:
    """Recipients from JSON; an empty name becomes the address, as in Exchange."""
    people = []
    for item in items:
        given = item.get("emailAddress") or {}
        address = (given.get("address") or "").strip()
        if not address:
            raise GraphError(400, "ErrorInvalidRecipients", "At least one recipient isn't valid.")
        people.append(Address(given.get("name") or address, address))
    return tuple(people)


def _check_sender(mailbox: Mailbox, message: Message) -> None:
    user = mailbox.user
    if message.from_ and message.from_.key not in {user.address.lower(), *user.aliases}:
        raise GraphError(
            403,
            "ErrorSendAsDenied",
            "The user account which was used to submit this request does not have the right to send mail on behalf of "
            "the specified sending account.",
        )


def _set_body(message: Message, item: Json | None) -> None:
    content = (item or {}).get("content") or ""
    kind = ((item or {}).get("contentType") or "text").lower()
    message.body_type = "html" if kind == "html" else "text"
    message.body = to_document(without_active_content(content)) if kind == "html" else content


def _set_message_id(message: Message, item: str | None) -> None:
    if not item or not (item.startswith("<") and item.endswith(">") and "@" in item):
        raise bad_request("The Internet Message ID is not valid.", "ErrorInvalidInternetMessageId")
    message.internet_message_id = item


def _set_sender(message: Message, item: Json | None) -> None:
    message.from_ = message.sender = recipients([item])[0] if item else None


def _set_single(message: Message, items: list[Json] | None) -> None:
    for item in items or []:
        message.extended[_own_property(item)] = str(item.get("value") or "")


def _set_multi(message: Message, items: list[Json] | None) -> None:
    for item in items or []:
        message.extended_lists[_own_property(item)] = [str(v) for v in item.get("value") or []]


def _own_property(item: Json) -> str:
    normal = normal_property_id(str(item.get("id") or ""))
    if normal is None:
        raise bad_request(
            f"Extended property id '{item.get('id')}' is not valid.", "ErrorInvalidExtendedProperty"
        )
    if is_tag(normal):
        raise read_only(str(item.get("id")))
    return normal


def _spelled(enum: str, text: str | None) -> str:
    values = schema.ENUMS[enum]
    return next((v for v in values if v.lower() == (text or "").lower()), values[0])


def _set_flag(message: Message, item: Json | None) -> None:
    """The status and its dates ("followupFlag resource type": a due date needs a start date)."""
    given = item or {}
    times = {name: given[name] for name in _FLAG_TIMES if given.get(name)}
    if "dueDateTime" in times and "startDateTime" not in times:
        raise bad_request("A due date needs a start date.", "ErrorInvalidArgument")
    message.flag, message.flag_times = _spelled("followupFlagStatus", given.get("flagStatus")), times


_FLAG_TIMES = ("startDateTime", "dueDateTime", "completedDateTime")
_SETTERS: dict[str, Callable[[Message, Any], None]] = {
    "body": _set_body,
    "internetMessageId": _set_message_id,
    "from": _set_sender,
    "sender": lambda _m, _v: None,
    "isRead": lambda m, v: setattr(m, "is_read", bool(v)),
    "categories": lambda m, v: setattr(m, "categories", tuple(v or ())),
    "flag": _set_flag,
    "importance": lambda m, v: setattr(m, "importance", _spelled("importance", v or "normal")),
    "inferenceClassification": lambda m, v: setattr(
        m, "inference", _spelled("inferenceClassificationType", v)
    ),
    "isDeliveryReceiptRequested": lambda m, v: m.receipts.update(isDeliveryReceiptRequested=bool(v)),
    "isReadReceiptRequested": lambda m, v: m.receipts.update(isReadReceiptRequested=bool(v)),
    "singleValueExtendedProperties": _set_single,
    "multiValueExtendedProperties": _set_multi,
}


def _add_headers(draft: Message, items: list[Json]) -> None:
    if len(items) > MAX_HEADERS:
        raise bad_request(
            "Maximum number of headers in one message should be less than or equal to 5.",
            "InvalidInternetMessageHeaderCollection",
        )
    for item in items:
        name, value = str(item.get("name") or ""), str(item.get("value") or "")
        if not name.lower().startswith("x-"):
            raise bad_request(
                f"The internet message header name '{name}' should start with 'x-' or 'X-'.",
                "InvalidInternetMessageHeader",
            )
        draft.custom_headers.append((name, value))


def attachment_from(world: World, mailbox: Mailbox, value: Json) -> Attachment:
    """A file attachment from JSON, of up to 3 MB; larger ones need an upload session. Raises Graph's errors."""
    if problem := schema.check("attachment", value, request=True):
        raise bad_body(problem)
    if not str(value["@odata.type"]).endswith("fileAttachment"):
        raise GraphError(501, "SimulatorNotImplemented", "The simulator takes only file attachments.")
    if not value.get("name"):
        raise bad_request("The attachment must have a name.", "ErrorInvalidArgument")
    for name in ("size", "lastModifiedDateTime", "id"):
        if name in value:
            raise read_only(name)
    content = decode_base64(value.get("contentBytes") or "")
    if len(content) > MAX_JSON_ATTACHMENT_BYTES:
        raise GraphError(
            413,
            "ErrorAttachmentSizeLimitExceeded",
            "The attachment is larger than 3 MB; use an upload session.",
        )
    return mail.new_attachment(
        world, mailbox, name=value["name"], content=content,
        content_type=value.get("contentType") or "application/octet-stream",
        inline=bool(value.get("isInline")), content_id=value.get("contentId"),
    )  # fmt: skip
