"""Holds exchanges with the simulated Graph against Microsoft's own description of v1.0."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import jsonschema
import yaml

FILE = Path(__file__).parent / "graph-openapi.yaml"
PREFIX = "/v1.0"
Json = dict[str, Any]


@cache
def document() -> Json:
    with FILE.open(encoding="utf-8") as text:
        found: Json = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe
    return found


def schema_of(name: str) -> Json:
    found: Json = document()["components"]["schemas"][f"microsoft.graph.{name}"]
    return found


def properties_of(name: str) -> dict[str, Json]:
    """All properties of a type with their schemas, inherited ones included."""
    found: dict[str, Json] = {}
    for part in schema_of(name).get("allOf", [schema_of(name)]):
        inherited = part.get("$ref")
        found |= (
            properties_of(inherited.rpartition(".")[2]) if inherited else dict(part.get("properties", {}))
        )
    return found


def _strict(node: Any, any_case: bool) -> Any:
    """JSON Schema that knows `nullable`, and lets a type have no property that it does not declare.

    With `any_case`, words of an enumeration may be written in any case, as requests may.
    """
    if isinstance(node, list):
        return [_strict(part, any_case) for part in node]
    if not isinstance(node, dict):
        return node
    if "x-discriminator" in node:
        return {"$ref": "#/$defs/any_attachment"}
    if "allOf" in node:
        return _closed(_flattened(node), any_case)
    if any_case and isinstance(node.get("enum", [None])[0], str):
        return {"type": "string", "pattern": f"(?i)^({'|'.join(node['enum'])})$"}
    out = {key: _strict(value, any_case) for key, value in node.items()}
    if "$ref" in out:
        out["$ref"] = out["$ref"].replace("#/components/schemas/", "#/$defs/")
    if "properties" in node:
        out = _closed(node, any_case)
    if out.pop("nullable", False) and isinstance(out.get("type"), str):
        out["type"] = [out["type"], "null"]
    return out


def _flattened(node: Json) -> Json:
    merged: Json = {"type": "object", "properties": {}}
    for part in node["allOf"]:
        whole = part
        if "$ref" in part:
            whole = document()["components"]["schemas"][part["$ref"].rpartition("/")[2]]
        whole = _flattened(whole) if "allOf" in whole else whole
        merged["properties"] |= whole.get("properties", {})
    return merged


def _closed(node: Json, any_case: bool) -> Json:
    return {
        "type": "object",
        "properties": {name: _strict(part, any_case) for name, part in node["properties"].items()},
        "required": node.get("required", []),
        "patternProperties": {"^@odata\\.|@odata\\.": {}},
        "additionalProperties": node.get("additionalProperties", False),
    }


@cache
def _definitions(any_case: bool) -> Json:
    found = {name: _strict(schema, any_case) for name, schema in document()["components"]["schemas"].items()}
    kinds = [f"microsoft.graph.{kind}Attachment" for kind in ("file", "item", "reference")]
    found["any_attachment"] = {
        "required": ["@odata.type"],
        "oneOf": [
            {
                "properties": {"@odata.type": {"enum": [kind, f"#{kind}"]}},
                "allOf": [{"$ref": f"#/$defs/{kind}"}],
            }
            for kind in kinds
        ],
    }
    # In Microsoft's own samples of answers and notifications, but not in the metadata.
    found["microsoft.graph.subscription"]["properties"]["notificationContentType"] = {"type": "null"}
    found["microsoft.graph.resourceData"]["properties"]["id"] = {"type": "string"}
    # A message may be of a derived type; this is what the simulator shows of eventMessage.
    meetings = ["none", "meetingRequest", "meetingCancelled", "meetingAccepted", "meetingTenativelyAccepted"]
    message = found["microsoft.graph.message"]["properties"]
    message["meetingMessageType"] = {"enum": [*meetings, "meetingDeclined"]}
    inner = found["microsoft.graph.ODataErrors.MainError"]["properties"]
    inner["innererror"] = inner["innerError"]  # the documents spell it so, the metadata otherwise
    return found


def problems(schema: Json, value: Any, *, any_case: bool = False) -> list[str]:
    """What is wrong with `value`, one sentence each."""
    whole = {**_strict(schema, any_case), "$defs": _definitions(any_case)}
    checker = jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker(["date-time"]))
    return [f"{error.json_path}: {error.message[:200]}" for error in checker.iter_errors(value)]


def operation(method: str, path: str) -> Json | None:
    """The described operation that a path below /v1.0 names."""
    wanted = path.replace("('", "/").replace("')", "").strip("/").lower().split("/")
    wanted = ["me", *wanted[2:]] if wanted[0] == "users" else wanted
    for template, item in document()["paths"].items():
        parts = template.strip("/").lower().split("/")
        fits = len(parts) == len(wanted) and all(
            a == b or a.startswith("{") for a, b in zip(parts, wanted, strict=True)
        )
        if fits and method.lower() in item:
            found: Json = item[method.lower()]
            return found
    return None


def violations(request: httpx.Request, response: httpx.Response) -> list[str]:
    """Where an exchange leaves the description: what was accepted must be right, and so must every answer."""
    path = request.url.raw_path.decode().partition("?")[0]
    if not path.startswith(PREFIX):
        return []
    if not response.is_success:
        error = {"$ref": "#/components/schemas/microsoft.graph.ODataErrors.ODataError"}
        return problems(error, response.json())
    found = operation(request.method, path.removeprefix(PREFIX))
    if path.endswith("/permanentDelete"):  # in the metadata, but not in this part of the description
        return (
            [] if (response.status_code, response.content) == (204, b"") else ["answered otherwise than 204"]
        )
    if found is None:
        return [f"{request.method} {path} is not described"]
    replying = path.rpartition("/")[2].startswith("create")
    return [
        *_query_problems(found, request),
        *_body_problems(found, request),
        *_answer_problems(found, response, replying=replying),
    ]


def _query_problems(found: Json, request: httpx.Request) -> list[str]:
    known = {parameter["name"] for parameter in found.get("parameters", []) if parameter.get("in") == "query"}
    used = {name for name, _ in parse_qsl(request.url.query.decode(), keep_blank_values=True)}
    return [f"accepted the query option {name}" for name in sorted(used - known)]


def _body_problems(found: Json, request: httpx.Request) -> list[str]:
    content = request.content
    described = found.get("requestBody", {}).get("content", {}).get("application/json")
    if not content:
        return []
    if described is None:
        return [] if content == b"{}" else ["accepted a body"]  # an empty object says nothing
    wrong = problems(
        described["schema"], _as_described(described["schema"], json.loads(content)), any_case=True
    )
    return [f"accepted a body with {fault}" for fault in wrong]


def _as_described(schema: Json, body: Json) -> Json:
    """Parameters of an action in the described case, which Graph does not insist on.

    The page of sendMail itself passes the word "false" for a boolean.
    """
    names = {name.lower(): name for name in schema.get("properties", {})}
    out = {names.get(name.lower(), name): value for name, value in body.items()}
    if out.get("SaveToSentItems") in {"true", "false"}:
        out["SaveToSentItems"] = out["SaveToSentItems"] == "true"
    return out


def _answer_problems(found: Json, response: httpx.Response, *, replying: bool) -> list[str]:
    answers = found["responses"]
    described = answers.get(str(response.status_code))
    if described is None:
        # createReply and its kin: their pages say 201 and show 200.
        if response.status_code != 200 or not replying:
            return [f"answered {response.status_code}"]
        described = answers["201"]
    content = described.get("content", {})
    if not content:
        return [] if not response.content else ["answered with a body"]
    if "application/json" not in content:
        return []
    return [f"answered {fault}" for fault in problems(content["application/json"]["schema"], response.json())]
