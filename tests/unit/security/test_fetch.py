"""Files from addresses that the CRM chose: C-1 to C-5."""

from __future__ import annotations

import gzip

import httpx
import pytest

from shared.domain.errors import CrmUnavailable, InvalidRequest, TooLarge
from shared.security.fetch import GuardedFetcher
from tests.unit.security.outside import PUBLIC, Answering, Outside, Pieces

URL = "https://files.example/offer.pdf?signature=x"


def file(content: bytes, status: int = 200, **headers: str) -> Answering:
    """A fresh answer for each request, with the body yet to come."""
    return lambda _: httpx.Response(status, headers=headers, stream=Pieces(content, 1))


def fetcher(outside: Outside, timeout_seconds: float = 20.0) -> GuardedFetcher:
    return GuardedFetcher(outside.transport(), outside.guard(), timeout_seconds)


async def test_a_file_is_fetched_from_the_judged_address() -> None:
    """The connection goes to the IP that was judged; Host and TLS speak of the name, so nothing is resolved twice."""
    outside = Outside(file(b"%PDF-"))
    assert await fetcher(outside).fetch(URL, 5) == b"%PDF-"
    (request,) = outside.requests
    assert request.method == "GET"
    assert (request.url.host, request.url.port) == (PUBLIC, None)
    assert request.url.raw_path == b"/offer.pdf?signature=x"
    assert request.headers["host"] == "files.example"
    assert request.extensions["sni_hostname"] == "files.example"
    assert outside.calls == [("file", "fetch")]


async def test_a_name_beyond_ascii_is_spoken_to_in_ascii() -> None:
    """In the header as well as in TLS."""
    outside = Outside(file(b"x"))
    assert await fetcher(outside).fetch("https://b\u00fccher.example/\u00fc.txt", 5) == b"x"
    (request,) = outside.requests
    assert request.headers["host"] == request.extensions["sni_hostname"] == "xn--bcher-kva.example"
    assert request.url.raw_path == b"/%C3%BC.txt"


async def test_nothing_of_ours_goes_along() -> None:
    """No credential, no cookie, no body; what comes is to come as it is (C-4)."""
    outside = Outside(file(b"x", **{"set-cookie": "a=b"}))
    one = fetcher(outside)
    await one.fetch(URL, 5)
    await one.fetch(URL, 5)
    for request in outside.requests:
        assert not {"authorization", "cookie", "referer"} & set(request.headers)
        assert request.headers["accept-encoding"] == "identity"
        assert request.content == b""


@pytest.mark.parametrize("url", ["http://files.example/", "https://postbraid.example/", "https://[::1]/", ""])
async def test_a_forbidden_address_is_never_called(url: str) -> None:
    """Refused for good: the CRM chose it."""
    outside = Outside(httpx.Response(200))
    with pytest.raises(InvalidRequest):
        await fetcher(outside).fetch(url, 5)
    assert outside.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(status: int) -> None:
    """Where they lead was not judged (C-4)."""
    outside = Outside(file(b"x", status, location="https://other.example/"))
    with pytest.raises(CrmUnavailable):
        await fetcher(outside).fetch(URL, 5)
    assert len(outside.requests) == 1


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 403, 404, 410, 429, 500, 503])
async def test_only_200_is_a_file(status: int) -> None:
    """A part of a file or an error's page is none."""
    stream = Pieces(b"x", 3)
    with pytest.raises(CrmUnavailable, match=str(status)):
        await fetcher(Outside(httpx.Response(status, stream=stream))).fetch(URL, 100)
    assert stream.taken == 0
    assert stream.closed


async def test_reading_stops_at_the_limit() -> None:
    """The limit passes, one byte more does not, and an endless file is not read to its end."""
    assert len(await fetcher(Outside(httpx.Response(200, stream=Pieces(b"1234", 3)))).fetch(URL, 12)) == 12
    endless = Pieces(b"1234", 1_000_000)
    with pytest.raises(TooLarge):
        await fetcher(Outside(httpx.Response(200, stream=endless))).fetch(URL, 11)
    assert endless.taken == 3
    assert endless.closed


async def test_a_declared_length_is_not_believed() -> None:
    """What comes is counted (F-1)."""
    lying = httpx.Response(200, headers={"content-length": "3"}, stream=Pieces(b"1234", 3))
    with pytest.raises(TooLarge):
        await fetcher(Outside(lying)).fetch(URL, 5)


async def test_nothing_is_unpacked() -> None:
    """A small answer that would grow without bound stays what it is (C-4)."""
    packed = gzip.compress(bytes(1_000_000))
    outside = Outside(httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Pieces(packed, 1)))
    assert await fetcher(outside).fetch(URL, len(packed)) == packed


async def test_a_file_that_trickles_in_does_not_hold_the_worker() -> None:
    """The time is that of the whole call, not of each piece (C-4)."""
    stream = Pieces(b"x", 3, hangs=True)
    with pytest.raises(CrmUnavailable):
        await fetcher(Outside(httpx.Response(200, stream=stream)), 0.02).fetch(URL, 100)
    assert stream.closed


@pytest.mark.parametrize(
    "error", [httpx.ConnectError(""), httpx.ConnectTimeout(""), httpx.ReadError(""), httpx.ReadTimeout("")]
)
async def test_an_address_that_does_not_answer_may_do_so_later(error: Exception) -> None:
    """Before the answer or in the middle of it."""
    with pytest.raises(CrmUnavailable):
        await fetcher(Outside(error)).fetch(URL, 5)
    broken = Pieces(b"x", 1, error)
    with pytest.raises(CrmUnavailable):
        await fetcher(Outside(httpx.Response(200, stream=broken))).fetch(URL, 5)
    assert broken.closed
