"""The app under Azure's own worker library: it imports, indexes and answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from shared import bootstrap
from shared.ops import create_storage
from shared.services import Services
from shared.settings import Settings
from shared.storage.stores import Stores
from shared.storage.testing import MemoryBlobs, MemoryQueues, MemoryTables
from tests.builders import StillClock
from tests.meta.sources import ROOT
from tests.meta.triggers import compare
from tests.worker.messages import envelope, http, invocation, queued, timed

runtime = pytest.importorskip(
    "azure_functions_runtime", reason="needs Python 3.13: `make worker` has an environment for it"
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEBHOOK_SECRET = "graph-path-secret-of-enough-characters"
SETTINGS = {
    "PROFILE": "local",
    "PUBLIC_BASE_URL": "http://localhost:7071",
    "DataStorage": "unused",
    "ENTRA_CLIENT_ID": "client",
    "ENTRA_CLIENT_SECRET": "secret",
    "ENTRA_AUTHORITY": "https://localhost:7443/common",
    "GRAPH_BASE_URL": "https://localhost:7443/v1.0",
    "GRAPH_WEBHOOK_SECRET": WEBHOOK_SECRET,
    "CLIENT_STATE_KEYS": "client-state-key-of-enough-characters",
    "API_KEY_PEPPER": "pepper-of-more-than-enough-characters",
    "LINK_SIGNING_KEYS": "link-signing-key-of-enough-characters",
}


@pytest.fixture(scope="module")
def settings() -> Any:
    """Set what the app reads, for the whole module: the library keeps one app per process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        yield patch


@dataclass(slots=True)
class World:
    """The services that the app finds, over in-memory stores, and every place of the tables that was touched."""

    services: Services
    touched: list[tuple[str, ...]]


@pytest_asyncio.fixture(loop_scope="module")
async def world(tmp_path: Path) -> AsyncIterator[World]:
    key = tmp_path / "sealing.key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    touched: list[tuple[str, ...]] = []
    clock = StillClock()
    tables = MemoryTables(before=lambda call: touched.append(call.place))
    parts = bootstrap.Parts(clock=clock, stores=Stores(tables, MemoryBlobs(clock), MemoryQueues(clock)))
    services = bootstrap.build(Settings.load({**SETTINGS, "SEALING_KEY_FILE": str(key)}), parts)
    await create_storage(services)
    with bootstrap.replaced(services):
        yield World(services, touched)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def functions(settings: Any) -> dict[str, Any]:
    """The functions as the library has indexed them, by name."""
    runtime.start_threadpool_executor()
    request = envelope(
        worker_init_request=type("Init", (), {"function_app_directory": str(ROOT), "capabilities": {}})()
    )
    started = await runtime.worker_init_request(request)
    assert started.result.exception is None, started.result.exception.message
    indexed = await runtime.functions_metadata_request(envelope())
    return {function.name: function for function in indexed.function_metadata_results}


async def test_the_app_is_indexed(functions: dict[str, Any]) -> None:
    """Azure's worker library finds every function with the bindings that are written down."""
    compare(
        {name: [json.loads(raw) for raw in function.raw_bindings] for name, function in functions.items()}
    )


async def test_functions_are_loaded(functions: dict[str, Any]) -> None:
    """Azure's worker library loads each function by the id under which it was indexed."""
    for function in functions.values():
        request = envelope(function_load_request=type("Load", (), {"function_id": function.function_id})())
        loaded = await runtime.function_load_request(request)
        assert loaded.result.status == 1


async def test_an_http_function_answers(functions: dict[str, Any]) -> None:
    """An HTTP function answers through the worker library's own decoding and encoding."""
    request = http("GET", "https://app/api/health/live", query={}, params={})
    answer = await runtime.invocation_request(invocation(functions["health_live"].function_id, req=request))
    assert answer.result.exception is None, answer.result.exception.message
    assert answer.return_value.http.status_code == "200"


async def notify(functions: dict[str, Any], **fields: Any) -> Any:
    """POST to the address for notifications; returns the library's answer."""
    given = {"query": {}, "params": {"secret": WEBHOOK_SECRET}, **fields}
    request = http("POST", "https://app/api/graph/notifications/x", **given)
    answer = await runtime.invocation_request(
        invocation(functions["receive_notifications"].function_id, req=request)
    )
    assert answer.result.exception is None, answer.result.exception.message
    return answer


async def test_the_handshake_of_notifications(functions: dict[str, Any], world: World) -> None:
    """Under the worker library the handshake's token comes back decoded, and nothing is queued."""
    answer = await notify(functions, query={"validationToken": "Validation: a b"})
    http_answer = answer.return_value.http
    assert (http_answer.status_code, http_answer.body.bytes) == ("200", b"Validation: a b")
    headers = {name.lower(): value for name, value in http_answer.headers.items()}
    assert headers["content-type"].startswith("text/plain")
    assert not answer.output_data


async def test_a_notification_becomes_a_queue_job(functions: dict[str, Any], world: World) -> None:
    """Under the worker library a notification becomes a queue message that the worker function takes."""
    state = world.services.client_states.mint("1-2", 1, "nonce")
    item = {"subscriptionId": "sub", "clientState": state, "changeType": "created", "tenantId": "t",
            "subscriptionExpirationDateTime": "2026-03-05T00:00:00Z", "resource": "x",
            "resourceData": {"id": "AAkALg"}}  # fmt: skip
    answer = await notify(functions, body=json.dumps({"value": [item]}).encode())
    assert answer.return_value.http.status_code == "202"
    (output,) = answer.output_data
    assert output.name == "changes"
    (job,) = json.loads(output.data.json)
    message, metadata = queued(job)
    work = functions["work_changes"].function_id
    world.touched.clear()
    done = await runtime.invocation_request(invocation(work, metadata, msg=message))
    assert done.result.exception is None, done.result.exception.message
    asked = ("Mailbox", "ten_1|mbx_2", "fence:", "mailbox~")  # the rows of that very mailbox
    assert asked in world.touched


async def test_a_queue_job_that_is_nonsense(functions: dict[str, Any], world: World) -> None:
    """Under the worker library a queue message that is no job makes the function fail."""
    message, metadata = queued("no job")
    answer = await runtime.invocation_request(
        invocation(functions["work_maintenance"].function_id, metadata, msg=message)
    )
    assert answer.result.status == 0


async def test_a_timer(functions: dict[str, Any], world: World) -> None:
    """Under the worker library a past-due timer runs and moves what lies in a poison queue to the dead letters."""
    await world.services.queues.ensure(["maintenance-poison"])
    await world.services.queues.put("maintenance-poison", "crashed")
    timer = functions["enqueue_due_work"].function_id
    answer = await runtime.invocation_request(invocation(timer, timer=timed(past_due=True)))
    assert answer.result.exception is None, answer.result.exception.message
    assert answer.return_value is None
    assert await world.services.queues.peek("maintenance-poison") == []
    assert any("DeadLetters" in place for place in world.touched)


async def test_an_unknown_function_is_a_failure(functions: dict[str, Any]) -> None:
    """The worker library answers a call of an unknown function with a failure that says what went wrong."""
    answer = await runtime.invocation_request(invocation("no-such-id"))
    assert answer.result.status == 0
    assert answer.result.exception.message
    assert functions
