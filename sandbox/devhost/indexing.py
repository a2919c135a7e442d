"""Find the functions of an app by the rules of Azure's Python worker, with its error texts.

Facts: azure-functions-runtime, `loader.py` and `functions.py` (Microsoft's worker library for Python 3.13 and newer).
A fault fails the whole app, as in Azure; a route conflict drops only the function that has it.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import logging
import os
import re
import sys
import typing
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import azure.functions as func

from sandbox.devhost.annotations import FunctionLoadError, check_parameters, check_return, pop_context
from sandbox.devhost.functions import Binding, IndexedFunction

log = logging.getLogger("devhost")

SCRIPT_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_\-]*\.py")

_built: WeakKeyDictionary[func.FunctionRegister, list[Any]] = WeakKeyDictionary()

__all__ = ["FunctionLoadError", "import_app", "index_app", "index_module"]


def import_app(app_dir: Path, environ: typing.Mapping[str, str] = os.environ) -> ModuleType:
    """Import the app's script (`function_app.py`, or PYTHON_SCRIPT_FILE_NAME) under its own name.

    Raises ValueError when the name is invalid or the file is missing.
    """
    script = environ.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")
    if not SCRIPT_NAME.fullmatch(script):
        raise ValueError(f"Invalid PYTHON_SCRIPT_FILE_NAME: {script}")
    path = app_dir / script
    if not path.is_file():
        raise ValueError(f"No {script} in {app_dir}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def index_module(module: ModuleType) -> list[IndexedFunction]:
    """Index the FunctionApp in the module's namespace; raises ValueError unless there is exactly one."""
    values = (getattr(module, name, None) for name in dir(module))
    apps = [value for value in values if isinstance(value, func.FunctionRegister)]
    if not apps:
        raise ValueError(f"Could not find top level function app instances in {module.__name__}.py.")
    if len(apps) > 1:
        raise ValueError(
            f"More than one {type(apps[0]).__name__} or other top level function app instances are defined."
        )
    return index_app(apps[0])


def index_app(app: func.FunctionRegister) -> list[IndexedFunction]:
    """All functions of an app, checked; raises FunctionLoadError.

    `get_functions()` is called only once for each app object: a second call returns them again.
    """
    if app not in _built:
        _built[app] = app.get_functions()
    return [_index(function) for function in _built[app]]


def _index(function: Any) -> IndexedFunction:
    name = function.get_function_name()
    if function.get_settings_dict("retry_policy"):
        log.warning("function '%s': this host does not imitate retry policies", name)
    call = function.get_user_function()
    raw = {binding.name: json.loads(text) for binding, text in _with_raw(function)}
    bindings = tuple(
        Binding(binding.type, binding.name, binding.direction == 1, raw[binding.name])
        for binding in function.get_bindings()
    )
    _check_directions(name, function.get_bindings())
    parameters = dict(inspect.signature(call).parameters)
    annotations = typing.get_type_hints(call)
    bound = {binding.name: binding for binding in bindings if binding.name != "$return"}
    wants_context = pop_context(name, parameters, bound, annotations)
    inputs, outputs = check_parameters(name, parameters, bound, annotations)
    return IndexedFunction(
        name=name,
        call=call,
        is_async=inspect.iscoroutinefunction(call),
        directory=str(Path(inspect.getfile(call)).parent),
        bindings=bindings,
        inputs=inputs,
        outputs=outputs,
        returns=check_return(name, bindings, annotations),
        wants_context=wants_context,
    )


def _with_raw(function: Any) -> typing.Iterator[tuple[Any, str]]:
    return zip(function.get_bindings(), function.get_raw_bindings(), strict=True)


def _check_directions(name: str, bindings: list[Any]) -> None:
    for binding in bindings:
        if binding.direction == 2:
            raise FunctionLoadError(name, '"inout" bindings are not supported')
        if binding.name == "$return" and binding.direction != 1:
            raise FunctionLoadError(name, '"$return" binding must have direction set to "out"')
