"""Whether an installation can work is told by name, and a wrong setting is, too."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
import structlog

from shared import bootstrap
from shared.domain.errors import (
    KeyUnavailable,
    PostbraidError,
    ProviderUnavailable,
    StoreUnavailable,
    UpstreamSurprise,
)
from shared.sync import readiness
from tests.functions.answers import problem
from tests.functions.app import App
from tests.unit.test_settings import CLOUD, REFERENCE


@pytest.fixture
def misconfigured(app: App, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """The app on Azure with two wrong settings."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in {
        **CLOUD,
        "API_KEY_PEPPER": REFERENCE,
        "PUBLIC_BASE_URL": "http://canary.example",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(bootstrap, "_built", [])
    monkeypatch.setattr(bootstrap, "_told", [])
    yield app
    structlog.reset_defaults()


FAULTS = ["PUBLIC_BASE_URL: https is needed", "API_KEY_PEPPER: the Key Vault reference is not resolved"]


async def test_every_fault_is_told_by_readiness(misconfigured: App) -> None:
    """Readiness names every wrong setting without its value; the process itself is live."""
    document = problem(await misconfigured.call("GET", "/health/ready"), 503, "misconfigured")
    assert document["faults"] == FAULTS
    assert "canary" not in str(document)
    assert (await misconfigured.call("GET", "/health/live")).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/messages"),
        ("GET", "/v1/users/u_ann/connection"),
        ("POST", "/graph/notifications/secret"),
        ("GET", "/v1/events"),
    ],
)
async def test_a_caller_is_told_that_the_installation_is_not_set_up(
    misconfigured: App, method: str, path: str
) -> None:
    """With a wrong setting a caller gets a 503 that says so, names no setting and asks to come again."""
    answer = await misconfigured.call(method, path, json={"token": "x" * 40})
    document = problem(answer, 503, "misconfigured")
    assert "faults" not in document
    assert "PEPPER" not in answer.text
    assert int(answer.headers["retry-after"]) > 0


async def test_all_faults_stand_in_one_line(misconfigured: App, caplog: pytest.LogCaptureFixture) -> None:
    """The log has one line with all faults, however many calls there are."""
    for _ in range(3):
        await misconfigured.call("GET", "/health/ready")
    told = [record.getMessage() for record in caplog.records if "misconfigured" in record.getMessage()]
    told = [line for line in told if '"event": "misconfigured"' in line]
    assert len(told) == 1
    assert all(fault in told[0] for fault in FAULTS)
    assert "canary" not in told[0]
    assert REFERENCE not in told[0]


def failed(error: PostbraidError, status: int, code: str = "") -> PostbraidError:
    """The error as an adapter raises it."""
    vars(error).update(status=status, code=code)
    return error


async def test_what_the_app_rests_on_is_told_by_name(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readiness names all services that refuse at once, a role that has not spread yet among them."""

    async def refused(*_: object) -> None:
        raise failed(KeyUnavailable("kv-canary.vault.azure.net"), 403)

    def denied(_: object) -> None:
        raise failed(
            UpstreamSurprise("canary.table.core.windows.net"), 403, "AuthorizationPermissionMismatch"
        )

    monkeypatch.setattr(type(app.services.sealer), "check", refused)
    app.sign_in.next["check"] = [ProviderUnavailable("canary of the identity")]
    app.tables.before = denied
    document = problem(await app.call("GET", "/health/ready"), 503, "unavailable")
    assert document["faults"] == [
        "DataStorage, tables: answered 403 AuthorizationPermissionMismatch",
        "KEY_ENCRYPTION_KEY: answered 403",
        "ENTRA_CLIENT_ID: The mail provider does not answer now.",
    ]
    assert "canary" not in str(document)


async def test_the_key_is_proven_once_in_ten_minutes(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readiness asks the key-encryption key at most once in ten minutes, since anybody may call it."""
    asked: list[str] = []
    wrapper = type(app.services.sealer._wrapper)  # type: ignore[attr-defined]
    wrap = wrapper.wrap

    async def counted(self: object, key: bytes) -> str:
        asked.append("wrap")
        return str(await wrap(self, key))

    monkeypatch.setattr(wrapper, "wrap", counted)
    for _ in range(3):
        assert (await app.call("GET", "/health/ready")).status == 200
    assert len(asked) == 1
    app.clock.forward(minutes=11)
    assert (await app.call("GET", "/health/ready")).status == 200
    assert len(asked) == 2


async def test_a_store_that_is_down_is_named(app: App) -> None:
    """Readiness names each store that is down."""
    app.store_down(StoreUnavailable("canary.table.core.windows.net is busy"))
    document = problem(await app.call("GET", "/health/ready"), 503, "unavailable")
    assert document["faults"][:3] == [
        f"DataStorage, {kind}: The storage does not answer now." for kind in ("tables", "blobs", "queues")
    ]


async def test_a_service_that_hangs_is_named_in_time(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readiness waits for no service longer than its share of time, and names each that gave no answer."""

    async def hangs(*_: object) -> None:
        await asyncio.sleep(60)

    assert readiness.ANSWERS_WITHIN_SECONDS <= 5.0
    monkeypatch.setattr(readiness, "ANSWERS_WITHIN_SECONDS", 0.05)
    monkeypatch.setattr(type(app.services.tables), "get", hangs)
    monkeypatch.setattr(type(app.services.sealer), "check", hangs)
    document = problem(await app.call("GET", "/health/ready"), 503, "unavailable")
    assert document["faults"] == [
        "DataStorage, tables: no answer within 0.05 seconds",
        "KEY_ENCRYPTION_KEY: no answer within 0.05 seconds",
    ]
