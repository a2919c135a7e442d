"""Settings are explained where people look for them."""

from __future__ import annotations

import json
import re

import pytest

from tests.meta.sources import ROOT

DOCUMENT = ROOT / "docs/settings.md"
READ = re.compile(r'reader\.\w+\(\s*"(\w+)"')
# What the Functions host reads, not the app.
OF_THE_HOST = {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"}


def settings() -> set[str]:
    """Names of the environment variables that the product reads."""
    found = set(READ.findall((ROOT / "shared/settings.py").read_text(encoding="utf-8")))
    assert "PROFILE" in found
    return found


@pytest.mark.skipif(not DOCUMENT.exists(), reason="docs/settings.md is not written yet")
def test_every_setting_is_explained() -> None:
    """docs/settings.md names each setting in a row of its own."""
    explained = set(re.findall(r"^\| `(\w+)`", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE))
    assert settings() - explained == set()


@pytest.mark.skipif(not DOCUMENT.exists(), reason="docs/settings.md is not written yet")
def test_every_host_value_is_explained() -> None:
    """host.json cannot hold comments: docs/settings.md says why each value is what it is."""
    text = DOCUMENT.read_text(encoding="utf-8")
    values = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    queues = values["extensions"]["queues"]
    assert [name for name in ["functionTimeout", *queues] if f"`{name}`" not in text] == []


def test_the_example_is_complete() -> None:
    """local.settings.json.example has every setting a local run needs, and none that nobody reads."""
    example = json.loads((ROOT / "local.settings.json.example").read_text(encoding="utf-8"))["Values"]
    only_on_azure = {name for name in settings() if "__" in name} | {"AZURE_CLIENT_ID"}
    assert set(example) == (settings() - only_on_azure) | OF_THE_HOST
