"""The sockets and the HTTP server of the host."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the host's process handles the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no handlers."""
        yield


def listen(address: str, port: int) -> list[socket.socket]:
    """Open listening sockets; `localhost` means IPv4 and, where available, IPv6; raises OSError."""
    if address != "localhost":
        return [_bind(socket.AF_INET6 if ":" in address else socket.AF_INET, address, port)]
    first = _bind(socket.AF_INET, "127.0.0.1", port)
    with contextlib.suppress(OSError):
        return [first, _bind(socket.AF_INET6, "::1", first.getsockname()[1])]
    return [first]


def _bind(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(1024)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


@dataclass(slots=True)
class Serving:
    """A running server."""

    server: _Server
    task: asyncio.Task[None]

    @classmethod
    def begin(cls, app: ASGIApp, sockets: list[socket.socket], certificate: Path | None = None) -> Serving:
        """Start to serve the app on the running event loop; over TLS with a certificate (key and chain as PEM)."""
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            ssl_certfile=str(certificate) if certificate else None,
        )
        server = _Server(config)
        return cls(server, asyncio.create_task(server.serve(sockets)))

    async def end(self, grace_seconds: float) -> None:
        """Accept no more requests and wait that long for running ones."""
        self.server.config.timeout_graceful_shutdown = max(1, int(grace_seconds))
        self.server.should_exit = True
        await self.task
