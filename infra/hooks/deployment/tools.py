"""Runs `az` and `azd`: argument lists, never a shell; what is written to Azure goes through `change` alone."""

from __future__ import annotations

import enum
import json
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from deployment.console import WRONG_USE, Console, Stop

ROOT: Final = Path(__file__).resolve().parents[3]
TIMEOUT_SECONDS: Final = 180
SHOWN_CHARACTERS: Final = 400
AS_JSON: Final = ("--output", "json", "--only-show-errors")
INSTALL: Final = {
    "az": "https://learn.microsoft.com/cli/azure/install-azure-cli",
    "azd": "https://learn.microsoft.com/azure/developer/azure-developer-cli/install-azd",
}


class Refusal(enum.Enum):
    """Why a command failed, as far as its words tell."""

    NOT_LOGGED_IN = "not logged in"
    DENIED = "denied"
    NOT_FOUND = "not found"
    OTHER = "other"


# Codes and sentences of Microsoft Graph, Azure Resource Manager, Storage and the CLI itself; the first that fits wins.
_WORDS: Final = {
    Refusal.NOT_LOGGED_IN: r"az login|azd auth login|AADSTS(?:50173|700082|70043|70008|50078|700024)\b",
    Refusal.DENIED: (
        r"Authorization_RequestDenied|AuthorizationFailed|AuthorizationPermissionMismatch|AuthorizationFailure"
        r"|LinkedAuthorizationFailed|ForbiddenByRbac|required permissions needed|\bForbidden\b|\b403\b"
    ),
    Refusal.NOT_FOUND: (
        r"Request_ResourceNotFound|ResourceNotFound|ResourceGroupNotFound|ContainerNotFound|BlobNotFound"
        r"|\bNot Found\b|\b404\b"
    ),
}


def refusal_of(text: str) -> Refusal:
    """Why a command failed, read from what it wrote to stderr."""
    for refusal, words in _WORDS.items():
        if re.search(words, text):
            return refusal
    return Refusal.OTHER


class CommandFailed(Exception):
    """A command ended with an error; `refusal` says of which kind, `text` is its end of stderr."""

    def __init__(self, program: str, text: str) -> None:
        super().__init__(text)
        self.program = program
        self.refusal = refusal_of(text)
        self.text = text.strip()[-SHOWN_CHARACTERS:]


class Tools:
    """The two command lines. With `dry_run` nothing is changed: changes are printed, and reading is tried."""

    def __init__(self, environ: Mapping[str, str], console: Console, *, dry_run: bool) -> None:
        self._environ = environ
        self._console = console
        self.dry_run = dry_run
        self.changes = 0
        self._unread: set[str] = set()

    def read(self, *command: str) -> Any:
        """The JSON that a reading command prints; None for what is not there. Raises CommandFailed, Stop.

        A dry run may be tried by somebody without `az` or an account: what cannot be read counts as not there.
        """
        try:
            text = self._run([*command, *AS_JSON])
        except CommandFailed as err:
            if err.refusal is Refusal.NOT_FOUND:
                return None
            if self.dry_run:
                return self._not_read(f"{command[0]}: {err.refusal.value}")
            raise
        except Stop as stop:
            if not self.dry_run:
                raise
            return self._not_read(stop.text.splitlines()[0])
        return json.loads(text) if text.strip() else None

    def _not_read(self, why: str) -> None:
        if why not in self._unread:
            self._unread.add(why)
            self._console.say(f"    (what is there could not be read, so it is taken as not there. {why})")

    def change(self, *command: str, body: Any = None) -> Any:
        """Run a command that writes; the JSON it prints, or None. A dry run prints it. Raises CommandFailed, Stop.

        `body` goes by a file: on Windows `az` is a batch file, whose arguments lose their quotation marks.
        """
        self.changes += 1
        if command[0] == "az":
            command = (*command, *AS_JSON)
        if self.dry_run:
            self._console.say(f"    would run: {shlex.join(command)}")
            if body is not None:
                self._console.say(f"        with the body {json.dumps(body)}")
            return None
        if body is None:
            text = self._run(list(command))
        else:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "body.json"
                file.write_text(json.dumps(body), encoding="utf-8")
                text = self._run([*command, "--body", f"@{file}"])
        try:
            return json.loads(text) if text.strip() else None
        except ValueError:
            return None  # azd prints sentences

    def set_variable(self, name: str, value: str) -> None:
        """Keep a value in the azd environment, where Bicep's parameters and later hooks find it."""
        environment = self._environ.get("AZURE_ENV_NAME", "")
        self.change("azd", "env", "set", name, value, "--environment", environment, "--cwd", str(ROOT))

    def _run(self, command: Sequence[str]) -> str:
        program = shutil.which(command[0], path=self._environ.get("PATH"))
        if program is None:
            raise Stop(f"`{command[0]}` was not found. Install it: {INSTALL[command[0]]}", WRONG_USE)
        try:
            done = subprocess.run(
                [program, *command[1:]],
                env=dict(self._environ),
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=TIMEOUT_SECONDS,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except subprocess.TimeoutExpired:
            took = f"`{' '.join(command[:3])} …` did not end within {TIMEOUT_SECONDS} seconds."
            raise Stop(f"{took} Run the same again.") from None
        if done.returncode:
            raise CommandFailed(command[0], done.stderr)
        return done.stdout


def plain(err: CommandFailed, what: str) -> Stop:
    """A failure that no caller has better words for, as the end of the hook."""
    if err.refusal is Refusal.NOT_LOGGED_IN:
        again = "az login" if err.program == "az" else "azd auth login"
        return Stop(
            f"{what}: you are not signed in, or no longer. Run `{again}`, then the same again.\n  {err.text}"
        )
    return Stop(f"{what}: {err.program} said:\n  {err.text or '(nothing)'}")
