"""One process of the host: imports the app and serves its group until it is told to stop."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import threading
import zlib
from collections.abc import Callable, MutableMapping
from pathlib import Path

import sandbox
from sandbox.clock import OffsetClock
from sandbox.devhost.build import build_host
from sandbox.devhost.connections import (
    MissingConnection,
    open_blob_service,
    open_queue_service,
    resolve_connection,
)
from sandbox.devhost.console import describe, set_up_logging
from sandbox.devhost.context import Clock, HostContext, RealClock, run_hooks
from sandbox.devhost.functions import IndexedFunction
from sandbox.devhost.host import Host
from sandbox.devhost.indexing import import_app
from sandbox.devhost.keys import load_keys
from sandbox.devhost.monitor import BlobTimers, MemoryTimers, TimerStore
from sandbox.devhost.options import ALL_IN_ONE, HTTP_GROUP, Options
from sandbox.devhost.queues import AzureQueues
from sandbox.devhost.report import Report, print_report
from sandbox.devhost.serving import Serving, listen
from sandbox.names import Names

log = logging.getLogger("devhost")

LEFT_SECONDS = 1.5
HOST_STORAGE = "AzureWebJobsStorage"
HOST_ID_SETTING = "AzureFunctionsWebHost__hostid"


def run_child(options: Options) -> int:
    """Serve one group (or everything) until SIGTERM, SIGINT or the end of the parent process; return the exit code."""
    group = options.child or ALL_IN_ONE
    _prepare_process(options, group)
    clock: Clock = OffsetClock(options.clock_file) if options.clock_file else RealClock()
    names = Names.read(options.names) if options.names else None
    run_hooks(options.hooks, HostContext(clock, group, os.environ, names))
    module = import_app(options.app_dir)
    return asyncio.run(_serve(options, group, lambda: _build(options, module, clock, names)))


def _build(options: Options, module: object, clock: Clock, names: Names | None) -> Host:
    queues: dict[str, AzureQueues] = {}

    def access(connection: str) -> AzureQueues:
        if connection not in queues:
            address = resolve_connection(connection, "queue", os.environ)
            queues[connection] = AzureQueues(open_queue_service(address, names))
        return queues[connection]

    async def close() -> None:
        for queue in queues.values():
            await queue.close()
        await timers.close()

    timers = _timer_store(options.app_dir, names)
    host = build_host(
        module,  # type: ignore[arg-type]  # import_app gives a module
        host_json=options.app_dir / "host.json",
        queues=access,
        timers=timers,
        clock=clock,
        keys=load_keys(options.data_dir),
        http_concurrency=options.http_concurrency,
        on_timeout=_end_process,
    )
    host.close_stores = close
    return host


def _timer_store(app_dir: Path, names: Names | None) -> TimerStore:
    try:
        connection = resolve_connection(HOST_STORAGE, "blob", os.environ)
    except MissingConnection:
        log.warning("%s is not set: the status of timers is lost when the host stops", HOST_STORAGE)
        return MemoryTimers()
    return BlobTimers(open_blob_service(connection, names), host_id(app_dir))


async def _serve(options: Options, group: str, build: Callable[[], Host]) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    if options.child is None:
        loop.add_signal_handler(signal.SIGINT, stopping.set)
    host = build()
    sockets = listen(options.address, options.port) if group in {HTTP_GROUP, ALL_IN_ONE} else []
    serving = Serving.begin(host.asgi, sockets, options.certificate) if sockets else None
    if group != HTTP_GROUP:
        host.start(None if group == ALL_IN_ONE else [group])
    _send_report(options, describe(host, os.environ, _port(sockets)))
    await stopping.wait()
    _exit_after(options.grace_seconds + LEFT_SECONDS)
    ended, *_ = await asyncio.gather(
        host.finish(options.grace_seconds), *([serving.end(options.grace_seconds)] if serving else [])
    )
    if not ended:
        log.warning("functions still run after %s s: the process ends under them", options.grace_seconds)
        os._exit(1)
    await host.close()
    return 0


def _port(sockets: list[socket.socket]) -> int | None:
    return int(sockets[0].getsockname()[1]) if sockets else None


def _send_report(options: Options, report: Report) -> None:
    """Write the report to the supervisor's pipe, or print it when there is no supervisor."""
    if options.report_fd is None:
        print_report(report, options.address, options.scheme)
        return
    with os.fdopen(options.report_fd, "w", encoding="utf-8") as pipe:
        json.dump(report.document(), pipe)


def _prepare_process(options: Options, group: str) -> None:
    """Set up settings, log, working folder and import path of this process, as the worker has them."""
    if options.child is not None:
        # Ctrl-C reaches every process of the terminal; a child waits until its supervisor stops it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _end_with_parent(options.grace_seconds)
    apply_local_settings(options.app_dir, os.environ)
    os.environ.setdefault("FUNCTIONS_WORKER_RUNTIME", "python")
    os.environ.setdefault("AZURE_FUNCTIONS_ENVIRONMENT", "Development")
    set_up_logging(group, debug=os.environ.get("PYTHON_ENABLE_DEBUG_LOGGING", "").lower() in {"1", "true"})
    os.chdir(options.app_dir)
    own_root = str(Path(sandbox.__file__).resolve().parent.parent)
    # The worker puts the app's folder last, so that an installed package of the same name is imported instead.
    last = list(dict.fromkeys([str(options.app_dir), own_root]))
    here = {"", *last}
    sys.path[:] = [*(entry for entry in sys.path if entry not in here), *last]


def apply_local_settings(app_dir: Path, environ: MutableMapping[str, str]) -> None:
    """Set the values of local.settings.json in `environ`; a variable that is set already stays."""
    path = app_dir / "local.settings.json"
    if path.is_file():
        for name, value in json.loads(path.read_text(encoding="utf-8")).get("Values", {}).items():
            environ.setdefault(name, str(value))


def host_id(app_dir: Path) -> str:
    """`AzureFunctionsWebHost__hostid`, else the machine's name and a checksum of the folder; at most 32 characters."""
    given = os.environ.get(HOST_ID_SETTING)
    machine = "".join(character for character in socket.gethostname().lower() if character.isalnum())
    return given or f"{machine[:20]}-{zlib.crc32(str(app_dir).encode())}"[:32]


def _end_process(function: IndexedFunction, seconds: float) -> None:
    """End this process because a function ran too long; other functions that run in it end too, as in Azure."""
    log.error("Timeout value of %s s exceeded by function '%s': the process ends", seconds, function.name)
    os._exit(1)


def _end_with_parent(grace_seconds: float) -> None:
    """Stop this process when its supervisor ends: standard input is a pipe from it, which closes then."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        _exit_after(grace_seconds + LEFT_SECONDS)

    threading.Thread(target=watch, daemon=True, name="parent").start()


def _exit_after(seconds: float) -> None:
    """Exit with code 1 after that many seconds, even when something still runs."""
    timer = threading.Timer(seconds, os._exit, [1])
    timer.daemon = True
    timer.start()
