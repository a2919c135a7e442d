"""`python -m sandbox.devhost`: see `--help`."""

from __future__ import annotations

import asyncio
import sys

from sandbox.devhost.app_packages import check_origins, isolate
from sandbox.devhost.options import ALL_IN_ONE, Options, parse_options
from sandbox.devhost.supervisor import Supervisor


def main() -> int:
    """Run as the supervisor, as one of its child processes, or as a single process; return the exit code."""
    options = parse_options()
    if options.child is not None or (options.group == ALL_IN_ONE and not options.reload):
        return _serve(options)
    return asyncio.run(Supervisor(options).run())


def _serve(options: Options) -> int:
    """Run the app in this process; one that brings its dependencies sees no others, and says so when it ends."""
    alone = isolate(options.app_dir)
    from sandbox.devhost.child import run_child

    code = run_child(options)
    if alone:
        count = check_origins(options.app_dir)
        print(f"{options.child}: {count} modules, all from {options.app_dir}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
