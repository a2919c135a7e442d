"""The CRM's pages: forms and links. The script refreshes changed parts and opens the settings frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from sandbox.democrm import views
from sandbox.democrm.crm import Crm, crm_of
from sandbox.democrm.events import note_thread_state
from sandbox.democrm.guard import MAIL_POLICY
from sandbox.democrm.held import find_next_looks
from sandbox.democrm.model import Conversation, File, Message, Person, ThreadState, User
from sandbox.democrm.product import Refused
from sandbox.democrm.sending import NewFile, Order, Unusable, hand_over, recipients_of_reply, send
from sandbox.democrm.writing import html_from_text

USER_COOKIE = "fernhill_user"
SHOWN_INLINE = {"image/png", "image/jpeg", "image/gif"}
templates = Jinja2Templates(directory=Path(__file__).parent / "templates")
templates.env.filters |= views.FILTERS
templates.env.trim_blocks = templates.env.lstrip_blocks = True


async def home(_request: Request) -> Response:
    """Redirect to the conversations."""
    return RedirectResponse("/conversations", 303)


async def show_conversations(request: Request) -> Response:
    """The list of conversations, none of them open."""
    return _page(request, "conversations.html", rows=views.conversation_rows(crm_of(request).store))


async def show_conversation(request: Request) -> Response:
    """The list of conversations beside one of them, with a form to reply."""
    return await _conversation_page(request, _conversation(request))


async def _conversation_page(
    request: Request, conversation: Conversation, problem: str | None = None, status: int = 200
) -> Response:
    crm, user = crm_of(request), _user(request)
    messages = crm.store.messages_of(conversation.id)
    return _page(
        request,
        "conversation.html",
        status,
        problem=problem,
        own_thread=conversation.thread_of(user.id),
        stop=conversation.stop_of(user.id),
        rows=views.conversation_rows(crm.store),
        conversation=conversation,
        contact=crm.store.contacts[conversation.contact_id],
        messages=messages,
        looks=await find_next_looks(crm.product, messages),
        reply_to=recipients_of_reply(crm.store, conversation),
    )


async def reply(request: Request) -> Response:
    """Send the reply and show the conversation again."""
    key = request.path_params["id"]
    async with request.form() as form:
        order = await _read_order(request, form, conversation_id=key)
    if order.text or order.files:
        crm = crm_of(request)
        await send(crm.store, crm.product, order, crm.clock.now())
    return RedirectResponse(f"/conversations/{key}", 303)


async def stop_sync(request: Request) -> Response:
    """Stop the user's thread in a conversation."""
    return await _change_sync(request, stop=True)


async def resume_sync(request: Request) -> Response:
    """Resume the user's thread in a conversation."""
    return await _change_sync(request, stop=False)


async def _change_sync(request: Request, *, stop: bool) -> Response:
    """Stop or resume a thread, and show its conversation again, with the refusal if there was one."""
    crm, conversation = crm_of(request), _conversation(request)
    thread_id = conversation.thread_of(_user(request).id)
    if thread_id is None:
        raise HTTPException(404)
    call = crm.product.stop_thread if stop else crm.product.resume_thread
    try:
        answer = await call(thread_id)
    except Refused as refused:
        return await _conversation_page(request, conversation, refused.detail, 409)
    state = ThreadState(stop, crm.clock.now(), answer.get("stopped_by"))
    note_thread_state(crm.store, conversation, thread_id, state)
    return RedirectResponse(f"/conversations/{conversation.id}", 303)


async def show_composer(request: Request) -> Response:
    """The form for a new message, filled in when a contact or a failed message is named."""
    failed = crm_of(request).store.messages.get(request.query_params.get("again", ""))
    if failed is not None and failed.can_edit:
        return _composer(request, views.draft_of(failed))
    contact = crm_of(request).store.contacts.get(request.query_params.get("contact", ""))
    return _composer(request, {"to": contact.address if contact else ""})


