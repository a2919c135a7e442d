"""Settings are explained where people look for them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from shared.settings import MIN_SECRET_CHARACTERS, ON_AZURE, Settings, SettingsError
from tests.meta.sources import ROOT
from tests.meta.tables import rows, section

DOCUMENT = "docs/settings.md"
READ = re.compile(r'reader\.\w+\(\s*"(\w+)"')
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


def marked(*marks: str) -> set[str]:
    """The settings with one of these words in their second column."""
    return {name for name, cells in rows(DOCUMENT, "## Settings of the app").items() if cells[0] in marks}


def told(environ: dict[str, str], fault: str) -> set[str]:
    """The settings of which this is said in this environment."""
    with pytest.raises(SettingsError) as caught:
        Settings.load(environ)
    return {name for name, _, said in (text.partition(": ") for text in caught.value.faults) if said == fault}


def test_settings_for_one_s_own_machine_are_marked() -> None:
    """docs/settings.md marks as `local` exactly the settings that PROFILE=azure refuses."""
    everything = dict.fromkeys(settings(), "https://example.com") | {"PROFILE": "azure"}
    assert marked("local") == told(everything, "only with PROFILE=local")


def test_needed_settings_are_marked() -> None:
    """docs/settings.md marks what each profile cannot do without."""
    assert marked("always", "azure") - {"PROFILE"} == told({"PROFILE": "azure"}, "missing")
    at_home = told({"PROFILE": "local"}, "missing")
    assert marked("always", "at home") - {"PROFILE"} == at_home - {"DataStorage", "SEALING_KEY_FILE"}


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
    only_on_azure = marked("azure", "no")
    assert set(example) == (settings() - only_on_azure) | OF_THE_HOST
