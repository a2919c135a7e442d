"""The CRM's own JSON API, with the same functions as its pages."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.democrm.crm import Crm, answer, crm_of
from sandbox.democrm.events import ensure_contact
from sandbox.democrm.model import Conversation, Message, Person
from sandbox.democrm.product import Refused
from sandbox.democrm.sending import NewFile, Order, Unusable, hand_over, send
from sandbox.democrm.writing import html_from_text


class FileInput(msgspec.Struct, forbid_unknown_fields=True):
    """A file in a request."""

    name: str
    content_base64: str
    content_type: str = "application/octet-stream"
    content_id: str | None = None


class MessageInput(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /api/messages`. `to` is an address or a list of people."""

    user_id: str
    contact_id: str | None = None
    to: str | list[Person] = []
    cc: list[Person] = []
    bcc: list[Person] = []
    subject: str = ""
    html: str | None = None
    text: str = ""
    thread_id: str | None = None
    conversation_id: str | None = None
    crm_message_id: str | None = None
    attachments: list[FileInput] = []


class ContactInput(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /api/contacts`."""

    name: str
    address: str


class SessionLinkInput(msgspec.Struct, forbid_unknown_fields=True):
    """`POST /api/session-links`."""

    user_id: str


async def receive_webhook(request: Request) -> Response:
    """`POST /webhooks/postbraid`: 204 accepted, 200 a duplicate, 401 a wrong signature, 400 or 422 malformed."""
    crm = crm_of(request)
    attempt = crm.receiver.receive(request.headers, await request.body(), crm.clock.now())
    response = (
        answer({"note": attempt.note}, attempt.status) if attempt.status != 204 else Response(status_code=204)
    )
    if attempt.note == "outage" and crm.receiver.outage.retry_after_seconds is not None:
        response.headers["retry-after"] = str(crm.receiver.outage.retry_after_seconds)
    return response


async def create_message(request: Request) -> Response:
    """`POST /api/messages`: send as a user."""
    crm = crm_of(request)
    try:
        order = _order(crm, msgspec.json.decode(await request.body(), type=MessageInput))
        message, refused = await send(crm.store, crm.product, order, crm.clock.now())
    except (msgspec.DecodeError, Unusable, binascii.Error) as err:
        return answer({"error": str(err)}, 400)
    return _message_or_refusal(crm, message, refused)


async def retry_message(request: Request) -> Response:
    """`POST /api/messages/{id}/retry`: send the same request again, with the same `crm_message_id`."""
    crm = crm_of(request)
    message = crm.store.messages.get(request.path_params["id"])
    if message is None or message.request is None:
        return answer({"error": "There is no such message, or it cannot be sent again."}, 404)
    return _message_or_refusal(crm, message, await hand_over(crm.store, crm.product, message))


async def show_message(request: Request) -> Response:
    """`GET /api/messages/{id}`."""
    store, key = crm_of(request).store, request.path_params["id"]
    message = store.messages.get(key) or store.message_by_product_id(key)
    return answer(message) if message else answer({"error": "There is no such message."}, 404)


async def list_conversations(request: Request) -> Response:
    """`GET /api/conversations`: newest first."""
    crm = crm_of(request)
    shown = [
        _conversation(crm, conversation, with_messages=False)
        for conversation in crm.store.conversations.values()
    ]
    return answer({"conversations": sorted(shown, key=lambda row: row["last_at"], reverse=True)})


async def show_conversation(request: Request) -> Response:
    """`GET /api/conversations/{id}`: with its messages, oldest first."""
    crm = crm_of(request)
    conversation = crm.store.conversations.get(request.path_params["id"])
    if conversation is None:
        return answer({"error": "There is no such conversation."}, 404)
    return answer(_conversation(crm, conversation, with_messages=True))


async def list_contacts(request: Request) -> Response:
    """`GET /api/contacts`."""
    return answer({"contacts": list(crm_of(request).store.contacts.values())})


async def create_contact(request: Request) -> Response:
    """`POST /api/contacts`: the contact with this address, added when there is none yet."""
    try:
        wanted = msgspec.json.decode(await request.body(), type=ContactInput)
    except msgspec.DecodeError as err:
        return answer({"error": str(err)}, 400)
    return answer(ensure_contact(crm_of(request).store, Person(wanted.address, wanted.name)), 201)


async def list_users(request: Request) -> Response:
    """`GET /api/users`."""
    return answer({"users": list(crm_of(request).store.users.values())})


async def list_connections(request: Request) -> Response:
    """`GET /api/connections`: by the latest event of each user."""
    return answer({"connections": list(crm_of(request).store.connections.values())})


async def list_events(request: Request) -> Response:
    """`GET /api/events?after=N`: the events in the order of arrival."""
    after = int(request.query_params.get("after", "0"))
    events = [event for event in crm_of(request).store.events.values() if event.number > after]
    return answer({"events": events, "next": max((event.number for event in events), default=after)})


async def create_session_link(request: Request) -> Response:
    """`POST /api/session-links`: a link to the product's settings page for a user."""
    crm = crm_of(request)
    try:
        wanted = msgspec.json.decode(await request.body(), type=SessionLinkInput)
        return answer(await crm.product.create_session_link(crm.store.users[wanted.user_id]), 201)
    except (msgspec.DecodeError, KeyError):
        return answer({"error": "There is no such user."}, 400)
    except Refused as refused:
        return answer({"error": refused.detail, "problem": refused.problem}, _status(refused))


async def catch_up(request: Request) -> Response:
    """`POST /api/catch-up`: fetch and apply missed events."""
    crm = crm_of(request)
    try:
        return answer({"applied": await crm.receiver.catch_up(crm.product, crm.clock.now())})
    except Refused as refused:
        return answer({"error": refused.detail, "problem": refused.problem}, _status(refused))


async def show_version(request: Request) -> Response:
    """`GET /api/version`: pages poll this once a second."""
    return answer({"version": crm_of(request).store.version})


def _order(crm: Crm, wanted: MessageInput) -> Order:
    to = [Person(wanted.to)] if isinstance(wanted.to, str) else wanted.to
    if wanted.contact_id:
        contact = crm.store.contacts.get(wanted.contact_id)
        if contact is None:
            raise Unusable("There is no such contact.")
        to = [Person(contact.address, contact.name), *to]
    if wanted.crm_message_id in crm.store.messages:
        raise Unusable("This message exists; retry it instead.")
    return Order(
        user_id=wanted.user_id,
        subject=wanted.subject,
        html=wanted.html if wanted.html is not None else html_from_text(wanted.text),
        text=wanted.text,
        to=tuple(to),
        cc=tuple(wanted.cc),
        bcc=tuple(wanted.bcc),
        conversation_id=wanted.conversation_id,
        thread_id=wanted.thread_id,
        crm_message_id=wanted.crm_message_id,
        files=tuple(
            NewFile(
                file.name,
                file.content_type,
                base64.b64decode(file.content_base64, validate=True),
                file.content_id,
            )
            for file in wanted.attachments
        ),
    )


def _message_or_refusal(crm: Crm, message: Message, refused: Refused | None) -> Response:
    if refused is None:
        return answer(crm.store.messages[message.id], 202)
    return answer({"message": message, "problem": refused.problem}, _status(refused))


def _status(refused: Refused) -> int:
    return refused.status if 400 <= refused.status < 500 else 502


def _conversation(crm: Crm, conversation: Conversation, *, with_messages: bool) -> dict[str, Any]:
    messages = crm.store.messages_of(conversation.id)
    shown: dict[str, Any] = {
        "id": conversation.id,
        "subject": conversation.subject,
        "contact": crm.store.contacts[conversation.contact_id],
        "threads": [
            {"thread_id": thread, "user_id": owner, **_thread_state(conversation, thread)}
            for thread, owner in conversation.threads.items()
        ],
        "created_at": conversation.created_at,
        "last_at": messages[-1].happened_at if messages else conversation.created_at,
        "message_count": len(messages),
    }
    return shown | ({"messages": messages} if with_messages else {})


def _thread_state(conversation: Conversation, thread_id: str) -> dict[str, Any]:
    state = conversation.thread_states.get(thread_id)
    return {"stopped": bool(state and state.stopped), "stopped_by": state.stopped_by if state else None}


ROUTES = [
    Route("/webhooks/postbraid", receive_webhook, methods=["POST"]),
    Route("/api/messages", create_message, methods=["POST"]),
    Route("/api/messages/{id}", show_message),
    Route("/api/messages/{id}/retry", retry_message, methods=["POST"]),
    Route("/api/conversations", list_conversations),
    Route("/api/conversations/{id}", show_conversation),
    Route("/api/contacts", list_contacts, methods=["GET"]),
    Route("/api/contacts", create_contact, methods=["POST"]),
    Route("/api/users", list_users),
    Route("/api/connections", list_connections),
    Route("/api/events", list_events),
    Route("/api/session-links", create_session_link, methods=["POST"]),
    Route("/api/catch-up", catch_up, methods=["POST"]),
    Route("/api/version", show_version),
]
