"""Check a function's signature against its bindings, with the rules and error texts of Azure's Python worker.

Source: azure-functions-runtime, `functions.py`.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from types import GenericAlias
from typing import Any

from azure.functions import Out, get_binding_registry

from sandbox.devhost.functions import Binding, ParamType


class FunctionLoadError(RuntimeError):
    """A function's signature does not fit its bindings; the whole app fails to index."""

    def __init__(self, function: str, message: str) -> None:
        super().__init__(f"cannot load the {function} function: {message}")


class Generic:
    """The converter for bindings without one of their own, and for plain str and bytes."""

    @classmethod
    def has_trigger_support(cls) -> bool:
        """No: such a parameter gets no trigger metadata."""
        return False

    @classmethod
    def check_input_type_annotation(cls, annotation: type) -> bool:
        """Whether the annotation is text or bytes."""
        return issubclass(annotation, (str, bytes))

    @classmethod
    def check_output_type_annotation(cls, annotation: type) -> bool:
        """Whether the annotation is text, bytes or a bytearray."""
        return issubclass(annotation, (str, bytes, bytearray))


def converter(binding: str) -> Any:
    """The library's converter for a binding type, else `Generic`."""
    registry: Any = get_binding_registry()
    return registry.get(binding) or Generic


def _has_implicit_output(binding: str) -> bool:
    return getattr(converter(binding), "has_implicit_output", lambda: False)() is True


def pop_context(
    function: str,
    parameters: dict[str, inspect.Parameter],
    bound: Mapping[str, Binding],
    annotations: Mapping[str, Any],
) -> bool:
    """Remove the `context` parameter from `parameters`; return whether it was there.

    Raises FunctionLoadError when it has another type than `Context`.
    """
    if "context" not in parameters or "context" in bound:
        return False
    parameters.pop("context")
    annotation = annotations.get("context")
    if "context" in annotations and getattr(annotation, "__name__", "") != "Context":
        raise FunctionLoadError(
            function,
            f'the "context" parameter is expected to be of type azure.functions.Context, got "{annotation!r}"',
        )
    return True


def check_parameters(
    function: str,
    parameters: Mapping[str, inspect.Parameter],
    bound: Mapping[str, Binding],
    annotations: Mapping[str, Any],
) -> tuple[dict[str, ParamType], dict[str, ParamType]]:
    """The types of the inputs and those of the outputs; raises FunctionLoadError when a parameter does not fit."""
    if unbound := set(parameters) - set(bound):
        raise FunctionLoadError(
            function,
            "the following parameters are declared in Python but not in the function definition "
            f"(function.json or function decorators):  {unbound!r}",
        )
    if missing := set(bound) - set(parameters):
        raise FunctionLoadError(
            function,
            "Extra parameters in binding definition - the following parameters are declared as bindings "
            f"but are not present in Python: {missing!r}",
        )
    inputs: dict[str, ParamType] = {}
    outputs: dict[str, ParamType] = {}
    for name in parameters:
        side = outputs if bound[name].is_output else inputs
        side[name] = _check_parameter(function, bound[name], name in annotations, annotations.get(name))
    return inputs, outputs


def _check_parameter(function: str, binding: Binding, annotated: bool, annotation: Any) -> ParamType:
    if not annotated:
        return ParamType(binding.type)
    is_out = typing.get_origin(annotation) is Out or annotation is Out
    inner = _inside_out(function, binding.name, annotation) if is_out else annotation
    if not _is_class(inner) and not _is_typing_generic(inner):
        raise FunctionLoadError(
            function, f"binding {binding.name} has invalid non-type annotation {annotation!r}"
        )
    if binding.is_output and not is_out:
        raise FunctionLoadError(
            function,
            f'binding {binding.name} is declared to have the "out" direction, but its annotation in Python '
            "is not a subclass of azure.functions.Out",
        )
    if is_out and not binding.is_output:
        raise FunctionLoadError(
            function,
            f'binding {binding.name} is declared to have the "in" direction in the binding decorator, '
            "but its annotation is azure.functions.Out in Python",
        )
    plain = inner in {str, bytes} and not _has_implicit_output(binding.type)
    kind = "generic" if plain else binding.type
    if not _accepts(kind, inner, is_out):
        raise FunctionLoadError(
            function,
            f'type of {binding.name} binding in the binding decorator "{binding.type}" does not match its '
            f'Python annotation "{getattr(inner, "__name__", inner)}"',
        )
    return ParamType(kind, inner)


def _is_class(annotation: Any) -> bool:
    return isinstance(annotation, type) and typing.get_origin(annotation) is None


def _is_typing_generic(annotation: Any) -> bool:
    """Whether it is a generic of `typing`; the worker accepts `typing.List[str]` and refuses `list[str]`."""
    origin = typing.get_origin(annotation)
    return origin not in {None, typing.Union} and not isinstance(annotation, GenericAlias)


def _inside_out(function: str, name: str, annotation: Any) -> Any:
    arguments = typing.get_args(annotation)
    if len(arguments) != 1:
        raise FunctionLoadError(function, f"binding {name} has invalid Out annotation {annotation!r}")
    return arguments[0]


def _accepts(kind: str, annotation: Any, is_out: bool) -> bool:
    served = converter(kind)
    check = served.check_output_type_annotation if is_out else served.check_input_type_annotation
    try:
        return bool(check(annotation))
    except TypeError:
        # issubclass raises for unions and other generics; there the worker's indexing fails too.
        return False


def check_return(
    function: str, bindings: tuple[Binding, ...], annotations: Mapping[str, Any]
) -> ParamType | None:
    """The type of the `$return` binding, or None when there is none; raises FunctionLoadError."""
    binding = next((binding for binding in bindings if binding.name == "$return"), None)
    if binding is None:
        return None
    if "return" not in annotations:
        return ParamType(binding.type)
    annotation = annotations["return"]
    if typing.get_origin(annotation) is Out:
        raise FunctionLoadError(function, "return annotation should not be azure.functions.Out")
    if not _is_class(annotation):
        raise FunctionLoadError(function, f"has invalid non-type return annotation {annotation!r}")
    if not _accepts(binding.type, annotation, is_out=True):
        raise FunctionLoadError(
            function,
            f'Python return annotation "{annotation.__name__}" does not match binding type "{binding.type}"',
        )
    return ParamType(binding.type, annotation)
