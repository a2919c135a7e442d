"""The properties and their types of the v1.0 types that a mail client uses.

Source: Microsoft Graph v1.0 metadata (CSDL). A trailing `?` marks a nullable property, `[]` a collection. `check`
reports what is wrong with a value; requests may write enum values in any case and leave out properties.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ENUMS: dict[str, tuple[str, ...]] = {
    "bodyType": ("text", "html"),
    "importance": ("low", "normal", "high"),
    "inferenceClassificationType": ("focused", "other"),
    "followupFlagStatus": ("notFlagged", "complete", "flagged"),
    "attachmentType": ("file", "item", "reference"),
}

_ENTITY = {"@odata.context": "string", "@odata.etag": "string", "@odata.type": "string", "id": "string"}

TYPES: dict[str, dict[str, str]] = {
    "emailAddress": {"@odata.type": "string", "name": "string?", "address": "string?"},
    "recipient": {"@odata.type": "string", "emailAddress": "emailAddress?"},
    "itemBody": {"@odata.type": "string", "contentType": "bodyType?", "content": "string?"},
    "dateTimeTimeZone": {"@odata.type": "string", "dateTime": "string", "timeZone": "string?"},
    "followupFlag": {
        "@odata.type": "string",
        "flagStatus": "followupFlagStatus?",
        "startDateTime": "dateTimeTimeZone?",
        "dueDateTime": "dateTimeTimeZone?",
        "completedDateTime": "dateTimeTimeZone?",
    },
    "internetMessageHeader": {"@odata.type": "string", "name": "string?", "value": "string?"},
    "singleValueLegacyExtendedProperty": _ENTITY | {"value": "string?"},
    "multiValueLegacyExtendedProperty": _ENTITY | {"value": "string[]"},
    "attachment": _ENTITY
    | {
        "@odata.mediaContentType": "string",
        "name": "string?",
        "contentType": "string?",
        "size": "int",
        "isInline": "bool",
        "lastModifiedDateTime": "datetime?",
    },
    "attachmentItem": {
        "@odata.type": "string",
        "attachmentType": "attachmentType?",
        "name": "string?",
        "size": "int?",
        "contentType": "string?",
        "isInline": "bool?",
        "contentId": "string?",
    },
    "uploadSession": {
        "@odata.context": "string",
        "uploadUrl": "string?",
        "expirationDateTime": "datetime?",
        "nextExpectedRanges": "string[]",
    },
    "message": _ENTITY
    | {
        "createdDateTime": "datetime?",
        "lastModifiedDateTime": "datetime?",
        "changeKey": "string?",
        "categories": "string[]",
        "receivedDateTime": "datetime?",
        "sentDateTime": "datetime?",
        "hasAttachments": "bool?",
        "internetMessageId": "string?",
        "internetMessageHeaders": "internetMessageHeader[]",
        "subject": "string?",
        "body": "itemBody?",
        "bodyPreview": "string?",
        "uniqueBody": "itemBody?",
        "importance": "importance?",
        "parentFolderId": "string?",
        "sender": "recipient?",
        "from": "recipient?",
        "toRecipients": "recipient[]",
        "ccRecipients": "recipient[]",
        "bccRecipients": "recipient[]",
        "replyTo": "recipient[]",
        "conversationId": "string?",
        "conversationIndex": "binary?",
        "isDeliveryReceiptRequested": "bool?",
        "isReadReceiptRequested": "bool?",
        "isRead": "bool?",
        "isDraft": "bool?",
        "webLink": "string?",
        "inferenceClassification": "inferenceClassificationType?",
        "flag": "followupFlag?",
        "attachments": "attachment[]",
        "attachments@odata.context": "string",
        "attachments@odata.nextLink": "string",
        "singleValueExtendedProperties": "singleValueLegacyExtendedProperty[]",
        "singleValueExtendedProperties@odata.context": "string",
        "multiValueExtendedProperties": "multiValueLegacyExtendedProperty[]",
        "multiValueExtendedProperties@odata.context": "string",
    },
    "mailFolder": _ENTITY
    | {
        "displayName": "string?",
        "parentFolderId": "string?",
        "childFolderCount": "int?",
        "unreadItemCount": "int?",
        "totalItemCount": "int?",
        "isHidden": "bool?",
    },
    "user": _ENTITY
    | {
        "businessPhones": "string[]",
        "displayName": "string?",
        "givenName": "string?",
        "jobTitle": "string?",
        "mail": "string?",
        "mobilePhone": "string?",
        "officeLocation": "string?",
        "preferredLanguage": "string?",
        "surname": "string?",
        "userPrincipalName": "string?",
        "otherMails": "string[]",
        "proxyAddresses": "string[]",
        "userType": "string?",
        "accountEnabled": "bool?",
    },
    "subscription": _ENTITY
    | {
        "resource": "string",
        "changeType": "string",
        "clientState": "string?",
        "notificationUrl": "string",
        "lifecycleNotificationUrl": "string?",
        "notificationQueryOptions": "string?",
        "notificationContentType": "string?",
        "notificationUrlAppId": "string?",
        "expirationDateTime": "datetime",
        "creatorId": "string?",
        "applicationId": "string?",
        "latestSupportedTlsVersion": "string?",
        "encryptionCertificate": "string?",
        "encryptionCertificateId": "string?",
        "includeResourceData": "bool?",
    },
    "resourceData": {"@odata.type": "string", "@odata.id": "string", "@odata.etag": "string", "id": "string"},
    "changeNotification": {
        "id": "string?",
        "subscriptionId": "string",
        "subscriptionExpirationDateTime": "datetime",
        "clientState": "string?",
        "changeType": "string",
        "resource": "string",
        "tenantId": "string",
        "resourceData": "resourceData?",
        "lifecycleEvent": "string?",
    },
}
TYPES["fileAttachment"] = TYPES["attachment"] | {
    "contentId": "string?",
    "contentLocation": "string?",
    "contentBytes": "binary?",
}
TYPES["itemAttachment"] = TYPES["attachment"] | {"item": "message"}
TYPES["referenceAttachment"] = TYPES["attachment"]


def properties_of(type_name: str) -> frozenset[str]:
    """The selectable property names of a type."""
    return frozenset(name for name in TYPES[type_name] if not name.startswith("@") and "@" not in name)


def check(type_name: str, value: object, *, request: bool = False) -> str | None:
    """The first error in `value` as a `type_name`, in Graph's words; None when there is none."""
    return next(_problems(type_name, value, type_name, request=request), None)


