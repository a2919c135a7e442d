"""Handlers of attachments.

Sources: Microsoft Graph, "Add attachment", "Get attachment" (`$value` gives the raw bytes), "Attach large files".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.graphsim import mail, messages, query, render, schema, unreadable, writing
from sandbox.graphsim.calls import Call, Reply
from sandbox.graphsim.errors import GraphError, bad_request, item_not_found, malformed_id, read_only
from sandbox.graphsim.ids import looks_like_id

if TYPE_CHECKING:
    from sandbox.graphsim.store import Attachment, Message


def _find(call: Call, message: Message) -> Attachment:
    reference = call.ids["attachment"]
    if not looks_like_id(reference):
        raise malformed_id()
    for attachment in message.attachments:
        if attachment.attachment_id == reference:
            return attachment
    raise item_not_found()


async def list_attachments(call: Call) -> Reply:
    """GET the attachments of a message by pages, with their content unless `$select` excludes it."""
    select = _selected(call)
    page_items = int(call.world.knobs.number("expanded_attachments_page"))
    most, first = query.parse_attachment_page(call.query, page_items)
    found = messages.find(call)
    value = [render.attachment(call.world, found, a, select) for a in found.attachments[first : first + most]]
    body = {"@odata.context": call.mailbox_context("messages('..')/attachments"), "value": value}
    if first + most < len(found.attachments):
        link = render.attachments_link(call.base_url, found, call.style, select, first + most)
        body["@odata.nextLink"] = link
    return Reply(200, body)


def _selected(call: Call) -> tuple[str, ...]:
    select = query.parse_attachment_select(call.query.get("$select"))
    query.refuse_by_knobs(call.world.knobs, select, nested=False)
    call.entry.fields = list(select)
    call.entry.reads_attachments = not select
    return select


async def get_attachment(call: Call) -> Reply:
    """GET one attachment."""
    select = _selected(call)
    message = messages.find(call)
    found = _find(call, message)
    unreadable.refuse(call.world, message, *([] if select else ["files"]))
    body = render.attachment(call.world, message, found, select)
    return Reply(200, {"@odata.context": call.mailbox_context("messages('..')/attachments/$entity"), **body})


async def get_content(call: Call) -> Reply:
    """GET the raw bytes; 405 for a reference attachment, which has none."""
    message = messages.find(call)
    attachment = _find(call, message)
    if attachment.kind == "reference":
        raise GraphError(405, "ErrorInvalidRequest", "The content of a reference attachment cannot be read.")
    call.entry.reads_attachments = True
    unreadable.refuse(call.world, message, "files")
    media = (
        (attachment.content_type or "application/octet-stream") if attachment.kind == "file" else "text/plain"
    )
    return Reply(200, content=attachment.content, media_type=media)


async def add_attachment(call: Call) -> Reply:
    """POST a file of up to 3 MB to a draft."""
    value = call.json_body()
    message = messages.find(call)
    attachment = writing.attachment_from(call.world, call.mailbox, value)
    message.attachments.append(attachment)
    mail.touch(call.world, call.mailbox, message)
    body = render.attachment(call.world, message, attachment)
    body.pop("contentBytes", None)
    return Reply(201, {"@odata.context": call.mailbox_context("messages('..')/attachments/$entity"), **body})


async def delete_attachment(call: Call) -> Reply:
    """DELETE one attachment."""
    message = messages.find(call)
    message.attachments.remove(_find(call, message))
    mail.touch(call.world, call.mailbox, message)
    return Reply(204)


async def create_upload_session(call: Call) -> Reply:
    """POST createUploadSession for one file of 3 MB to 150 MB."""
    item = call.parameters({"AttachmentItem": "attachmentItem"}).get("AttachmentItem")
    if item is None or schema.check("attachmentItem", item, request=True):
        raise bad_request("AttachmentItem is required.", "ErrorInvalidRequest")
    if str(item.get("attachmentType") or "").lower() != "file" or not item.get("name"):
        raise bad_request("An upload session takes a file with a name.", "ErrorInvalidRequest")
    message = messages.find(call)
    if not message.is_draft:
        raise read_only("attachments")
    session = call.world.uploads.open(call.world, call.caller.client_id, call.mailbox, message, item)
    return Reply(
        201, {"@odata.context": call.context("microsoft.graph.uploadSession"), **session.as_json(call.world)}
    )
