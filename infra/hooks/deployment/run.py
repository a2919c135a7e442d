"""How each hook begins and ends: arguments, the dry run, exit codes."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from deployment.console import WRONG_USE, Console, Stop
from deployment.tools import Tools

DRY_RUN: Final = "HOOKS_DRY_RUN"
YES: Final = ("1", "true", "yes")


@dataclass(frozen=True, slots=True)
class Hook:
    """What a hook works with. `sleep` takes seconds; tests hand in their own."""

    environ: Mapping[str, str]
    tools: Tools
    console: Console
    sleep: Callable[[float], None] = time.sleep

    def needed(self, *names: str) -> list[str]:
        """The values of these variables; in a dry run `<NAME>` for a missing one. Raises Stop naming all others."""
        missing = [name for name in names if not self.environ.get(name)]
        if missing and not self.tools.dry_run:
            raise Stop(
                f"Missing in the azd environment: {', '.join(missing)}. Hooks are run by azd, which sets them: run"
                " `azd up`, or `azd env refresh` where the resources exist already.",
                WRONG_USE,
            )
        return [self.environ.get(name) or f"<{name}>" for name in names]


def run(
    name: str,
    work: Callable[[Hook], None],
    arguments: Sequence[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Run a hook. 0: done; 1: refused, or a wait came to its end; 2: a variable or a program is missing."""
    parser = argparse.ArgumentParser(prog=name, description=work.__doc__)
    parser.add_argument(
        "--dry-run", action="store_true", help=f"print what would be changed (or {DRY_RUN}=1)"
    )
    asked = parser.parse_args(arguments)
    environ = os.environ if environ is None else environ
    dry_run = asked.dry_run or environ.get(DRY_RUN, "").lower() in YES
    console = Console()
    console.step(f"{name}{', dry run: nothing is changed' if dry_run else ''}")
    tools = Tools(environ, console, dry_run=dry_run)
    try:
        work(Hook(environ, tools, console, sleep))
    except Stop as stop:
        console.say()
        console.say(f"{name} stopped.")
        console.say(stop.text)
        return stop.code
    if not tools.changes:
        console.say(f"{name}: nothing was changed.")
    return 0
