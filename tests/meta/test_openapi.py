"""The published contract is valid, and says of every public route and event what the code says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from functions import wire
from functions.boundary import POLICIES
from shared.problem import TABLE, TYPE_BASE, UNEXPECTED
from shared.sync.events import announce
from tests.functions.contract import DOCUMENT, check, operations, resolved
from tests.functions.host import routes

# Pages for people, Microsoft's way in, and what Graph calls: not for CRMs, as the document's own description says.
NOT_FOR_CRMS = ("settings", "assets/", "oauth/", "disconnect/", "graph/")
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


def _routes() -> set[tuple[str, str, str]]:
    found = set()
    for route in routes():
        if not route.template.startswith(NOT_FOR_CRMS):
            found |= {(f"/{route.template}", method.lower(), route.name) for method in route.methods}
    return found


def _examples(node: object) -> Iterator[tuple[dict[str, Any], object]]:
    """(schema, example) of every content that has one."""
    match node:
        case {"schema": schema, "example": example}:
            yield schema, example
        case {"schema": schema, "examples": dict(examples)}:
            for named in examples.values():
                yield schema, named["value"]
        case dict():
            for value in node.values():
                yield from _examples(value)
        case list():
            for value in node:
                yield from _examples(value)


def test_the_document_is_valid() -> None:
    """The published contract is valid OpenAPI 3.1."""
    validate(DOCUMENT, cls=OpenAPIV31SpecValidator)


def test_every_public_route_is_in_it_and_nothing_else() -> None:
    """The contract's paths, methods and names are exactly the public routes of the function app."""
    listed = {
        (path, method, operation["operationId"].removesuffix("_head"))
        for path, method, operation in operations()
    }
    assert listed == _routes()


def test_what_is_left_out_is_named() -> None:
    """The contract's description names the routes that are left out."""
    for prefix in NOT_FOR_CRMS:
        assert f"`{prefix}" in DOCUMENT["info"]["description"]


def test_every_event_type_is_in_it_and_nothing_else() -> None:
    """The contract's webhooks are exactly the types of event that can be recorded."""
    assert set(DOCUMENT["webhooks"]) == set(announce.TYPES)


def test_webhooks_say_their_own_type() -> None:
    """The schema of each webhook's body admits its own type only."""
    for kind, item in DOCUMENT["webhooks"].items():
        schema = resolved(item["post"]["requestBody"]["content"]["application/json"]["schema"])
        assert schema["properties"]["type"] == {"const": kind}


@pytest.mark.parametrize(("schema", "example"), list(_examples(DOCUMENT)))
def test_examples_are_of_their_schema(schema: dict[str, Any], example: object) -> None:
    """Each example of the contract fits its schema."""
    check(schema, example)


def test_scopes_are_those_of_the_routes() -> None:
    """Each operation's security and scope in the contract are those of its route's policy."""
    for _, _, operation in operations():
        policy, _, scope = POLICIES[operation["operationId"].removesuffix("_head")].partition(":")
        expected = {"tenant_key": [{"key": []}], "session": [{"session": []}]}.get(policy, [])
        assert operation["security"] == expected, operation["operationId"]
        assert not scope or f"Scope `{scope}`." in operation["description"], operation["operationId"]


REQUESTS = {
    "SendRequest": wire.SendIn,
    "SessionLinkRequest": wire.SessionLinkIn,
    "SessionRequest": wire.SessionIn,
    "AddressIn": wire.AddressIn,
    "ReplayRequest": wire.ReplayIn,
}


@pytest.mark.parametrize(("name", "kind"), list(REQUESTS.items()))
def test_requests_have_the_members_that_are_read(name: str, kind: type[msgspec.Struct]) -> None:
    """Each request's schema has the members, limits and requirements that are read, and admits no others."""
    _compare(SCHEMAS[name], msgspec.json.schema_components([kind], ref_template="{name}")[1], kind.__name__)


def _compare(published: dict[str, Any], read: dict[str, Any], name: str) -> None:
    members = read[name]["properties"]
    assert set(published["properties"]) == set(members)
    assert set(published["required"]) == set(read[name]["required"])
    assert published["additionalProperties"] is False
    for member, schema in members.items():
        _compare_bounds(f"{name}.{member}", published["properties"][member], schema)


def _compare_bounds(where: str, published: dict[str, Any], schema: dict[str, Any]) -> None:
    """Limits of length and form; those of items too."""
    mine, theirs = _flat(published), _flat(schema)
    for limit in ("minLength", "maxLength", "pattern", "minItems", "maxItems"):
        if limit in theirs:
            assert mine.get(limit) == theirs[limit], f"{where}: {limit}"


def _flat(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without its wrapping: `null` beside it, or a reference."""
    for choice in schema.get("anyOf", ()):
        if choice.get("type") != "null":
            return _flat(choice)
    return resolved(schema) if schema.get("$ref", "").startswith("#/") else schema


def test_the_three_kinds_of_attachment_make_up_the_one_that_is_read() -> None:
    """The contract's three kinds of attachment together have the members that are read, one required in each."""
    kinds = SCHEMAS["AttachmentIn"]["oneOf"]
    members = set().union(*(set(kind["properties"]) for kind in kinds))
    assert members == {field.name for field in msgspec.structs.fields(wire.AttachmentIn)}
    assert all(kind["additionalProperties"] is False for kind in kinds)
    distinct = [set(kind["required"]) for kind in kinds]
    assert [required - {"name"} for required in distinct] == [{"file_id"}, {"content_base64"}, {"url"}]


def test_problems_are_those_of_the_table() -> None:
    """Type, title and status of the contract's problem examples are those of the problem table."""
    table = {TYPE_BASE + slug: (title, status) for _, slug, title, status in (*TABLE, (None, *UNEXPECTED))}
    for code, response in _problem_responses():
        for example in response["content"]["application/problem+json"]["examples"].values():
            problem = example["value"]
            assert table[problem["type"]] == (problem["title"], problem["status"])
            assert str(problem["status"]) == code


def _problem_responses() -> Iterator[tuple[str, dict[str, Any]]]:
    for _, _, operation in operations():
        for code, node in operation["responses"].items():
            response = resolved(node)
            if "application/problem+json" in response.get("content", {}):
                yield code, response
