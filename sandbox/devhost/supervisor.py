"""The parent of a host in several processes: starts one for each group, restarts those that end, stops them all.

As on Flex Consumption, groups share only storage: HTTP functions run in one process, every queue or timer
function in its own (Microsoft, "Azure Functions Flex Consumption plan hosting", "Per-function scaling").
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sandbox
from sandbox.devhost.options import ALL_IN_ONE, HTTP_GROUP, Options
from sandbox.devhost.report import Report, print_report
from sandbox.devhost.watching import wait_for_change

LEFT_SECONDS = 2.0
STEADY_SECONDS = 30.0
SHORTEST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
OWN_ROOT = Path(sandbox.__file__).resolve().parent.parent


class StartFailed(Exception):
    """A process ended before it sent its report."""


@dataclass(slots=True)
class Supervisor:
    """Runs the host's processes until SIGTERM or SIGINT, then ends them all."""

    options: Options
    _processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _port: int = 0

    async def run(self) -> int:
        """Start everything, with `--reload` again after each change of the app's files; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        self._port = self.options.port
        while True:
            code = await self._run_once()
            if self._stopping.is_set() or not self.options.reload:
                return code
            print("the app's files have changed: starting again", flush=True)

    async def _run_once(self) -> int:
        """Run the processes until stopped or, with `--reload`, until the app's files change; return the exit code."""
        ends: list[asyncio.Task[Any]] = [asyncio.create_task(self._stopping.wait())]
        if self.options.reload:
            ends.append(asyncio.create_task(wait_for_change(self.options.app_dir)))
        processes = asyncio.create_task(self._run_processes())
        try:
            await asyncio.wait(
                [*ends, *([] if self.options.reload else [processes])], return_when=asyncio.FIRST_COMPLETED
            )
            return processes.result() if processes.done() else 0
        finally:
            for task in (*ends, processes):
                task.cancel()
            await asyncio.gather(*ends, processes, return_exceptions=True)
            await self._stop_all()

    async def _run_processes(self) -> int:
        """Start the first process, read from its report which others there are, and keep all of them running."""
        alone = self.options.group == ALL_IN_ONE
        first = ALL_IN_ONE if alone else HTTP_GROUP
        try:
            report = await self._start(first)
        except StartFailed as error:
            print(error, file=sys.stderr, flush=True)
            return 1
        self._port = report.port or self._port
        print_report(report, self.options.address, self.options.scheme)
        others = (
            [] if alone else [line.name for line in report.lines if self._has_process(line.group, line.note)]
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_running(first, started=True))
            for name in others:
                group.create_task(self._keep_running(name))
        return 0

    @staticmethod
    def _has_process(kind: str, note: str) -> bool:
        return kind in {"queue", "timer"} and "disabled" not in note

    async def _keep_running(self, group: str, *, started: bool = False) -> None:
        """Restart a process whenever it ends; where it ended by itself, after a pause that grows up to 10 seconds."""
        pause, code = SHORTEST_PAUSE_SECONDS, 0
        while True:
            started_at = time.monotonic()
            try:
                if not started:
                    await self._start(group)
                code = await self._processes[group].wait()
                print(
                    f"the process of '{group}' ended with {code}: starting it again",
                    file=sys.stderr,
                    flush=True,
                )
            except StartFailed as error:
                code = 1
                print(error, file=sys.stderr, flush=True)
            started = False
            steady = time.monotonic() - started_at > STEADY_SECONDS or code < 0  # a signal's number
            pause = SHORTEST_PAUSE_SECONDS if steady else min(pause * 2, LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause)

    async def _start(self, group: str) -> Report:
        """Start one process and wait until it has reported; raises StartFailed."""
        reading, writing = os.pipe()
        try:
            self._processes[group] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "sandbox.devhost"),
                *self.options.child_arguments(group, self._port, writing),
                stdin=asyncio.subprocess.PIPE,
                pass_fds=[writing],
                cwd=OWN_ROOT,
            )
        finally:
            os.close(writing)
        text = await _read_all(reading)
        if not text:
            code = await self._processes[group].wait()
            raise StartFailed(f"the process of '{group}' could not start (exit code {code})")
        return Report.read(json.loads(text))

    async def _stop_all(self) -> None:
        """Send SIGTERM to all processes, and SIGKILL to those that outlive their grace by two seconds."""
        alive = [process for process in self._processes.values() if process.returncode is None]
        for process in alive:
            process.terminate()
        try:
            async with asyncio.timeout(self.options.grace_seconds + LEFT_SECONDS):
                await asyncio.gather(*(process.wait() for process in alive))
        except TimeoutError:
            for process in alive:
                if process.returncode is None:
                    process.kill()
            await asyncio.gather(*(process.wait() for process in alive))
        self._processes.clear()


async def _read_all(descriptor: int) -> bytes:
    """Read a pipe until its writers close it."""
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        return await reader.read()
    finally:
        transport.close()
