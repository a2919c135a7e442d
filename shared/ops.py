"""Commands for operators: `python -m shared.ops create-storage`, `… create-tenant`, `… rotate-key` and so on.

They read the same settings as the app; on an operator's machine, without PROFILE, those of the deployment in azd's
environment, and reach it as the person who is signed in. A key and a webhook secret are printed once, when they are
made; neither can be read again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Final

from shared import bootstrap, ops_work
from shared.azd import find_deployment, read_settings
from shared.domain.controls import has_controls
from shared.domain.errors import InvalidRequest, NotFound, OutcomeUnknown, StoreUnavailable
from shared.domain.ids import is_tenant_id
from shared.domain.model import Tenant, WebhookSecret
from shared.domain.return_address import is_return_address
from shared.identity import managed_identity, signed_in_operator
from shared.security.api_keys import ApiKeyring
from shared.security.guard import Guard
from shared.security.webhooks import SECRET_BYTES, written_secret
from shared.services import Services
from shared.settings import Settings, SettingsError
from shared.state import keys
from shared.state.tenants import webhook_secret_place
from shared.sync.events.endpoint import open_endpoint

OVERLAP_HOURS: Final = 24
WHERE_EVENTS_GO: Final = (
    "events go to https on port 443 at a public name, or with PROFILE=local to an origin of LOCAL_ORIGINS"
)
WHERE_PEOPLE_GO_BACK: Final = (
    "an https address without a name and password, or with PROFILE=local also http on this machine"
)
ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]{1,253}(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class CreatedTenant:
    """What is shown once."""

    tenant_id: str
    api_key: str
    webhook_secret: str


async def create_storage(s: Services) -> str:
    """Create tables, containers and queues (with their poison queues); again is fine. On Azure Bicep does it.

    Returns a sentence for the operator.
    """
    await s.tables.ensure(keys.TABLES)
    await s.blobs.ensure(keys.CONTAINERS)
    await s.queues.ensure(keys.QUEUES)
    made = f"{len(keys.TABLES)} tables, {len(keys.CONTAINERS)} container, {len(keys.QUEUES)} queues"
    return f"{made} are there"


async def create_tenant(
    s: Services,
    keyring: ApiKeyring,
    name: str,
    webhook_url: str,
    frame_origins: Sequence[str],
    *,
    product_name: str = "",
    return_url: str | None = None,
) -> CreatedTenant:
    """A CRM account with its first key and its endpoint's secret."""
    tenant_id = "ten_" + "".join("abcdefghijklmnopqrstuvwxyz234567"[byte & 31] for byte in s.random.bytes(16))
    api_key, record = keyring.mint(tenant_id, s.random)
    secret = s.random.bytes(SECRET_BYTES)
    tenant = Tenant(
        tenant_id,
        name,
        webhook_url,
        tuple(frame_origins),
        product_name=product_name,
        return_url=return_url,
    )
    await s.tenants.create(tenant, record)
    sealed = await s.sealer.seal(tenant_id, webhook_secret_place(tenant_id), secret)
    await s.tenants.set_webhook_secret(tenant_id, WebhookSecret(sealed))
    return CreatedTenant(tenant_id, api_key, written_secret(secret))


async def rotate_key(s: Services, keyring: ApiKeyring, tenant_id: str, overlap: timedelta) -> str:
    """A further key for this tenant; the one it had is good for `overlap` more. Raises NotFound."""
    await s.tenants.get(tenant_id)
    api_key, record = keyring.mint(tenant_id, s.random)
    now = s.clock.now()
    await s.tenants.add_key(record, now + overlap, now)
    return api_key


