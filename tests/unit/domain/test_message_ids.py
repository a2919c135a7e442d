"""Message-IDs as programs write them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.admission import ancestors
from shared.domain.message_ids import is_same_message_id, message_ids, normal_message_id
from shared.domain.model import Evidence, MessageIndex, Outline
from shared.state.keys import row_by_identity, row_of
from tests.builders import NOW
from tests.strategies import texts

ATOM = st.text("AaZz09!#$%&'*+/=?^_`{|}~-.", max_size=8)
ID = st.builds("i{}@{}z".format, ATOM, st.text("Aa0.-", max_size=6))
SPACE = st.sampled_from([" ", "\r\n\t", "\r\n ", "  "])


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (None, ()),
        ("", ()),
        ("<>", ()),
        (" , ", ()),
        ("<a@x>", ("<a@x>",)),
        ("<A@x>", ("<A@x>",)),
        ("<a@x> <b@x>\r\n\t<c@x>", ("<a@x>", "<b@x>", "<c@x>")),
        ("<a@x><b@x>", ("<a@x>", "<b@x>")),
        ("<a@x>,<b@x>, <c@x>", ("<a@x>", "<b@x>", "<c@x>")),
        ("<a@x> (was: Your offer) <b@x>", ("<a@x>", "<b@x>")),
        ("Message of Monday <a@x>, yours", ("<a@x>",)),
        ('Your message of "Mon, 2 Mar 2026 10:00:00 +0100" <a@x>', ("<a@x>",)),
        ("Bea <bea@x>'s message of Monday <a@x>", ("<bea@x>", "<a@x>")),
        ("Your message of Monday a@x.", ("<a@x>",)),
        ("a@x", ("<a@x>",)),
        ('"a@x"', ("<a@x>",)),
        ("a@x, b@x;c@x d@x", ("<a@x>", "<b@x>", "<c@x>", "<d@x>")),
        ("< a@x >", ("<a@x>",)),
        ("<a\r\n @x>", ("<a@x>",)),
        ("<a b@x> <c@x>", ("<ab@x>", "<c@x>")),
        ("<<a@x>>", ("<a@x>",)),
        ("<a@x", ("<a@x>",)),
        ("a@x>", ("<a@x>",)),
        ('<"a"@x>', ("<a@x>",)),
        ('<"a b"@x>', ('<"a b"@x>',)),
        ("<a@[192.0.2.1]>", ("<a@[192.0.2.1]>",)),
        ("<a>", ("<a>",)),
        ("a", ("<a>",)),
        ("no id at all", ()),
        ('"a"@x', ("<a@x>",)),
        ('"a" @x', ()),
        ("only @x", ()),
    ],
)
def test_message_ids_of_a_header(header: str | None, found: tuple[str, ...]) -> None:
    """In-Reply-To and References are read with brackets or without, folded, parted by commas, words around them."""
    assert message_ids(header) == found


@given(
    ID, SPACE, st.sampled_from(["{}", "<{}>", " <{}> ", "< {} >", '"{}"', "<<{}>>", "<{}> (comment)", "{},"])
)
def test_one_form(identity: str, space: str, written: str) -> None:
    """However one id is written, it has one form, of its own letters in their case."""
    given_as = space + written.format(identity) + space
    assert normal_message_id(given_as) == f"<{identity}>"
    assert message_ids(given_as) == (f"<{identity}>",)
    assert is_same_message_id(given_as, f"<{identity}>")


@given(st.lists(ID, min_size=1, max_size=6), st.sampled_from([" ", ", ", "\r\n ", "; "]), st.booleans())
def test_several_ids_keep_their_order(identities: list[str], between: str, brackets: bool) -> None:
    """All ids of a header are read, in their order, whatever parts them."""
    header = between.join(f"<{identity}>" if brackets else identity for identity in identities)
    assert message_ids(header) == tuple(f"<{identity}>" for identity in identities)


@given(texts | st.text('<>"@ab ,\r\n\\\\', max_size=30))
def test_any_text_has_one_form(text: str) -> None:
    """The form of a form is itself, whatever the text was; so is every id that a header gives."""
    assert normal_message_id(normal_message_id(text)) == normal_message_id(text)
    for found in message_ids(text):
        assert message_ids(found) == (found,)


@given(ID, ID)
def test_different_ids_differ(first: str, second: str) -> None:
    """Two ids are the same only with the same letters in the same case."""
    assert is_same_message_id(first, f"<{second}>") == (first == second)
    assert not is_same_message_id(first, None)
    assert not is_same_message_id(None, None)


@pytest.mark.parametrize("part", ["<", '<"', '<"<"', '"', "<a", "a", "a@", "a ", '<"a" ', "< "])
def test_a_hostile_header_is_read_at_once(part: str) -> None:
    """No header makes the reading slow."""
    began = time.process_time()
    message_ids(part * 100_000)
    assert time.process_time() - began < 2


def test_the_index_row_of_an_id_is_one() -> None:
    """A mail whose Message-ID came without brackets is found by an answer that names it with them."""
    row = row_of(MessageIndex("a@x", "thr", "msg", NOW))
    assert row == row_by_identity(MessageIndex, "<a@x>")
    assert row != row_by_identity(MessageIndex, "<A@x>")


def test_all_parents_count_before_references() -> None:
    """Every id of In-Reply-To is looked up, then References from the newest back, each once."""
    outline = Outline(
        "AA=", "<m@x>", None, is_draft=False, in_reply_to="bea@x", other_parents=("<p@x>",),
        references=("<old@x>", "p@x", "<new@x>"),
    )  # fmt: skip
    assert [(each.internet_message_id, each.evidence) for each in ancestors(outline)] == [
        ("<bea@x>", Evidence.IN_REPLY_TO),
        ("<p@x>", Evidence.IN_REPLY_TO),
        ("<new@x>", Evidence.REFERENCES),
        ("<old@x>", Evidence.REFERENCES),
    ]
