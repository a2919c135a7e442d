"""Handlers of the message resource."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from sandbox.graphsim import delivery, listing, mail, query, render, replies, unreadable, writing
from sandbox.graphsim.calls import Call, Reply
from sandbox.graphsim.errors import GraphError, bad_request, item_not_found, malformed_id, not_simulated
from sandbox.graphsim.ids import looks_like_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from sandbox.graphsim.store import Folder, Message

READ_OPTIONS = ("$select", "$expand", "includeHiddenMessages")
LIST_OPTIONS = (*READ_OPTIONS, "$filter", "$orderby", "$top", "$skip", "$count", "$search")
_FULL = query.parse_shape({})


def find(call: Call) -> Message:
    """The message that the path names; raises 400 for a malformed id, 404 for a missing message."""
    reference = call.ids["message"]
    if not looks_like_id(reference):
        raise malformed_id()
    message = call.mailbox.message(reference)
    if message is None:
        raise item_not_found()
    call.entry.internet_message_ids.append(message.internet_message_id)
    return message


def _full_reply(call: Call, message: Message, status: int) -> Reply:
    """The reply of a write: the full message."""
    body = render.message(call.world, message, _FULL, call.style)
    if not call.entry.message_id:
        call.entry.message_id = str(body["id"])
    context = call.mailbox_context("messages/$entity")
    return Reply(status, {"@odata.context": context, **body}, headers={"ETag": str(body["@odata.etag"])})


def _note_shape(call: Call, shape: query.Shape) -> None:
    query.refuse_by_knobs(call.world.knobs, shape.expansion.attachment_select, nested=True)
    call.entry.fields = list(shape.selected)
    call.entry.expand = call.query.get("$expand")
    call.entry.reads_body = shape.reads_body
    call.entry.reads_attachments = shape.expansion.attachments and not shape.expansion.attachment_select


async def list_messages(call: Call) -> Reply:
    """GET messages of the whole mailbox."""
    return list_page(call, call.mailbox.messages.values(), "messages")


def list_page(call: Call, messages: Iterable[Message], path: str) -> Reply:
    """Answer with a page of messages; the next link, where there is one, repeats the query with another `$skip`."""
    any_value = call.world.knobs.text("property_filter") == "any_value"
    shape, page = query.parse_shape(call.query), query.parse_page(call.query, any_value=any_value)
    _note_shape(call, shape)
    arbitrary = call.world.knobs.text("unordered_list") == "arbitrary"
    found = query.arrange(messages, page, arbitrary=arbitrary)
    part = found[page.skip : page.skip + page.top]
    listing.check(call.world, page, shape, part)
    cut = listing.cut_off(call.world, page, len(found) - page.skip)
    part = part[:cut]
    call.entry.internet_message_ids += [m.internet_message_id for m in part]
    names = f"({','.join(shape.selected)})" if shape.selected else ""
    body = {"@odata.context": call.mailbox_context(f"{path}{names}")}
    if page.count:
        body["@odata.count"] = len(found)  # type: ignore[assignment] # JSON holds anything
    body["value"] = [render.message(call.world, m, shape, call.style, call.base_url) for m in part]  # type: ignore[assignment] # as above
    if cut is None and page.skip + page.top < len(found):
        options = call.query | {"$skip": str(page.skip + page.top)}
        path_text = "/".join(quote(s, safe="=") for s in call.segments)
        body["@odata.nextLink"] = f"{call.base_url}/v1.0/{path_text}?{urlencode(options, safe='$')}"
    return Reply(200, dict(body))


async def get_message(call: Call) -> Reply:
    """GET one message."""
    shape = query.parse_shape(call.query)
    _note_shape(call, shape)
    message = find(call)
    unreadable.refuse(call.world, message, *(["body"] if shape.reads_body else []))
    body = render.message(call.world, message, shape, call.style, call.base_url)
    names = f"({','.join(shape.selected)})" if shape.selected else ""
    context = call.mailbox_context(f"messages{names}/$entity")
    return Reply(200, {"@odata.context": context, **body}, headers={"ETag": str(body["@odata.etag"])})


async def get_mime(call: Call) -> Reply:
    """GET the message as MIME; logged as a read of body and attachments."""
    call.entry.reads_body = call.entry.reads_attachments = True
    message = find(call)
    unreadable.refuse(call.world, message, "body", "files")
    return Reply(200, content=render.raw(message), media_type="text/plain")


async def create_message(call: Call) -> Reply:
    """POST a draft."""
    _refuse_mime(call)
    value = call.json_body()
    writing.check_message(value)
    draft = mail.new_draft(call.world, call.mailbox, subject=str(value.get("subject") or ""))
    writing.fill(call.world, call.mailbox, draft, value)
    mail.place(call.world, call.mailbox, draft)
    call.entry.internet_message_ids.append(draft.internet_message_id)
    reply = _full_reply(call, draft, 201)
    reply.headers["Location"] = (
        f"{call.base_url}/v1.0/me/messages/{quote(render.message_id(draft, call.style))}"
    )
    return reply


def _refuse_mime(call: Call) -> None:
    if call.headers.get("content-type", "").startswith("text/plain"):
        raise not_simulated("messages given as MIME")


async def update_message(call: Call) -> Reply:
    """PATCH; with If-Match only when the change key is current."""
    message = find(call)
    expected = call.headers.get("if-match", "*")
    if expected not in {"*", f'W/"{message.change_key}"'}:
        raise GraphError(
            412,
            "ErrorIrresolvableConflict",
            "The send or update operation could not be performed because the change key passed in the request does not "
            "match the current change key for the item.",
        )
    writing.update(call.world, call.mailbox, message, call.json_body())
    return _full_reply(call, message, 200)


async def delete_message(call: Call) -> Reply:
    """DELETE: moves to Deleted Items, or deletes a message that is there."""
    mail.delete(call.world, call.mailbox, find(call))
    return Reply(204)


async def permanent_delete(call: Call) -> Reply:
    """POST permanentDelete."""
    mail.remove(call.world, call.mailbox, find(call))
    return Reply(204)


async def send(call: Call) -> Reply:
    """POST send: with Content-Length 0, or with the empty object that some clients send.

    202 only means that transport has the mail.
    """
    if not call.body and call.headers.get("content-length") != "0":
        raise GraphError(
            411, "ErrorInvalidRequest", "The send action takes no body; Content-Length must be 0."
        )
    call.parameters({})
    message = find(call)
    if message.immutable_id in call.mailbox.awaiting_filing:
        raise GraphError(409, "ErrorIrresolvableConflict", "The message has already been submitted.")
    if not message.is_draft:
        raise bad_request("The message is not a draft and cannot be sent.", "ErrorInvalidOperation")
    delivery.submit(call.world, call.mailbox, message)
    return Reply(202)


def _target(call: Call) -> Folder:
    wanted = call.parameters({"DestinationId": "string"}).get("DestinationId")
    folder = call.mailbox.folder(str(wanted)) if wanted else None
    if folder is None:
        raise item_not_found() if wanted else bad_request("DestinationId is required.", "ErrorInvalidRequest")
    return folder


async def move(call: Call) -> Reply:
    """POST move: the same item under a new ordinary id."""
    folder, message = _target(call), find(call)
    mail.move(call.world, call.mailbox, message, folder)
    return _full_reply(call, message, 201)


async def copy(call: Call) -> Reply:
    """POST copy: another item with new ids."""
    folder, message = _target(call), find(call)
    return _full_reply(call, mail.duplicate(call.world, call.mailbox, message, folder), 201)


def _reply_handler(action: replies.Action) -> Callable[[Call], Awaitable[Reply]]:
    declared = {"Message": "message", "Comment": "string"}
    if action == "forward":
        declared["ToRecipients"] = "recipient[]"

    async def handler(call: Call) -> Reply:
        _refuse_mime(call)
        given = {name[0].lower() + name[1:]: value for name, value in call.parameters(declared).items()}
        draft = replies.create(call.world, call.mailbox, find(call), action, given)
        call.entry.internet_message_ids.append(draft.internet_message_id)
        status = int(call.world.knobs.text("create_reply_status"))
        return _full_reply(call, draft, status)

    return handler


create_reply = _reply_handler("reply")
create_reply_all = _reply_handler("reply_all")
create_forward = _reply_handler("forward")


async def send_mail(call: Call) -> Reply:
    """POST sendMail: create and send a mail in one request; the answer carries no id of it."""
    _refuse_mime(call)
    given = call.parameters(
        {"Message": "message", "SaveToSentItems": "string"}
        if _has_text_flag(call)
        else {"Message": "message", "SaveToSentItems": "bool"}
    )
    value = given.get("Message")
    if value is None:
        raise bad_request("The parameter 'Message' is required.", "ErrorInvalidRequest")
    draft = mail.new_draft(call.world, call.mailbox, subject=str(value.get("subject") or ""))
    writing.fill(call.world, call.mailbox, draft, value)
    delivery.check_sendable(draft)
    mail.place(call.world, call.mailbox, draft)
    save = str(given.get("SaveToSentItems", True)).lower() != "false"
    delivery.submit(call.world, call.mailbox, draft, save=save)
    return Reply(202)


def _has_text_flag(call: Call) -> bool:
    """Whether SaveToSentItems is a string: the documentation's own sample passes "false"."""
    given = [value for name, value in call.json_body().items() if name.lower() == "savetosentitems"]
    return any(value in ("true", "false") for value in given)
