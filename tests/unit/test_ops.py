"""Commands for operators: what they make, and that it is shown once."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared import bootstrap, ops
from shared.domain.errors import StoreUnavailable, UpstreamSurprise
from shared.ops import CreatedTenant, create_storage, create_tenant
from shared.security.api_keys import SCOPES, ApiKeyring
from shared.services import Services
from shared.settings import Settings
from shared.state import keys
from shared.state.tenants import webhook_secret_place
from shared.storage.stores import Stores
from shared.storage.testing import MemoryBlobs, MemoryQueues, MemoryTables
from tests.builders import SeededRandom, StillClock
from tests.unit.test_settings import HOME, LONG

PEPPER = LONG["pepper"]
ORIGINS = ["https://app.crm.example", "https://eu.crm.example"]
TENANT = ["create-tenant", "--name", "Northwind", "--webhook-url", "https://crm.example/hooks"]


@dataclass
class Bench:
    """The services over stores in memory, and the environment they were made from."""

    services: Services
    environ: dict[str, str]
    closed: list[str]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    key.chmod(0o600)
    environ = {**HOME, "SEALING_KEY_FILE": str(key), "TRUSTED_CA_FILE": ""}
    clock = StillClock()
    stores = Stores(MemoryTables(), MemoryBlobs(clock), MemoryQueues(clock))
    closed: list[str] = []
    parts = bootstrap.Parts(clock=clock, random=SeededRandom(), stores=stores)
    made = bootstrap.build(Settings.load(environ), parts)
    return Bench(made, environ, closed)


@pytest.fixture
def command(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a command in that environment, over those stores."""
    monkeypatch.setattr(bootstrap, "build", lambda settings, parts: bench.services)
    for name in ("tables", "blobs", "queues"):
        store = getattr(bench.services, name)

        async def close(name: str) -> None:
            bench.closed.append(name)

        monkeypatch.setattr(type(store), "close", lambda _, name=name: close(name))
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in bench.environ.items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: ops.main(arguments)


async def made(bench: Bench, name: str = "Northwind") -> CreatedTenant:
    await create_storage(bench.services)
    return await create_tenant(bench.services, ApiKeyring(PEPPER), name, "https://crm.example/hooks", ORIGINS)


async def test_storage_is_made_and_making_it_again_is_fine(bench: Bench) -> None:
    """create-storage makes every table, container, queue and poison queue, and may be repeated."""
    for _ in range(2):
        await create_storage(bench.services)
    for table in keys.TABLES:
        assert await bench.services.tables.get(table, "p", "r") is None
    for queue in keys.QUEUES:
        for queue_name in (queue, f"{queue}-poison"):
            await bench.services.queues.put(queue_name, "x")
    for container in keys.CONTAINERS:
        await bench.services.blobs.put(container, "x", b"x", "text/plain")


async def test_a_tenant_is_made_with_its_key(bench: Bench) -> None:
    """A new tenant's shown key opens it with all scopes, and is kept as a hash."""
    shown = await made(bench)
    tenant = (await bench.services.tenants.get(shown.tenant_id)).value
    assert (tenant.name, tenant.webhook_url) == ("Northwind", "https://crm.example/hooks")
    assert tenant.frame_origins == tuple(ORIGINS)
    assert not tenant.disabled
    parsed = bench.services.api_keys.parse(f"Bearer {shown.api_key}")
    assert parsed is not None
    kept = await bench.services.tenants.key(parsed[0])
    assert kept is not None
    assert bench.services.api_keys.matches(parsed[1], kept.secret_hash)
    assert (kept.tenant_id, kept.scopes) == (shown.tenant_id, SCOPES)


async def test_a_tenants_webhook_secret_is_kept_sealed(bench: Bench) -> None:
    """A new tenant's webhook secret is kept sealed and opens to what was shown."""
    shown = await made(bench)
    kept = await bench.services.tenants.webhook_secret(shown.tenant_id)
    secret = await bench.services.sealer.unseal(
        shown.tenant_id, webhook_secret_place(shown.tenant_id), kept.sealed
    )
    assert f"whsec_{base64.b64encode(secret).decode()}" == shown.webhook_secret
    assert len(secret) == 32
    assert kept.previous_sealed is None
    assert shown.webhook_secret.removeprefix("whsec_") not in kept.sealed


async def test_two_tenants_share_nothing(bench: Bench) -> None:
    """Two tenants of the same name have different ids, keys and secrets."""
    first, second = await made(bench), await made(bench)
    assert first.tenant_id != second.tenant_id
    assert first.api_key != second.api_key
    assert first.webhook_secret != second.webhook_secret


def test_a_tenant_is_printed_once(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str], bench: Bench
) -> None:
    """create-tenant prints lines or JSON with the same members, and closes the stores either way."""
    assert command("create-storage") == 0
    assert "queues are there" in capsys.readouterr().out
    assert command(*TENANT) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert command(*TENANT, "--json", "--frame-origin", ORIGINS[0], "--frame-origin", ORIGINS[1]) == 0
    document = json.loads(capsys.readouterr().out)
    for shown in (lines, document):
        assert set(shown) == {"tenant_id", "api_key", "webhook_secret"}
        assert shown["tenant_id"].startswith("ten_")
        assert shown["api_key"].startswith("psk_")
        assert shown["webhook_secret"].startswith("whsec_")
    assert lines["tenant_id"] != document["tenant_id"]
    assert bench.closed == ["tables", "blobs", "queues"] * 3


