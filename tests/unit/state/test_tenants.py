"""CRM accounts with their keys, secrets and mailboxes."""

from __future__ import annotations

import pytest

from shared.domain.errors import NotFound, RowExists
from shared.domain.model import ApiKey, Tenant, WebhookSecret
from shared.state.tenants import Tenants, webhook_secret_place
from tests.builders import TENANT

NORTHWIND = Tenant(TENANT, "Northwind", "https://crm.example/hooks")
KEY = ApiKey("k1", TENANT, "hash", ("send", "read"))


async def test_a_tenant_comes_with_its_first_key(tenants: Tenants) -> None:
    """A new tenant and its first key are found by their ids."""
    await tenants.create(NORTHWIND, KEY)
    assert (await tenants.get(TENANT)).value == NORTHWIND
    assert await tenants.key("k1") == KEY


async def test_an_unknown_tenant_is_not_found(tenants: Tenants) -> None:
    """An unknown tenant and its secrets are NotFound, and an unknown key is none."""
    with pytest.raises(NotFound):
        await tenants.get(TENANT)
    with pytest.raises(NotFound):
        await tenants.webhook_secret(TENANT)
    assert await tenants.key("k1") is None


async def test_a_tenant_is_created_once(tenants: Tenants) -> None:
    """A second tenant of the same id is refused and changes nothing."""
    await tenants.create(NORTHWIND, KEY)
    with pytest.raises(RowExists):
        await tenants.create(Tenant(TENANT, "Another", "https://evil.example"), KEY)
    assert (await tenants.get(TENANT)).value == NORTHWIND


async def test_the_endpoints_secrets_are_kept_sealed(tenants: Tenants) -> None:
    """A webhook secret is kept as the ciphertext that was given, whose place names the tenant."""
    await tenants.set_webhook_secret(TENANT, WebhookSecret("sealed"))
    assert await tenants.webhook_secret(TENANT) == WebhookSecret("sealed")
    assert TENANT in webhook_secret_place(TENANT)


async def test_mailboxes_of_a_tenant_are_remembered_once(tenants: Tenants) -> None:
    """A tenant's mailbox is remembered once, however often it connects, and by no other tenant."""
    for mailbox_id in ("mbx_b", "mbx_a", "mbx_b"):
        await tenants.note_mailbox(TENANT, mailbox_id)
    assert await tenants.mailboxes(TENANT) == ["mbx_a", "mbx_b"]
    assert await tenants.mailboxes("ten_other") == []


async def test_data_keys_are_found_by_id(tenants: Tenants) -> None:
    """A data key is found by its id, and without an id the newest of the tenant."""
    assert await tenants.load_data_key(TENANT, None) is None
    await tenants.create_data_key(TENANT, "2026-01", "wrapped-1")
    await tenants.create_data_key(TENANT, "2026-02", "wrapped-2")
    assert await tenants.load_data_key(TENANT, "2026-01") == ("2026-01", "wrapped-1")
    assert await tenants.load_data_key(TENANT, None) == ("2026-02", "wrapped-2")
    assert await tenants.load_data_key(TENANT, "2025-12") is None
    assert await tenants.load_data_key("ten_other", "2026-01") is None
