"""Upload sessions. Their URL authorises by itself and has another path (in reality another host) than Graph.

Source: Microsoft Graph, "Attach large files to Outlook messages or events": ranges in order, each below 4 MB, answers
in PascalCase, 201 with a Location and no body after the last one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.responses import Response

from sandbox.graphsim import mail, render
from sandbox.graphsim.errors import ConnectionCut, GraphError

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.graphsim.store import Mailbox, Message
    from sandbox.graphsim.world import World

MAX_FILE_BYTES = 150 * 1024 * 1024
MAX_CHUNK_BYTES = 4 * 1024 * 1024
_RANGE = re.compile(r"^bytes (\d{1,18})-(\d{1,18})/(\d{1,18})$")


@dataclass(slots=True)
class Session:
    """An upload session; `received` are the bytes so far, in order."""

    token: str
    client_id: str
    mailbox: Mailbox
    message: Message
    item: dict[str, Any]
    size: int
    expires_at: datetime
    received: bytearray = field(default_factory=bytearray)

    def url(self, world: World) -> str:
        """The URL to PUT to."""
        session = f"{_home(world, self.mailbox)}/AttachmentSessions('{self.token}')"
        return f"{session}?authtoken={quote(self.token)}"

    def as_json(self, world: World) -> dict[str, Any]:
        """The answer of createUploadSession."""
        return {
            "uploadUrl": self.url(world),
            "expirationDateTime": render.fine_time(self.expires_at),
            "nextExpectedRanges": [f"{len(self.received)}-"],
        }


@dataclass(slots=True)
class Uploads:
    """Open sessions by token."""

    sessions: dict[str, Session] = field(default_factory=dict)

    def open(
        self, world: World, client_id: str, mailbox: Mailbox, message: Message, item: dict[str, Any]
    ) -> Session:
        """Add a session; raises Graph's 400 or 413 when the size is outside the limits."""
        size = int(item.get("size") or 0)
        if size < world.knobs.number("upload_session_minimum_bytes"):
            raise GraphError(
                400,
                "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize",
                "The attachment size should not be less than the minimum size for an upload session.",
            )
        if size > MAX_FILE_BYTES:
            raise GraphError(413, "ErrorAttachmentSizeLimitExceeded", "The attachment is larger than 150 MB.")
        session = Session(
            world.ids.opaque("", 32),
            client_id,
            mailbox,
            message,
            item,
            size,
            world.now() + timedelta(hours=1),
        )
        self.sessions[session.token] = session
        return session


def _home(world: World, mailbox: Mailbox) -> str:
    return f"{world.config.uploads}/api/v2.0/Users('{mailbox.user.user_id}')"


async def serve_upload(world: World, request: Request) -> Response:
    """Serve PUT, GET and DELETE of an upload URL; a request with a Graph token is refused."""
    entry = world.log.start(render.when(world.now()), request.method, request.url.path, request.url.query)
    entry.operation = f"upload.{request.method.lower()}"
    session = world.uploads.sessions.get(request.query_params.get("authtoken", ""))
    if session is not None:
        entry.address = session.mailbox.user.address
        entry.internet_message_ids.append(session.message.internet_message_id)
    body = await request.body()
    entry.request_bytes = len(body)
    fault = world.faults.hit(entry.operation, request.method, entry.address)
    entry.fault = fault.kind if fault else None
    failure = _failure(world)
    if (fault and fault.kind == "drop_before") or failure == 0:
        raise ConnectionCut
    if fault and fault.kind == "status":
        response = _refusal(fault.status or 503, fault.error_code(), "The simulator was told to answer this.")
    elif failure is not None:
        response = _refusal(failure, "UnknownError", "The upload host does not take this now.")
    else:
        response = _serve(world, request, session, body)
    if fault and fault.kind == "drop_after":
        raise ConnectionCut
    entry.status = response.status_code
    return response


def _failure(world: World) -> int | None:
    """What a failing upload host says (knob): a status, 0 for a connection that is cut, None where it works."""
    if world.knobs.text("upload_host") == "works":
        return None
    return world.random.choice((401, 403, 500, 503, 0))


def _serve(world: World, request: Request, session: Session | None, body: bytes) -> Response:
    if "authorization" in request.headers:
        return _refusal(
            401, "InvalidAuthenticationToken", "The upload URL must be used without an Authorization header."
        )
    if session is None or session.expires_at <= world.now() or _is_gone(session):
        return _refusal(404, "ErrorItemNotFound", "The upload session was not found.")
    if request.method == "DELETE":
        del world.uploads.sessions[session.token]
        return Response(status_code=204)
    if request.method == "GET":
        return _progress(session)
    key = (session.client_id, session.mailbox.user.address.lower())
    try:
        with world.throttle.slot(key, world.now(), len(body)):
            return _take(world, session, request.headers.get("content-range", ""), body)
    except GraphError as error:
        return _refusal(error.status, error.code, error.message, error.headers)


def _is_gone(session: Session) -> bool:
    """Whether the draft has been sent or deleted."""
    return session.message.immutable_id not in session.mailbox.messages or not session.message.is_draft


def _take(world: World, session: Session, content_range: str, body: bytes) -> Response:
    found = _RANGE.match(content_range)
    if not found or int(found[3]) != session.size or int(found[2]) - int(found[1]) + 1 != len(body):
        return _refusal(
            400, "ErrorInvalidRequest", "The Content-Range header does not fit the session or the body."
        )
    if len(body) >= MAX_CHUNK_BYTES:
        return _refusal(413, "RequestEntityTooLarge", "A range must be below 4 MB.")
    if int(found[1]) != len(session.received):
        return _refusal(416, "ErrorInvalidRange", "Ranges must be uploaded in order.")
    session.received += body
    if len(session.received) < session.size:
        return _progress(session)
    return _finish(world, session)


def _finish(world: World, session: Session) -> Response:
    item = session.item
    attachment = mail.new_attachment(
        world, session.mailbox, name=item["name"], content=bytes(session.received),
        content_type=item.get("contentType") or "application/octet-stream",
        inline=bool(item.get("isInline")), content_id=item.get("contentId"),
    )  # fmt: skip
    session.message.attachments.append(attachment)
    mail.touch(world, session.mailbox, session.message)
    del world.uploads.sessions[session.token]
    place = f"{_home(world, session.mailbox)}/Attachments('{attachment.attachment_id}')"
    return Response(status_code=201, headers={"Location": place})


def _progress(session: Session) -> Response:
    body = {
        "ExpirationDateTime": render.fine_time(session.expires_at),
        "NextExpectedRanges": [str(len(session.received))],
    }
    return Response(json.dumps(body).encode(), 200, media_type="application/json")


def _refusal(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    return Response(body, status, headers, media_type="application/json")
