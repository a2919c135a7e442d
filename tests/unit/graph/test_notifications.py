"""What Graph posts to us."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import MalformedBody
from shared.domain.model import ChangeHint
from shared.graph.notifications import MAX_ITEMS, read_notifications, validation_answer

GUID = "7f105c7d-2dc5-4530-97cd-4e7ae6534c07"


def verify(text: str) -> tuple[str, int] | None:
    """Accepts the states that are written `ours.<generation>`."""
    name, _, generation = text.partition(".")
    return ("key", int(generation)) if name == "ours" and generation.isdigit() else None


def change(**members: Any) -> dict[str, Any]:
    """An item as the documentation's sample shows it."""
    item = {
        "id": "lsgTZMr9KwAAA",
        "subscriptionId": GUID,
        "subscriptionExpirationDateTime": "2026-03-19T22:11:09.952Z",
        "clientState": "ours.3",
        "changeType": "created",
        "resource": "Users/u/Messages/AAMkAD-_=",
        "tenantId": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
        "resourceData": {
            "@odata.type": "#Microsoft.Graph.Message",
            "@odata.id": "Users/u/Messages/x",
            "id": "AAMkAD-_=",
        },
    }
    return {**item, **members}


def lifecycle(event: Any, **members: Any) -> dict[str, Any]:
    return {
        "subscriptionId": GUID,
        "tenantId": "t",
        "clientState": "ours.3",
        "lifecycleEvent": event,
        **members,
    }


def body(*items: Any, **members: Any) -> bytes:
    return msgspec.json.encode({"value": items, **members})


HINT = ChangeHint("key", 3, GUID, "AAMkAD-_=", "created")


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"changeType": "Created"},
        {"resource": "Users('u')/messages('x')"},
        {"id": None},
        {"subscriptionExpirationDateTime": "2026-03-19T22:11:09+05:30"},
        {"tenantId": None},
        {"unknown": {"deep": [1]}},
        {"encryptedContent": {"data": "AAAA"}},
        {"lifecycleEvent": None},
    ],
)
def test_changes(members: dict[str, Any]) -> None:
    """A change notification in any spelling of the samples gives the same hint of ids and kind (G-5, G-6)."""
    assert read_notifications(body(change(**members), validationTokens=["x"]), verify).hints == (HINT,)


@pytest.mark.parametrize("event", ["reauthorizationRequired", "subscriptionRemoved", "missed"])
def test_lifecycle_events(event: str) -> None:
    """The three lifecycle events are known in any case and carry no message."""
    for written in (event, event.upper()):
        found = read_notifications(body(lifecycle(written)), verify).hints
        assert found == (ChangeHint("key", 3, GUID, lifecycle_event=event),)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (change(clientState="theirs"), "client_state"),
        (change(clientState=None), "client_state"),
        (change(clientState=""), "client_state"),
        (change(clientState=7), "shape"),
        (change(subscriptionId="../x"), "subscription_id"),
        (change(subscriptionId=""), "subscription_id"),
        (change(subscriptionId="x" * 600), "subscription_id"),
        (change(resourceData=None), "message_id"),
        (change(resourceData={"id": None}), "message_id"),
        (change(resourceData={"id": "../../me"}), "message_id"),
        (change(resourceData={"id": "a/b"}), "message_id"),
        (change(resourceData={"id": "AA\n"}), "message_id"),
        (change(resourceData=[]), "shape"),
        (change(changeType="deleted"), "change_type"),
        (change(changeType=None), "change_type"),
        (lifecycle("unheardOf"), "lifecycle_event"),
        (lifecycle(""), "lifecycle_event"),
        (lifecycle(["missed"]), "shape"),
        (None, "shape"),
        ([], "shape"),
        ("text", "shape"),
        (7, "shape"),
        ({}, "client_state"),
    ],
)
def test_bad_items_are_dropped_alone(item: Any, reason: str) -> None:
    """A bad item is dropped with its reason, and the items around it pass (G-3)."""
    found = read_notifications(body(change(), item, lifecycle("missed")), verify)
    assert len(found.hints) == 2
    assert found.dropped == (reason,)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'{"value":null}',
        b'{"value":{}}',
        b'{"value":"x"}',
        b"<xml/>",
        b"\xff\xfe",
        b'{"value":[{"subscriptionId":"\xff"}]}',
        b"[" * 100_000,
        b'{"value":' + b"[" * 100_000,
        body(*[{}] * (MAX_ITEMS + 1)),
    ],
)
def test_malformed_bodies(raw: bytes) -> None:
    """A body that is no collection of items is malformed (G-4)."""
    with pytest.raises(MalformedBody):
        read_notifications(raw, verify)


def test_nothing_is_fine() -> None:
    """An empty collection of notifications is no error."""
    assert read_notifications(b'{"value":[]}', verify).hints == ()


def test_an_unproven_item_is_not_looked_at_further() -> None:
    """An item without a good clientState is dropped for that, whatever else is wrong with it."""
    found = read_notifications(
        body(change(clientState="theirs", subscriptionId="../", changeType="deleted")), verify
    )
    assert found.dropped == ("client_state",)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.sampled_from(sorted(change())), inner, max_size=4)
    ),
)


@given(
    st.lists(
        JSON
        | st.builds(lambda name, value: change(**{name: value}), st.sampled_from(sorted(change())), JSON),
        max_size=6,
    )
)
def test_every_item_gets_a_verdict(items: list[Any]) -> None:
    """Every item becomes one hint or one reason, in whatever shape it comes."""
    found = read_notifications(body(*items), verify)
    assert len(found.hints) + len(found.dropped) == len(items)


@given(st.binary())
def test_any_body_is_read_or_refused(raw: bytes) -> None:
    """Any bytes are read as notifications or refused as malformed."""
    try:
        read_notifications(raw, verify)
    except MalformedBody:
        return


@pytest.mark.parametrize(
    ("token", "answer"),
    [
        ("Validation: Testing client application reachability for subscription Request-Id: 1-2", True),
        ("a" * 2048, True),
        ("ü" * 1024, True),
        ("<script>", True),
        ("", False),
        ("a" * 2049, False),
        ("ü" * 1025, False),
        ("a\nb", False),
        ("a\x00", False),
        ("\u202e", False),
        ("\ud800", False),
    ],
)
def test_handshakes(token: str, answer: bool) -> None:
    """A validation token comes back as it is when it is printable and has at most 2 KiB (G-1)."""
    assert validation_answer(token) == (token if answer else None)
