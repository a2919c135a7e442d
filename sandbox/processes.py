"""Start the local world's processes, each in its own process group with a log file, and end them reliably.

A `Reaper` ends them when this process is killed.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

ROOT = Path(__file__).resolve().parent.parent
TAIL_LINES = 25
LOOK_EVERY_SECONDS = 0.05
GRACE_SECONDS = 6.0
CHOSEN_PORTS = range(20_000, 32_000)
_given_ports: set[int] = set()


class ProcessDied(RuntimeError):
    """A process ended unexpectedly; the message holds the end of its log."""


class NotReady(RuntimeError):
    """A process did not become ready in time; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Process:
    """A started program, leader of its own process group."""

    name: str
    popen: subprocess.Popen[bytes]
    log_path: Path

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.popen.poll() is None

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of its log."""
        try:
            text = self.log_path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def death_report(self) -> str:
        """The exit code and the end of the log, for a process that has ended."""
        return f"{self.name} ended with exit code {self.popen.poll()}; the end of {self.log_path}:\n{self.tail()}"

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Poll until `ready` is true; raises ProcessDied or, after that many seconds, NotReady."""
        until = time.monotonic() + seconds
        while not ready():
            if not self.alive:
                raise ProcessDied(self.death_report())
            if time.monotonic() > until:
                raise NotReady(
                    f"{self.name} was not ready after {seconds:.0f} s; its log ends:\n{self.tail()}"
                )
            time.sleep(LOOK_EVERY_SECONDS)


def start(
    name: str,
    command: Sequence[str],
    log_path: Path,
    environ: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
) -> Process:
    """Start a program; its output goes to the log file."""
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as log:
        popen = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=None if environ is None else dict(environ),
            cwd=cwd,
            start_new_session=True,
        )
    return Process(name, popen, log_path)


def stop(processes: Sequence[Process], grace_seconds: float = GRACE_SECONDS) -> None:
    """Send SIGTERM to all process groups, wait up to `grace_seconds`, then send SIGKILL to all."""
    for process in processes:
        _signal_group(process.popen.pid, signal.SIGTERM)
    until = time.monotonic() + grace_seconds
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.popen.wait(max(0.0, until - time.monotonic()))
    for process in processes:
        _signal_group(process.popen.pid, signal.SIGKILL)
        process.popen.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def free_ports(count: int) -> list[int]:
    """Ports that no program listens on now; this process never gets one twice.

    They lie below the range from which systems give ports to connections (32768 and above), so that none is taken
    between this call and its use.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(CHOSEN_PORTS, len(CHOSEN_PORTS)):
        if len(found) == count:
            return found
        if port not in _given_ports and is_free(port):
            _given_ports.add(port)
            found.append(port)
    raise RuntimeError(f"fewer than {count} of the ports {CHOSEN_PORTS} are free")


def is_free(port: int) -> bool:
    """Whether no server answers on the port of this machine."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with contextlib.closing(socket.socket(family)) as sock:
            sock.settimeout(0.5)
            try:
                answered = sock.connect_ex((address, port)) == 0
            except OSError:
                answered = False
        if answered:
            return False
    return True


def accepts(port: int) -> bool:
    """Whether a server listens on the port."""
    return not is_free(port)


class Reaper:
    """A helper process that ends the process groups given to it when this process ends."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "sandbox.processes"],
            stdin=subprocess.PIPE,
            cwd=ROOT,
            start_new_session=True,
        )

    def watch(self, process: Process) -> None:
        """End this process's group when this program ends."""
        self._send_order(f"+{process.popen.pid}\n")

    def forget(self, process: Process) -> None:
        """Stop watching a process that has been ended."""
        self._send_order(f"-{process.popen.pid}\n")

    def close(self) -> None:
        """End the helper process."""
        assert self._popen.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._popen.stdin.close()
        self._popen.wait()

    def _send_order(self, line: str) -> None:
        assert self._popen.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._popen.stdin.write(line.encode())
            self._popen.stdin.flush()


def reap(orders: BinaryIO, patience_seconds: float = 1.0) -> None:
    """Read orders until their writer has ended, then end all process groups that are still watched."""
    groups: set[int] = set()
    for line in orders:
        (groups.add if line.startswith(b"+") else groups.discard)(int(line[1:]))
    for number in (signal.SIGTERM, signal.SIGKILL):
        for group in groups:
            _signal_group(group, number)
        time.sleep(patience_seconds if groups else 0)


@contextlib.contextmanager
def running(process: Process) -> Iterator[Process]:
    """Stop the process when the block ends."""
    try:
        yield process
    finally:
        stop([process])


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    reap(sys.stdin.buffer)
