"""What the Azure clients say when the service does not answer well; played by a small server that answers as told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from shared import azure_http
from shared.domain.errors import OutcomeUnknown, StoreUnavailable, TooLarge, UpstreamSurprise
from shared.storage import wire
from shared.storage.api import Delete, Insert, QueueMessage
from shared.storage.stores import Stores, open_stores

DROP = b""
SILENCE = None


def answer(status: int, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} X", "Content-Length: 0", *headers, "", ""]).encode()


@dataclass
class Stub:
    """Answers each request with the next entry of `script` (the last one again and again); counts requests."""

    script: list[bytes | None]
    requests: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.requests.append(head.split(b" ", 1)[0].decode())
                await reader.readexactly(_length(head))
                said = self.script[min(len(self.requests), len(self.script)) - 1]
                if said is SILENCE:
                    await asyncio.sleep(30)
                if said == DROP:
                    return
                writer.write(said or b"")
                await writer.drain()
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.close()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


@asynccontextmanager
async def stub(*script: bytes | None) -> AsyncIterator[tuple[Stub, Stores]]:
    told = Stub(list(script))
    server = await asyncio.start_server(told.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    stores = open_stores(connection_string=_connection_string(port))
    try:
        yield told, stores
    finally:
        await stores.close()
        server.close()


def _connection_string(port: int) -> str:
    places = [f"{name}Endpoint=http://127.0.0.1:{port}/account" for name in ("Table", "Blob", "Queue")]
    return ";".join(["AccountName=account", "AccountKey=a2V5", *places])


Act = Callable[[Stores], Awaitable[object]]
MESSAGE = QueueMessage("id", "receipt", "", 1, datetime(2026, 3, 2, tzinfo=UTC))
WRITES: dict[str, Act] = {
    "insert": lambda s: s.tables.insert("table", "p", "r", {"x": 1}),
    "replace": lambda s: s.tables.replace("table", "p", "r", {"x": 1}, "W/1"),
    "upsert": lambda s: s.tables.upsert("table", "p", "r", {"x": 1}),
    "delete": lambda s: s.tables.delete("table", "p", "r"),
    "transact": lambda s: s.tables.transact("table", "p", [Insert("r", {}), Delete("q")]),
    "blob put": lambda s: s.blobs.put("container", "name", b"x", "text/plain"),
    "blob delete": lambda s: s.blobs.delete("container", "name"),
    "queue put": lambda s: s.queues.put("queue", "x"),
    "queue delete": lambda s: s.queues.delete("queue", MESSAGE),
}
READS: dict[str, Act] = {
    "get": lambda s: s.tables.get("table", "p", "r"),
    "query": lambda s: s.tables.query("table", "p"),
    "blob get": lambda s: s.blobs.get("container", "name"),
    "blob list": lambda s: s.blobs.list("container"),
    "queue receive": lambda s: s.queues.receive("queue"),
    "queue count": lambda s: s.queues.count("queue"),
}
every_write = pytest.mark.parametrize("act", WRITES.values(), ids=WRITES.keys())
every_read = pytest.mark.parametrize("act", READS.values(), ids=READS.keys())
every_call = pytest.mark.parametrize("act", [*WRITES.values(), *READS.values()], ids=[*WRITES, *READS])


@every_write
@pytest.mark.parametrize("said", [DROP, answer(500), answer(502), answer(504), answer(408)])
async def test_a_write_without_a_clear_answer_is_unknown_and_not_repeated(act: Act, said: bytes) -> None:
    """A write whose connection broke, or that ended in a 5xx, has an unknown outcome and is not repeated (E-6)."""
    async with stub(said) as (told, stores):
        with pytest.raises(OutcomeUnknown):
            await act(stores)
        assert len(told.requests) == 1


@every_read
@pytest.mark.parametrize("said", [DROP, answer(500), answer(504)])
async def test_a_read_without_answer_is_unavailable_and_not_repeated(act: Act, said: bytes) -> None:
    """A read without an answer is an outage, and the client does not repeat it."""
    async with stub(said) as (told, stores):
        with pytest.raises(StoreUnavailable):
            await act(stores)
        assert len(told.requests) == 1


@every_call
async def test_busy_means_nothing_was_done(act: Act) -> None:
    """A 503 means that nothing was done, and its Retry-After is passed on."""
    async with stub(answer(503, "Retry-After: 7")) as (told, stores):
        with pytest.raises(StoreUnavailable) as busy:
            await act(stores)
        assert busy.value.retry_after_seconds == 7
        assert len(told.requests) == 1


@every_call
async def test_no_connection_means_nothing_was_done(act: Act) -> None:
    """A call that could not connect is an outage, writes included, since nothing was sent."""
    async with stub() as (_, stores):
        pass
    stores = open_stores(connection_string=_connection_string(1))
    try:
        with pytest.raises(StoreUnavailable):
            await act(stores)
    finally:
        await stores.close()


@every_write
async def test_silence_after_a_write_is_unknown(act: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that is not answered in time has an unknown outcome."""
    monkeypatch.setattr(azure_http, "READ_SECONDS", 0.05)
    async with stub(SILENCE) as (told, stores):
        with pytest.raises(OutcomeUnknown):
            await act(stores)
        assert len(told.requests) == 1


