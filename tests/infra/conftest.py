"""The fake cloud for the hooks' tests."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from tests.infra.fake_cloud import BLANK
from tests.infra.hook_runner import PROVISIONED, Cloud


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    """Nothing exists yet: a subscription, a tenant, somebody signed in with every right."""
    return Cloud(tmp_path, copy.deepcopy(BLANK))


@pytest.fixture(scope="session")
def after_preprovision(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The cloud's state once the hook before `azd provision` has run."""
    first = Cloud(tmp_path_factory.mktemp("first"), copy.deepcopy(BLANK))
    assert first.run("preprovision") == 0
    return first.state


@pytest.fixture
def provisioned(tmp_path: Path, after_preprovision: dict[str, Any]) -> Cloud:
    """As after `azd provision`: the hook before it has run, the outputs are there."""
    cloud = Cloud(tmp_path, after_preprovision)
    cloud.environ |= PROVISIONED
    return cloud
