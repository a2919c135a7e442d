"""Commands that change a tenant's secrets and its endpoint, as they are typed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from tests.unit.test_ops import TENANT, Bench, bench, command

__all__ = ["bench", "command"]  # fixtures


@pytest.fixture
def tenant(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    command("create-storage")
    capsys.readouterr()
    command(*TENANT, "--json")
    return dict(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize(
    ("name", "member", "prefix"),
    [("rotate-key", "api_key", "psk_"), ("rotate-webhook-secret", "webhook_secret", "whsec_")],
)
def test_a_fresh_secret_is_printed_once(
    command: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    tenant: dict[str, str],
    name: str,
    member: str,
    prefix: str,
) -> None:
    """Rotating a key or webhook secret prints a fresh one each time, as a line or as JSON."""
    assert command(name, tenant["tenant_id"]) == 0
    line = capsys.readouterr().out.strip()
    assert command(name, tenant["tenant_id"], "--overlap-hours", "0.5", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert line.startswith(f"{member}: {prefix}")
    assert document[member].startswith(prefix)
    assert len({line.split()[1], document[member], tenant[member]}) == 3


def test_a_new_webhook_secret_is_kept_sealed_beside_the_former(
    command: Callable[..., int], tenant: dict[str, str], bench: Bench
) -> None:
    """A rotated webhook secret is kept beside the former one and the time until which that signs."""
    before = asyncio.run(bench.services.tenants.webhook_secret(tenant["tenant_id"]))
    command("rotate-webhook-secret", tenant["tenant_id"], "--overlap-hours", "3")
    after = asyncio.run(bench.services.tenants.webhook_secret(tenant["tenant_id"]))
    assert after.previous_sealed == before.sealed != after.sealed
    assert after.previous_until is not None
    assert (after.previous_until - bench.services.clock.now()).total_seconds() == 3 * 3600


def test_an_endpoint_is_opened(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str], tenant: dict[str, str], bench: Bench
) -> None:
    """open-endpoint turns an endpoint on and prints how many held events it released."""
    s = bench.services
    asyncio.run(s.tenants.set_endpoint_off(tenant["tenant_id"], s.clock.now()))
    assert command("open-endpoint", tenant["tenant_id"]) == 0
    assert capsys.readouterr().out == "released: 0\n"
    assert asyncio.run(s.tenants.get(tenant["tenant_id"])).value.endpoint_off_at is None


def test_blocked_files_are_chosen(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str], tenant: dict[str, str], bench: Bench
) -> None:
    """set-blocked-files sets and takes back that mail syncs without the files that do not, and prints the choice."""
    for choice in ("omit", "not-synced"):
        assert command("set-blocked-files", choice, tenant["tenant_id"]) == 0
        assert capsys.readouterr().out == f"blocked_files: {choice}\n"
        stored = asyncio.run(bench.services.tenants.get(tenant["tenant_id"]))
        assert stored.value.omits_files is (choice == "omit")
    assert command("set-blocked-files", "omit", "ten_nobody") == 1


def test_remote_pictures_are_chosen(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str], tenant: dict[str, str], bench: Bench
) -> None:
    """set-remote-pictures sets and takes back that events name no picture of another server, and prints the choice."""
    for choice in ("drop", "keep"):
        assert command("set-remote-pictures", choice, tenant["tenant_id"]) == 0
        assert capsys.readouterr().out == f"remote_pictures: {choice}\n"
        stored = asyncio.run(bench.services.tenants.get(tenant["tenant_id"]))
        assert stored.value.drops_remote_pictures is (choice == "drop")
    assert command("set-remote-pictures", "drop", "ten_nobody") == 1


@pytest.mark.parametrize("name", ["rotate-key", "rotate-webhook-secret", "open-endpoint"])
def test_a_tenant_that_is_not_there(
    command: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    tenant: dict[str, str],
    name: str,
) -> None:
    """A command for an unknown tenant prints one line on stderr and exits with 1."""
    assert tenant
    assert command(name, "ten_nobody") == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "there is no tenant ten_nobody\n")


@pytest.mark.parametrize("hours", ["-1", "x", "nan", "2161"])
def test_an_overlap_is_up_to_ninety_days(
    command: Callable[..., int], tenant: dict[str, str], hours: str
) -> None:
    """An overlap that is negative, no number or over ninety days is refused by the usage."""
    with pytest.raises(SystemExit) as caught:
        command("rotate-key", tenant["tenant_id"], "--overlap-hours", hours)
    assert caught.value.code == 2


@pytest.mark.parametrize("name", ["list-held", "replay-held", "rotate-key"])
def test_a_name_in_the_place_of_an_id_is_explained(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str], tenant: dict[str, str], name: str
) -> None:
    """Who gives a tenant's name is told its id; who gives anything else, where ids are listed."""
    for given, hint in (
        ("northwind", f"{tenant['tenant_id']} is called so"),
        ("No/such#one?", "list-tenants shows the ids"),
    ):
        assert command(name, given) == 1
        said = f"there is no tenant {given}: commands take an id, and {hint}\n"
        assert capsys.readouterr() == ("", said)
