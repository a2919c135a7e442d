"""`python -m sandbox.ops NAMES_FILE COMMAND …`: the operator's commands in a world with public names.

`shared.ops` is run as it stands; only the names, the certificate authority and name service of the world are handed
to the product's parts first, as the development host's hook does for the app.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sandbox.hooks import parts_of
from sandbox.names import Names
from shared import bootstrap, ops


def main() -> int:
    """Run the command; return its exit code."""
    names, sys.argv[1:] = Names.read(Path(sys.argv[1])), sys.argv[2:]
    bootstrap.replace_parts(**parts_of(names))
    return ops.main()


if __name__ == "__main__":
    sys.exit(main())
