"""The table `Tenants`: CRM accounts, their keys, their webhook endpoint, their data keys and their mailboxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.domain.errors import NotFound, RowExists
from shared.domain.model import ApiKey, Tenant, WebhookSecret
from shared.state import keys
from shared.state.codec import Stored, decode, encode
from shared.storage.api import TableStore

KEYS_PARTITION = "key"


@dataclass(frozen=True, slots=True)
class DataKey:
    """A tenant's data key, wrapped by the key-encryption key (K-1)."""

    key_id: str
    wrapped: str


@dataclass(frozen=True, slots=True)
class MailboxOfTenant:
    """A mailbox that a tenant has had connected; leads the event feed to its rows."""

    mailbox_id: str


class Tenants:
    """Repository of tenants."""

    def __init__(self, tables: TableStore) -> None:
        self._tables = tables

    async def create(self, tenant: Tenant, key: ApiKey) -> None:
        """A new tenant with its first key. Raises RowExists."""
        await self._tables.insert(keys.TENANTS, tenant.tenant_id, "tenant", encode(Stored(tenant)))
        await self._tables.insert(keys.TENANTS, KEYS_PARTITION, key.key_id, encode(Stored(key)))

    async def get(self, tenant_id: str) -> Stored[Tenant]:
        """A tenant. Raises NotFound."""
        row = await self._tables.get(keys.TENANTS, tenant_id, "tenant")
        if row is None:
            raise NotFound
        return decode(Tenant, row.values, row.etag)

    async def key(self, key_id: str) -> ApiKey | None:
        """The stored form of an API key."""
        row = await self._tables.get(keys.TENANTS, KEYS_PARTITION, key_id)
        return decode(ApiKey, row.values, row.etag).value if row else None

    async def webhook_secret(self, tenant_id: str) -> WebhookSecret:
        """The endpoint's sealed secrets. Raises NotFound."""
        row = await self._tables.get(keys.TENANTS, tenant_id, "endpoint")
        if row is None:
            raise NotFound
        return decode(WebhookSecret, row.values, row.etag).value

    async def set_webhook_secret(self, tenant_id: str, secret: WebhookSecret) -> None:
        """Keep the endpoint's first secrets. Raises RowExists."""
        await self._tables.insert(keys.TENANTS, tenant_id, "endpoint", encode(Stored(secret)))

    async def note_mailbox(self, tenant_id: str, mailbox_id: str) -> None:
        """Remember that the tenant has this mailbox; again is fine."""
        try:
            row = encode(Stored(MailboxOfTenant(mailbox_id)))
            await self._tables.insert(keys.TENANTS, tenant_id, f"mailbox:{mailbox_id}", row)
        except RowExists:
            return

    async def mailboxes(self, tenant_id: str) -> Sequence[str]:
        """Every mailbox id the tenant has had."""
        rows = await self._tables.query(keys.TENANTS, tenant_id, "mailbox:", "mailbox;")
        return [decode(MailboxOfTenant, row.values, row.etag).value.mailbox_id for row in rows]

    async def load_data_key(self, tenant_id: str, key_id: str | None) -> tuple[str, str] | None:
        """A data key (id, wrapped); without an id the newest one."""
        rows = await self._tables.query(keys.TENANTS, tenant_id, "dek:", "dek;")
        found = [decode(DataKey, row.values, row.etag).value for row in rows]
        chosen = [one for one in found if key_id in (None, one.key_id)]
        return (chosen[-1].key_id, chosen[-1].wrapped) if chosen else None

    async def create_data_key(self, tenant_id: str, key_id: str, wrapped: str) -> None:
        """Keep a new data key. Raises RowExists."""
        await self._tables.insert(
            keys.TENANTS, tenant_id, f"dek:{key_id}", encode(Stored(DataKey(key_id, wrapped)))
        )


def webhook_secret_place(tenant_id: str) -> tuple[str, str, str, str]:
    """Where the endpoint's secret is sealed for."""
    return (keys.TENANTS, tenant_id, "endpoint", "sealed")