async def compose(request: Request) -> Response:
    """Send the message and show its conversation; show the form again with the problem when something is missing."""
    crm = crm_of(request)
    async with request.form() as form:
        order = await _read_order(request, form)
        failed = crm.store.messages.get(order.again_of or "")
        kept = views.draft_of(failed) if failed else {}
        kept |= {name: str(form.get(name, "")) for name in ("to", "subject", "text")}
    if not order.subject:
        return _composer(request, kept, "Give the message a subject.")
    try:
        message, _ = await send(crm.store, crm.product, order, crm.clock.now())
    except Unusable as err:
        return _composer(request, kept, str(err))
    return RedirectResponse(f"/conversations/{message.conversation_id}", 303)


async def retry(request: Request) -> Response:
    """Send a failed message again."""
    crm = crm_of(request)
    message = _message(crm, request)
    if message.can_retry:
        await hand_over(crm.store, crm.product, message)
    return RedirectResponse(f"/conversations/{message.conversation_id}", 303)


async def show_body(request: Request) -> Response:
    """A message's HTML as a separate document, for the sandboxed frame."""
    message = _message(crm_of(request), request)
    html = views.body_with_pictures(message) or html_from_text(message.text or "")
    page = templates.get_template("body.html").render(html=html)
    return HTMLResponse(page, headers={"content-security-policy": MAIL_POLICY})


async def download(request: Request) -> Response:
    """A file of a message, fetched from Postbraid by the event's link, or by a new link when that has expired."""
    crm = crm_of(request)
    message, number = _message(crm, request), request.path_params["number"]
    if number >= len(message.attachments) or message.attachments[number].url is None:
        raise HTTPException(404)
    file = message.attachments[number]
    content = await _fetch(crm, message, file)
    if content is None:
        raise HTTPException(404, "Postbraid no longer has this file.")
    inline = file.content_type in SHOWN_INLINE and "inline" in request.query_params
    headers = {
        "content-disposition": f"{'inline' if inline else 'attachment'}; filename*=UTF-8''{quote(file.name, safe='')}",
        "content-security-policy": "default-src 'none'; sandbox",
    }
    return Response(content, media_type=file.content_type, headers=headers)


async def show_contacts(request: Request) -> Response:
    """The contacts."""
    return _page(request, "contacts.html", contacts=views.contact_rows(crm_of(request).store))


async def show_profile(request: Request) -> Response:
    """The profile of the signed-in user with the section Email (2-way sync)."""
    return _page(request, "profile.html")


async def open_settings(request: Request) -> Response:
    """Redirect to a new link to Postbraid's settings page, for a separate tab."""
    crm = crm_of(request)
    try:
        link = await crm.product.create_session_link(_user(request))
    except Refused as refused:
        return _page(request, "profile.html", problem=refused.detail)
    return RedirectResponse(link["url"], 303)


async def show_activity(request: Request) -> Response:
    """The latest 200 events, newest first."""
    return _page(request, "activity.html", events=list(reversed(crm_of(request).store.events.values()))[:200])


async def catch_up(request: Request) -> Response:
    """Fetch missed events, then show the list."""
    crm = crm_of(request)
    try:
        await crm.receiver.catch_up(crm.product, crm.clock.now())
    except Refused as refused:
        events = list(reversed(crm.store.events.values()))[:200]
        return _page(request, "activity.html", events=events, problem=refused.detail)
    return RedirectResponse("/activity", 303)


async def switch_user(request: Request) -> Response:
    """Sign in as another user, without a password."""
    async with request.form() as form:
        wanted = str(form.get("user_id", ""))
    response = RedirectResponse("/conversations", 303)
    if wanted in crm_of(request).store.users:
        response.set_cookie(USER_COOKIE, wanted, httponly=True, samesite="strict")
    return response


async def show_missing(request: Request, problem: Exception) -> Response:
    """The page for an HTTP error."""
    assert isinstance(problem, HTTPException)
    detail = "Perhaps it was moved or never existed." if problem.detail == "Not Found" else problem.detail
    return _page(request, "missing.html", problem.status_code, detail=detail)


