"""Route templates and their constraints."""

from __future__ import annotations

import pytest

from sandbox.devhost.templates import BadTemplate, decoded, parse_template


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("items", "items", {}),
        ("items", "ITEMS/", {}),
        ("items/{id}", "items/7", {"id": "7"}),
        ("items/{id}", "items", None),
        ("items/{id?}", "items", {}),
        ("items/{id=5}", "items", {"id": "5"}),
        ("items/{id=5}", "items/6", {"id": "6"}),
        ("items/{a=1}/{b?}", "items", {"a": "1"}),
        ("items/{a=1}/{b?}", "items/2/3", {"a": "2", "b": "3"}),
        ("files/{*rest}", "files/a/b.txt", {"rest": "a/b.txt"}),
        ("files/{*rest}", "files", {}),
        ("files/{name}.{kind}", "files/report.pdf", {"name": "report", "kind": "pdf"}),
        ("files/v{major:int}-x", "files/v2-x", {"major": "2"}),
        ("items/{id}", "items/a/b", None),
        ("{all}", "anything", {"all": "anything"}),
    ],
)
def test_matching(template: str, path: str, expected: dict[str, str] | None) -> None:
    """Route templates match as in ASP.NET Core, ignoring case and a trailing slash, without unused optional parts."""
    assert parse_template(template).match(path) == expected


@pytest.mark.parametrize(
    ("constraint", "good", "bad"),
    [
        ("int", "-5", "5000000000"),
        ("long", "5000000000", "five"),
        ("bool", "TRUE", "yes"),
        ("datetime", "2026-03-02", "soon"),
        ("datetime", "2026-03-02T10:00:00", "32-32-2026"),
        ("decimal", "1.5", "1e5"),
        ("double", "1e5", "one"),
        ("float", "-1.5", "-"),
        ("guid", "0a0b0c0d-0000-0000-0000-000000000000", "0a0b"),
        ("alpha", "abc", "ab1"),
        ("length(3)", "abc", "abcd"),
        ("length(2,3)", "ab", "a"),
        ("minlength(2)", "ab", "a"),
        ("maxlength(2)", "ab", "abc"),
        ("min(18)", "18", "17"),
        ("max(18)", "18", "19"),
        ("range(1,9)", "9", "10"),
        (r"regex(^\d{{3}}$)", "123", "1234"),
        ("required", "x", ""),
        ("int:min(3)", "3", "2"),
    ],
)
def test_constraints(constraint: str, good: str, bad: str) -> None:
    """A value that breaks a constraint makes the whole route not match."""
    template = parse_template(f"x/{{v:{constraint}}}")
    assert template.match(f"x/{good}") == {"v": good}
    assert template.match(f"x/{bad}") is None


@pytest.mark.parametrize(
    "template",
    ["{a}/{A}", "{*rest}/more", "x/{a:unknown}", "x/{a:length(x)}", "x/{", "x/{}", "x//y", "{a:regex(()}"],
)
def test_bad_templates(template: str) -> None:
    """A route template that ASP.NET Core refuses is refused."""
    with pytest.raises(BadTemplate):
        parse_template(template)


def test_an_encoded_slash_does_not_divide() -> None:
    """A path is decoded before routing, but %2F stays as it is, as in Kestrel."""
    assert decoded("/api/a%2Fb%20c") == "/api/a%2Fb c"
