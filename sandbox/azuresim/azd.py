"""The two commands of `azd` that an operator's commands need: the deployment's outputs, and the operator's tokens.

`python -m sandbox.azuresim.azd URL OUTPUTS_FILE auth token --output json --no-prompt --scope S [--tenant-id T]` and
`… env get-values --output json`. Source: azure-identity, `AzureDeveloperCliCredential`; azd's own reference.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent.parent


def write_command(folder: Path, url: str, outputs: Path) -> None:
    """Write a program `azd` into the folder, which asks the stand-ins at `url`."""
    folder.mkdir(exist_ok=True)
    program = folder / "azd"
    command = f'exec "{sys.executable}" -m sandbox.azuresim.azd "{url}" "{outputs}" "$@"'
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" {command}\n', encoding="utf-8")
    program.chmod(0o755)


def main() -> int:
    """Answer the command; exit code 1 for any other."""
    url, outputs, *command = sys.argv[1:]
    if command == ["env", "get-values", "--output", "json"]:
        print(Path(outputs).read_text(encoding="utf-8"))
        return 0
    if command[:2] != ["auth", "token"]:
        print(f"azd {' '.join(command)}: not imitated", file=sys.stderr)
        return 1
    parser = argparse.ArgumentParser(prog="azd auth token", allow_abbrev=False)
    parser.add_argument("--output", choices=["json"], required=True)
    parser.add_argument("--no-prompt", action="store_true")
    parser.add_argument("--scope", required=True)
    parser.add_argument("--tenant-id")
    resource = parser.parse_args(command[2:]).scope.removesuffix("/.default")
    answer = httpx.post(f"{url}/__control/operator-token", json={"resource": resource}, trust_env=False)
    made = answer.raise_for_status().json()
    until = datetime.fromtimestamp(made["expires_on"], UTC)
    print(json.dumps({"token": made["access_token"], "expiresOn": f"{until:%Y-%m-%dT%H:%M:%SZ}"}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
