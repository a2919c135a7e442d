"""The mail program of the simulation, for the users of mailboxes and for people outside; and an overview."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox.graphsim import people
from sandbox.graphsim.pages.layout import page
from sandbox.graphsim.render import when
from sandbox.graphsim.store import Address

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.graphsim.world import World

STATIC = Path(__file__).parent / "static"
FOLDERS = ("inbox", "drafts", "sentitems", "deleteditems", "archive", "junkemail")


def routes(world: World) -> list[Route]:
    """Every page."""

    async def overview(_request: Request) -> Response:
        return HTMLResponse(page("Simulated Microsoft 365", _overview(world)))

    async def chooser(_request: Request) -> Response:
        return HTMLResponse(page("Mailboxes", _chooser(world)))

    async def mailbox(request: Request) -> Response:
        return _program(world, request.path_params["address"], outside=False)

    async def outside(request: Request) -> Response:
        return _program(world, request.path_params["address"], outside=True)

    async def content(request: Request) -> Response:
        return JSONResponse(
            _content(world, request.path_params["address"], outside=request.path_params["kind"] == "outside")
        )

    async def static(request: Request) -> Response:
        return FileResponse(STATIC / Path(request.path_params["name"]).name)

    return [
        Route("/", overview),
        Route("/outlook", chooser),
        Route("/outlook/static/{name}", static),
        Route("/outlook/content/{kind}/{address}", content),
        Route("/outlook/outside/{address}", outside),
        Route("/outlook/{address}", mailbox),
    ]


def _program(world: World, address: str, *, outside: bool) -> Response:
    if not outside and world.store.mailbox(address) is None:
        return HTMLResponse(page("Unknown", "<main><h1>There is no such mailbox</h1></main>"), 404)
    if outside:
        world.store.outsider(Address("", address))
    settings = html.escape(json.dumps({"address": address, "outside": outside}))
    head = '<link rel="stylesheet" href="/outlook/static/outlook.css"><script src="/outlook/static/outlook.js" defer></script>'
    body = (STATIC / "outlook.html").read_text(encoding="utf-8")
    return HTMLResponse(page(f"{address} (simulated)", body.replace("$settings", settings), head=head))


def _content(world: World, address: str, *, outside: bool) -> dict[str, Any]:
    """What the program shows; `version` tells it whether anything changed."""
    if outside:
        person = world.store.outsider(Address("", address))
        received = [{**people.shown_mail(at, one), "folder": "inbox"} for at, one in person.received]
        written = [{**people.shown_mail(one.sent_at, one), "folder": "sentitems"} for one in person.written]
        for one in (*received, *written):
            one["id"] = f"{one['folder']}:{one['internet_message_id']}"
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
        {**people.shown_message(mailbox, one), "at": when(one.received_at)}
        for one in mailbox.messages.values()
    ]
    return {
        "version": world.store.version,
        "name": mailbox.user.display_name,
        "folders": list(FOLDERS),
        "messages": shown,
    }


def _link(address: str, name: str, *, outside: bool) -> str:
    kind = "outside/" if outside else ""
    return (
        f'<li><a class="account" href="/outlook/{kind}{html.escape(address)}" data-testid="open-{html.escape(address)}">'
        f"<strong>{html.escape(name or address)}</strong><span>{html.escape(address)}</span></a></li>"
    )


def _chooser(world: World) -> str:
    users = "".join(_link(one.address, one.display_name, outside=False) for one in world.store.users.values())
    others = "".join(
        _link(one.address.address, one.address.name, outside=True) for one in world.store.outsiders.values()
    )
    return (
        '<main><div class="card"><h1>Whose mail?</h1><h2>Mailboxes at Microsoft 365</h2>'
        f'<ul class="accounts">{users}</ul><h2>People elsewhere</h2><ul class="accounts">{others}</ul></div></main>'
    )


def _overview(world: World) -> str:
    subscriptions = "".join(
        f"<tr><td>{html.escape(one.user.address)}</td><td>{html.escape(one.resource)}</td><td>{when(one.expires_at)}</td></tr>"
        for one in world.subscriptions.items.values()
    )
    requests = "".join(
        f"<tr><td>{one.seq}</td><td>{html.escape(one.address or '')}</td><td>{html.escape(one.operation)}</td><td>{one.status}</td>"
        f"<td>{'yes' if one.reads_body else ''}</td></tr>"
        for one in list(world.log.entries)[-40:][::-1]
    )
    return (
        f'<main><div class="card"><h1>What happens in here</h1><p class="dim">The time is {when(world.now())}.</p>'
        "<h2>Subscriptions</h2><table><tr><th>mailbox</th><th>resource</th><th>until</th></tr>"
        f"{subscriptions or '<tr><td colspan=3>none</td></tr>'}</table>"
        "<h2>Latest requests to Graph</h2><table><tr><th>#</th><th>mailbox</th><th>operation</th><th>status</th><th>reads a body</th></tr>"
        f"{requests}</table></div></main>"
    )