async def rotate_webhook_secret(s: Services, tenant_id: str, overlap: timedelta) -> str:
    """A new secret for this tenant's endpoint; the former one signs beside it for `overlap`. Raises NotFound."""
    secret = s.random.bytes(SECRET_BYTES)
    await s.tenants.get(tenant_id)
    sealed = await s.sealer.seal(tenant_id, webhook_secret_place(tenant_id), secret)
    await s.tenants.rotate_webhook_secret(tenant_id, sealed, s.clock.now() + overlap)
    return written_secret(secret)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, print; 0, 1 for a tenant that is not there or a status that is not well, 2 for wrong settings."""
    asked = _parser().parse_args(arguments)
    try:
        return asyncio.run(_run(asked))
    except SettingsError as err:
        print(f"settings: {err}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shared.ops", description="Commands for operators.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("create-storage", help="create tables, containers and queues where they are missing")
    rewrap = commands.add_parser(
        "rewrap-keys", help="wrap every tenant's data key with the newest version of the key-encryption key"
    )
    tenant = commands.add_parser(
        "create-tenant", help="create a CRM account with its key and its webhook endpoint"
    )
    tenant.add_argument("--name", type=_name, required=True, help="as people read it on the settings page")
    tenant.add_argument("--webhook-url", required=True, help="where events are sent")
    tenant.add_argument(
        "--frame-origin", action="append", type=_origin, default=[], help="an origin that may frame our page"
    )
    tenant.add_argument("--product-name", type=_name, help="the CRM's name, as its users know it")
    tenant.add_argument("--return-url", help="where our pages lead people back to; no link without it")
    rotated = [
        commands.add_parser("rotate-key", help="make a further key; the present one ends after a while"),
        commands.add_parser("rotate-webhook-secret", help="make a new webhook secret; both sign for a while"),
    ]
    opened = commands.add_parser("open-endpoint", help="call an endpoint again that was off after a 410")
    files = commands.add_parser(
        "set-blocked-files", help="what becomes of a mail with a file that does not sync"
    )
    files.add_argument("choice", choices=["not-synced", "omit"], help="omit: it syncs without the file")
    pictures = commands.add_parser(
        "set-remote-pictures", help="whether events name pictures of a mail that lie on other servers"
    )
    pictures.add_argument(
        "choice", choices=["keep", "drop"], help="drop: the CRM's readers call no other server"
    )
    for command in (*rotated, opened, files, pictures):
        command.add_argument("tenant", help="its id: ten_…")
    for command in rotated:
        hours = f"how long the present command stays good; {OVERLAP_HOURS} without"
        command.add_argument(
            "--overlap-hours", type=_hours, default=timedelta(hours=OVERLAP_HOURS), help=hours
        )
    for command in (tenant, *rotated, opened, files, pictures, rewrap):
        command.add_argument("--json", action="store_true", help="print JSON")
    ops_work.add_commands(commands)
    return parser


def _name(text: str) -> str:
    if not text.strip() or len(text) > 200 or has_controls(text):  # noqa: PLR2004 - a heading's length
        raise ValueError
    return text.strip()


def _origin(text: str) -> str:
    """It stands in a header of the settings page as it is (W-4): scheme, host, port, nothing else."""
    if ORIGIN.fullmatch(text) is None:
        raise ValueError
    return text


def _hours(text: str) -> timedelta:
    hours = float(text)
    if not 0 <= hours <= 24 * 90:  # nan is not either
        raise ValueError
    return timedelta(hours=hours)


async def _run(asked: argparse.Namespace) -> int:
    """Find the settings, carry the command out, print. Raises SettingsError."""
    deployment = find_deployment(os.environ)
    if deployment is None:
        settings = Settings.load(os.environ)
        async with managed_identity(settings.azure_client_id) as identity:
            parts = replace(bootstrap.handed_in(), identity=identity)
            return await _carry_out_and_print(settings, parts, asked)
    async with signed_in_operator(deployment.get("AZURE_TENANT_ID")) as operator:
        parts = replace(bootstrap.handed_in(), identity=operator)
        settings = Settings.load(await read_settings(deployment, operator, parts.ca_file, parts.dial))
        return await _carry_out_and_print(settings, parts, asked)


async def _carry_out_and_print(settings: Settings, parts: bootstrap.Parts, asked: argparse.Namespace) -> int:
    return_url = getattr(asked, "return_url", None)
    if return_url is not None and not is_return_address(return_url, loopback=settings.local):
        print(f"--return-url: {WHERE_PEOPLE_GO_BACK}", file=sys.stderr)
        return 2
    s = bootstrap.build(settings, parts)
    try:
        done = await _carry_out(s, settings, asked)
    except InvalidRequest:
        print(f"--webhook-url: {WHERE_EVENTS_GO}", file=sys.stderr)
        return 2
    except NotFound as err:
        print(await _not_found(s, asked, err), file=sys.stderr)
        return 1
    except (StoreUnavailable, OutcomeUnknown):
        print("The storage does not answer; see /api/health/ready.", file=sys.stderr)
        return 3
    except ops_work.NothingMeant as err:
        print(err, file=sys.stderr)
        return 2
    finally:
        await s.tables.close()
        await s.blobs.close()
        await s.queues.close()
        await s.sealer.close()
    shown = done.shown if isinstance(done, ops_work.Verdict) else done
    if isinstance(shown, str):
        print(shown)
    elif asked.json:
        print(json.dumps(shown))
    else:
        print("\n".join(f"{name}: {_written(value)}" for name, value in shown.items()))
    return 1 if isinstance(done, ops_work.Verdict) and not done.is_well else 0


async def _not_found(s: Services, asked: argparse.Namespace, err: NotFound) -> str:
    """What is not there; for a tenant's name its id, which is what commands take."""
    if err.detail != NotFound.__doc__:
        return err.detail
    if is_tenant_id(asked.tenant):
        return f"there is no tenant {asked.tenant}"
    same = [each.tenant_id async for each in s.tenants.all() if each.name.lower() == asked.tenant.lower()]
    hint = f"{', '.join(same)} is called so" if same else "list-tenants shows the ids"
    return f"there is no tenant {asked.tenant}: commands take an id, and {hint}"


