"""HTTP: what a CRM's server calls. Sends, files, messages, events.

The use cases are imported by the first call (see `workers.py`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from email.message import Message
from typing import Any

import azure.functions as func
import msgspec

from functions.boundary import MIB, SECURITY_HEADERS, Caller, json_answer, page_limit, public, tenant_key
from functions.wire import AddressIn, AttachmentIn, SendIn
from shared.bootstrap import services
from shared.domain.controls import NO_CONTROLS, has_controls
from shared.domain.errors import FieldError, InvalidRequest
from shared.domain.model import Address, GivenFile, SendRequest
from shared.domain.reasons import reason_data
from shared.json_reader import read_json

bp = func.Blueprint()


@bp.route(route="v1/messages", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@tenant_key("send", 4 * MIB)
async def send_message(req: func.HttpRequest, caller: Caller) -> func.HttpResponse:
    """The CRM send trigger: 202 once the send is stored (A-7)."""
    from shared.sync.events.announce import waiting_data
    from shared.sync.outbound.accept_outbound import accept_outbound

    s, body = services(), req.get_body()
    request = send_request(read_json(body, 4 * MIB, SendIn), body)
    accepted = await accept_outbound(s, caller.tenant.tenant_id, request)
    item = accepted.item
    status_url = f"{s.addresses.api}/v1/messages/{item.message_id}"
    answer = {
        "id": item.message_id,
        "crm_message_id": item.crm_message_id,
        "thread_id": item.thread_id,
        "status": accepted.status.value,
        **waiting_data(item, accepted.waits),
        "reason": reason_data(item.reason),
        "status_url": status_url,
        "warnings": list(item.warnings),
    }
    return json_answer(answer, 202, {"Location": status_url})


@bp.route(route="v1/messages/{message_id}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@tenant_key("read")
async def show_message(req: func.HttpRequest, caller: Caller) -> func.HttpResponse:
    """Where a message stands, and why."""
    from shared.sync.threads.show_message import show_message as show_one_message

    return json_answer(
        await show_one_message(services(), caller.tenant.tenant_id, req.route_params["message_id"])
    )


@bp.route(route="v1/files", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@tenant_key("send", 3 * MIB)
async def upload_file(req: func.HttpRequest, caller: Caller) -> func.HttpResponse:
    """Take one file ahead of a send; it is judged at once (R7, R8)."""
    from shared.sync.outbound.uploads import keep_upload

    name = file_name(req.headers.get("content-disposition"))
    upload_id, upload = await keep_upload(services(), caller.tenant.tenant_id, name, req.get_body())
    answer = {
        "id": upload_id,
        "name": upload.file.name,
        "content_type": upload.file.content_type,
        "size_bytes": upload.file.size_bytes,
        "expires_at": upload.expires_at,
    }
    return json_answer(answer, 201)


@bp.route(route="v1/events", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@tenant_key("read")
async def list_events(req: func.HttpRequest, caller: Caller) -> func.HttpResponse:
    """Every recorded event behind a cursor, for a CRM that was down."""
    from shared.sync.events.list_events import list_events as list_recorded_events

    after, limit = req.params.get("after", ""), page_limit(req)
    return json_answer(await list_recorded_events(services(), caller.tenant.tenant_id, after, limit))


@bp.route(route="files/{token}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@public("signed_link")
async def download_file(req: func.HttpRequest) -> func.HttpResponse:
    """A staged file through its signed link: always a download, never interpreted (F-5)."""
    from shared.sync.threads.show_message import open_file

    file, content = await open_file(services(), req.route_params["token"])
    headers = {
        **SECURITY_HEADERS,
        "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
        "Content-Disposition": content_disposition(file.name),
        "Content-Type": file.content_type,
    }
    return func.HttpResponse(content, headers=headers)


def send_request(sent: SendIn, body: bytes) -> SendRequest:
    """Wire to domain. Raises InvalidRequest for an attachment that is none of the three kinds."""
    return SendRequest(
        crm_message_id=sent.crm_message_id,
        user_id=sent.user_id,
        to=_people(sent.to),
        cc=_people(sent.cc),
        bcc=_people(sent.bcc),
        subject=sent.subject,
        html=sent.body.html,
        text=sent.body.text,
        thread_id=sent.thread_id,
        crm_thread_id=sent.crm_thread_id,
        files=tuple(_given_file(number, given) for number, given in enumerate(sent.attachments)),
        crm_context=msgspec.json.encode(sent.crm_context).decode(),
        contact_ids=tuple(sent.contact_ids),
        send_within_seconds=sent.send_within,
        refuses_to_wait=sent.if_waiting == "refuse",
        body_hash=canonical_hash(body),
    )


def canonical_hash(body: bytes) -> str:
    """Hash of the request that white space and the order of members do not change (A-5)."""
    return hashlib.sha256(msgspec.json.encode(msgspec.json.decode(body), order="sorted")).hexdigest()


def _people(addresses: list[AddressIn]) -> tuple[Address, ...]:
    return tuple(Address(address.address, address.name) for address in addresses)


def _given_file(number: int, given: AttachmentIn) -> GivenFile:
    pointer = f"/attachments/{number}"
    ways = [given.file_id is not None, given.content_base64 is not None, given.url is not None]
    if ways.count(True) != 1 or (given.file_id is None and not given.name):
        raise InvalidRequest(
            "An attachment is a file_id, or name and content_base64, or name and url.",
            (FieldError(pointer, "exactly one of file_id, content_base64, url"),),
        )
    content_id = (given.content_id or "").strip().removeprefix("<").removesuffix(">") or None
    if (given.inline and content_id is None) or (
        content_id and (not CONTENT_ID.fullmatch(content_id) or has_controls(content_id))
    ):
        raise InvalidRequest(
            "A file that the text shows needs the content_id by which it does so.",
            (FieldError(f"{pointer}/content_id", "no spaces, brackets or quotes; needed with inline"),),
        )
    content = None if given.content_base64 is None else _content_of(given.content_base64, pointer)
    return GivenFile(given.name or "", given.file_id, content, given.url, given.inline, content_id)


def _content_of(text: str, pointer: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as err:
        raise InvalidRequest(
            "A file is not base64.", (FieldError(f"{pointer}/content_base64", "not base64"),)
        ) from err


CONTENT_ID = re.compile(r"""[^\s<>"']{1,200}""")
CHARSETS_OF_NAMES = ("utf-8", "iso-8859-1")


