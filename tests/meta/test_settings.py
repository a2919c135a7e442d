"""Settings are explained where people look for them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from shared.settings import MIN_SECRET_CHARACTERS, ON_AZURE
from tests.meta.sources import ROOT
from tests.meta.tables import rows, section

DOCUMENT = "docs/settings.md"
READ = re.compile(r'reader\.\w+\(\s*"(\w+)"')
ONLY_LOCAL = re.compile(r'^            "([A-Z_]+)": settings\.', re.MULTILINE)
# What the Functions host reads, not the app.
OF_THE_HOST = {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"}


def code() -> str:
    """The source that reads the settings."""
    return (ROOT / "shared/settings.py").read_text(encoding="utf-8")


def settings() -> set[str]:
    """Names of the environment variables that the product reads."""
    found = set(READ.findall(code()))
    assert "PROFILE" in found
    return found


def values(tree: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Every value of host.json with its dotted name."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from values(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value if isinstance(value, str) else json.dumps(value)


def test_every_setting_is_explained() -> None:
    """docs/settings.md has a row for each setting, and none for what nobody reads."""
    assert set(rows(DOCUMENT, "## Settings of the app")) == settings()


def test_settings_for_one_s_own_machine_are_marked() -> None:
    """docs/settings.md marks as `local` exactly the settings that PROFILE=azure refuses."""
    marked = {name for name, cells in rows(DOCUMENT, "## Settings of the app").items() if cells[0] == "local"}
    assert marked == set(ONLY_LOCAL.findall(code()))


def test_limits_are_told_as_they_are() -> None:
    """docs/settings.md gives the least length of a secret and the variables that tell Azure."""
    assert f"at least {MIN_SECRET_CHARACTERS} characters" in section(DOCUMENT)
    assert all(f"`{name}`" in section(DOCUMENT, "## PROFILE=local") for name in ON_AZURE)


def test_settings_of_the_host_are_explained() -> None:
    """docs/settings.md has a table of the settings that only the host reads."""
    assert set(rows(DOCUMENT, "## Settings of the host")) == OF_THE_HOST


def test_every_host_value_is_explained() -> None:
    """docs/settings.md has each value of host.json as it is, with a reason."""
    listed = rows(DOCUMENT, "## host.json")
    tree = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    assert {name: cells[0].strip("`") for name, cells in listed.items()} == dict(values(tree))
    assert [name for name, cells in listed.items() if not cells[1]] == []


def test_the_example_is_complete() -> None:
    """local.settings.json.example has every setting a local run needs, and none that nobody reads."""
    example = json.loads((ROOT / "local.settings.json.example").read_text(encoding="utf-8"))["Values"]
    only_on_azure = {name for name in settings() if "__" in name} | {"AZURE_CLIENT_ID"}
    assert set(example) == (settings() - only_on_azure) | OF_THE_HOST