async def test_a_call_is_bounded_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call ends in time, however slowly the bytes of its answer come."""
    monkeypatch.setattr(wire, "CALL_SECONDS", 0.05)
    async with stub(SILENCE) as (_, stores):
        with pytest.raises(OutcomeUnknown):
            await stores.tables.insert("table", "p", "r", {})
        with pytest.raises(StoreUnavailable):
            await stores.tables.get("table", "p", "r")


async def test_a_write_on_a_kept_connection_is_not_repeated() -> None:
    """A PUT on a kept connection that breaks is not sent again, since it would refuse itself by If-Match."""
    done = answer(204, 'ETag: W/"2"')
    async with stub(done, DROP, done) as (told, stores):
        await stores.tables.replace("table", "p", "r", {"x": 1}, 'W/"1"')
        with pytest.raises(OutcomeUnknown):
            await stores.tables.replace("table", "p", "r", {"x": 2}, 'W/"2"')
        assert told.requests == ["PUT", "PUT"]


async def test_too_large_for_the_service_is_too_large() -> None:
    """A 413 of the service is TooLarge."""
    async with stub(answer(413)) as (_, stores):
        for act in (WRITES["insert"], WRITES["transact"], WRITES["blob put"], WRITES["queue put"]):
            with pytest.raises(TooLarge):
                await act(stores)


@every_call
async def test_a_refusal_that_has_no_meaning_here_is_a_surprise(act: Act) -> None:
    """A request that the service finds wrong is an UpstreamSurprise."""
    async with stub(answer(400, "x-ms-error-code: InvalidInput")) as (_, stores):
        with pytest.raises(UpstreamSurprise, match="400 InvalidInput"):
            await act(stores)


@every_call
@pytest.mark.parametrize("status", [401, 403])
async def test_denied_access_is_an_outage(act: Act, status: int) -> None:
    """A refused key, a firewall or a role that was taken away is an outage: no work is given up over it."""
    async with stub(answer(status, "x-ms-error-code: AuthorizationFailure")) as (_, stores):
        with pytest.raises(StoreUnavailable, match=f"{status} AuthorizationFailure") as denied:
            await act(stores)
        assert vars(denied.value).items() >= {"status": status, "code": "AuthorizationFailure"}.items()


PAGE = b"<html><body>The service is being maintained.</body></html>"


def page(status: int, body: bytes = PAGE) -> bytes:
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Content-Type: text/html", "", ""]
    return "\r\n".join(head).encode() + body


@every_call
@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 409, 412])
async def test_a_gateway_says_nothing_of_a_row(act: Act, status: int) -> None:
    """What has no code of the service is not its answer: no row is missing, there or changed for it."""
    async with stub(page(status)) as (_, stores):
        with pytest.raises((StoreUnavailable, OutcomeUnknown)):
            await act(stores)


@pytest.mark.parametrize("body", [PAGE, b"", b'{"status":"ok"}', b"[]"])
@pytest.mark.parametrize("name", [*WRITES, "get", "query", "blob get", "blob list"])
async def test_a_gateways_200_is_no_yes(name: str, body: bytes) -> None:
    """A page in place of an answer neither confirms a write nor is read as an empty list."""
    async with stub(page(200, body)) as (_, stores):
        with pytest.raises((StoreUnavailable, OutcomeUnknown)):
            await {**WRITES, **READS}[name](stores)


@every_call
async def test_errors_tell_nothing_of_what_is_stored(act: Act) -> None:
    """An error's text shows no key, name or value of what is stored."""
    async with stub(answer(500)) as (_, stores):
        with pytest.raises((OutcomeUnknown, StoreUnavailable)) as failed:
            await act(stores)
        assert "127.0.0.1" not in str(failed.value)
        assert "container" not in str(failed.value)
