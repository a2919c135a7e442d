"""The table `Tenants`: CRM accounts, their keys, their webhook endpoint, their data keys and their mailboxes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from shared.domain.errors import NotFound, RowChanged, RowExists, RowMissing
from shared.domain.model import ApiKey, Tenant, WebhookSecret
from shared.ports import Clock, Sealer
from shared.state import keys
from shared.state.codec import Stored, decode, encode
from shared.state.remembered import Remembered
from shared.storage.api import TableStore

KEYS_PARTITION = "key"
TENANT_IDS: Final = "ten_"
MOST_TRIES: Final = 5


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
    """Repository of tenants. A tenant and its signing secrets are remembered for a minute."""

    def __init__(self, tables: TableStore, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock
        self._known: Remembered[Tenant] = Remembered(clock)
        self._secrets: Remembered[list[bytes]] = Remembered(clock)

    async def create(self, tenant: Tenant, key: ApiKey) -> None:
        """A new tenant with its first key. Raises RowExists."""
        await self._tables.insert(keys.TENANTS, tenant.tenant_id, "tenant", encode(Stored(tenant)))
        await self._tables.insert(keys.TENANTS, KEYS_PARTITION, key.key_id, encode(Stored(key)))

    async def get(self, tenant_id: str) -> Stored[Tenant]:
        """A tenant. Raises NotFound."""
        row = await self._tables.get(keys.TENANTS, tenant_id, "tenant")
        if row is None:
            raise NotFound
        stored = decode(Tenant, row.values, row.etag)
        self._known.put(tenant_id, stored.value)
        return stored

    async def all(self) -> AsyncIterator[Tenant]:
        """Every tenant, by id; for an operator's command."""
        span = (TENANT_IDS, keys.after_prefix(TENANT_IDS))
        async for row in self._tables.query_partitions(keys.TENANTS, *span, "tenant", "tenant~"):
            yield decode(Tenant, row.values, row.etag).value

    async def remembered(self, tenant_id: str) -> Tenant:
        """A tenant as it was within the last minute. Raises NotFound."""
        return self._known.get(tenant_id) or (await self.get(tenant_id)).value

    async def set_endpoint_off(self, tenant_id: str, at: datetime | None) -> bool:
        """Since when the endpoint is off, or with None that it is on; returns whether that is new. Raises NotFound."""

        def switch(tenant: Tenant) -> Tenant:
            is_new = (tenant.endpoint_off_at is None) != (at is None)
            return replace(tenant, endpoint_off_at=at) if is_new else tenant

        return await self._change(tenant_id, switch)

    async def set_endpoint_silent(self, tenant_id: str, since: datetime | None) -> None:
        """Since when the endpoint has taken nothing, or with None that it takes events. Raises NotFound, RowChanged."""

        def note(tenant: Tenant) -> Tenant:
            is_new = (tenant.endpoint_silent_since is None) != (since is None)
            return replace(tenant, endpoint_silent_since=since) if is_new else tenant

        await self._change(tenant_id, note)

    async def set_omits_files(self, tenant_id: str, *, omits: bool) -> None:
        """Whether mail syncs without the files that do not (R10). Raises NotFound, RowChanged."""
        await self._change(tenant_id, lambda tenant: replace(tenant, omits_files=omits))

    async def set_drops_remote_pictures(self, tenant_id: str, *, drops: bool) -> None:
        """Whether pictures on other servers are left out of what the CRM shows (H-1). Raises NotFound, RowChanged."""
        await self._change(tenant_id, lambda tenant: replace(tenant, drops_remote_pictures=drops))

    async def _change(self, tenant_id: str, change: Callable[[Tenant], Tenant]) -> bool:
        """Change a tenant's row; returns whether it changed. Raises NotFound, RowChanged."""
        for _ in range(MOST_TRIES):
            stored = await self.get(tenant_id)
            changed = change(stored.value)
            if changed == stored.value:
                return False
            row = encode(stored.changed(changed))
            with suppress(RowChanged):
                await self._tables.replace(keys.TENANTS, tenant_id, "tenant", row, stored.etag or "")
                self._known.drop(tenant_id)
                return True
        raise RowChanged

    async def key(self, key_id: str) -> ApiKey | None:
        """The stored form of an API key."""
        row = await self._tables.get(keys.TENANTS, KEYS_PARTITION, key_id)
        return decode(ApiKey, row.values, row.etag).value if row else None

    async def add_key(self, key: ApiKey, old_until: datetime, now: datetime) -> int:
        """A further key; the tenant's others end then, and those that had an end already end now (A-1: two live keys).

        Returns how many others were still good. Raises RowChanged when somebody changes them at the same time.
        """
        rows = await self._tables.query(keys.TENANTS, KEYS_PARTITION, "", "~")
        stored = [decode(ApiKey, row.values, row.etag) for row in rows]
        await self._tables.insert(keys.TENANTS, KEYS_PARTITION, key.key_id, encode(Stored(key)))
        live = [
            other
            for other in stored
            if other.value.tenant_id == key.tenant_id
            and (other.value.expires_at is None or other.value.expires_at > now)
        ]
        for other in live:
            ended = replace(other.value, expires_at=old_until if other.value.expires_at is None else now)
            row = encode(other.changed(ended))
            await self._tables.replace(keys.TENANTS, KEYS_PARTITION, ended.key_id, row, other.etag or "")
        return len(live)

    async def rotate_webhook_secret(self, tenant_id: str, sealed: str, old_until: datetime) -> None:
        """A new secret; the present one signs beside it until then. Raises NotFound, RowChanged."""
        row = await self._tables.get(keys.TENANTS, tenant_id, "endpoint")
        if row is None:
            raise NotFound
        stored = decode(WebhookSecret, row.values, row.etag)
        fresh = encode(stored.changed(WebhookSecret(sealed, stored.value.sealed, old_until)))
        await self._tables.replace(keys.TENANTS, tenant_id, "endpoint", fresh, row.etag)
        self._secrets.drop(tenant_id)

    async def signing_secrets(self, tenant_id: str, sealer: Sealer) -> list[bytes]:
        """The endpoint's secrets in clear, the newest first, as they were within the last minute. Raises NotFound."""
        known = self._secrets.get(tenant_id)
        if known is not None:
            return known
        kept = await self.webhook_secret(tenant_id)
        former = kept.previous_until is None or kept.previous_until > self._clock.now()
        sealed = [kept.sealed, *([kept.previous_sealed] if kept.previous_sealed and former else [])]
        place = webhook_secret_place(tenant_id)
        return self._secrets.put(tenant_id, [await sealer.unseal(tenant_id, place, text) for text in sealed])

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

    async def mailboxes_from(self, tenant_id: str, mailbox_id: str, limit: int) -> Sequence[str]:
        """The same from that id on ("" for the first), by id, at most so many."""
        start = f"mailbox:{mailbox_id}"
        rows = await self._tables.query(keys.TENANTS, tenant_id, start, "mailbox;", limit)
        return [decode(MailboxOfTenant, row.values, row.etag).value.mailbox_id for row in rows]

    async def load_data_key(self, tenant_id: str, key_id: str | None) -> tuple[str, str] | None:
        """A data key (id, wrapped); without an id the newest one."""
        rows = await self._tables.query(keys.TENANTS, tenant_id, "dek:", "dek;")
        found = [decode(DataKey, row.values, row.etag).value for row in rows]
        chosen = [data_key for data_key in found if key_id in (None, data_key.key_id)]
        return (chosen[-1].key_id, chosen[-1].wrapped) if chosen else None

    async def all_data_keys(self) -> AsyncIterator[tuple[str, str, str, str]]:
        """(tenant id, key id, wrapped, ETag) of every tenant's data keys; for an operator's command."""
        async for row in self._tables.query_partitions(keys.TENANTS, row_from="dek:", row_to="dek;"):
            found = decode(DataKey, row.values, row.etag).value
            yield row.partition, found.key_id, found.wrapped, row.etag

    async def replace_data_key(self, tenant_id: str, key_id: str, wrapped: str, etag: str) -> None:
        """Keep a data key wrapped anew. Raises RowChanged, RowMissing."""
        row = await self._tables.get(keys.TENANTS, tenant_id, f"dek:{key_id}")
        if row is None:
            raise RowMissing(f"dek:{key_id}")
        fresh = encode(decode(DataKey, row.values, row.etag).changed(DataKey(key_id, wrapped)))
        await self._tables.replace(keys.TENANTS, tenant_id, f"dek:{key_id}", fresh, etag)

    async def create_data_key(self, tenant_id: str, key_id: str, wrapped: str) -> None:
        """Keep a new data key. Raises RowExists."""
        await self._tables.insert(
            keys.TENANTS, tenant_id, f"dek:{key_id}", encode(Stored(DataKey(key_id, wrapped)))
        )


def webhook_secret_place(tenant_id: str) -> tuple[str, str, str, str]:
    """Where the endpoint's secret is sealed for."""
    return (keys.TENANTS, tenant_id, "endpoint", "sealed")