def test_what_a_command_prints_is_what_was_made(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str], bench: Bench
) -> None:
    """The tenant that create-tenant prints is stored, with the origins that may frame the page."""
    command("create-storage")
    capsys.readouterr()
    command(*TENANT, "--json", "--frame-origin", ORIGINS[0])
    shown = json.loads(capsys.readouterr().out)
    tenant = asyncio.run(bench.services.tenants.get(shown["tenant_id"])).value
    assert (tenant.name, tenant.frame_origins) == ("Northwind", (ORIGINS[0],))
    assert asyncio.run(bench.services.tenants.webhook_secret(shown["tenant_id"]))


def test_a_tenant_has_its_products_name_and_the_way_back(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str], bench: Bench
) -> None:
    """create-tenant keeps the CRM's name and the address to lead people back to; without them there are none."""
    command("create-storage")
    for options, kept in (
        ([], ("", None)),
        (
            ["--product-name", "Acme CRM", "--return-url", "https://crm.example/me"],
            ("Acme CRM", "https://crm.example/me"),
        ),
        (["--return-url", "http://127.0.0.1:7080/me"], ("", "http://127.0.0.1:7080/me")),
    ):
        capsys.readouterr()
        assert command(*TENANT, "--json", *options) == 0
        shown = json.loads(capsys.readouterr().out)
        tenant = asyncio.run(bench.services.tenants.get(shown["tenant_id"])).value
        assert (tenant.product_name, tenant.return_url) == kept
        assert tenant.product == (kept[0] or "Northwind")


def test_the_services_do_not_show_their_secrets(bench: Bench) -> None:
    """The repr of the services shows no secret."""
    assert "canary" not in repr(bench.services)


def test_wrong_settings_are_told_and_nothing_is_done(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command with wrong settings tells all of them on stderr without secrets, and exits with 2."""
    monkeypatch.setenv("PROFILE", "azure")
    monkeypatch.setenv("API_KEY_PEPPER", "canary")
    assert command(*TENANT) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "API_KEY_PEPPER: at least 32 characters" in shown.err
    assert "SEALING_KEY_FILE: only with PROFILE=local" in shown.err
    assert "canary" not in shown.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["erase-everything"],
        ["create-tenant"],
        ["create-tenant", "--name", "x"],
        ["create-storage", "--force"],
    ],
)
def test_a_half_command_is_explained(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """An incomplete or unknown command is explained by the usage and exits with 2."""
    with pytest.raises(SystemExit) as caught:
        command(*arguments)
    assert caught.value.code == 2
    assert "usage: python -m shared.ops" in capsys.readouterr().err


def test_a_storage_that_does_not_answer_is_told(
    command: Callable[..., int],
    bench: Bench,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Commands end with one line and an exit code of their own while the storage does not answer."""

    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(type(bench.services.tables), "query_partitions", refuse)
    assert command("list-tenants") == 3
    assert capsys.readouterr().err == "The storage does not answer; see /api/health/ready.\n"


def test_stores_are_closed_after_a_failure_too(command: Callable[..., int], bench: Bench) -> None:
    """A command that fails closes the stores."""
    with pytest.raises(UpstreamSurprise):
        command(*TENANT)  # there is no storage yet
    assert bench.closed == ["tables", "blobs", "queues"]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--webhook-url", "garbage"),
        ("--webhook-url", "ftp://crm.example/x"),
        ("--webhook-url", "http://crm.example/x"),
        ("--webhook-url", "https://10.0.0.1/x"),
        ("--webhook-url", "https://user:pw@crm.example/x"),
        ("--webhook-url", "http://127.0.0.1:9099/hook"),
        ("--frame-origin", "not an origin; script-src *"),
        ("--frame-origin", "https://crm.example/path"),
        ("--frame-origin", "*"),
        ("--product-name", "two\nlines"),
        ("--return-url", "http://crm.example/settings"),
        ("--return-url", "javascript:alert(1)"),
        ("--return-url", "https://user:pw@crm.example/"),
        ("--name", "  "),
        ("--name", "two\nlines"),
    ],
)
def test_a_tenant_that_could_never_work_is_not_made(
    command: Callable[..., int], bench: Bench, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """create-tenant refuses an address, origin or name that could never work, and shows nothing."""
    try:
        code = command(*TENANT, option, value)
    except SystemExit as refused:  # argparse's own
        code = int(refused.code or 0)
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert option in said.err


def test_a_tenant_may_lie_at_an_origin_of_this_machine(command: Callable[..., int], bench: Bench) -> None:
    """With PROFILE=local a tenant may lie at an origin of LOCAL_ORIGINS."""
    asyncio.run(create_storage(bench.services))
    assert (
        command(
            *TENANT[:3], "--webhook-url", "http://localhost:5001/hook", "--frame-origin", "http://a.b:8080"
        )
        == 0
    )