def file_name(header: str | None) -> str:
    """The file name of a Content-Disposition (RFC 6266: `filename*` wins).

    Raises InvalidRequest without one, and for a name in another charset than the two of RFC 8187 3.2.1.
    """
    parsed = Message()
    parsed["Content-Disposition"] = header or ""
    try:
        params: list[tuple[str, Any]] = list(parsed.get_params([], "content-disposition"))
        found = [value for name, value in params if name.lower() == "filename"]
        extended = [_extended_name(*value) for value in found if isinstance(value, tuple)]
    except (ValueError, LookupError):
        extended = found = []
    name = next(iter((*extended, *found)), "")
    if not isinstance(name, str) or not name:
        detail = (FieldError("/headers/content-disposition", "attachment; filename*=UTF-8''name"),)
        raise InvalidRequest("A file needs a name, in UTF-8 or ISO-8859-1.", detail)
    if has_controls(name):
        raise InvalidRequest(
            "A file cannot be called so.", (FieldError("/headers/content-disposition", NO_CONTROLS),)
        )
    return name


def _extended_name(charset: str | None, _language: str | None, text: str) -> str:
    """Raises ValueError for another charset, or for bytes that are none of it."""
    wanted = (charset or "utf-8").lower()
    if wanted not in CHARSETS_OF_NAMES:
        msg = f"{wanted} is no charset of file names"
        raise ValueError(msg)
    return text.encode("latin-1").decode(wanted)


def content_disposition(name: str) -> str:
    """RFC 6266, with an ASCII fallback for old clients."""
    plain = "".join(
        letter if letter.isascii() and letter.isprintable() and letter not in '"\\' else "_"
        for letter in name
    )
    encoded = "".join(f"%{byte:02X}" for byte in name.encode())
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
