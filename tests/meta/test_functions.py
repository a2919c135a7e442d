"""The app's functions are those written down, and the host can tell their routes apart."""

from __future__ import annotations

import itertools
import json

from tests.meta.test_startup import run
from tests.meta.triggers import HTTP, compare

INDEX = """
import json, function_app
functions = function_app.app.get_functions()
print(json.dumps({f.get_function_name(): json.loads(f.get_function_json())["bindings"] for f in functions}))
"""


def test_functions_are_as_written_down() -> None:
    """Names, routes, methods, queues and schedules of the app's functions are those of the written table."""
    compare(json.loads(run(INDEX)))


def test_routes_do_not_overlap() -> None:
    """No two route templates can match the same path, since the host takes the first match in name order."""
    for (first, (_, template)), (second, (_, other_template)) in itertools.combinations(HTTP.items(), 2):
        parts = list(zip(template.split("/"), other_template.split("/"), strict=False))
        same_length = template.count("/") == other_template.count("/")
        overlap = same_length and all(a == b or "{" in a or "{" in b for a, b in parts)
        shared_template = template == other_template  # the host joins methods of one template
        assert not overlap or shared_template, (first, second)
