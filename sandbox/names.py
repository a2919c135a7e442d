"""Public names inside a local world: who is called `graph.microsoft.com` there, and how programs connect to it.

A program that speaks to a real name is given `dial`: it connects to a port of this machine, and name, SNI and Host stay
as they are. A name that the world does not have cannot be reached at all, so no test ever leaves this machine.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import httpcore
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult

HTTPS_PORT = 443
KEEP_ALIVE_SECONDS = 4.0
"""Shorter than the idle time of Azurite (5 s), so that no request meets a connection that is just being closed."""


class UnknownName(OSError):
    """The name belongs to nobody in this world."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names with the local port that answers for each, and the public addresses that name service gives for some."""

    ca_file: str
    ports: Mapping[str, int] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)

    def dial(self, host: str, port: int) -> tuple[str, int]:
        """The address and port to connect to instead; raises UnknownName."""
        if host == "localhost" or _is_loopback(host):
            return host, port
        by_address = {address: name for name, address in self.addresses.items()}
        local = self.ports.get(by_address.get(host, host).lower())
        if local is None or port != HTTPS_PORT:
            raise UnknownName(f"nobody is called {host}:{port} in this world")
        return "127.0.0.1", local

    async def resolve(self, host: str, _port: int) -> Sequence[str]:
        """The public addresses of a name, as name service would tell them; raises UnknownName."""
        if host not in self.addresses:
            raise UnknownName(f"{host} has no public address in this world")
        return [self.addresses[host]]

    def trust(self) -> ssl.SSLContext:
        """TLS that trusts this world's certificate authority and no other."""
        return ssl.create_default_context(cafile=self.ca_file)

    def write(self, path: Path) -> None:
        """Write them to a file for the world's programs."""
        content = {"ca_file": self.ca_file, "ports": dict(self.ports), "addresses": dict(self.addresses)}
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Names:
        """Read what `write` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Backend(httpcore.AsyncNetworkBackend):
    """httpcore's network with dialled connections."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._real = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to where the name is answered; raises httpcore.ConnectError."""
        try:
            address, local = self._names.dial(host, port)
        except UnknownName as error:
            raise httpcore.ConnectError(str(error)) from error
        return await self._real.connect_tcp(address, local, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        """Wait between attempts."""
        await self._real.sleep(seconds)


def http_transport(names: Names | None) -> httpx.AsyncHTTPTransport | None:
    """A transport for an httpx client that knows the names; None without names: the client takes its own."""
    if names is None:
        return None
    transport = httpx.AsyncHTTPTransport()
    # httpx has no argument for the network below; its pool is httpcore's, which has one.
    transport._pool = httpcore.AsyncConnectionPool(  # noqa: SLF001
        ssl_context=names.trust(), network_backend=_Backend(names)
    )
    return transport


class _Resolver(AbstractResolver):
    """aiohttp's name service with dialled connections."""

    def __init__(self, names: Names) -> None:
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Where the name is answered; raises UnknownName."""
        address, local = self._names.dial(host, port)
        flags = socket.AI_NUMERICHOST
        return [ResolveResult(hostname=host, host=address, port=local, family=family, proto=0, flags=flags)]

    async def close(self) -> None:
        """Hold nothing."""


def aiohttp_session(names: Names) -> aiohttp.ClientSession:
    """A session for the Azure clients that knows the names; made inside the loop that uses it."""
    connector = aiohttp.TCPConnector(
        resolver=_Resolver(names), ssl=names.trust(), keepalive_timeout=KEEP_ALIVE_SECONDS
    )
    return aiohttp.ClientSession(connector=connector, auto_decompress=False)
