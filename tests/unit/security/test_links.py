"""Links to files: signed, expiring, good for one file (F-5)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.security.links import MAX_CHARACTERS, LinkSigner
from tests.builders import NOW, TENANT, later
from tests.unit.security.token_cases import NEW, OLD, RotatedTokenCases

PARTS = (TENANT, "msg_" + "a" * 26 + "_" + "b" * 26, "att_1")
ids = st.from_regex(r"[A-Za-z0-9_-]{1,60}", fullmatch=True)


class TestLinks(RotatedTokenCases):
    """The contract; a link may be opened more than once until it ends."""

    def minted(self, keys: Sequence[str]) -> str:
        return LinkSigner(keys).mint(PARTS, later(minutes=15))

    def accepted(self, keys: Sequence[str], token: str) -> bool:
        found = LinkSigner(keys).verify(token, NOW)
        assert found in {None, PARTS}
        return found is not None


@given(st.lists(ids, min_size=1, max_size=4))
def test_a_link_leads_to_what_it_was_made_for(parts: list[str]) -> None:
    """A link's token leads to the ids it was made for, in letters that need no escaping in a path."""
    token = LinkSigner([NEW]).mint(parts, later(hours=1))
    assert re.fullmatch(r"[A-Za-z0-9_~-]+", token)
    assert LinkSigner([NEW]).verify(token, NOW) == tuple(parts)


def test_a_link_ends() -> None:
    """A link ends at its very second, for ever."""
    signer = LinkSigner([NEW])
    token = signer.mint(PARTS, later(minutes=15))
    assert signer.verify(token, later(minutes=15) - timedelta(microseconds=1)) == PARTS
    for after in ({"minutes": 15}, {"minutes": 16}, {"days": 3650}):
        assert signer.verify(token, later(**after)) is None


def test_nobody_makes_a_link_last_longer() -> None:
    """A link whose end was changed is refused."""
    signer = LinkSigner([NEW])
    *rest, ends, mac = signer.mint(PARTS, later(minutes=15)).split("~")
    for forged in (str(int(ends) + 1), ends + "0", "9" * 300, "", "x", "-1", "\u0669\u0669", "1e9"):
        assert signer.verify("~".join((*rest, forged, mac)), NOW) is None
    assert signer.verify("~".join((*rest, mac)), NOW) is None


def test_a_link_to_one_file_is_none_to_another() -> None:
    """A link to one file is refused for other, joined or exchanged ids."""
    signer = LinkSigner([NEW])
    *_, ends, mac = signer.mint(("a", "b", "c"), later(hours=1)).split("~")
    for parts in (("a", "b", "d"), ("a", "b"), ("a", "c", "b"), ("ab", "c"), ("a", "b", "c", "d"), ()):
        assert signer.verify("~".join((*parts, ends, mac)), NOW) is None


@pytest.mark.parametrize("part", ["", "a~b", "a/b", "..", "a b", "\u00fc", "a\n", "x" * 129, "%41"])
def test_only_ids_of_ours_stand_in_links(part: str) -> None:
    """A link is made only of ids of ours."""
    with pytest.raises(ValueError, match="id of ours"):
        LinkSigner([NEW]).mint((TENANT, part), NOW)


def test_an_endless_token_is_refused_unread() -> None:
    """A token of 400 characters is read, and a longer one is refused."""
    signer = LinkSigner([NEW, OLD])
    last = MAX_CHARACTERS - len(signer.mint(["a" * 128, "b" * 128, "c"], later(hours=1))) + 1
    for longer, good in ((0, True), (1, False)):
        token = signer.mint(["a" * 128, "b" * 128, "c" * (last + longer)], later(hours=1))
        assert len(token) == MAX_CHARACTERS + longer == 400 + longer
        assert (signer.verify(token, NOW) is not None) is good


@pytest.mark.parametrize(
    "token", ["a~\ud800~1~x", "a~1~\ud800", "\u00fc~1~x", "a~\u0661~x", "~1~", "~~", "a~1"]
)
def test_a_token_in_strange_letters_is_refused(token: str) -> None:
    """A token with letters that we do not use is refused."""
    assert LinkSigner([NEW]).verify(token, NOW) is None
