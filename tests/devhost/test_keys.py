"""Who may call what, and the host's own addresses."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from sandbox.clock import VirtualClock
from sandbox.devhost.inprocess import Host, MemoryQueues, build_host
from sandbox.devhost.keys import Keys, load_keys
from tests.devhost.apps import add_route, anonymous_app, ask, serving

KEYS = Keys("master-key", "host-key", {"with_own": "own-key"})


def guarded(level: str, name: str = "one", **environ: str) -> Host:
    app = serving(name, "it", auth_level=level)
    return build_host(app, keys=KEYS, environ=environ)


@pytest.mark.parametrize(
    ("level", "key", "status"),
    [
        ("anonymous", None, 200),
        ("anonymous", "wrong", 200),
        ("function", None, 401),
        ("function", "wrong", 401),
        ("function", "host-key", 200),
        ("function", "master-key", 200),
        ("function", "own-key", 401),
        ("admin", None, 401),
        ("admin", "host-key", 401),
        ("admin", "master-key", 200),
    ],
)
async def test_levels(level: str, key: str | None, status: int) -> None:
    """A key opens a function of its own level and the master key opens all; a refusal is an empty 401."""
    headers = {"x-functions-key": key} if key else {}
    answer = await ask(guarded(level), "GET", "/api/it", headers=headers)
    assert answer.status_code == status
    assert status == 200 or answer.content == b""


async def test_a_functions_own_key() -> None:
    """A key made for one function opens that function."""
    answer = await ask(guarded("function", "with_own"), "GET", "/api/it?code=own-key")
    assert answer.status_code == 200


async def test_the_header_wins_over_the_query() -> None:
    """A wrong key in the header is not saved by a right one in `?code=`."""
    answer = await ask(
        guarded("function"), "GET", "/api/it?code=host-key", headers={"x-functions-key": "wrong"}
    )
    assert answer.status_code == 401


async def test_routing_comes_first() -> None:
    """An unknown route is 404 without a key."""
    assert (await ask(guarded("function"), "GET", "/api/other")).status_code == 404


async def test_an_oauth_code_is_taken_for_a_key() -> None:
    """A route that asks for a key takes the `?code=` of an authorization response for a wrong one."""
    assert (await ask(guarded("function"), "GET", "/api/it?code=oauth&state=x")).status_code == 401


async def test_function_is_the_default_level() -> None:
    """A function of an app that names no level asks for a key."""
    app = func.FunctionApp()
    add_route(app, "one", "it")
    assert (await ask(build_host(app, environ={}), "GET", "/api/it")).status_code == 401


async def test_a_disabled_function() -> None:
    """A disabled function is 404 except for the master key."""
    host = guarded("anonymous", **{"AzureWebJobs.one.Disabled": "1"})
    assert (await ask(host, "GET", "/api/it")).status_code == 404
    assert (await ask(host, "GET", "/api/it?code=master-key")).status_code == 200


def test_keys_are_made_once_and_kept_privately(tmp_path: Path) -> None:
    """Keys are made at the first start in a file that only its owner can read, and found later."""
    keys = load_keys(tmp_path / "new")
    assert load_keys(tmp_path / "new") == keys
    assert stat.S_IMODE((tmp_path / "new" / "keys.json").stat().st_mode) == 0o600


async def test_ping_and_status() -> None:
    """Ping is open, and the status needs the master key and names the functions that were left out."""
    app = anonymous_app()
    add_route(app, "a", "it")
    add_route(app, "b", "it")
    host = build_host(app, keys=KEYS, environ={})
    assert (await ask(host, "POST", "/admin/host/ping")).status_code == 200
    assert (await ask(host, "GET", "/admin/host/status")).status_code == 401
    answer = await ask(host, "GET", "/admin/host/status", headers={"x-functions-key": "master-key"})
    assert answer.json()["state"] == "Running"
    assert "b:" in answer.json()["errors"][0]


async def test_running_a_function_by_hand() -> None:
    """`POST /admin/functions/{name}` answers 202 at once and runs a queue function with the given input."""
    app = anonymous_app()
    ran = asyncio.Event()
    got: list[Any] = []

    @app.queue_trigger(arg_name="msg", queue_name="q", connection="X")
    async def work(msg: func.QueueMessage) -> None:
        got.append(msg.get_body())
        ran.set()

    host = build_host(app, keys=KEYS, environ={})
    master = {"x-functions-key": "master-key"}
    answer = await ask(host, "POST", "/admin/functions/WORK", json={"input": "by hand"}, headers=master)
    await asyncio.wait_for(ran.wait(), 1)
    assert (answer.status_code, got) == (202, [b"by hand"])
    assert (await ask(host, "POST", "/admin/functions/none", json={}, headers=master)).status_code == 404
    assert (await ask(host, "POST", "/admin/functions/work", json={})).status_code == 401


async def test_draining() -> None:
    """After `POST /admin/host/drain` the host fetches no more messages, and what runs may end."""
    queues = MemoryQueues(VirtualClock())
    queues.create("q")
    app = anonymous_app()
    entered, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @app.queue_trigger(arg_name="msg", queue_name="q", connection="X")
    async def work(msg: func.QueueMessage) -> None:
        entered.set()
        await go_on.wait()
        done.set()

    host = build_host(app, keys=KEYS, queues=queues, environ={})
    master = {"x-functions-key": "master-key"}
    await queues.put("q", "am9i")
    host.start()
    await asyncio.wait_for(entered.wait(), 2)
    assert (await ask(host, "POST", "/admin/host/drain")).status_code == 401
    assert (await ask(host, "POST", "/admin/host/drain", headers=master)).status_code == 202
    entered.clear()
    await queues.put("q", "am9i")
    await asyncio.sleep(0.3)
    assert not entered.is_set()
    go_on.set()
    await asyncio.wait_for(done.wait(), 2)
    await host.stop()
    assert len(queues.texts("q")) == 1


async def test_telling_the_platform_about_triggers() -> None:
    """`POST /admin/host/synctriggers` answers 200 to the master key."""
    host = build_host(anonymous_app(), keys=KEYS, environ={})
    answer = await ask(host, "POST", "/admin/host/synctriggers", headers={"x-functions-key": "master-key"})
    assert answer.status_code == 200
    assert (await ask(host, "POST", "/admin/host/synctriggers")).status_code == 401
    assert (
        await ask(host, "POST", "/admin/nonsense", headers={"x-functions-key": "master-key"})
    ).status_code == 404
