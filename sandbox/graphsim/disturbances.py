"""The part of the control API that disturbs: knobs, faults, notifications, subscriptions, throttling."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sandbox.graphsim.faults import KINDS, NONSENSE
from sandbox.graphsim.knobs import KNOBS
from sandbox.graphsim.notifications import Control
from sandbox.graphsim.render import fine_time, when
from sandbox.graphsim.unreadable import planned

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.graphsim.store import Message
    from sandbox.graphsim.world import World

Handler = Callable[["World", "Request", dict[str, Any]], "Any | Awaitable[Any]"]


class Refused(ValueError):
    """A control call cannot be carried out; it is answered with 400."""


def show_knobs(world: World, _request: Request, _body: dict[str, Any]) -> Any:
    """Show the knobs: their values and what they change."""
    table = [
        {"name": knob.name, "values": knob.values, "default": knob.default, "confidence": knob.confidence,
         "source": knob.source, "changes": knob.changes}
        for knob in KNOBS
    ]  # fmt: skip
    return {"knobs": world.knobs.all(), "table": table}


def set_knobs(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """Set knobs."""
    for name, value in body.items():
        world.knobs.set(name, value)
    world.ids.differ_by_case = world.knobs.text("ids_differ_by_case") == "yes"
    return {"knobs": world.knobs.all()}


def add_fault(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """Plan a fault."""
    if body.get("kind") not in KINDS:
        raise Refused(f"kind is one of {', '.join(KINDS)}")
    if body.get("body", "page") not in NONSENSE:
        raise Refused(f"body is one of {', '.join(NONSENSE)}")
    fault = world.faults.add(**{name: value for name, value in body.items() if value is not None})
    return {"fault_id": fault.fault_id}


def list_faults(world: World, _request: Request, _body: dict[str, Any]) -> Any:
    """List the planned faults, with how often each was applied."""
    return {"faults": world.faults.listing()}


def clear_faults(world: World, _request: Request, _body: dict[str, Any]) -> Any:
    """Delete all faults."""
    world.faults.clear()


async def control_notifications(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """Drop or double the next notifications, or pause and resume all."""
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
    """Show how many notifications wait, were posted and were dropped."""
    waiting = sum(len(items) for items in world.notifier.waiting.values())
    return {
        "waiting": waiting,
        "posted": world.notifier.posted,
        "dropped": world.notifier.dropped,
        "paused": world.notifier.paused,
        "to_drop": sum(order.left for order in world.notifier.controls if order.action == "drop"),
    }


def make_unreadable(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """Refuse reads of a message's body, files or of the whole item, for some minutes or for ever; or end that."""
    message = _message(world, body)
    message.unreadable = planned(world, body)
    return {"id": message.immutable_id}


def make_readable(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """Let a message be read again."""
    message = _message(world, body)
    message.unreadable = None
    return {"id": message.immutable_id}


def _message(world: World, body: dict[str, Any]) -> Message:
    mailbox = world.store.mailbox(body["address"])
    message = mailbox.message(body["id"]) if mailbox else None
    if message is None:
        raise Refused("there is no such message")
    return message


def list_deliveries(world: World, request: Request, _body: dict[str, Any]) -> Any:
    """List what was sent to applications: notifications, handshakes, and notifications that were lost."""
    return world.notifier.log.since(int(request.query_params.get("since", "0")))


def list_subscriptions(world: World, _request: Request, _body: dict[str, Any]) -> Any:
    """List all subscriptions of all users."""
    return {
        "subscriptions": [
            {
                "id": subscription.subscription_id,
                "address": subscription.user.address,
                "resource": subscription.resource,
                "expires_at": fine_time(subscription.expires_at),
                "paused": world.subscriptions.is_paused(subscription),
            }
            for subscription in world.subscriptions.items.values()
        ]
    }


def send_lifecycle(world: World, request: Request, body: dict[str, Any]) -> Any:
    """Send a lifecycle notification now; `subscriptionRemoved` also removes the subscription."""
    found = world.subscriptions.items.get(request.path_params["id"])
    if found is None:
        raise Refused("there is no such subscription")
    if body["event"] == "subscriptionRemoved":
        world.subscriptions.remove(found, notify=True)
    else:
        world.notifier.notify_lifecycle(found, body["event"])


def force_throttle(world: World, _request: Request, body: dict[str, Any]) -> Any:
    """Answer 429 to a mailbox's requests, for some seconds or some times."""
    seconds = body.get("seconds")
    until = world.now() + timedelta(seconds=float(seconds)) if seconds else None
    world.throttle.force(body["address"], until, body.get("count"), float(body.get("retry_after", 10)))
    return show_throttled(world, _request, body)


def show_throttled(world: World, _request: Request, _body: dict[str, Any]) -> Any:
    """Show which mailboxes are answered 429 by order, until when or how often."""
    orders = {address: world.throttle.in_force(address, world.now()) for address in world.throttle.forced}
    return {
        "throttled": [
            {"address": address, "until": order.until and when(order.until), "left": order.left}
            for address, order in orders.items()
            if order
        ]
    }


def end_throttle(world: World, request: Request, body: dict[str, Any]) -> Any:
    """Answer a mailbox's requests again."""
    world.throttle.end(request.path_params["address"])
    return show_throttled(world, request, body)


DISTURBANCES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "knobs", show_knobs),
    ("PUT", "knobs", set_knobs),
    ("POST", "faults", add_fault),
    ("GET", "faults", list_faults),
    ("DELETE", "faults", clear_faults),
    ("POST", "notifications", control_notifications),
    ("GET", "notifications", show_notifications),
    ("POST", "unreadable", make_unreadable),
    ("DELETE", "unreadable", make_readable),
    ("GET", "deliveries", list_deliveries),
    ("GET", "subscriptions", list_subscriptions),
    ("POST", "subscriptions/{id}/lifecycle", send_lifecycle),
    ("POST", "throttle", force_throttle),
    ("GET", "throttle", show_throttled),
    ("DELETE", "throttle/{address}", end_throttle),
)
