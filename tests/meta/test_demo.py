"""What `make demo` prints fits a terminal, and the README has the same steps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sandbox.banner import COLUMNS, STEPS, Facts, banner
from tests.meta.tables import section

FACTS = {
    "crm_url": "http://127.0.0.1:57080",
    "sim_url": "http://localhost:57444",
    "app_url": "http://localhost:57071",
    "people": [("Ann Archer", "ann@northwind.example"), ("Bob Baker", None)],
    "environment_file": Path.cwd() / ".sandbox" / "world" / "environment",
    "logs": Path.cwd() / ".sandbox" / "world" / "logs",
}


@pytest.mark.parametrize("origins", [(), ("http://127.0.0.1:59099",)])
@pytest.mark.parametrize("played", [True, False])
def test_it_fits(origins: tuple[str, ...], played: bool) -> None:
    """The box is exactly 80 columns wide whatever it says, and no line below it is longer."""
    lines = banner(Facts(**FACTS, played=played, origins=origins)).splitlines()
    assert {len(line) for line in lines if line[0] in "+|"} == {COLUMNS}
    assert max(map(len, lines)) == COLUMNS


def test_it_says_who_is_connected() -> None:
    """The box names who is connected, with the address, and who is not."""
    box = banner(Facts(**FACTS, played=True, origins=()))
    assert "Ann Archer is connected as ann@northwind.example." in box
    assert "Bob Baker is not connected." in box


def test_it_gives_the_next_step_for_another_crm() -> None:
    """The box says how to start with another CRM's origin and, started so, how to make its key."""
    assert "make demo ORIGIN=http://127.0.0.1:PORT" in banner(Facts(**FACTS, played=True, origins=()))
    box = banner(Facts(**FACTS, played=True, origins=("http://127.0.0.1:9099",)))
    assert "create-tenant --name Mine" in box
    assert "--webhook-url http://127.0.0.1:9099/hook" in box
    assert ". .sandbox/world/environment;" in box


def test_the_readme_has_the_same_steps() -> None:
    """Each numbered step of the README begins as the box's does, in the same order."""
    steps = re.findall(r"^\d\. (.+)$", section("README.md", "## Try it"), re.MULTILINE)
    assert len(steps) == len(STEPS)
    assert [step for step, (what, _) in zip(steps, STEPS, strict=True) if not step.startswith(what)] == []
