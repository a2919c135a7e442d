"""The published contract, as a judge of what is really answered and told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

PATH = Path(__file__).parents[2] / "functions" / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
METHODS = ("get", "post", "put", "patch", "delete", "head")

_REGISTRY = Registry().with_resource("urn:openapi", Resource(DOCUMENT, DRAFT202012))


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(path, method, operation) of everything that is listed."""
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def operation(operation_id: str) -> dict[str, Any]:
    """The operation of that name."""
    return next(described for _, _, described in operations() if described["operationId"] == operation_id)


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """What a `$ref` within the document points to."""
    while "$ref" in node:
        found: Any = DOCUMENT
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        node = found
    return node


def check(schema: dict[str, Any], value: object) -> None:
    """Hold a value to a schema of the document. Raises jsonschema.ValidationError."""
    Draft202012Validator(_absolute(schema), registry=_REGISTRY).validate(value)


def check_event(body: dict[str, Any]) -> None:
    """Hold the body of a webhook to what is published for its type."""
    content = DOCUMENT["webhooks"][body["type"]]["post"]["requestBody"]["content"]
    check(content["application/json"]["schema"], body)


def check_answer(operation_id: str, status: int, content_type: str, body: bytes) -> None:
    """Hold an answer to what is published: its status is listed, its content is of the shape."""
    answers = operation(operation_id)["responses"]
    assert str(status) in answers, f"{operation_id} answered {status}, which is not published"
    kind = content_type.split(";", maxsplit=1)[0]
    content = resolved(answers[str(status)]).get("content", {})
    if "*/*" in content:
        return
    assert kind in content, f"{operation_id} answered {kind}, which is not published"
    check(content[kind]["schema"], json.loads(body))


def _absolute(schema: Any) -> Any:
    """References as they are found in the registry, at any depth."""
    match schema:
        case {"$ref": str(to)}:
            return {**schema, "$ref": f"urn:openapi{to}"}
        case dict():
            return {name: _absolute(value) for name, value in schema.items()}
        case list():
            return [_absolute(part) for part in schema]
    return schema
