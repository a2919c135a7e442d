"""Things that go wrong by plan: where, how often, before or after the work."""

from __future__ import annotations

import httpx
import pytest

from tests.graphsim.conftest import ANN, BEN, App, Lab, at, draft


async def plan(lab: Lab, operation: str, kind: str, **members: object) -> int:
    made = await lab.control("POST", "faults", {"operation": operation, "kind": kind, **members})
    return int(made["fault_id"])


async def hits(lab: Lab) -> list[int]:
    return [fault["hits"] for fault in (await lab.control("GET", "faults"))["faults"]]


async def test_a_status_without_the_work(lab: Lab, app: App) -> None:
    """A planned status is answered once and nothing is done."""
    await plan(lab, "message.create", "status", status=503, retry_after="7")
    answer = await app("POST", "me/messages", draft())
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ServiceUnavailable")
    assert answer.headers["retry-after"] == "7"
    assert await lab.mailbox() == []
    assert await app.ok("POST", "me/messages", draft())
    assert await hits(lab) == [1]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 429, 500, 502, 503, 504])
async def test_every_status_has_its_code(lab: Lab, app: App, status: int) -> None:
    """A planned status comes with a fitting code unless the plan names another."""
    await plan(lab, "me.get", "status", status=status)
    await plan(lab, "me.get", "status", status=status, code="MailboxInfoStale")
    assert (await app.refused("GET", "me"))[0] == status
    assert await app.refused("GET", "me") == (status, "MailboxInfoStale")
    assert await app.ok("GET", "me")


@pytest.mark.parametrize(("kind", "done"), [("drop_before", 0), ("drop_after", 1)])
async def test_a_cut_connection(lab: Lab, app: App, kind: str, done: int) -> None:
    """A cut connection hides whether the work was done, which the mailbox shows."""
    await plan(lab, "message.create", kind)
    with pytest.raises(httpx.RemoteProtocolError):
        await app("POST", "me/messages", draft())
    assert len(await lab.mailbox()) == done
    entry = (await lab.requests())[-1]
    assert (entry["operation"], entry["status"], entry["fault"]) == ("message.create", 0, kind)


async def test_an_error_and_yet_it_happens(lab: Lab, app: App) -> None:
    """A send that is answered 504 goes out later all the same."""
    made = await app.ok("POST", "me/messages", draft())
    await plan(lab, "message.send", "commit_late", seconds=30)
    assert (await app.refused("POST", f"{at(made['id'])}/send"))[0] == 504
    await lab.pass_time(29)
    assert await lab.outside() == []
    await lab.pass_time(10)
    assert len(await lab.outside()) == 1


async def test_whom_it_strikes(lab: Lab, app: App) -> None:
    """A fault strikes by operation, method, mailbox and count, and nobody else."""
    ben = await lab.app(BEN)
    await plan(lab, "message.*", "status", status=500, method="GET", address=ANN, count=2)
    made = await app.ok("POST", "me/messages", draft())
    path = at(made["id"])
    assert await app.ok("GET", "me")
    assert (await ben("GET", "me/messages")).status_code == 200
    assert [(await app("GET", path)).status_code for _ in range(3)] == [500, 500, 200]


async def test_by_chance(lab: Lab, app: App) -> None:
    """A fault with a probability strikes some of the requests."""
    await plan(lab, "me.get", "status", status=500, probability=0.5)
    statuses = [(await app("GET", "me")).status_code for _ in range(40)]
    assert 8 < statuses.count(500) < 32


async def test_a_slow_answer(lab: Lab, app: App) -> None:
    """A planned delay leaves the answer as it is."""
    await plan(lab, "me.get", "delay", seconds=0.001)
    assert await app.ok("GET", "me")
    assert await hits(lab) == [1]


async def test_the_plan_is_seen_and_cleared(lab: Lab, app: App) -> None:
    """Planned faults can be listed and cleared, and an unknown kind is refused."""
    first, second = await plan(lab, "me.get", "drop_after"), await plan(lab, "me.get", "status", count=9)
    listed = (await lab.control("GET", "faults"))["faults"]
    assert [(fault["fault_id"], fault["count"]) for fault in listed] == [(first, 1), (second, 9)]
    await lab.control("DELETE", "faults")
    assert await app.ok("GET", "me")
    answer = await lab.http.post(
        "http://localhost:7444/__control/faults", json={"operation": "*", "kind": "fire"}
    )
    assert answer.status_code == 400


@pytest.mark.parametrize("body", ["page", "empty", "cut", "null", "error", "nulls"])
async def test_an_answer_that_is_none(lab: Lab, app: App, body: str) -> None:
    """Nonsense comes with 200, nothing is done, and the log says that it was planned."""
    await plan(lab, "message.create", "nonsense", body=body)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=lab.simulator.app)) as unchecked:
        answer = await App(unchecked, app.token)("POST", "me/messages", draft())
    assert answer.status_code == 200
    assert await lab.mailbox() == []
    assert (await lab.requests())[-1]["fault"] == "nonsense"


async def test_only_where_a_body_is_asked_for(lab: Lab, app: App) -> None:
    """A fault of bodies leaves lists and reads of ids alone."""
    made = await app.ok("POST", "me/messages", draft())
    await plan(lab, "*", "status", status=503, of_bodies=True, count=9)
    assert await app.ok("GET", f"{at(made['id'])}?$select=id,subject")
    assert await app.ok("GET", "me/messages?$select=id")
    assert (await app.refused("GET", at(made["id"])))[0] == 503
    assert (await app.refused("GET", f"{at(made['id'])}?$select=id,body"))[0] == 503
