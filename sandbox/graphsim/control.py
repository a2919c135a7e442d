"""The control API below /__control, which Microsoft 365 does not have: people, clock, request log, disturbances."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.graphsim import login, people
from sandbox.graphsim.admin_consent import set_user_consent
from sandbox.graphsim.config import HOME_TENANT_ID, PERSONAL_TENANT_ID, Application, FederatedCredential
from sandbox.graphsim.disturbances import DISTURBANCES, Handler, Refused
from sandbox.graphsim.knobs import UnknownKnob
from sandbox.graphsim.login_pages import AuthorizePageError
from sandbox.graphsim.render import when
from sandbox.graphsim.store import Address, User
from sandbox.graphsim.unreadable import UnknownPart

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.graphsim.world import World


def routes(world: World) -> list[Route]:
    """The routes of the control API."""
    return [
        Route(f"/__control/{path}", _endpoint(world, handler), methods=[method])
        for method, path, handler in TABLE
    ]


def _endpoint(world: World, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        body = await request.json() if await request.body() else {}
        try:
            answer = handler(world, request, body)
            if inspect.isawaitable(answer):
                answer = await answer
        except (Refused, UnknownKnob, UnknownPart, KeyError, people.NotPossible) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(answer if answer is not None else {})

    return serve


def show_health(world: World, _request: Request, _body: dict[str, Any]) -> Any:
    """Answer that the simulator runs, with its time."""
    return {"status": "ok", "now": when(world.now())}


def reset(world: World, _request: Request, _body: dict[str, Any]) -> Any:
    """Delete mail, people, sign-ins, subscriptions, faults and scheduled jobs, reset knobs; applications stay."""
    world.store.users.clear()
    world.store.mailboxes.clear()
    world.store.outsiders.clear()
    world.entra.forget()
    world.subscriptions.items.clear()
    world.notifier.forget()
    world.schedule.clear()
    world.uploads.sessions.clear()
    world.faults.clear()
    world.knobs.reset()
    world.throttle.reset()
    world.log.clear()
    world.store.version += 1


def register_application(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """Register an application."""
    world.entra.register(
        Application(
            body["client_id"],
            body.get("client_secret"),
            tuple(body["redirect_uris"]),
            body.get("display_name", "Postbraid"),
            tuple(body.get("certificates", ())),
            tuple(FederatedCredential(**each) for each in body.get("federated", ())),
        )
    )


def trust_issuer(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """Tell the key set of an issuer whose tokens may be assertions; the real Entra fetches it."""
    world.entra.issuers[body["issuer"]] = list(body["keys"])


def add_user(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """Add an account with a mailbox, unless it is known already."""
    known = world.store.user(body["address"])
    if known is None:
        personal = bool(body.get("personal"))
        known = User(
            user_id=body.get("user_id") or world.ids.guid(),
            address=body["address"],
            display_name=body.get("display_name", body["address"]),
            tenant_id=body.get("tenant_id") or (PERSONAL_TENANT_ID if personal else HOME_TENANT_ID),
            personal=personal,
            mail=None if body.get("no_mail") else body["address"],
            aliases=tuple(alias.lower() for alias in body.get("aliases", ())),
            mailbox_enabled=not body.get("no_mailbox"),
        )
        world.store.add_user(known, world.ids)
        world.store.version += 1
    return {"user_id": known.user_id, "tenant_id": known.tenant_id, "address": known.address}


def list_users(world: World, _request: Request, _body: dict[str, Any]) -> Any:
    """List the accounts and the outsiders."""
    users = [
        {"address": user.address, "display_name": user.display_name} for user in world.store.users.values()
    ]
    outside = [
        {"address": person.address.address, "name": person.address.name}
        for person in world.store.outsiders.values()
    ]
    return {"users": users, "outside": outside}


def revoke_sessions(world: World, request: Request, _body: dict[str, Any]) -> Any:
    """End all sessions of an account; answer how many subscriptions it has lost."""
    user = _user(world, request)
    before = world.subscriptions.count(user)
    world.entra.revoke(user)
    return {"address": user.address, "subscriptions_removed": before - world.subscriptions.count(user)}


def _user(world: World, request: Request) -> User:
    found = world.store.user(request.path_params["address"])
    if found is None:
        raise Refused("there is no such account")
    return found


def add_contact(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """Add an outsider: a person whose mailbox is not simulated."""
    world.store.ensure_outsider(Address(body.get("name", ""), body["address"]))
    world.store.version += 1


def compose_outside(world: World, request: Request, body: dict[str, Any]) -> Any:
    """Write a mail as an outsider."""
    return {"internet_message_id": people.write_as_outsider(world, request.path_params["address"], body)}


def reply_outside(world: World, request: Request, body: dict[str, Any]) -> Any:
    """Answer a mail as an outsider."""
    return {"internet_message_id": people.reply_as_outsider(world, request.path_params["address"], body)}


def list_outside_messages(world: World, request: Request, _body: dict[str, Any]) -> Any:
    """List the mails that an outsider received."""
    person = world.store.ensure_outsider(Address("", request.path_params["address"]))
    return {"messages": [people.shown_mail(at, mail) for at, mail in person.received]}


def compose_in_mailbox(world: World, request: Request, body: dict[str, Any]) -> Any:
    """Write, answer, forward or begin a draft as the mailbox's user in Outlook."""
    return people.write_as_user(world, _mailbox(world, request), body)