def _written(value: object) -> object:
    return (
        ", ".join(map(str, value)) or "none"
        if isinstance(value, list)
        else "none"
        if value is None
        else value
    )


async def _carry_out(
    s: Services, settings: Settings, asked: argparse.Namespace
) -> str | Mapping[str, object] | ops_work.Verdict:
    """Carry out a command; what to show of it. Raises NotFound."""
    tenant_id = getattr(asked, "tenant", None)
    if tenant_id is not None and not is_tenant_id(tenant_id):
        raise NotFound  # a name, perhaps
    match asked.command:
        case "create-storage":
            return await create_storage(s)
        case "rewrap-keys":
            return asdict(await s.sealer.rewrap())
        case "create-tenant":
            return await _create_tenant(s, settings, asked)
        case command if command in ops_work.COMMANDS:
            return await ops_work.carry_out(s, asked)
        case _:
            return await _change_tenant(s, settings, asked)


async def _change_tenant(s: Services, settings: Settings, asked: argparse.Namespace) -> Mapping[str, object]:
    match asked.command:
        case "rotate-key":
            keyring = ApiKeyring(settings.api_key_pepper.reveal())
            return {"api_key": await rotate_key(s, keyring, asked.tenant, asked.overlap_hours)}
        case "rotate-webhook-secret":
            return {"webhook_secret": await rotate_webhook_secret(s, asked.tenant, asked.overlap_hours)}
        case "open-endpoint":
            return {"released": await open_endpoint(s, asked.tenant)}
        case "set-remote-pictures":
            await s.tenants.set_drops_remote_pictures(asked.tenant, drops=asked.choice == "drop")
            return {"remote_pictures": asked.choice}
        case _:
            await s.tenants.set_omits_files(asked.tenant, omits=asked.choice == "omit")
            return {"blocked_files": asked.choice}


async def _create_tenant(s: Services, settings: Settings, asked: argparse.Namespace) -> Mapping[str, object]:
    Guard(settings.local_origins).judge_form(asked.webhook_url)
    created = await create_tenant(
        s,
        ApiKeyring(settings.api_key_pepper.reveal()),
        asked.name,
        asked.webhook_url,
        asked.frame_origin,
        product_name=asked.product_name or "",
        return_url=asked.return_url,
    )
    return asdict(created)


if __name__ == "__main__":
    sys.exit(main())
