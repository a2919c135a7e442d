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
    """A file is fetched from the judged IP address, while Host and TLS name the host."""
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
    """A host name beyond ASCII is sent in its ASCII form in the Host header and in TLS."""
    outside = Outside(file(b"x"))
    assert await fetcher(outside).fetch("https://b\u00fccher.example/\u00fc.txt", 5) == b"x"
    (request,) = outside.requests
    assert request.headers["host"] == request.extensions["sni_hostname"] == "xn--bcher-kva.example"
    assert request.url.raw_path == b"/%C3%BC.txt"


async def test_nothing_of_ours_goes_along() -> None:
    """A fetch carries no credential, cookie, referer or body, and asks for no compression (C-4)."""
    outside = Outside(file(b"x", **{"set-cookie": "a=b"}))
    guarded = fetcher(outside)
    await guarded.fetch(URL, 5)
    await guarded.fetch(URL, 5)
    for request in outside.requests:
        assert not {"authorization", "cookie", "referer"} & set(request.headers)
        assert request.headers["accept-encoding"] == "identity"
        assert request.content == b""


@pytest.mark.parametrize("url", ["http://files.example/", "https://postbraid.example/", "https://[::1]/", ""])
async def test_a_forbidden_address_is_never_called(url: str) -> None:
    """A file at a forbidden address is refused without a request."""
    outside = Outside(httpx.Response(200))
    with pytest.raises(InvalidRequest):
        await fetcher(outside).fetch(url, 5)
    assert outside.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(status: int) -> None:
    """A redirect of a file is not followed (C-4)."""
    outside = Outside(file(b"x", status, location="https://other.example/"))
    with pytest.raises(CrmUnavailable):
        await fetcher(outside).fetch(URL, 5)
    assert len(outside.requests) == 1


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 403, 404, 410, 429, 500, 503])
async def test_only_200_is_a_file(status: int) -> None:
    """An answer other than 200 is no file, and its body is not read."""
    stream = Pieces(b"x", 3)
    with pytest.raises(CrmUnavailable, match=str(status)):
        await fetcher(Outside(httpx.Response(status, stream=stream))).fetch(URL, 100)
    assert stream.taken == 0
    assert stream.closed


async def test_reading_stops_at_the_limit() -> None:
    """A file of the limit is read, and reading of a longer one stops at once."""
    assert len(await fetcher(Outside(httpx.Response(200, stream=Pieces(b"1234", 3)))).fetch(URL, 12)) == 12
    endless = Pieces(b"1234", 1_000_000)
    with pytest.raises(TooLarge):
        await fetcher(Outside(httpx.Response(200, stream=endless))).fetch(URL, 11)
    assert endless.taken == 3
    assert endless.closed


async def test_a_declared_length_is_not_believed() -> None:
    """The bytes of a file are counted, whatever length was declared (F-1)."""
    lying = httpx.Response(200, headers={"content-length": "3"}, stream=Pieces(b"1234", 3))
    with pytest.raises(TooLarge):
        await fetcher(Outside(lying)).fetch(URL, 5)


async def test_nothing_is_unpacked() -> None:
    """A compressed file is not unpacked (C-4)."""
    packed = gzip.compress(bytes(1_000_000))
    outside = Outside(httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Pieces(packed, 1)))
    assert await fetcher(outside).fetch(URL, len(packed)) == packed


async def test_a_file_that_trickles_in_does_not_hold_the_worker() -> None:
    """A file that keeps trickling in ends with the whole call's timeout (C-4)."""
    stream = Pieces(b"x", 3, hangs=True)
    with pytest.raises(CrmUnavailable):
        await fetcher(Outside(httpx.Response(200, stream=stream)), 0.02).fetch(URL, 100)
    assert stream.closed


@pytest.mark.parametrize(
    "error", [httpx.ConnectError(""), httpx.ConnectTimeout(""), httpx.ReadError(""), httpx.ReadTimeout("")]
)
async def test_an_address_that_does_not_answer_may_do_so_later(error: Exception) -> None:
    """A fetch that fails before or during the answer may be repeated later."""
    with pytest.raises(CrmUnavailable):
        await fetcher(Outside(error)).fetch(URL, 5)
    broken = Pieces(b"x", 1, error)
    with pytest.raises(CrmUnavailable):
        await fetcher(Outside(httpx.Response(200, stream=broken))).fetch(URL, 5)
    assert broken.closed