async def _read_order(request: Request, form: FormData, conversation_id: str | None = None) -> Order:
    failed = crm_of(request).store.messages.get(str(form.get("again", "")))
    body = str(form.get("text", "")).strip()
    addresses = str(form.get("to", "")).replace(";", ",").split(",")
    store = crm_of(request).store
    known = [(text.strip(), store.contact_by_address(text.strip())) for text in addresses if text.strip()]
    uploads = [file for file in form.getlist("files") if isinstance(file, UploadFile) and file.filename]
    return Order(
        user_id=_user(request).id,
        subject=str(form.get("subject", "")).strip(),
        html=html_from_text(body),
        text=body,
        to=tuple(Person(address, contact.name if contact else None) for address, contact in known),
        cc=tuple(failed.cc) if failed else (),
        conversation_id=failed.conversation_id if failed else conversation_id,
        again_of=failed.id if failed else None,
        files=tuple(
            [
                NewFile(
                    file.filename or "file",
                    file.content_type or "application/octet-stream",
                    await file.read(),
                )
                for file in uploads
            ]
        ),
    )


async def _fetch(crm: Crm, message: Message, file: File) -> bytes | None:
    try:
        content = await crm.product.download(file.url or "")
        if content is None and message.product_id:
            fresh = await crm.product.fetch_link(message.product_id, file)
            content = await crm.product.download(fresh) if fresh else None
    except Refused as refused:
        raise HTTPException(502, refused.detail) from refused
    return content


def _conversation(request: Request) -> Conversation:
    conversation = crm_of(request).store.conversations.get(request.path_params["id"])
    if conversation is None:
        raise HTTPException(404)
    return conversation


def _message(crm: Crm, request: Request) -> Message:
    message = crm.store.messages.get(request.path_params["id"])
    if message is None:
        raise HTTPException(404)
    return message


def _user(request: Request) -> User:
    users = crm_of(request).store.users
    return users.get(request.cookies.get(USER_COOKIE, "")) or next(iter(users.values()))


def _composer(request: Request, draft: dict[str, str], problem: str | None = None) -> Response:
    contacts = list(crm_of(request).store.contacts.values())
    rows = views.conversation_rows(crm_of(request).store)
    status = 422 if problem else 200
    return _page(request, "compose.html", status, rows=rows, contacts=contacts, draft=draft, problem=problem)


def _page(request: Request, template: str, status: int = 200, **context: Any) -> Response:
    crm, user = crm_of(request), _user(request)
    common = {
        "user": user,
        "users": list(crm.store.users.values()),
        "connection": crm.store.connections.get(user.id),
        "version": crm.store.version,
        "now": crm.clock.now(),
        "section": request.url.path.split("/")[1],
    }
    return templates.TemplateResponse(request, template, common | context, status_code=status)


ROUTES = [
    Route("/", home),
    Route("/conversations", show_conversations),
    Route("/conversations/new", show_composer, methods=["GET"]),
    Route("/conversations/new", compose, methods=["POST"]),
    Route("/conversations/{id}", show_conversation, methods=["GET"]),
    Route("/conversations/{id}", reply, methods=["POST"]),
    Route("/conversations/{id}/stop", stop_sync, methods=["POST"]),
    Route("/conversations/{id}/resume", resume_sync, methods=["POST"]),
    Route("/messages/{id}/retry", retry, methods=["POST"]),
    Route("/messages/{id}/body", show_body),
    Route("/messages/{id}/files/{number:int}", download),
    Route("/contacts", show_contacts),
    Route("/settings/profile", show_profile),
    Route("/settings/email/open", open_settings, methods=["POST"]),
    Route("/activity", show_activity, methods=["GET"]),
    Route("/activity", catch_up, methods=["POST"]),
    Route("/switch-user", switch_user, methods=["POST"]),
]
