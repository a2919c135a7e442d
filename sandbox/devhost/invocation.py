"""Call a function as the worker does: decode inputs, run it on the loop or in a thread, encode its results.

Facts: azure-functions-runtime, `handle_event.invocation_request` and `utils/threadpool.py`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import azure.functions as func
from azure.functions.meta import Datum

from sandbox.devhost.annotations import Generic, converter
from sandbox.devhost.functions import IndexedFunction, ParamType

T = TypeVar("T")

OWN_FOLDER = Path(__file__).parent

log = logging.getLogger("devhost")

running_function: ContextVar[str] = ContextVar("running_function", default="host")
"""The name of the function that runs, for the log."""

_thread_local = threading.local()


class FunctionFailed(Exception):
    """A function raised, or returned something that its bindings cannot encode; the cause is chained."""


class Output(func.Out[T]):
    """The argument for a parameter of type `func.Out`."""

    def __init__(self) -> None:
        self._value: T | None = None

    def set(self, val: T) -> None:
        """Keep the value until the function has returned."""
        self._value = val

    def get(self) -> T:
        """The value that was set, or None."""
        return self._value  # type: ignore[return-value]  # None until set, as in the worker


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace context of one invocation (W3C, "Trace Context")."""

    trace_parent: str = ""
    trace_state: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Retry:
    """The retry context; always the first try, because this host has no retry policies."""

    retry_count: int = 0
    max_retry_count: int = 0
    exception: None = None


class Context(func.Context):
    """The `context` parameter of a function."""

    def __init__(self, function: IndexedFunction, invocation_id: str, trace_parent: str) -> None:
        self._function = function
        self._invocation_id = invocation_id
        self._trace = Trace(trace_parent)

    @property
    def invocation_id(self) -> str:
        """The id of this call."""
        return self._invocation_id

    @property
    def thread_local_storage(self) -> Any:
        """Thread-local storage where a thread that the function starts notes the invocation id."""
        return _thread_local

    @property
    def function_name(self) -> str:
        """The function's name."""
        return self._function.name

    @property
    def function_directory(self) -> str:
        """Where the function's file is."""
        return self._function.directory

    @property
    def trace_context(self) -> Any:
        """The trace this call belongs to."""
        return self._trace

    @property
    def retry_context(self) -> Any:
        """Always the first try."""
        return Retry()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of a successful call: its return value and the outputs it set, encoded."""

    returned: Datum | None
    outputs: Mapping[str, Datum]


def new_trace_parent() -> str:
    """A fresh `traceparent` header value, sampled."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


OnTimeout = Callable[[IndexedFunction, float], None]


def log_timeout(function: IndexedFunction, seconds: float) -> None:
    """Log that a function ran too long, and do nothing else: the invoker cancels the call."""
    log.error("Timeout value of %s s exceeded by function '%s'", seconds, function.name)


class Invoker:
    """Runs functions; each process has one.

    `on_timeout` is called when a function exceeds `timeout_seconds`; Azure's host restarts the worker process then.
    """

    def __init__(
        self,
        timeout_seconds: float | None = None,
        environ: Mapping[str, str] = os.environ,
        on_timeout: OnTimeout = log_timeout,
    ) -> None:
        threads = environ.get("PYTHON_THREADPOOL_THREAD_COUNT")
        self._threads = ThreadPoolExecutor(int(threads) if threads and threads.isdigit() else None)
        self._timeout_seconds = timeout_seconds
        self._on_timeout = on_timeout

    def close(self) -> None:
        """Shut the thread pool down without waiting for its threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def invoke(
        self,
        function: IndexedFunction,
        data: Mapping[str, Datum],
        metadata: Mapping[str, Datum] | None = None,
        trace_parent: str = "",
    ) -> Outcome:
        """Call the function; raises FunctionFailed, whose cause is what the function or its conversion raised."""
        token = running_function.set(function.name)
        try:
            return await self._invoke(function, data, metadata or {}, trace_parent or new_trace_parent())
        except Exception as error:
            trace = (type(error), error, _own_part(error.__traceback__))
            log.error("function '%s' failed", function.name, exc_info=trace)  # noqa: TRY400 - without our frames
            raise FunctionFailed(function.name) from error
        finally:
            running_function.reset(token)

    async def _invoke(
        self,
        function: IndexedFunction,
        data: Mapping[str, Datum],
        metadata: Mapping[str, Datum],
        trace_parent: str,
    ) -> Outcome:
        arguments = {
            name: _decode(function.inputs[name].binding, datum, metadata) for name, datum in data.items()
        }
        outputs: dict[str, Output[Any]] = {name: Output() for name in function.outputs}
        arguments |= outputs
        if function.wants_context:
            arguments["context"] = Context(function, str(uuid.uuid4()), trace_parent)
        result = await self._run_within_timeout(function, arguments)
        if result is not None and function.returns is None:
            raise RuntimeError(
                f"function {function.name!r} without a $return bindingreturned a non-None value"
            )
        given = {name: output.get() for name, output in outputs.items()}
        return Outcome(
            returned=_encode(function.returns, result) if function.returns else None,
            outputs={
                name: _encode(function.outputs[name], value)
                for name, value in given.items()
                if value is not None
            },
        )

    async def _run_within_timeout(self, function: IndexedFunction, arguments: dict[str, Any]) -> Any:
        running = asyncio.ensure_future(self._run(function, arguments))
        done, _ = await _wait(running, self._timeout_seconds)
        if not done:
            assert self._timeout_seconds is not None
            running.cancel()
            self._on_timeout(function, self._timeout_seconds)
            raise TimeoutError(f"{function.name} ran longer than functionTimeout allows")
        return running.result()

    async def _run(self, function: IndexedFunction, arguments: dict[str, Any]) -> Any:
        if function.is_async:
            return await function.call(**arguments)
        here = copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: here.run(function.call, **arguments))


async def _wait(
    running: asyncio.Future[Any], seconds: float | None
) -> tuple[set[asyncio.Future[Any]], set[asyncio.Future[Any]]]:
    """Wait for the function at most that long; when the waiting is cancelled, cancel the function too."""
    try:
        return await asyncio.wait({running}, timeout=seconds)
    except asyncio.CancelledError:
        running.cancel()
        raise


def _own_part(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the app's first frame on; all of it when no frame is the app's."""
    step = trace
    while step is not None and Path(step.tb_frame.f_code.co_filename).parent == OWN_FOLDER:
        step = step.tb_next
    return step or trace


def _decode(binding: str, datum: Datum, metadata: Mapping[str, Datum]) -> Any:
    served = converter(binding)
    if served is Generic:
        return datum.value
    return served.decode(datum, trigger_metadata=metadata)


def _encode(wanted: ParamType, value: Any) -> Datum:
    served = converter(wanted.binding)
    if served is Generic:
        return _encode_plainly(value)
    try:
        datum: Datum = served.encode(value, expected_type=wanted.annotation)
    except NotImplementedError as error:
        raise TypeError(
            f'unable to encode outgoing TypedData: unsupported type "{wanted.binding}" '
            f'for Python type "{type(value).__name__}"'
        ) from error
    return datum


def _encode_plainly(value: Any) -> Datum:
    match value:
        case str():
            return Datum(value, "string")
        case bytes() | bytearray():
            return Datum(bytes(value), "bytes")
        case dict() | list():
            return Datum(value, "json")
        case None:
            return Datum(None, None)
        case _:
            raise TypeError(f'unable to encode outgoing TypedData: Python type "{type(value).__name__}"')
