"""Controls, apart from the imitated surface: seed, clock, knobs, faults, and what lies where."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.graphsim import login, people
from sandbox.graphsim.config import HOME_TENANT_ID, PERSONAL_TENANT_ID, Application
from sandbox.graphsim.faults import KINDS
from sandbox.graphsim.knobs import KNOBS, UnknownKnob
from sandbox.graphsim.notifications import Control
from sandbox.graphsim.render import fine_time, when
from sandbox.graphsim.store import Address, User

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.graphsim.world import World

Handler = Callable[["World", "Request", dict[str, Any]], "Any | Awaitable[Any]"]


class Refused(ValueError):
    """A control call that cannot be done."""


def routes(world: World) -> list[Route]:
    """Every control below /__control."""
    return [
        Route(f"/__control/{path}", _serving(world, handler), methods=[method])
        for method, path, handler in TABLE
    ]


def _serving(world: World, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        body = await request.json() if await request.body() else {}
        try:
            answer = handler(world, request, body)
            if inspect.isawaitable(answer):
                answer = await answer
        except (Refused, UnknownKnob, KeyError, people.NotPossible) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(answer if answer is not None else {})

    return serve


def health(world: World, _request: Request, _body: dict[str, Any]) -> Any:
    """It answers."""
    return {"status": "ok", "now": when(world.now())}


def reset(world: World, _request: Request, _body: dict[str, Any]) -> Any:
    """Forget mail, people, sign-ins, subscriptions, faults, knobs and all that was to happen; applications stay."""
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


def applications(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """Register an application."""
    world.entra.register(
        Application(
            body["client_id"],
            body["client_secret"],
            tuple(body["redirect_uris"]),
            body.get("display_name", "Postbraid"),
        )
    )


def add_user(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """An account with a mailbox; known already is fine."""
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
            aliases=tuple(one.lower() for one in body.get("aliases", ())),
            mailbox_enabled=not body.get("no_mailbox"),
        )
        world.store.add_user(known, world.ids)
        world.store.version += 1
    return {"user_id": known.user_id, "tenant_id": known.tenant_id, "address": known.address}


def list_users(world: World, _request: Request, _body: dict[str, Any]) -> Any:
    """Accounts and people outside."""
    users = [{"address": one.address, "display_name": one.display_name} for one in world.store.users.values()]
    outside = [
        {"address": one.address.address, "name": one.address.name} for one in world.store.outsiders.values()
    ]
    return {"users": users, "outside": outside}


def revoke(world: World, request: Request, _body: dict[str, Any]) -> Any:
    """End all sessions of an account."""
    world.entra.revoke(_user(world, request))


def _user(world: World, request: Request) -> User:
    found = world.store.user(request.path_params["address"])
    if found is None:
        raise Refused("there is no such account")
    return found


def add_contact(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """A person outside."""
    world.store.outsider(Address(body.get("name", ""), body["address"]))
    world.store.version += 1


def outside_compose(world: World, request: Request, body: dict[str, Any]) -> Any:
    """A person outside writes."""
    return {"internet_message_id": people.outsider_writes(world, request.path_params["address"], body)}


def outside_reply(world: World, request: Request, body: dict[str, Any]) -> Any:
    """A person outside answers a mail they got."""
    return {"internet_message_id": people.outsider_replies(world, request.path_params["address"], body)}


def outside_messages(world: World, request: Request, _body: dict[str, Any]) -> Any:
    """What reached a person outside."""
    person = world.store.outsider(Address("", request.path_params["address"]))
    return {"messages": [people.shown_mail(at, mail) for at, mail in person.received]}


def mailbox_compose(world: World, request: Request, body: dict[str, Any]) -> Any:
    """The mailbox's user writes, answers, forwards or begins a draft in Outlook."""
    return people.user_writes(world, _mailbox(world, request), body)


def mailbox_act(world: World, request: Request, body: dict[str, Any]) -> Any:
    """Send a draft, move, delete, or mark as read."""
    return people.user_acts(
        world, _mailbox(world, request), request.path_params["id"], request.path_params["action"], body
    )


def mailbox_messages(world: World, request: Request, _body: dict[str, Any]) -> Any:
    """Everything in a mailbox."""
    mailbox = _mailbox(world, request)
    return {"messages": [people.shown_message(mailbox, one) for one in mailbox.messages.values()]}


def _mailbox(world: World, request: Request) -> Any:
    found = world.store.mailbox(request.path_params["address"])
    if found is None:
        raise Refused("there is no such mailbox")
    return found


