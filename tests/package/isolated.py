"""Run by Python 3.13: index the app with Azure's worker library, the package and nothing else on the path.

    python3.13 -m tests.package.isolated PACKAGE     prints a JSON object: each function's bindings

Only the worker library itself comes from this Python's environment, as on Azure.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from sandbox.devhost.app_packages import check_origins, isolate
from tests.worker.messages import envelope

WORKER = frozenset({"azure_functions_runtime", "azurefunctions", "tests"})


async def indexed(app_dir: Path) -> dict[str, Any]:
    """Each function's bindings by its name, as the worker library tells them to the host."""
    import azure_functions_runtime as runtime

    runtime.start_threadpool_executor()
    init = type("Init", (), {"function_app_directory": str(app_dir), "capabilities": {}})()
    started = await runtime.worker_init_request(envelope(worker_init_request=init))
    assert started.result.exception is None, started.result.exception.message
    answer = await runtime.functions_metadata_request(envelope())
    assert answer.result.exception is None, answer.result.exception.message
    return {
        found.name: [json.loads(raw) for raw in found.raw_bindings]
        for found in answer.function_metadata_results
    }


def main() -> None:
    """Index, and fail when a module of the app was not the package's."""
    app_dir = Path(sys.argv[1]).resolve()
    assert isolate(app_dir, WORKER), "no package there"
    sys.path.append(str(app_dir))  # last, as the worker does
    bindings = asyncio.run(indexed(app_dir))
    check_origins(app_dir, WORKER)
    sys.stdout.write(json.dumps(bindings))


if __name__ == "__main__":
    main()
