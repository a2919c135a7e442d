"""The wiring: everything is made once, from settings, and what is handed in takes the place of the real thing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import httpx
import pytest
import structlog

from shared import bootstrap
from shared.bootstrap import Parts, SystemClock, SystemRandom, build, replace_parts, replaced, services
from shared.domain.errors import InvalidRequest, Misconfigured
from shared.security.sealing import EnvelopeSealer
from shared.services import Addresses, Services
from shared.settings import Settings, SettingsError
from shared.storage.stores import Stores
from shared.storage.testing import MemoryBlobs, MemoryQueues, MemoryTables
from shared.telemetry import Counters
from tests.builders import NOW, SeededRandom, StillClock
from tests.unit.security.outside import Pieces
from tests.unit.test_settings import CLOUD, HOME, LONG


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {**HOME, "SEALING_KEY_FILE": str(tmp_path / "key"), "TRUSTED_CA_FILE": ""}


@pytest.fixture
def parts() -> Parts:
    clock = StillClock()
    stores = Stores(MemoryTables(), MemoryBlobs(clock), MemoryQueues(clock))
    return Parts(clock=clock, random=SeededRandom(), stores=stores)


@pytest.fixture
def process(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that has built nothing yet, in that environment."""
    monkeypatch.setattr(bootstrap, "_built", [])
    monkeypatch.setattr(bootstrap, "_parts", Parts())
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    yield
    structlog.reset_defaults()


def test_building_asks_nobody(environ: dict[str, str]) -> None:
    """Building the services opens no connection and reads no file."""
    built = build(Settings.load(environ))
    assert not Path(environ["SEALING_KEY_FILE"]).exists()
    assert built.addresses.public_base_url == "http://localhost:7071"


def test_what_is_handed_in_is_used(environ: dict[str, str], parts: Parts) -> None:
    """The clock, randomness and stores that are handed in are used."""
    built = build(Settings.load(environ), parts)
    assert (built.clock, built.random) == (parts.clock, parts.random)
    assert parts.stores is not None
    assert (built.tables, built.blobs, built.queues) == (
        parts.stores.tables,
        parts.stores.blobs,
        parts.stores.queues,
    )


def test_services_may_be_wrapped_as_a_whole(environ: dict[str, str], parts: Parts) -> None:
    """The built services may be wrapped as a whole, for faults and sabotage."""
    other = StillClock()
    parts.wrap = lambda built: replace(built, clock=other)
    assert build(Settings.load(environ), parts).clock is other


async def test_every_call_goes_through_the_one_counted_transport(
    environ: dict[str, str], parts: Parts
) -> None:
    """Webhook deliveries and file fetches go through the one counted transport (T-1)."""
    parts.counters = Counters()
    parts.http = httpx.MockTransport(lambda _: httpx.Response(200, stream=Pieces(b"x", 1)))
    built = build(Settings.load(environ), parts)
    await built.crm.deliver("http://localhost:5001/hooks", "evt_1", b"{}", [b"x" * 32], NOW)
    await built.fetcher.fetch("http://127.0.0.1:5002/a.txt", 10)
    assert dict(parts.counters.calls) == {("crm", "deliver"): 1, ("file", "fetch"): 1}


@pytest.mark.parametrize(
    "url", ["http://localhost:7071/api/v1/messages", "http://localhost:5003/", "http://10.0.0.1:5001/"]
)
async def test_our_own_addresses_are_never_called(environ: dict[str, str], parts: Parts, url: str) -> None:
    """Of this machine's addresses only the configured origins may be called, and never our own."""
    built = build(Settings.load(environ), parts)
    with pytest.raises(InvalidRequest):
        await built.fetcher.fetch(url, 10)


def test_a_deployments_own_hosts_are_those_of_its_settings() -> None:
    """A deployment's own hosts, which no webhook may name, are the app, its storage and its vault (C-3)."""
    assert bootstrap._own_hosts(Settings.load(CLOUD)) == [
        "postbraid.example",
        "northwindstore.table.core.windows.net",
        "northwindstore.queue.core.windows.net",
        "northwindstore.blob.core.windows.net",
        "northwind.vault.azure.net",
    ]


def test_what_was_signed_with_an_older_key_is_still_accepted(environ: dict[str, str], parts: Parts) -> None:
    """A clientState signed with the second configured key is accepted."""
    built = build(Settings.load(environ), parts)
    older = build(Settings.load({**environ, "CLIENT_STATE_KEYS": LONG["old-state"]}), parts)
    assert built.client_states.verify(older.client_states.mint("mbx_1", 3, "nonce")) == ("mbx_1", 3)
    assert older.client_states.verify(built.client_states.mint("mbx_1", 3, "nonce")) is None