def authorize(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """Sign in without a browser: what it would post back."""
    query = dict(parse_qsl(urlsplit(body["url"]).query, keep_blank_values=True))
    try:
        login.check_authorize(world, query)
    except login.AuthorizePageError as error:
        raise Refused(str(error)) from error
    user = world.store.user(body["address"])
    fields = login.outcome(world, query, user, body.get("decision", "accept"))
    return {
        "action": query["redirect_uri"],
        "fields": fields,
        "response_mode": query.get("response_mode", "query"),
    }


def requests(world: World, request: Request, _body: dict[str, Any]) -> Any:
    """The log of Graph and token requests."""
    return world.log.since(int(request.query_params.get("since", "0")))


def clear_requests(world: World, _request: Request, _body: dict[str, Any]) -> Any:
    """Empty the log."""
    world.log.clear()


def show_clock(world: World, _request: Request, _body: dict[str, Any]) -> Any:
    """What time it is here."""
    due = world.schedule.next_at()
    return {"now": when(world.now()), "next_due_at": when(due) if due else None}


def advance_clock(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """Move the whole world forward (every process that shares the clock)."""
    advance = getattr(world.clock, "advance", None)
    if advance is None:
        raise Refused("this clock cannot be moved")
    advance(float(body["advance_seconds"]))
    return show_clock(world, _request, body)


def show_knobs(world: World, _request: Request, _body: dict[str, Any]) -> Any:
    """The switches with what they change."""
    table = [
        {"name": one.name, "values": one.values, "default": one.default, "confidence": one.confidence,
         "source": one.source, "changes": one.changes}
        for one in KNOBS
    ]  # fmt: skip
    return {"knobs": world.knobs.all(), "table": table}


def set_knobs(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """Turn switches."""
    for name, value in body.items():
        world.knobs.set(name, value)
    world.ids.differ_by_case = world.knobs.text("ids_differ_by_case") == "yes"
    return {"knobs": world.knobs.all()}


def add_fault(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """Make something go wrong."""
    if body.get("kind") not in KINDS:
        raise Refused(f"kind is one of {', '.join(KINDS)}")
    fault = world.faults.add(**{name: value for name, value in body.items() if value is not None})
    return {"fault_id": fault.fault_id}


def list_faults(world: World, _request: Request, _body: dict[str, Any]) -> Any:
    """The plan, with how often each struck."""
    return {"faults": world.faults.listing()}


def clear_faults(world: World, _request: Request, _body: dict[str, Any]) -> Any:
    """No more faults."""
    world.faults.clear()


async def notifications(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """Drop or double the next ones, or hold all back."""
    action = body["action"]
    match action:
        case "pause":
            world.notifier.paused = True
        case "resume":
            await world.notifier.resume()
        case "drop" | "double":
            address = body.get("address")
            world.notifier.controls.append(
                Control(
                    action, int(body.get("count", 1)), address and address.lower(), body.get("change_type")
                )
            )
        case _:
            raise Refused("action is drop, double, pause or resume")
    return show_notifications(world, _request, body)


def show_notifications(world: World, _request: Request, _body: dict[str, Any]) -> Any:
    """What waits and what was lost."""
    waiting = sum(len(items) for items in world.notifier.waiting.values())
    return {
        "waiting": waiting,
        "posted": world.notifier.posted,
        "dropped": world.notifier.dropped,
        "paused": world.notifier.paused,
    }


def list_subscriptions(world: World, _request: Request, _body: dict[str, Any]) -> Any:
    """All subscriptions of everybody."""
    return {
        "subscriptions": [
            {
                "id": one.subscription_id,
                "address": one.user.address,
                "resource": one.resource,
                "expires_at": fine_time(one.expires_at),
                "paused": world.subscriptions.paused(one),
            }
            for one in world.subscriptions.items.values()
        ]
    }


def send_lifecycle(world: World, request: Request, body: dict[str, Any]) -> Any:
    """A lifecycle notification now; `subscriptionRemoved` also removes."""
    found = world.subscriptions.items.get(request.path_params["id"])
    if found is None:
        raise Refused("there is no such subscription")
    if body["event"] == "subscriptionRemoved":
        world.subscriptions.remove(found, tell=True)
    else:
        world.notifier.lifecycle(found, body["event"])


def force_throttle(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """Answer 429 to a mailbox for a while."""
    seconds = body.get("seconds")
    until = world.now() + timedelta(seconds=float(seconds)) if seconds else None
    world.throttle.force(body["address"], until, body.get("count"), float(body.get("retry_after", 10)))


def decode(text: str) -> bytes:
    """Bytes in JSON."""
    return base64.b64decode(text)


TABLE: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "health", health),
    ("POST", "reset", reset),
    ("POST", "applications", applications),
    ("POST", "users", add_user),
    ("GET", "users", list_users),
    ("POST", "users/{address}/revoke", revoke),
    ("POST", "contacts", add_contact),
    ("POST", "outside/{address}/compose", outside_compose),
    ("POST", "outside/{address}/reply", outside_reply),
    ("GET", "outside/{address}/messages", outside_messages),
    ("POST", "mailboxes/{address}/compose", mailbox_compose),
    ("POST", "mailboxes/{address}/messages/{id}/{action}", mailbox_act),
    ("GET", "mailboxes/{address}/messages", mailbox_messages),
    ("POST", "authorize", authorize),
    ("GET", "requests", requests),
    ("POST", "requests/clear", clear_requests),
    ("GET", "clock", show_clock),
    ("POST", "clock", advance_clock),
    ("GET", "knobs", show_knobs),
    ("PUT", "knobs", set_knobs),
    ("POST", "faults", add_fault),
    ("GET", "faults", list_faults),
    ("DELETE", "faults", clear_faults),
    ("POST", "notifications", notifications),
    ("GET", "notifications", show_notifications),
    ("GET", "subscriptions", list_subscriptions),
    ("POST", "subscriptions/{id}/lifecycle", send_lifecycle),
    ("POST", "throttle", force_throttle),
)
