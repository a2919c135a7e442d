"""What `make demo` prints when everything runs: addresses, who is connected, what to try, a CRM of one's own.

README.md has the same steps in the same order; tests/meta compares them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

COLUMNS = 80
STEPS = (
    ("Open the CRM", "read Ann's offer to Carla, and Carla's answer."),
    ("Reply there", "read it in the simulated Outlook, as Carla and in Ann's Sent."),
    ("Answer as Carla, or as Ann", "it appears in the CRM by itself."),
    ("Attach a file over 3 MB, or a program", "the CRM shows why it did not sync."),
    ("Lose the next notification on the overview", "answer as Carla, then press +15 minutes: it is found."),
    ("Connect Bob", 'in the CRM switch to him (behind "AA"), then Settings and profile.'),
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the banner says of a world. `people`: (name, connected address or None); `origins`: of further CRMs."""

    crm_url: str
    sim_url: str
    app_url: str
    people: Sequence[tuple[str, str | None]]
    played: bool
    origins: Sequence[str]
    environment_file: Path
    logs: Path


def banner(facts: Facts) -> str:
    """The box and, below it where commands can be copied, the operator's first look and a CRM of one's own.

    A line is longer than 80 columns only by a path or an address that is too long itself.
    """
    lines = [
        "Postbraid is running.",
        "",
        f"  the CRM              {facts.crm_url}",
        f"  simulated Outlook    {facts.sim_url}",
        f"  simulator's overview {facts.sim_url}/overview",
        f"  Postbraid's API      {facts.app_url}/api/openapi.json",
        f"  logs                 {_short(facts.logs)}",
        "",
        *_people(facts.people),
        "",
        *(_steps() if facts.played else ["Connect somebody in the CRM: Settings and profile, Outlook."]),
        "",
        "Ctrl-C stops everything.",
    ]
    width = COLUMNS - 4
    edge = f"+{'-' * (width + 2)}+"
    boxed = [edge, *(f"| {line.ljust(width)} |" for line in lines), edge]
    return "\n".join([*boxed, *_operator(facts), *_own_crm(facts)])


def _people(people: Iterable[tuple[str, str | None]]) -> list[str]:
    return [
        f"{name} is connected as {address}." if address else f"{name} is not connected."
        for name, address in people
    ]


def _steps() -> list[str]:
    lines = ["To try, in this order:"]
    for number, (what, then) in enumerate(STEPS, 1):
        lines += [f"  {number}. {what}:", f"     {then}"]
    return lines


def _operator(facts: Facts) -> list[str]:
    """The first look; what the other commands are for stands in the runbook."""
    return [
        "As its operator: what is silent, late, held or given up (docs/runbook.md):",
        f"  set -a; . {_short(facts.environment_file)}; set +a",
        "  .venv/bin/python -m shared.ops status",
    ]


def _own_crm(facts: Facts) -> list[str]:
    """The next step for a CRM of one's own: start with its origin, or make the key for it."""
    if not facts.origins:
        return [
            "A CRM of your own: end this and start it again with your CRM's origin; it then",
            "says how to make the API key:",
            "  make demo ORIGIN=http://127.0.0.1:PORT",
        ]
    origin = facts.origins[0]
    return [
        "Your CRM's API key and webhook secret are printed, once, by:",
        f"  set -a; . {_short(facts.environment_file)}; set +a",
        "  .venv/bin/python -m shared.ops create-tenant --name Mine \\",
        f"    --webhook-url {origin}/hook \\",
        f"    --frame-origin {origin}",
        f"Then call {facts.app_url}/api/v1/ with the key (docs/runbook.md).",
    ]


def _short(path: Path) -> str:
    """The path from the working folder, if it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