def _problems(declared: str, value: object, name: str, *, request: bool) -> Iterator[str]:
    nullable = declared.endswith("?")
    kind = declared.removesuffix("?")
    if value is None:
        if not nullable:
            yield f"A null value was found for the property named '{name}', which is not nullable."
    elif kind.endswith("[]"):
        if not isinstance(value, list):
            yield f"Cannot convert the value of '{name}' to a collection."
            return
        for item in value:
            yield from _problems(kind[:-2], item, name, request=request)
    elif kind in TYPES:
        yield from _object_problems(kind, value, name, request=request)
    elif not _fits(kind, value, request=request):
        yield f"Cannot convert the value of '{name}' to the expected type '{kind}'."


def _object_problems(kind: str, value: object, name: str, *, request: bool) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"Cannot convert the value of '{name}' to the expected type 'microsoft.graph.{kind}'."
        return
    actual = kind
    if kind == "attachment":
        actual = (
            str(value.get("@odata.type", "")).removeprefix("#").removeprefix("microsoft.graph.")
            or "attachment"
        )
        if request and actual not in {"fileAttachment", "itemAttachment", "referenceAttachment"}:
            yield "The type of an attachment must be given by '@odata.type'."
            return
    declared = TYPES.get(actual, TYPES[kind])
    for key, item in value.items():
        if key not in declared:
            yield f"The property '{key}' does not exist on type 'microsoft.graph.{actual}'."
        else:
            yield from _problems(declared[key], item, key, request=request)


def _fits(kind: str, value: Any, *, request: bool) -> bool:
    if kind in ENUMS:
        return isinstance(value, str) and any(
            value == v or (request and value.lower() == v.lower()) for v in ENUMS[kind]
        )
    match kind:
        case "string":
            return isinstance(value, str)
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "datetime":
            return isinstance(value, str) and is_time(value)
        case "binary":
            return isinstance(value, str) and is_base64(value)
        case _:
            msg = f"no type {kind}"
            raise KeyError(msg)


def is_time(text: str) -> bool:
    """Whether it is a DateTimeOffset: date, time and an offset."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def is_base64(text: str) -> bool:
    """Whether it is base64, in the plain or the URL alphabet."""
    try:
        base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
