"""Addresses that others choose: judged before anything is sent there, and again at every connection (C-1 to C-3)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, urlsplit

from shared.domain.errors import CrmUnavailable, InvalidRequest

MAX_URL_CHARACTERS: Final = 2048
HTTPS_PORT: Final = 443
LOOK_UPS_AT_ONCE: Final = 16

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

# IANA gives out global IPv6 addresses from here alone; Python calls most of the rest global too.
GLOBAL_UNICAST: Final = ip_network("2000::/3")
# Python calls these global, or they carry an address inside that is not.
REFUSED_NETWORKS: Final = tuple(
    ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's in-VM endpoint
        "192.0.0.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "224.0.0.0/4",
        "2002::/16",  # 6to4
        "2001::/32",  # Teredo
        "3fff::/20",  # documentation
    )
)


@dataclass(frozen=True, slots=True)
class Target:
    """A judged address: connect to `ip`, speak to `host`."""

    scheme: str
    host: str
    port: int
    ip: str
    path: str

    @property
    def url(self) -> str:
        """The address with the judged IP in the place of the name, so that nothing is resolved twice (rebinding)."""
        shown = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"{self.scheme}://{shown}:{self.port}{self.path}"

    @property
    def host_header(self) -> str:
        """Host as the name's owner expects it."""
        usual = self.port == (HTTPS_PORT if self.scheme == "https" else 80)
        return self.host if usual else f"{self.host}:{self.port}"


@cache
def _resolvers() -> ThreadPoolExecutor:
    """Threads of their own: a name whose servers hang takes none from those who sign in or refresh tokens."""
    return ThreadPoolExecutor(LOOK_UPS_AT_ONCE, "resolve")


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """Every address of a name. The system's own patience is long: the caller bounds it."""
    ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_resolvers(), ask)
    return [str(entry[4][0]) for entry in found]


class Guard:
    """Judges addresses. `local_origins` are the exact loopback origins that PROFILE=local permits."""

    def __init__(
        self,
        local_origins: Sequence[str] = (),
        own_hosts: Sequence[str] = (),
        resolve: Resolve = system_resolve,
    ) -> None:
        self._local = frozenset(local_origins)
        self._own = frozenset(_ascii(host) for host in own_hosts)
        self._resolve = resolve

    async def judge(self, url: str) -> Target:
        """The target of a URL. Raises InvalidRequest for a forbidden one, CrmUnavailable when it has no address."""
        parts = _parts(url)
        host = _ascii(parts.hostname or "")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if f"{parts.scheme}://{parts.netloc}" in self._local and parts.port is not None:
            return Target(parts.scheme, host, parts.port, "127.0.0.1" if host == "localhost" else host, path)
        self._judge_form(parts.scheme, host, parts.username, parts.fragment, _port(parts.netloc))
        addresses = await self._addresses(host)
        if not all(is_public(address) for address in addresses):
            raise InvalidRequest("This address may not be called.")
        return Target("https", host, HTTPS_PORT, addresses[0], path)

    def judge_form(self, url: str) -> None:
        """What can be said of a URL without asking for its addresses. Raises InvalidRequest."""
        parts = _parts(url)
        local = f"{parts.scheme}://{parts.netloc}" in self._local and parts.port is not None
        if not local:
            host = _ascii(parts.hostname or "")
            self._judge_form(parts.scheme, host, parts.username, parts.fragment, _port(parts.netloc))

    def _judge_form(self, scheme: str, host: str, user: str | None, fragment: str, port: int | None) -> None:
        plain = scheme == "https" and host and user is None and not fragment and port in (None, HTTPS_PORT)
        if not plain or host in self._own or _is_ip(host):
            raise InvalidRequest("This address may not be called.")

    async def _addresses(self, host: str) -> Sequence[str]:
        try:
            found = await self._resolve(host, HTTPS_PORT)
        except OSError as err:
            raise CrmUnavailable("The name has no address.") from err
        if not found:
            raise CrmUnavailable("The name has no address.")
        return found


def is_public(address: str) -> bool:
    """Whether an address lies in the open internet; IPv4 inside IPv6 is unwrapped first."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    outside = isinstance(found, IPv6Address) and found not in GLOBAL_UNICAST
    refused = any(found in network for network in REFUSED_NETWORKS)
    return found.is_global and not outside and not refused


def _parts(url: str) -> SplitResult:
    if len(url) > MAX_URL_CHARACTERS or not url.isprintable():
        return urlsplit("")
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _ascii(host: str) -> str:
    """The name as it is resolved, compared and sent: A-labels (RFC 5890), no dot behind; "" when it is none."""
    try:
        return host.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        return ""


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _port(netloc: str) -> int | None:
    try:
        return urlsplit(f"//{netloc}").port
    except ValueError:
        return -1
