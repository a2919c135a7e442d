"""Whatever a client writes, the answer is Graph's: the simulator never falls over."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sandbox.clock import VirtualClock
from sandbox.graphsim import bodies, calls, mail, query, replies, schema, subscriptions, writing
from sandbox.graphsim.app import build_simulator
from sandbox.graphsim.config import SimulatorConfig
from sandbox.graphsim.errors import GraphError
from sandbox.graphsim.filters import PROPERTIES, parse_filter
from sandbox.graphsim.store import Address, Message, User
from sandbox.graphsim.world import World

MARKS = ["(", ")", ",", ":", "'x'", "'", "true", "null", "2026-01-01T00:00:00Z", "2026-13-41T99:00:00Z"]
PARTS = ["contains(", "singleValueExtendedProperties/Any(", "ep", "ep/id", "ep/value", "'String 0x1042'"]
WORDS = st.sampled_from([*PROPERTIES, *MARKS, *PARTS, "eq", "ne", "gt", "and", "or", "not"])
NAMES = st.sampled_from(["name", "value", "address", "emailAddress", "id", "content", "contentType"])
TEXTS = st.text(max_size=8) | st.sampled_from(["high", "<a@b>", "x-a", "html"])
COMPARISONS = st.tuples(
    st.sampled_from(sorted(PROPERTIES)),
    st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le", "has"]),
    st.sampled_from(["'x'", "''", "true", "null", "2026-01-01T00:00:00Z", "2026-13-41T99:00:00Z", "7"]),
).map(" ".join)
FILTERS = COMPARISONS | st.lists(WORDS, max_size=9).map(" ".join) | st.text(max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
MESSAGES = st.dictionaries(st.sampled_from(sorted(schema.properties_of("message"))), JSON, max_size=4)


@cache
def world() -> World:
    made = build_simulator(SimulatorConfig(), VirtualClock()).world
    made.store.add_user(User("u", "ann@northwind.example", "Ann", "t"), made.ids)
    return made


def message() -> Message:
    box = world().store.mailboxes["ann@northwind.example"]
    made = mail.new_draft(world(), box, subject="x")
    made.from_ = Address("", "a@x.example")
    return made


def refusal(act: Callable[[], object]) -> int | None:
    """The status with which Graph would refuse, or None."""
    try:
        act()
    except GraphError as error:
        return error.status
    return None


@given(FILTERS)
@example("receivedDateTime ge 2026-13-41T99:00:00Z")
@example("receivedDateTime ge 0001-01-01T00:00:00+14:00")
@settings(max_examples=300)
def test_filters(text: str) -> None:
    """Any filter is understood or refused, and one that is understood can be applied to a message."""
    assert refusal(lambda: parse_filter(text).matches(message())) in {None, 400, 501}


@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: st.text(max_size=20)
            | FILTERS
            | st.sampled_from(["1", "-1", "subject", "subject desc", "true"])
            for name in ("$select", "$expand", "$filter", "$orderby", "$top", "$skip", "$count", "$search")
        },
    )
)
def test_options(options: dict[str, str]) -> None:
    """Any query options are understood or refused."""

    def ask() -> None:
        page, shape = query.parse_page(options), query.parse_shape(options)
        assert shape.fields
        query.arrange([message(), message()], page, arbitrary=True)

    assert refusal(ask) in {None, 400, 501}


@given(MESSAGES)
def test_bodies_of_messages(body: dict[str, Any]) -> None:
    """Any JSON makes a draft, changes one or fills a reply, or is refused."""
    box = world().store.mailboxes["ann@northwind.example"]
    draft = message()
    mail.place(world(), box, draft)
    for act in (
        lambda: writing.fill(world(), box, message(), body),
        lambda: writing.update(world(), box, draft, body),
        lambda: replies.create(world(), box, draft, "reply_all", {"message": body}),
    ):
        assert refusal(act) in {None, 400, 403, 413, 501}


@given(st.text(max_size=60))
def test_resources_of_subscriptions(text: str) -> None:
    """Any text in place of a subscription's resource is refused as Graph refuses it."""
    box = world().store.mailboxes["ann@northwind.example"]
    with pytest.raises(GraphError):
        subscriptions.parse_resource(world(), box, text)


@given(st.lists(st.text(max_size=30), max_size=3))
def test_preferences(values: list[str]) -> None:
    """Any Prefer header is understood or refused."""
    assert refusal(lambda: calls.parse_prefer(values)) in {None, 400}


@given(st.text(alphabet="<>/ab\"'=&;! -script", max_size=60) | st.text(max_size=40))
def test_html(text: str) -> None:
    """Any text can be stored, shown, previewed and quoted as HTML, without scripts."""
    document = bodies.to_document(text)
    shown = bodies.without_active_content(document)
    assert "<script" not in shown.lower()
    assert len(bodies.preview("html", document)) <= 255
    assert bodies.inner(document) is not None
    assert bodies.unique_part("html", document) is not None
