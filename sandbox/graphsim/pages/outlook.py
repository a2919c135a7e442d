"""The simulator's mail program, for the users of mailboxes and for outsiders, and the routes of all pages."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox.graphsim import people
from sandbox.graphsim.pages.layout import page
from sandbox.graphsim.pages.overview import overview_page
from sandbox.graphsim.render import when
from sandbox.graphsim.store import Address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from sandbox.graphsim.store import Attachment
    from sandbox.graphsim.world import World

_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
STATIC = Path(__file__).parent / "static"
FOLDERS = ("inbox", "drafts", "sentitems", "deleteditems", "archive", "junkemail")


def routes(world: World) -> list[Route]:
    """The routes of the pages."""

    async def overview(_request: Request) -> Response:
        return HTMLResponse(overview_page(world))

    async def chooser(_request: Request) -> Response:
        return HTMLResponse(page("Mailboxes (simulated)", _chooser(world), narrow=True))

    async def mailbox(request: Request) -> Response:
        return _program(world, request.path_params["address"], outside=False)

    async def outside(request: Request) -> Response:
        return _program(world, request.path_params["address"], outside=True)

    async def content(request: Request) -> Response:
        return JSONResponse(
            _content(world, request.path_params["address"], outside=request.path_params["kind"] == "outside")
        )

    async def file(request: Request) -> Response:
        params = request.path_params
        return _file(world, params["address"], request.query_params, outside=params["kind"] == "outside")

    async def static(request: Request) -> Response:
        return FileResponse(STATIC / Path(request.path_params["name"]).name)

    return [
        Route("/", chooser),
        Route("/overview", overview),
        Route("/outlook", chooser),
        Route("/outlook/static/{name}", static),
        Route("/outlook/content/{kind}/{address}", content),
        Route("/outlook/files/{kind}/{address}", file),
        Route("/outlook/outside/{address}", outside),
        Route("/outlook/{address}", mailbox),
    ]


def _program(world: World, address: str, *, outside: bool) -> Response:
    if not outside and world.store.mailbox(address) is None:
        words = '<h1>There is no such mailbox</h1><p><a href="/outlook">All mailboxes</a></p>'
        return HTMLResponse(page("Unknown (simulated)", words, narrow=True), 404)
    if outside:
        world.store.ensure_outsider(Address("", address))
    settings = html.escape(json.dumps({"address": address, "outside": outside}))
    head = (
        '<link rel="stylesheet" href="/outlook/static/outlook.css">'
        '<script src="/outlook/static/outlook.js" defer></script>'
    )
    body = (STATIC / "outlook.html").read_text(encoding="utf-8")
    return HTMLResponse(page(f"{address} (simulated)", body.replace("$settings", settings), head=head))


def _content(world: World, address: str, *, outside: bool) -> dict[str, Any]:
    """The JSON that the mail program shows; `version` changes when anything has changed."""
    if outside:
        person = world.store.ensure_outsider(Address("", address))
        received = [{**people.shown_mail(at, mail), "folder": "inbox"} for at, mail in person.received]
        written = [
            {**people.shown_mail(mail.sent_at, mail), "folder": "sentitems"} for mail in person.written
        ]
        for message in (*received, *written):
            message["id"] = f"{message['folder']}:{message['internet_message_id']}"
        return {
            "version": world.store.version,
            "name": person.address.name or address,
            "folders": ["inbox", "sentitems"],
            "messages": [*received, *written],
        }
    mailbox = world.store.mailbox(address)
    if mailbox is None:
        return {"version": world.store.version, "name": address, "folders": [], "messages": []}
    shown = [
        {
            **people.shown_message(mailbox, item),
            "at": when(item.received_at),
            "from_name": item.from_.name if item.from_ else "",
        }
        for item in mailbox.messages.values()
    ]
    return {
        "version": world.store.version,
        "name": mailbox.user.display_name,
        "folders": list(FOLDERS),
        "messages": shown,
    }


def _file(world: World, address: str, wanted: Mapping[str, str], *, outside: bool) -> Response:
    """A file of a mail (`id`, `number`) as a download, with its type; it has no powers even if a browser shows it."""
    files, number = _files(world, address, wanted.get("id", ""), outside=outside), wanted.get("number", "")
    if not number.isdecimal() or int(number) >= len(files):
        return HTMLResponse(page("Unknown (simulated)", "<h1>There is no such file</h1>", narrow=True), 404)
    found = files[int(number)]
    headers = {
        "content-disposition": f"attachment; filename*=UTF-8''{quote(found.name or 'attachment', safe='')}",
        "content-security-policy": "default-src 'none'; sandbox",
        "x-content-type-options": "nosniff",
    }
    return Response(found.content, headers=headers, media_type=_media_type(found.content_type))


def _files(world: World, address: str, mail_id: str, *, outside: bool) -> Sequence[Attachment]:
    """The files of a mail that `_content` showed under this id; none when there is no such mail."""
    if outside:
        person = world.store.ensure_outsider(Address("", address))
        mails = {
            "inbox": [mail for _, mail in person.received],
            "sentitems": person.written,
        }.get(mail_id.partition(":")[0], [])
        wanted = mail_id.partition(":")[2]
        return next((mail.attachments for mail in mails if mail.internet_message_id == wanted), ())
    mailbox = world.store.mailbox(address)
    message = mailbox.message(mail_id) if mailbox else None
    return message.attachments if message else ()


def _media_type(given: str | None) -> str:
    """The type that a file claims, if a header can carry it."""
    return given if given and _MEDIA_TYPE.fullmatch(given) else "application/octet-stream"


def _link(address: str, name: str, *, outside: bool) -> str:
    kind, shown = "outside/" if outside else "", html.escape(address)
    return (
        f'<li><a class="account" href="/outlook/{kind}{shown}" data-testid="open-{shown}">'
        f"<strong>{html.escape(name or address)}</strong><span>{shown}</span></a></li>"
    )


def _chooser(world: World) -> str:
    none = '<li class="dim">Nobody yet.</li>'
    users = "".join(
        _link(user.address, user.display_name, outside=False) for user in world.store.users.values()
    )
    others = "".join(
        _link(person.address.address, person.address.name, outside=True)
        for person in world.store.outsiders.values()
    )
    return (
        "<h1>Whose mail?</h1>"
        '<p class="dim">This is a simulation: every mail stays on this machine, and no password is needed.</p>'
        f'<h2>Mailboxes at Microsoft 365</h2><ul class="accounts">{users or none}</ul>'
        f'<h2>People elsewhere</h2><ul class="accounts">{others or none}</ul>'
    )
