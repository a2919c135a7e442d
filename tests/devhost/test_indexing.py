"""The worker's rules for what a function may look like; any fault fails the whole app."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, List  # noqa: UP035 - the worker does not take list[str]

import azure.functions as func
import pytest

from sandbox.devhost.indexing import FunctionLoadError, import_app, index_app, index_module
from tests.devhost.apps import anonymous_app, handled, serving

if TYPE_CHECKING:
    from decimal import Decimal as OnlyWhenChecking


def module(**names: Any) -> ModuleType:
    made = ModuleType("function_app")
    made.__dict__.update(names)
    return made


def test_one_app_is_found() -> None:
    """The only FunctionApp among a module's names is indexed, whatever else stands beside it."""
    indexed = index_module(module(app=serving("one", "one"), blueprint=func.Blueprint(), other=3))
    assert [function.name for function in indexed] == ["one"]


def test_no_app() -> None:
    """A module without a FunctionApp is refused."""
    with pytest.raises(ValueError, match="Could not find top level function app instances"):
        index_module(module(blueprint=func.Blueprint()))


def test_two_apps() -> None:
    """A module with two FunctionApps is refused."""
    with pytest.raises(ValueError, match="More than one FunctionApp"):
        index_module(module(one=anonymous_app(), two=anonymous_app()))


def test_duplicate_names() -> None:
    """Two functions of one name fail the app, even from different blueprints."""
    app = anonymous_app()
    for route in ("a", "b"):
        blueprint = func.Blueprint()
        blueprint.function_name("same")(blueprint.route(route=route)(_fine))
        app.register_functions(blueprint)
    with pytest.raises(ValueError, match="unique function name"):
        index_app(app)


def test_indexing_twice_is_safe() -> None:
    """An app can be indexed twice although its `get_functions()` may be called only once."""
    app = serving("one", "one")
    assert [function.name for function in index_app(app)] == [function.name for function in index_app(app)]


def test_metadata_is_what_the_host_gets() -> None:
    """A function's bindings carry the decorator's metadata as the host gets it in JSON."""
    app = func.FunctionApp()
    app.route(route="a", methods=["GET"])(_fine)
    (function,) = index_app(app)
    assert function.trigger.raw == {
        "direction": "IN",
        "type": "httpTrigger",
        "name": "req",
        "methods": ["GET"],
        "authLevel": "FUNCTION",
        "route": "a",
    }


async def _fine(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(req.url)


def extra(req: func.HttpRequest, more: int = 3) -> func.HttpResponse:
    return func.HttpResponse(str(more))


def misnamed(request: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(request.url)


def optional(req: func.HttpRequest) -> func.HttpResponse | None:
    return None


def nothing(req: func.HttpRequest) -> None:
    return None


def pair(req: func.HttpRequest) -> tuple[str, int]:
    return req.url, 200


def wrong_input(req: int) -> func.HttpResponse:
    return func.HttpResponse(str(req))


def not_out(req: func.HttpRequest, out: str) -> func.HttpResponse:
    return func.HttpResponse(out)


def wrong_out(req: func.HttpRequest, out: func.Out[int]) -> func.HttpResponse:
    out.set(1)
    return func.HttpResponse("")


def builtin_list(req: func.HttpRequest, out: func.Out[list[str]]) -> func.HttpResponse:
    out.set([])
    return func.HttpResponse("")


def in_is_out(req: func.Out[str]) -> func.HttpResponse:
    return func.HttpResponse("")


def bad_context(req: func.HttpRequest, context: int) -> func.HttpResponse:
    return func.HttpResponse(str(context))


@pytest.mark.parametrize(
    ("handler", "output", "sentence"),
    [
        (extra, False, "declared in Python but not in the function definition"),
        (misnamed, False, "declared in Python but not in the function definition"),
        (optional, False, "invalid non-type return annotation"),
        (nothing, False, 'return annotation "NoneType" does not match binding type "http"'),
        (pair, False, "invalid non-type return annotation"),
        (wrong_input, False, 'does not match its Python annotation "int"'),
        (not_out, True, "not a subclass of azure.functions.Out"),
        (wrong_out, True, 'does not match its Python annotation "int"'),
        (builtin_list, True, "invalid non-type annotation"),
        (in_is_out, False, "but its annotation is azure.functions.Out"),
        (bad_context, False, 'the "context" parameter is expected to be of type'),
        (_fine, True, "declared as bindings but are not present in Python"),
    ],
)
def test_signatures_that_break_indexing(handler: Callable[..., Any], output: bool, sentence: str) -> None:
    """A function whose signature does not fit its bindings is refused with the worker's own words."""
    app = handled(handler)
    if output:
        app = anonymous_app()
        app.queue_output(arg_name="out", queue_name="q", connection="X")(app.route(route="it")(handler))
    with pytest.raises(FunctionLoadError, match=sentence):
        index_app(app)


def test_names_only_for_type_checkers() -> None:
    """A type hint that exists for type checkers only is a NameError at indexing."""

    async def hinted(req: OnlyWhenChecking) -> func.HttpResponse:
        return func.HttpResponse(str(req))

    with pytest.raises(NameError):
        index_app(handled(hinted))


def test_context_and_plain_types_are_fine() -> None:
    """A function may take `context` and a `str` message and put out lists of text."""
    app = anonymous_app()

    @app.queue_trigger(arg_name="msg", queue_name="q", connection="X")
    @app.queue_output(arg_name="out", queue_name="r", connection="X")
    def work(msg: str, out: func.Out[List[str]], context: func.Context) -> None:  # noqa: UP006 - see above
        out.set([msg, context.function_name])

    (function,) = index_app(app)
    assert function.wants_context
    assert function.inputs["msg"].binding == "generic"
    assert function.outputs["out"].binding == "queue"
    assert not function.is_async


def test_the_script_is_imported_under_its_own_name(tmp_path: Path) -> None:
    """The imported script is `function_app.py`, or the one that PYTHON_SCRIPT_FILE_NAME names."""
    (tmp_path / "other_app.py").write_text("import azure.functions as func\napp = func.FunctionApp()\n")
    assert import_app(tmp_path, {"PYTHON_SCRIPT_FILE_NAME": "other_app.py"}).__name__ == "other_app"
    with pytest.raises(ValueError, match=r"No function_app\.py"):
        import_app(tmp_path, {})
    with pytest.raises(ValueError, match="Invalid"):
        import_app(tmp_path, {"PYTHON_SCRIPT_FILE_NAME": "../evil.py"})


def test_retry_policies_are_not_imitated(caplog: pytest.LogCaptureFixture) -> None:
    """A function that asks for a retry policy is warned that it has no effect here."""
    app = func.FunctionApp()

    @app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
    @app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:05")
    def tick(timer: func.TimerRequest) -> None:
        """Ticks."""

    index_app(app)
    assert "retry" in caplog.text
