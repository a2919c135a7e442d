"""azd's hook after `azd deploy`: does the app answer, can it work, and how the first tenant is made."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from deployment import azure
from deployment.console import Stop
from deployment.health import Answer, fetch
from deployment.run import Hook, run
from deployment.waiting import Wait, wait

STARTS: Final = Wait(total_seconds=300, every_seconds=10)
BECOMES_READY: Final = Wait(total_seconds=600, every_seconds=15)
# A fault that no waiting mends is looked at this often: a new setting takes a moment to reach every instance.
SAME_FAULTS: Final = 5
# Looks between two refreshes of the Key Vault references: a minute.
REFRESH_EVERY: Final = 4
FIRST_TENANT: Final = """\
The first tenant (the CRM account that may call it) is made from this folder, by you:

  python3 -m venv .venv
  .venv/bin/python -m pip install --require-hashes -r requirements.txt
  .venv/bin/python -m shared.ops create-tenant --name "Example Ltd" \\
      --webhook-url https://crm.example.com/hooks/postbraid --frame-origin https://crm.example.com

It reads the azd environment and works as you (azd auth login, else az login). It prints the key and
the webhook secret once.
docs/runbook.md explains every option. On Windows it is .venv\\Scripts\\python instead of .venv/bin/python."""
NO_ANSWER: Final = (
    "The app does not answer at {url}: {words}.\n"
    "A 404 means that no function was found: the package did not start. Look at the log of the function app (portal,"
    ' Log stream; or Application Insights, traces) for an ImportError, and see docs/deploy.md, "When something does'
    ' not work".'
)


def after_deploy(hook: Hook, get: Callable[[str], Answer] = fetch) -> None:
    """Wait until the app answers and is ready, name what keeps it from that, and say how to make a tenant."""
    base, subscription, group, site = hook.needed(
        "PUBLIC_BASE_URL", "AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "SERVICE_API_NAME"
    )
    base = base.rstrip("/")
    hook.console.step(f"does it answer: {base}/api/health/live")
    if hook.tools.dry_run:
        hook.console.say(
            f"    would ask {base}/api/health/live, then {base}/api/health/ready, until both answer 200"
        )
        hook.console.say("    and, while a Key Vault reference is not resolved:")
        azure.refresh_references(hook.tools, azure.site_url(subscription, group, site))
    else:
        _live(hook, get, f"{base}/api/health/live")
        hook.console.step(f"can it work: {base}/api/health/ready")
        _ready(hook, get, f"{base}/api/health/ready", azure.site_url(subscription, group, site))
    hook.console.say()
    hook.console.say("Once the app is up:" if hook.tools.dry_run else "The app is up.")
    for line in FIRST_TENANT.splitlines():
        hook.console.say(line)


def _live(hook: Hook, get: Callable[[str], Answer], url: str) -> None:
    def look() -> str | None:
        answer = get(url)
        return None if answer.good else answer.words

    words = wait(hook.console, hook.sleep, STARTS, look)
    if words:
        raise Stop(NO_ANSWER.format(url=url, words=words))
    hook.console.say("    yes")


def _ready(hook: Hook, get: Callable[[str], Answer], url: str, site: str) -> None:
    """Raises Stop with every fault by name: after ten minutes, or sooner when no waiting mends them."""
    seen: list[Answer] = []

    def look() -> str | None:
        answer = get(url)
        seen.append(answer)
        if answer.good:
            return None
        if answer.waits_for_references and len(seen) % REFRESH_EVERY == 1:
            azure.refresh_references(hook.tools, site)
        if answer.faults and not answer.waits_for_references and _the_same(seen):
            raise Stop(_faults(answer))
        return answer.words

    if wait(hook.console, hook.sleep, BECOMES_READY, look):
        raise Stop(_faults(seen[-1]))
    hook.console.say("    yes")


def _the_same(seen: list[Answer]) -> bool:
    """Whether the last answers named the same faults."""
    latest = seen[-SAME_FAULTS:]
    return len(latest) == SAME_FAULTS and len({answer.faults for answer in latest}) == 1


def _faults(answer: Answer) -> str:
    if not answer.faults:
        return (
            f"The app answers, but is not ready: {answer.words}. It cannot reach its tables, blobs or queues, most"
            " often because a role of its identity has not spread yet. Run `azd hooks run postdeploy` in some minutes."
        )
    lines = "\n".join(f"  - {fault}" for fault in answer.faults)
    hint = (
        "A Key Vault reference that stays unresolved: the identity lacks Key Vault Secrets User on the vault, or the"
        " secret is not there. `az rest` on config/configreferences/appsettings names the reason (docs/deploy.md)."
        if answer.waits_for_references
        else "docs/settings.md explains each setting; most come from infra/, so `azd provision` sets them again."
    )
    return f"The app answers, but it is not set up completely:\n{lines}\n{hint}"


if __name__ == "__main__":
    sys.exit(run("postdeploy", after_deploy))
