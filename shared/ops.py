"""Commands for operators: `python -m shared.ops create-storage`, `… create-tenant`.

They read the same settings as the app. `create-tenant` prints the key and the webhook secret once; neither can be
read again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from shared import bootstrap
from shared.domain.model import Tenant, WebhookSecret
from shared.security.api_keys import ApiKeyring
from shared.security.webhooks import SECRET_BYTES, written_secret
from shared.services import Services
from shared.settings import Settings, SettingsError
from shared.state import keys
from shared.state.tenants import webhook_secret_place


@dataclass(frozen=True, slots=True)
class CreatedTenant:
    """What is shown once."""

    tenant_id: str
    api_key: str
    webhook_secret: str


async def create_storage(s: Services) -> None:
    """Create tables, containers and queues (with their poison queues); again is fine. On Azure Bicep does it."""
    await s.tables.ensure(keys.TABLES)
    await s.blobs.ensure(keys.CONTAINERS)
    await s.queues.ensure(keys.QUEUES)


async def create_tenant(
    s: Services, keyring: ApiKeyring, name: str, webhook_url: str, frame_origins: Sequence[str]
) -> CreatedTenant:
    """A CRM account with its first key and its endpoint's secret."""
    tenant_id = "ten_" + "".join("abcdefghijklmnopqrstuvwxyz234567"[byte & 31] for byte in s.chance.data(16))
    api_key, record = keyring.mint(tenant_id, s.chance)
    secret = s.chance.data(SECRET_BYTES)
    await s.tenants.create(Tenant(tenant_id, name, webhook_url, tuple(frame_origins)), record)
    sealed = await s.sealer.seal(tenant_id, webhook_secret_place(tenant_id), secret)
    await s.tenants.set_webhook_secret(tenant_id, WebhookSecret(sealed))
    return CreatedTenant(tenant_id, api_key, written_secret(secret))


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, print; 0, or 2 with every wrong setting named."""
    asked = _parser().parse_args(arguments)
    try:
        settings = Settings.load(os.environ)
    except SettingsError as err:
        print(f"settings: {err}", file=sys.stderr)
        return 2
    return asyncio.run(_run(settings, asked))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shared.ops", description="Commands for operators.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("create-storage", help="create tables, containers and queues where they are missing")
    tenant = commands.add_parser(
        "create-tenant", help="create a CRM account with its key and its webhook endpoint"
    )
    tenant.add_argument("--name", required=True, help="as people read it on the settings page")
    tenant.add_argument("--webhook-url", required=True, help="where events are sent")
    tenant.add_argument(
        "--frame-origin", action="append", default=[], help="an origin that may frame our page"
    )
    tenant.add_argument("--json", action="store_true", help="print JSON")
    return parser


async def _run(settings: Settings, asked: argparse.Namespace) -> int:
    s = bootstrap.build(settings)
    try:
        if asked.command == "create-storage":
            await create_storage(s)
            print(
                f"{len(keys.TABLES)} tables, {len(keys.CONTAINERS)} container, {len(keys.QUEUES)} queues are there"
            )
            return 0
        keyring = ApiKeyring(settings.api_key_pepper.reveal())
        made = await create_tenant(s, keyring, asked.name, asked.webhook_url, asked.frame_origin)
        shown = {"tenant_id": made.tenant_id, "api_key": made.api_key, "webhook_secret": made.webhook_secret}
        print(
            json.dumps(shown)
            if asked.json
            else "\n".join(f"{name}: {value}" for name, value in shown.items())
        )
        return 0
    finally:
        await s.tables.close()
        await s.blobs.close()
        await s.queues.close()


if __name__ == "__main__":
    sys.exit(main())
