"""Every hook can be tried without changing anything, and runs as azd runs it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.hook_runner import HOOKS, Cloud, load
from tests.meta.sources import ROOT, imported

tools = load("deployment.tools")
NAMES = ["preprovision", "postprovision", "postdeploy"]
FILES = sorted(HOOKS.rglob("*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_a_dry_run_changes_nothing(provisioned: Cloud, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With --dry-run a hook prints each command that would change something, and runs none of them."""
    provisioned.set(applications=[], references={"API_KEY_PEPPER": "SecretNotFound"}, resolve_after=1)
    capsys.readouterr()
    with provisioned.writes() as written:
        assert provisioned.run(name, "--dry-run") == 0
    assert written == []
    assert "would run: az rest" in capsys.readouterr().out
    assert provisioned.slept == []


def test_a_dry_run_can_be_asked_for_by_variable(cloud: Cloud) -> None:
    """HOOKS_DRY_RUN=1 does the same where azd gives no arguments to a hook."""
    cloud.environ["HOOKS_DRY_RUN"] = "1"
    assert cloud.run("preprovision") == 0
    assert cloud.state["writes"] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_dry_run_needs_nothing(name: str, tmp_path: Path) -> None:
    """Run as azd runs it, without az, azd, an account or any variable, a dry run prints the first run's commands."""
    done = subprocess.run(
        [sys.executable, "-B", "-E", "-s", str(HOOKS / f"{name}.py"), "--dry-run"],
        cwd=HOOKS,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "would run: az rest" in done.stdout


def test_hooks_need_the_standard_library_only() -> None:
    """Nothing that a hook imports has to be installed."""
    ours = {"deployment", *NAMES}
    foreign = (
        {name.split(".")[0] for path in FILES for name in imported(path)} - ours - sys.stdlib_module_names
    )
    assert foreign == set()


def test_azd_installs_nothing_for_them() -> None:
    """The nearest requirements.txt that azd finds above a hook is one without packages, not the app's."""
    lines = (HOOKS / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []
    assert not (HOOKS / "pyproject.toml").exists()  # azd would prefer it


def test_nothing_goes_through_a_shell() -> None:
    """Commands are argument lists; subprocess is used in one place, without a shell."""
    users = [path for path in FILES if "subprocess" in imported(path)]
    assert [path.relative_to(ROOT).as_posix() for path in users] == ["infra/hooks/deployment/tools.py"]
    keywords = {
        keyword.arg
        for node in ast.walk(ast.parse(users[0].read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
    }
    assert "shell" not in keywords


def test_no_command_reads_a_secret() -> None:
    """No hook asks for a secret's value, a storage key or a token."""
    words = re.compile(
        r"secret show|keys list|get-access-token|add-?password|credential reset", re.IGNORECASE
    )
    assert [path.name for path in FILES if words.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("ERROR: Please run 'az login' to setup account.", "not logged in"),
        ("ERROR: AADSTS700082: The refresh token has expired due to inactivity.", "not logged in"),
        ('ERROR: Forbidden({"error":{"code":"Authorization_RequestDenied"}})', "denied"),
        ("ERROR: (AuthorizationFailed) The client 'x' does not have authorization to perform", "denied"),
        ("You do not have the required permissions needed to perform this operation.", "denied"),
        ('ERROR: Not Found({"error":{"code":"Request_ResourceNotFound"}})', "not found"),
        ("ERROR: (ResourceGroupNotFound) Resource group 'rg-dev' could not be found.", "not found"),
        ("ERROR: The read operation timed out", "other"),
        ("", "other"),
    ],
)
def test_errors_are_told_apart_by_their_words(text: str, refusal: str) -> None:
    """What a failed command wrote says whether a sign-in, a right or the thing itself is missing."""
    assert tools.refusal_of(text).value == refusal
