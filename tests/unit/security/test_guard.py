"""Addresses that others choose: C-1 to C-3, and why each of them is refused."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import CrmUnavailable, InvalidRequest
from shared.security.guard import MAX_URL_CHARACTERS, Guard, Resolve, Target, is_public, system_resolve

PUBLIC, PUBLIC_6 = "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"
OWN = ["postbraid.example", "northwindstore.table.core.windows.net"]


def names(*addresses: str) -> Resolve:
    """Every name has these addresses."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


def guard(*addresses: str, local: Sequence[str] = ()) -> Guard:
    return Guard(local, OWN, names(*(addresses or (PUBLIC,))))


async def test_a_public_address_may_be_called() -> None:
    """A public address may be called: the judged IP under the host's name."""
    target = await guard().judge("https://CRM.Example/hooks?tenant=7&x=%20")
    assert target == Target("https", "crm.example", 443, PUBLIC, "/hooks?tenant=7&x=%20")
    assert target.url == f"https://{PUBLIC}:443/hooks?tenant=7&x=%20"
    assert target.host_header == "crm.example"


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("https://crm.example", "crm.example", "/"),
        ("https://crm.example:443/a", "crm.example", "/a"),
        ("HTTPS://crm.example/a/../b", "crm.example", "/a/../b"),
        ("https://b\u00fccher.example/", "xn--bcher-kva.example", "/"),
        ("https://crm\u3002example/", "crm.example", "/"),
        ("https://crm.example./", "crm.example", "/"),
        ("https://crm.example?a=b", "crm.example", "/?a=b"),
    ],
)
async def test_a_name_is_called_in_its_ascii_form(url: str, host: str, path: str) -> None:
    """A host name is resolved, judged and sent in the same ASCII form."""
    target = await guard().judge(url)
    assert (target.host, target.path, target.port) == (host, path, 443)
    assert target.host_header.isascii()


async def test_an_ipv6_address_is_called_in_brackets() -> None:
    """A judged IPv6 address stands in brackets in the called URL."""
    assert (await guard(PUBLIC_6).judge("https://crm.example/a")).url == f"https://[{PUBLIC_6}]:443/a"


REFUSED = {
    "nothing": "",
    "no scheme": "crm.example/hooks",
    "no host": "https:///hooks",
    "plain http": "http://crm.example/",
    "a file": "file:///etc/passwd",
    "ftp": "ftp://crm.example/",
    "gopher": "gopher://crm.example:443/",
    "javascript": "javascript:alert(1)",
    "data": "data:text/plain,x",
    "another port": "https://crm.example:8443/",
    "the port of http": "https://crm.example:80/",
    "no port": "https://crm.example:0/",
    "a port that is none": "https://crm.example:abc/",
    "a port out of range": "https://crm.example:99999/",
    "a user": "https://ann@crm.example/",
    "a user and a password": "https://ann:secret@crm.example/",
    "an empty user": "https://@crm.example/",
    "a host that looks like a user": "https://crm.example@169.254.169.254/",
    "a backslash": "https://crm.example\\@evil.example/",
    "a fragment": "https://crm.example/#x",
    "an IPv4 address": f"https://{PUBLIC}/",
    "an IPv6 address": f"https://[{PUBLIC_6}]/",
    "loopback": "https://127.0.0.1/",
    "loopback of IPv6": "https://[::1]/",
    "an address in wide digits": "https://\uff11\uff12\uff17.0.0.1/",
    "half an IPv6 address": "https://[::1/",
    "an empty one": "https://[]/",
    "characters that change by normalising": "https://crm\u2100evil.example/",
    "an empty label": "https://crm..example/",
    "a label that is too long": f"https://{'a' * 64}.example/",
    "a line break": "https://crm.example/\r\nHost: evil.example",
    "a tab": "https://crm.ex\tample/",
    "NUL": "https://crm.example/\x00",
    "too long": "https://crm.example/" + "a" * MAX_URL_CHARACTERS,
    "our own host": "https://postbraid.example/api/v1/messages",
    "our own host in capitals": "https://POSTBRAID.example/",
    "our own host with a dot": "https://postbraid.example./",
    "our own host with a wide dot": "https://postbraid\u3002example/",
    "our storage": "https://northwindstore.table.core.windows.net/Tenants",
}  # fmt: skip


