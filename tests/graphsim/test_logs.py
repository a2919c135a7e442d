"""The logs: what was sent to applications, and which requests were probes or met a planned fault."""

from __future__ import annotations

from typing import Any

import httpx

from tests.graphsim.conftest import ANN, HOOK, HTTPS, LIFE, App, Lab, at
from tests.graphsim.test_notifications import CALM, watch
from tests.graphsim.test_subscriptions import wanted


async def deliveries(lab: Lab, since: int = 0) -> list[dict[str, Any]]:
    """What was sent to applications."""
    found: list[dict[str, Any]] = (await lab.control("GET", f"deliveries?since={since}"))["deliveries"]
    return found


async def last_meaning(lab: Lab) -> str:
    """What the latest request was."""
    return lab.simulator.world.log.entries[-1].meaning


async def test_handshakes_and_notifications(lab: Lab, app: App) -> None:
    """The log of deliveries tells handshakes from notifications, with mailbox, address, change and answer."""
    await lab.knobs(**CALM)
    await watch(lab, app)
    await lab.arrives()
    first, second, third = await deliveries(lab)
    assert [(entry["kind"], entry["url"], entry["status"]) for entry in (first, second)] == [
        ("handshake", HOOK, 200),
        ("handshake", LIFE, 200),
    ]
    assert (third["kind"], third["what"], third["address"], third["url"]) == (
        "change",
        ["created"],
        ANN,
        HOOK,
    )
    assert (third["outcome"], third["status"], third["attempt"]) == ("accepted", 202, 1)


async def test_lost_doubled_and_tried_again(lab: Lab, app: App) -> None:
    """Lost, doubled and late notifications are marked, and so is a failed attempt."""
    await lab.knobs(**CALM)
    await watch(lab, app, "created")
    order = {"count": 1, "address": ANN}
    assert (await lab.control("POST", "notifications", {"action": "drop", **order}))["to_drop"] == 1
    await lab.arrives()
    assert (await lab.control("GET", "notifications"))["to_drop"] == 0
    assert [(entry["outcome"], entry["status"]) for entry in (await deliveries(lab))[2:]] == [("lost", None)]
    await lab.control("POST", "notifications", {"action": "double", **order})
    lab.endpoint.answer = lambda _: httpx.Response(503)
    await lab.arrives()
    failed = (await deliveries(lab))[3]
    assert (failed["outcome"], failed["status"], failed["duplicates"]) == ("tried again", 503, 1)
    lab.endpoint.answer = None
    await lab.pass_time()
    again = (await deliveries(lab))[-1]
    assert (again["outcome"], again["attempt"], again["late_seconds"] >= 10) == ("accepted", 2, True)


async def test_a_refused_handshake(lab: Lab, app: App) -> None:
    """A handshake that an application does not answer rightly is logged as refused."""
    lab.endpoint.handshake = lambda _: httpx.Response(500)
    answer = await app("POST", "subscriptions", wanted(lab))
    assert answer.status_code == 400
    (entry,) = await deliveries(lab)
    assert (entry["kind"], entry["outcome"], entry["status"]) == ("handshake", "refused", 500)


async def test_probes_are_marked(lab: Lab, app: App) -> None:
    """A request without a token, one that asks for an id alone, and one that says so are probes, refused or not."""
    await lab.http.get(f"{HTTPS}/v1.0/me")
    assert await last_meaning(lab) == "probe: without a token, answered no"
    await app.ok("GET", "me/mailFolders/inbox?$select=id")
    assert await last_meaning(lab) == "probe: is it there?"
    await app("GET", "me/messages/none", X_Simulator_Probe="a foreign message")
    assert await last_meaning(lab) == "probe: a foreign message, answered no"
    (_, _, entry) = [found for found in (await lab.control("GET", "requests"))["requests"] if found["probe"]]
    assert entry["probe"] == "a foreign message"


async def test_what_else_a_request_was(lab: Lab, app: App) -> None:
    """An ordinary call, a refusal, something that is not there and a planned fault are told apart."""
    await app.ok("GET", "me")
    assert await last_meaning(lab) == ""
    await app("GET", "me?$filter=x")
    assert await last_meaning(lab) == "refused"
    mail = await lab.arrives()
    await app("POST", f"{at(mail['id'])}/permanentDelete")
    await app("GET", at(mail["id"]))
    assert await last_meaning(lab) == "not there"
    await lab.control("POST", "faults", {"operation": "me.get", "kind": "status", "status": 503})
    await app("GET", "me")
    assert await last_meaning(lab) == "planned: status"
    await lab.control("POST", "throttle", {"address": ANN, "count": 1})
    await app("GET", "me")
    assert await last_meaning(lab) == "planned: throttle"


async def test_a_pause_is_shown_and_ended(lab: Lab, app: App) -> None:
    """A mailbox that is throttled by order is listed with its end, until it is over or ended by hand."""
    shown = await lab.control("POST", "throttle", {"address": ANN, "seconds": 600, "retry_after": 600})
    assert [(entry["address"], bool(entry["until"])) for entry in shown["throttled"]] == [(ANN, True)]
    answer = await app("GET", "me")
    assert (answer.status_code, float(answer.headers["retry-after"])) == (429, 600)
    assert await lab.control("DELETE", f"throttle/{ANN.upper()}") == {"throttled": []}
    assert (await app("GET", "me")).status_code == 200
    await lab.control("POST", "throttle", {"address": ANN, "seconds": 600})
    lab.clock.advance(601)
    assert await lab.control("GET", "throttle") == {"throttled": []}


async def test_revoking_says_what_it_removed(lab: Lab, app: App) -> None:
    """Ending somebody's sessions answers whose they were and how many subscriptions went with them."""
    await watch(lab, app)
    said = await lab.control("POST", f"users/{ANN}/revoke")
    assert said == {"address": ANN, "subscriptions_removed": 1}
