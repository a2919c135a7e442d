"""The app under Azure's own worker library: it imports, indexes and answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
import pytest_asyncio

from tests.meta.sources import ROOT
from tests.meta.triggers import compare
from tests.worker.messages import envelope, http, invocation

runtime = pytest.importorskip(
    "azure_functions_runtime", reason="needs Python 3.13: `make worker` has an environment for it"
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def settings() -> Any:
    """Set what the app reads, for the whole module: the library keeps one app per process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        yield patch


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
    return {one.name: one for one in indexed.function_metadata_results}


async def test_the_app_is_indexed(functions: dict[str, Any]) -> None:
    """The library finds every function, with the bindings that are written down."""
    compare({name: [json.loads(raw) for raw in one.raw_bindings] for name, one in functions.items()})


async def test_functions_are_loaded(functions: dict[str, Any]) -> None:
    """Each function loads by the id under which it was indexed."""
    for one in functions.values():
        request = envelope(function_load_request=type("Load", (), {"function_id": one.function_id})())
        loaded = await runtime.function_load_request(request)
        assert loaded.result.status == 1


async def test_an_http_function_answers(functions: dict[str, Any]) -> None:
    """A request goes in and a response comes out, through the library's own decoding and encoding."""
    request = http("GET", "https://app/api/health/live", query={}, params={})
    answer = await runtime.invocation_request(invocation(functions["health_live"].function_id, req=request))
    assert answer.result.exception is None, answer.result.exception.message
    assert answer.return_value.http.status_code == "200"


async def test_an_unknown_function_is_a_failure(functions: dict[str, Any]) -> None:
    """The library says what went wrong instead of breaking: our shapes of its messages are right in both cases."""
    answer = await runtime.invocation_request(invocation("no-such-id"))
    assert answer.result.status == 0
    assert answer.result.exception.message
    assert functions
