"""The command line of the development host."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from sandbox.devhost.throttle import DEFAULT_HTTP_CONCURRENCY

ALL_IN_ONE = "all-in-one"
PER_GROUP = "per-group"
HTTP_GROUP = "http"
GRACE_SECONDS = 2.5


@dataclass(frozen=True, slots=True)
class Options:
    """The arguments given; `child` and `report_fd` are only used between the host's own processes."""

    app_dir: Path
    data_dir: Path
    address: str = "localhost"
    port: int = 7071
    group: str = PER_GROUP
    clock_file: Path | None = None
    hooks: tuple[str, ...] = ()
    reload: bool = False
    http_concurrency: int = DEFAULT_HTTP_CONCURRENCY
    certificate: Path | None = None
    names: Path | None = None
    grace_seconds: float = GRACE_SECONDS
    child: str | None = None
    report_fd: int | None = None

    @property
    def scheme(self) -> str:
        """`https` with a certificate, else `http`."""
        return "https" if self.certificate else "http"

    def child_arguments(self, child: str, port: int, report_fd: int) -> list[str]:
        """The command line of a child process."""
        arguments = [
            *("--app-dir", str(self.app_dir), "--data-dir", str(self.data_dir)),
            *("--address", self.address, "--port", str(port)),
            *("--http-concurrency", str(self.http_concurrency)),
            *("--grace-seconds", str(self.grace_seconds)),
            *("--child", child, "--report-fd", str(report_fd)),
        ]
        if self.clock_file:
            arguments += ["--clock-file", str(self.clock_file)]
        if self.certificate:
            arguments += ["--certificate", str(self.certificate)]
        if self.names:
            arguments += ["--names", str(self.names)]
        for hook in self.hooks:
            arguments += ["--bootstrap", hook]
        return arguments


def parse_options(arguments: list[str] | None = None) -> Options:
    """Read the command line; exits with a usage message when it is wrong."""
    given = _parser().parse_args(arguments)
    app_dir: Path = given.app_dir.resolve()
    return Options(
        app_dir=app_dir,
        data_dir=(given.data_dir or app_dir / ".sandbox" / "devhost").resolve(),
        address=given.address,
        port=given.port,
        group=given.group,
        clock_file=given.clock_file.resolve() if given.clock_file else None,
        hooks=tuple(given.bootstrap),
        reload=given.reload,
        http_concurrency=given.http_concurrency,
        certificate=given.certificate.resolve() if given.certificate else None,
        names=given.names.resolve() if given.names else None,
        grace_seconds=given.grace_seconds,
        child=given.child,
        report_fd=given.report_fd,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.devhost",
        description="Run an Azure Functions app (Python, v2 model) on this machine.",
    )
    add = parser.add_argument
    add(
        "--app-dir",
        type=Path,
        default=Path(),
        help="folder with function_app.py and host.json (default: here)",
    )
    add("--data-dir", type=Path, help="where keys are kept (default: .sandbox/devhost in the app's folder)")
    add("--address", default="localhost", help="address to listen on (default: localhost)")
    add("--port", type=int, default=7071, help="port to listen on; 0 takes a free one (default: 7071)")
    add(
        "--group",
        choices=[PER_GROUP, ALL_IN_ONE],
        default=PER_GROUP,
        help="a process for HTTP and one for each other function, as on Flex Consumption, or a single process",
    )
    add("--clock-file", type=Path, help="file with the sandbox clock's offset from real time, in seconds")
    add(
        "--bootstrap",
        action="append",
        default=[],
        metavar="MODULE:FUNCTION",
        help="called before the app is imported",
    )
    add("--reload", action="store_true", help="start again when the app's files change")
    add(
        "--http-concurrency",
        type=int,
        default=DEFAULT_HTTP_CONCURRENCY,
        help=f"requests that may run at once, as on one instance (default: {DEFAULT_HTTP_CONCURRENCY})",
    )
    add("--certificate", type=Path, help="key and chain as PEM: serve https (default: http)")
    add(
        "--names",
        type=Path,
        help="public names of a local world (sandbox/names.py), for the host's own storage",
    )
    add(
        "--grace-seconds",
        type=float,
        default=GRACE_SECONDS,
        help="what running functions get to end after SIGTERM; Azure gives them 10 minutes when it updates the "
        f"platform and an hour when it scales in (default: {GRACE_SECONDS})",
    )
    add("--child", help=argparse.SUPPRESS)
    add("--report-fd", type=int, help=argparse.SUPPRESS)
    return parser