@pytest.mark.parametrize("url", REFUSED.values(), ids=REFUSED)
async def test_a_forbidden_form_is_refused_before_any_name_is_looked_up(url: str) -> None:
    """A URL of a forbidden form is refused with one sentence before its name is looked up (C-1, C-3)."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return [PUBLIC]

    with pytest.raises(InvalidRequest, match=r"^This address may not be called\.$"):
        await Guard((), OWN, resolve).judge(url)
    assert asked == []


async def test_the_longest_url_passes() -> None:
    """A URL of 2,048 characters passes."""
    url = "https://crm.example/".ljust(MAX_URL_CHARACTERS, "a")
    assert (await guard().judge(url)).host == "crm.example"
    assert MAX_URL_CHARACTERS == 2048


INSIDE = {
    "loopback": "127.0.0.1",
    "anywhere in loopback": "127.255.0.9",
    "this host": "0.0.0.0",  # noqa: S104 - the address, not a socket
    "private, 10": "10.1.2.3",
    "private, 172.16": "172.16.0.1",
    "private, 172.31": "172.31.255.254",
    "private, 192.168": "192.168.1.1",
    "link-local: the cloud's metadata": "169.254.169.254",
    "Azure's in-VM endpoint": "168.63.129.16",
    "shared by a carrier": "100.64.0.1",
    "protocol assignments": "192.0.0.8",
    "relays of 6to4": "192.88.99.1",
    "documentation": "203.0.113.5",
    "benchmarks": "198.18.0.1",
    "multicast": "224.0.0.1",
    "local multicast": "239.255.255.250",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "loopback of IPv6": "::1",
    "unspecified": "::",
    "loopback, mapped": "::ffff:127.0.0.1",
    "metadata, mapped": "::ffff:169.254.169.254",
    "Azure's endpoint, mapped": "::ffff:168.63.129.16",
    "private, mapped, in hexadecimals": "::ffff:a00:1",
    "loopback, compatible": "::127.0.0.1",
    "loopback, translated": "::ffff:0:127.0.0.1",
    "NAT64 of a private address": "64:ff9b::10.0.0.1",
    "NAT64 of a public one": "64:ff9b::93.184.216.34",
    "local NAT64": "64:ff9b:1::10.0.0.1",
    "6to4 of a private address": "2002:0a00:0001::1",
    "6to4 of loopback": "2002:7f00:0001::1",
    "Teredo": "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "unique local": "fd00::1",
    "link-local of IPv6": "fe80::1",
    "link-local with a zone": "fe80::1%eth0",
    "site-local": "fec0::1",
    "multicast of IPv6": "ff02::1",
    "global multicast of IPv6": "ff0e::1",
    "documentation of IPv6": "2001:db8::1",
    "newer documentation of IPv6": "3fff::1",
    "discard": "100::1",
    "not given out": "4000::1",
    "segment routing": "5f00::1",
}  # fmt: skip


@pytest.mark.parametrize("address", INSIDE.values(), ids=INSIDE)
async def test_a_name_may_not_lead_inside(address: str) -> None:
    """A name is refused when any of its addresses is not public (C-2, C-3)."""
    assert not is_public(address)
    for found in ((address,), (PUBLIC, address), (address, PUBLIC), (PUBLIC, PUBLIC_6, address)):
        with pytest.raises(InvalidRequest):
            await guard(*found).judge("https://crm.example/")


@pytest.mark.parametrize(
    "address",
    [
        PUBLIC,
        PUBLIC_6,
        "172.15.255.255",
        "172.32.0.1",
        "100.128.0.1",
        "168.63.129.15",
        "168.63.129.17",
        "192.0.1.1",
        "2001:4860:4860::8888",
        "2a00:1450::1",
        "::ffff:8.8.8.8",
    ],
)
def test_the_open_internet_is_open(address: str) -> None:
    """Public addresses next to the refused networks may be called."""
    assert is_public(address)


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:{}", "::{}", "64:ff9b::{}", "::ffff:0:{}"]))
def test_wrapping_an_address_opens_nothing(address: object, form: str) -> None:
    """An IPv4 address inside an IPv6 one is at most as public as it is itself."""
    assert not is_public(form.format(address)) or is_public(str(address))


@pytest.mark.parametrize("trick", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localtest.example"])
async def test_other_spellings_of_an_address_are_judged_by_what_they_lead_to(trick: str) -> None:
    """Another spelling of an IP address is judged by the address that it resolves to."""
    with pytest.raises(InvalidRequest):
        await guard("127.0.0.1").judge(f"https://{trick}/")


async def test_a_name_is_judged_anew_at_every_call() -> None:
    """A name that has come to lead inside is refused at its next call."""
    answers = [[PUBLIC], ["127.0.0.1"]]

    async def resolve(host: str, port: int) -> Sequence[str]:
        return answers.pop(0)

    rebinding = Guard((), (), resolve)
    assert (await rebinding.judge("https://crm.example/")).ip == PUBLIC
    assert len(answers) == 1
    with pytest.raises(InvalidRequest):
        await rebinding.judge("https://crm.example/")


async def test_a_name_without_an_address_may_have_one_later() -> None:
    """A name without an address is a CRM that is away, and no refusal."""

    async def fail(host: str, port: int) -> Sequence[str]:
        raise OSError("Name or service not known")

    async def nothing(host: str, port: int) -> Sequence[str]:
        return []

    for resolve in (fail, nothing):
        with pytest.raises(CrmUnavailable):
            await Guard((), (), resolve).judge("https://crm.example/")


LOCAL = ["http://localhost:5001", "http://127.0.0.1:5002"]


@pytest.mark.parametrize(
    ("url", "called", "host_header"),
    [
        ("http://localhost:5001/hooks?a=b", "http://127.0.0.1:5001/hooks?a=b", "localhost:5001"),
        ("http://127.0.0.1:5002", "http://127.0.0.1:5002/", "127.0.0.1:5002"),
    ],
)
async def test_the_local_profile_permits_its_loopback_origins(
    url: str, called: str, host_header: str
) -> None:
    """The local profile permits exactly its configured loopback origins."""
    target = await guard(local=LOCAL).judge(url)
    assert (target.url, target.host_header) == (called, host_header)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:5002/",
        "http://127.0.0.1:5001/",
        "http://localhost/",
        "https://localhost:5001/",
        "http://localhost:5001@evil.example/",
        "http://ann@localhost:5001/",
        "http://127.0.0.2:5002/",
        "http://[::1]:5001/",
        "http://localhost.:5001/",
        "http://crm.example/",
    ],
)
async def test_the_local_profile_permits_nothing_else(url: str) -> None:
    """The local profile permits no other port, scheme or spelling of loopback."""
    with pytest.raises(InvalidRequest):
        await guard(local=LOCAL).judge(url)
    with pytest.raises(InvalidRequest):
        await guard().judge(LOCAL[0])


@given(
    st.text(max_size=60)
    | st.text(alphabet="htps:/[]@#?%.aA\u3002\u2100\\0", max_size=30).map("https://{}".format)
)
async def test_any_text_is_judged(url: str) -> None:
    """Any text in place of a URL is refused or leads to an ASCII host that is not our own."""
    try:
        target = await guard().judge(url)
    except InvalidRequest:
        return
    assert target.host
    assert target.host.isascii()
    assert target.host not in OWN


async def test_the_system_gives_every_address_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both families as text, asked for in threads of their own: no other work waits for a name whose servers hang."""

    def getaddrinfo(host: str, port: int, **more: object) -> list[tuple[object, ...]]:
        assert threading.current_thread().name.startswith("resolve")
        assert (host, port, more) == ("crm.example", 443, {"type": socket.SOCK_STREAM})
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (PUBLIC, 443)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (PUBLIC_6, 443, 0, 0)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert await system_resolve("crm.example", 443) == [PUBLIC, PUBLIC_6]
