"""`python -m sandbox.devhost`: see `--help`."""

from __future__ import annotations

import asyncio
import sys

from sandbox.devhost.options import ALL_IN_ONE, parse_options
from sandbox.devhost.supervisor import Supervisor


def main() -> int:
    """Run as the supervisor, as one of its child processes, or as a single process; return the exit code."""
    options = parse_options()
    if options.child is not None or (options.group == ALL_IN_ONE and not options.reload):
        from sandbox.devhost.child import run_child

        return run_child(options)
    return asyncio.run(Supervisor(options).run())


if __name__ == "__main__":
    sys.exit(main())
