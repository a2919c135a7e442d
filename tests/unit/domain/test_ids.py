"""Ids: the same thing has the same id for ever, and two things never share one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import ids
from tests.builders import KEY, MAILBOX, TENANT
from tests.strategies import texts

PARTS = st.lists(texts, max_size=4)
MBX = MAILBOX.mailbox_id
MAILBOX_ID = r"mbx_[a-z2-7]{26}"


@given(PARTS, PARTS)
def test_a_digest_tells_every_two_lists_apart(first: list[str], second: list[str]) -> None:
    """Two lists have the same digest only when they are equal: ("ab", "c") is not ("a", "bc")."""
    assert (ids.digest(*first) == ids.digest(*second)) == (first == second)


@given(PARTS)
def test_a_digest_fits_keys_and_addresses(parts: list[str]) -> None:
    """A digest has 26 characters that need no escaping in keys and addresses."""
    assert re.fullmatch(r"[a-z2-7]{26}", ids.digest(*parts))


def test_ids_never_change() -> None:
    """Ids are computed to these very values for ever, since they lie in tables and in CRMs."""
    assert ids.mailbox_id(TENANT, "tid", "oid") == "mbx_nwx2puwv6utu7krjy7p6tk6nsv"
    assert ids.crm_key(TENANT, "m-1") == "50383b15823ddbbc82f01443f2a8c9a5af236338d72d8b0b0c8bdbf489d7417c"
    assert (
        ids.outbound_message_id("mbx_" + "a" * 26, "k")
        == "msg_aaaaaaaaaaaaaaaaaaaaaaaaaa_oree3y7ovwxgevixareuczis2k"
    )
    assert (
        ids.inbound_message_id("mbx_" + "a" * 26, "AAMk=")
        == "msg_aaaaaaaaaaaaaaaaaaaaaaaaaa_ttk3bu6rnw7pwqwczd6bmpqnc4"
    )
    assert (
        ids.thread_id("mbx_" + "a" * 26, "k") == "thr_aaaaaaaaaaaaaaaaaaaaaaaaaa_oree3y7ovwxgevixareuczis2k"
    )
    assert ids.event_id(TENANT, "message.sent", "msg_1") == "evt_upgzvkcm5ptfkavdb7jjkcvrpa"


@pytest.mark.parametrize(
    "other", [("ten_b", "tid", "oid"), (TENANT, "TID", "oid"), (TENANT, "tid", "Oid"), (TENANT, "tido", "id")]
)
def test_a_mailbox_id_is_of_one_tenant_and_one_mailbox(other: tuple[str, str, str]) -> None:
    """Another tenant, directory or object id gives another mailbox id."""
    assert ids.mailbox_id(TENANT, "tid", "oid") != ids.mailbox_id(*other)
    assert re.fullmatch(MAILBOX_ID, ids.mailbox_id(*other))


@given(texts, texts)
def test_a_crm_key_is_of_one_crm_message_id(first: str, second: str) -> None:
    """A CRM key is lower-case hex and belongs to one crm_message_id, because Graph compares without case."""
    assert (ids.crm_key(TENANT, first) == ids.crm_key(TENANT, second)) == (first == second)
    assert re.fullmatch(r"[0-9a-f]{64}", ids.crm_key(TENANT, first))


def test_a_crm_key_is_of_one_tenant() -> None:
    """The same crm_message_id of two tenants gives two CRM keys."""
    assert ids.crm_key("ten_a", "m-1") != ids.crm_key("ten_b", "m-1")


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("msg", ids.outbound_message_id(MBX, KEY)),
        ("msg", ids.inbound_message_id(MBX, "AAMk/+=")),
        ("thr", ids.thread_id(MBX, KEY)),
    ],
)
def test_an_id_leads_to_its_mailbox(kind: str, made: str) -> None:
    """A message or thread id leads to its mailbox, and is not taken for an id of another kind."""
    assert ids.mailbox_of(made, kind) == MBX
    assert ids.mailbox_of(made, "fil") is None


def test_ids_of_one_key_keep_apart() -> None:
    """A send, its thread and a received mail have different ids although they are made from the same text."""
    made = {ids.outbound_message_id(MBX, KEY), ids.inbound_message_id(MBX, KEY), ids.thread_id(MBX, KEY)}
    assert len(made) == 3
    assert ids.outbound_message_id(MBX, KEY)[4:] != ids.inbound_message_id(MBX, KEY)[4:]


def test_a_thread_leads_to_the_message_that_begins_it() -> None:
    """A thread id leads to the message that begins it."""
    assert ids.opening_message_id(ids.thread_id(MBX, KEY)) == ids.outbound_message_id(MBX, KEY)


@given(
    st.one_of(texts, st.from_regex(r"(msg|thr)_[a-z2-7]{26}_[a-z2-7]{20,30}\n?", fullmatch=True)),
    st.sampled_from(["msg", "thr"]),
)
def test_any_text_is_an_id_of_ours_or_not(text: str, kind: str) -> None:
    """Only a text of exactly our form is taken for an id: no cut, no upper case, no line break behind it."""
    mailbox = ids.mailbox_of(text, kind)
    assert (mailbox is not None) == bool(re.fullmatch(kind + r"_[a-z2-7]{26}_[a-z2-7]{26}", text))
    assert mailbox is None or re.fullmatch(MAILBOX_ID, mailbox)


def test_the_same_happening_has_one_event_id() -> None:
    """The same event has one id, and another tenant, kind, subject or version gives another (E-19)."""
    made = [
        ("t", "k", "s", 1),
        ("u", "k", "s", 1),
        ("t", "l", "s", 1),
        ("t", "k", "r", 1),
        ("t", "k", "s", 2),
    ]
    assert ids.event_id("t", "k", "s") == ids.event_id(*made[0])
    assert len({ids.event_id(*parts) for parts in made}) == len(made)
