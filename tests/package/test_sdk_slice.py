"""The slice of msgraph-sdk in the package is what the Graph adapter uses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import PurePosixPath

from package_contents import names_used, sdk_slice

from tests.meta.sources import ROOT
from tests.package.conftest import Workshop

# Every call of the adapter is made by these tests; what they import of the SDK is what Azure will.
RECORD = """
import json, sys, pytest
code = pytest.main(["-q", "-p", "no:cacheprovider", "tests/unit/graph/test_provider.py",
                    "tests/unit/graph/test_attaching.py", "tests/unit/graph/test_subscribing.py"])
print(json.dumps([name for name in sys.modules if name.split(".")[0] == "msgraph"]))
sys.exit(code)
"""


def used_names() -> set[str]:
    return names_used((ROOT / "shared/graph").glob("*.py"))


def module_file(module: str) -> tuple[PurePosixPath, PurePosixPath]:
    path = PurePosixPath(*module.split("."))
    return path.with_name(f"{path.name}.py"), path / "__init__.py"


def test_no_call_leaves_the_slice(workshop: Workshop) -> None:
    """Whatever the Graph adapter's calls import of msgraph-sdk is in the slice."""
    done = subprocess.run(
        [sys.executable, "-c", RECORD], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:]
    recorded = json.loads(done.stdout.splitlines()[-1])
    found = sdk_slice(workshop.wheels, used_names())
    missing = [
        module
        for module in recorded
        if not found & set(module_file(module))
        and any((workshop.wheels / f).is_file() for f in module_file(module))
    ]
    assert len(recorded) > 20
    assert missing == []


def test_the_slice_is_small(workshop: Workshop) -> None:
    """The slice is a few dozen of the SDK's many thousand files, and no model is among them."""
    found = sdk_slice(workshop.wheels, used_names())
    assert len(found) < 60
    assert [each for each in found if "models" in each.parts] == []


def test_another_builder_joins_the_slice(workshop: Workshop) -> None:
    """Code that asks for one more request builder gets it into the slice, without a list being changed."""
    builder = PurePosixPath("msgraph/generated/users/item/send_mail/send_mail_request_builder.py")
    assert builder not in sdk_slice(workshop.wheels, used_names())
    assert builder in sdk_slice(workshop.wheels, used_names() | {"send_mail"})