def test_addresses_that_graph_calls_carry_the_secret() -> None:
    """The addresses that Graph calls carry the secret in their path (G-2)."""
    addresses = Addresses("https://postbraid.example", "s3cret")
    assert addresses.api == "https://postbraid.example/api"
    assert addresses.notifications == "https://postbraid.example/api/graph/notifications/s3cret"
    assert addresses.lifecycle == "https://postbraid.example/api/graph/lifecycle/s3cret"


@pytest.mark.usefixtures("process")
def test_services_are_built_once() -> None:
    """The services are built by the first call and then the same."""
    first = services()
    assert isinstance(first, Services)
    assert services() is first


@pytest.mark.usefixtures("process")
def test_wrong_settings_stop_every_call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong settings stop every call, are named in one line of the log, and a mended environment is read anew."""
    monkeypatch.setattr(bootstrap, "_told", [])
    monkeypatch.setenv("PUBLIC_BASE_URL", "")
    monkeypatch.setenv("API_KEY_PEPPER", "canary")
    for _ in range(2):
        with pytest.raises(Misconfigured) as caught:
            services()
        assert caught.value.faults == ("PUBLIC_BASE_URL: missing", "API_KEY_PEPPER: at least 32 characters")
    told = [line for line in capsys.readouterr().err.splitlines() if "misconfigured" in line]
    assert len(told) == 1
    assert "PUBLIC_BASE_URL: missing; API_KEY_PEPPER: at least 32 characters" in told[0]
    assert "canary" not in told[0]
    monkeypatch.setenv("API_KEY_PEPPER", LONG["pepper"])
    monkeypatch.setenv("PUBLIC_BASE_URL", "https://postbraid.example")
    assert services().addresses.public_base_url == "https://postbraid.example"


@pytest.mark.usefixtures("process")
def test_parts_are_replaced_before_the_first_call_only() -> None:
    """Parts can be replaced before the first call only, and by their right names."""
    clock = StillClock()
    replace_parts(clock=clock)
    with pytest.raises(TypeError, match="klock"):
        replace_parts(klock=clock)
    assert services().clock is clock
    with pytest.raises(RuntimeError, match="built already"):
        replace_parts(clock=clock)


@pytest.mark.usefixtures("process")
def test_a_test_gives_back_what_it_replaced(environ: dict[str, str], parts: Parts) -> None:
    """Replaced services are put back afterwards, also when the block fails."""
    before = services()
    instead = build(Settings.load(environ), parts)
    with replaced(instead) as inside:
        assert services() is instead is inside
    assert services() is before

    def failing() -> None:
        with replaced(instead):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert services() is before


def test_the_real_clock_is_aware() -> None:
    """The real clock tells UTC and goes on."""
    first, second = SystemClock().now(), SystemClock().now()
    assert first.tzinfo is UTC
    assert timedelta(0) <= second - first < timedelta(minutes=1)


def test_real_randomness_is_as_long_as_asked_and_never_the_same() -> None:
    """The real randomness gives values of the asked length that never repeat."""
    random = SystemRandom()
    assert len(random.token()) == 43
    assert len(random.token(12)) == 16
    assert len(random.bytes(16)) == 16
    assert len({random.token() for _ in range(50)} | {random.bytes(8).hex() for _ in range(50)}) == 100
    assert all(0 <= random.jitter() < 1 for _ in range(100))
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", random.token()) for _ in range(50))


def test_a_deployment_is_built_without_asking_anybody() -> None:
    """A deployment's services are built without a call to the vault, the identity or the storage."""
    built = build(Settings.load(CLOUD))
    assert isinstance(built.sealer, EnvelopeSealer)
    assert built.sealer._wrapper.kek_id == "vault-data-keys"


def test_a_certificate_that_cannot_be_read_is_named() -> None:
    """A certificate that cannot be read is a wrong setting; its content is not shown (O-9)."""
    with pytest.raises(SettingsError, match="ENTRA_CLIENT_CERTIFICATE: neither PEM nor PKCS #12") as caught:
        build(Settings.load({**CLOUD, "ENTRA_CLIENT_CERTIFICATE": "canary-certificate"}))
    assert "canary" not in str(caught.value)