def act_on_message(world: World, request: Request, body: dict[str, Any]) -> Any:
    """Send a draft, or move, delete, copy or mark a message as read, as the mailbox's user in Outlook."""
    return people.act_as_user(
        world, _mailbox(world, request), request.path_params["id"], request.path_params["action"], body
    )


def move_all_messages(world: World, request: Request, body: dict[str, Any]) -> Any:
    """Move all messages of a folder at once, as a desktop client or a retention rule does."""
    return people.move_all(world, _mailbox(world, request), body)


def list_mailbox_messages(world: World, request: Request, _body: dict[str, Any]) -> Any:
    """List all messages of a mailbox."""
    mailbox = _mailbox(world, request)
    return {"messages": [people.shown_message(mailbox, message) for message in mailbox.messages.values()]}


def _mailbox(world: World, request: Request) -> Any:
    found = world.store.mailbox(request.path_params["address"])
    if found is None:
        raise Refused("there is no such mailbox")
    return found


def authorize(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """Sign in without a browser; return the form that the browser would post to the application."""
    query = dict(parse_qsl(urlsplit(body["url"]).query, keep_blank_values=True))
    try:
        login.check_authorize(world, query)
    except AuthorizePageError as error:
        raise Refused(str(error)) from error
    user = world.store.user(body["address"])
    fields = login.complete_sign_in(world, query, user, body.get("decision", "accept"))
    return {
        "action": query["redirect_uri"],
        "fields": fields,
        "response_mode": query.get("response_mode", "query"),
    }


def list_requests(world: World, request: Request, _body: dict[str, Any]) -> Any:
    """List the logged requests to Graph and to the token endpoint."""
    return world.log.since(int(request.query_params.get("since", "0")))


def clear_requests(world: World, _request: Request, _body: dict[str, Any]) -> Any:
    """Empty the request log."""
    world.log.clear()


def show_clock(world: World, _request: Request, _body: dict[str, Any]) -> Any:
    """Show the time and when the next scheduled job is due."""
    due = world.schedule.next_at()
    return {"now": when(world.now()), "next_due_at": when(due) if due else None}


def advance_clock(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """Move the clock forward, for every process that shares it."""
    advance = getattr(world.clock, "advance", None)
    if advance is None:
        raise Refused("this clock cannot be moved")
    advance(float(body["advance_seconds"]))
    return show_clock(world, _request, body)


TABLE: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "health", show_health),
    ("POST", "reset", reset),
    ("POST", "applications", register_application),
    ("POST", "issuers", trust_issuer),
    ("POST", "users", add_user),
    ("GET", "users", list_users),
    ("POST", "users/{address}/revoke", revoke_sessions),
    ("POST", "contacts", add_contact),
    ("POST", "outside/{address}/compose", compose_outside),
    ("POST", "outside/{address}/reply", reply_outside),
    ("GET", "outside/{address}/messages", list_outside_messages),
    ("POST", "mailboxes/{address}/compose", compose_in_mailbox),
    ("POST", "mailboxes/{address}/messages/{id}/{action}", act_on_message),
    ("POST", "mailboxes/{address}/move-all", move_all_messages),
    ("GET", "mailboxes/{address}/messages", list_mailbox_messages),
    ("POST", "authorize", authorize),
    ("PUT", "user-consent", set_user_consent),
    ("GET", "requests", list_requests),
    ("POST", "requests/clear", clear_requests),
    ("GET", "clock", show_clock),
    ("POST", "clock", advance_clock),
    *DISTURBANCES,
)
