"""How a listing whose pages cannot be trusted is read to its end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count, repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.listing import MOST_BARREN, PAGE, Ask, Listing, name_of_row
from shared.domain.model import Outline, OutlinePage, SweepPlace
from tests.builders import NOW

SINCE = NOW


def row(number: int, seconds: int | None) -> Outline:
    at = None if seconds is None else SINCE + timedelta(seconds=seconds)
    return Outline(f"id-{number}", None, None, is_draft=False, last_modified_at=at)


def page(*rows: Outline, link: str | None = None) -> OutlinePage:
    return OutlinePage(rows, link)


class Server:
    """Lists rows as Graph does: sorted, cut after so many, with or without links, refusing pages with some rows."""

    def __init__(
        self,
        seconds: list[int],
        cut: int = PAGE,
        *,
        links: bool = False,
        corrupt: frozenset[int] = frozenset(),
    ) -> None:
        self.rows = [row(number, at) for number, at in enumerate(sorted(seconds))]
        self.cut, self.links = cut, links
        self.corrupt = {f"id-{number}" for number in corrupt}
        self.asked: list[Ask] = []
        self.given: dict[str, Ask] = {}

    def answer(self, ask: Ask) -> OutlinePage | None:
        self.asked.append(ask)
        ask = (
            self.given[ask.link] if ask.link else ask
        )  # a link says itself where it leads and how much it gives
        there = [found for found in self.rows if (found.last_modified_at or ask.since) >= ask.since]
        wanted = there[ask.skip : ask.skip + ask.top]
        if {found.graph_message_id for found in wanted} & self.corrupt:
            return None
        part = wanted[: min(self.cut, ask.top)]
        more = ask.skip + len(part) < len(there)
        link = f"{len(self.asked)}" if self.links and more else None
        if link:
            self.given[link] = replace(ask, skip=ask.skip + len(part), link=None)
        return page(*part, link=link)

    def read_all(self) -> tuple[list[str], list[Ask]]:
        """Ids that came, and rows that were passed by."""
        listing, found = Listing(Ask(SINCE)), list[str]()
        passed: list[Ask] = []
        while listing.ask is not None:
            assert len(self.asked) < 3_000
            answer = self.answer(listing.ask)
            if answer is None:
                assert listing.refused()
                continue
            found += [outline.graph_message_id for outline in answer.outlines]
            listing.read(answer)
            passed += listing.passed
            listing.passed.clear()
        return found, passed


def test_an_empty_page_is_the_end() -> None:
    """A mailbox in which nothing changed costs one page."""
    server = Server([])
    server.read_all()
    assert server.asked == [Ask(SINCE)]


def test_a_page_with_something_new_is_asked_on_from_the_newest_time() -> None:
    """Without a link the next page is asked for from the newest time, until one is empty.

    A page of a single known row may have been cut off behind it, as any other.
    """
    server = Server([5, 9])
    server.read_all()
    assert server.asked == [Ask(SINCE), Ask(_at(9)), Ask(_at(9), skip=1)]


@pytest.mark.parametrize("links", [True, False])
def test_pages_of_one_row_hide_nothing(*, links: bool) -> None:
    """A server whose every page is cut off after one row, with a link or without, is read to its end."""
    server = Server([1, 2, 2, 2, 5], cut=1, links=links)
    found, _ = server.read_all()
    assert len(set(found)) == 5


@settings(max_examples=40, deadline=None)
@given(
    seconds=st.lists(st.integers(0, 12), max_size=60),
    cut=st.integers(1, 12),
    corrupt=st.frozensets(st.integers(0, 59), max_size=2),
    every=st.integers(2, 9),
)
def test_a_reading_that_is_interrupted_goes_on_where_it_stood(
    seconds: list[int], cut: int, corrupt: frozenset[int], every: int
) -> None:
    """A listing that is given up after every few pages, and taken up where it stood, brings what one reading brings.

    Each interruption costs the page in hand at most: the search for a row that no list shows does not begin anew.
    """
    whole = Server(seconds, cut, corrupt=corrupt)
    expected, _ = whole.read_all()
    server, found, passed = Server(seconds, cut, corrupt=corrupt), list[str](), list[Ask]()
    listing, number = Listing(Ask(SINCE)), 0
    while listing.ask is not None:
        number += 1
        answer = server.answer(listing.ask)
        if answer is None:
            assert listing.refused()
        else:
            listing.read(answer)
            if number % every:
                found += [outline.graph_message_id for outline in answer.outlines]
                passed += listing.passed
                listing.done()
        if number % every == 0 and listing.place is not None:
            listing = Listing.at(listing.place)
    assert set(found) == set(expected)
    assert len(server.asked) <= 2 * len(whole.asked) + 60


def test_a_search_that_failed_is_begun_anew() -> None:
    """What was refused during an outage is no search: the next reading asks for the whole page again."""
    listing = Listing(Ask(SINCE))
    while listing.refused():
        pass
    listing.forget_search()
    assert listing.place == SweepPlace(SINCE, 0, PAGE)


def test_a_row_has_another_name_once_it_is_changed() -> None:
    """A mail that is changed after it was decided on is looked at again."""
    outline = row(1, 5)
    assert name_of_row(outline) == name_of_row(replace(outline, conversation_id="c"))
    assert name_of_row(outline) != name_of_row(replace(outline, last_modified_at=_at(6)))
    assert name_of_row(outline) != name_of_row(row(2, 5))


@pytest.mark.parametrize("cut", [1, 2, 9, 19, PAGE])
@pytest.mark.parametrize("links", [True, False])
def test_a_crowd_of_one_second_is_counted_through(cut: int, *, links: bool) -> None:
    """Hundreds of mails of one second are all read, however short the pages are and whether they have links."""
    server = Server([3] * 230 + [7], cut, links=links)
    found, _ = server.read_all()
    assert len(set(found)) == 231
    assert len(server.asked) <= 2 * 231 / server.cut + 8


@settings(max_examples=40, deadline=None)
@given(
    seconds=st.lists(st.integers(0, 12), max_size=60),
    cut=st.integers(2, 12),
    links=st.booleans(),
    corrupt=st.frozensets(st.integers(0, 59), max_size=2),
)
def test_everything_is_listed_or_passed_by(
    seconds: list[int], cut: int, links: bool, corrupt: frozenset[int]
) -> None:
    """Whatever a page leaves out, every row is read once at least, and only corrupt ones are passed by."""
    server = Server(seconds, cut, links=links, corrupt=corrupt)
    found, passed = server.read_all()
    there = {outline.graph_message_id for outline in server.rows}
    assert set(found) == there - server.corrupt
    by_place = {
        [found for found in server.rows if (found.last_modified_at or ask.since) >= ask.since][ask.skip]
        for ask in passed
    }
    assert {outline.graph_message_id for outline in by_place} == there & server.corrupt


@pytest.mark.parametrize("left", [1, 30, 49, 50, 51, 120, 149])
@pytest.mark.parametrize("before_page", [2, 3, 4])
def test_rows_that_leave_their_second_hide_no_other(left: int, before_page: int) -> None:
    """Of a crowd of one second so many of the first rows are changed between two pages: each other one still comes."""
    server, found = Server([3] * 230 + [7] * 3), set[str]()
    listing = Listing(Ask(SINCE))
    for number in count(1):
        if listing.ask is None:
            break
        assert number < 60
        if number == before_page:
            moved = [row(at, 9) for at in range(left)]
            server.rows = [*server.rows[left:], *moved]
        answer = server.answer(listing.ask)
        assert answer is not None
        found |= {outline.graph_message_id for outline in answer.outlines}
        listing.read(answer)
    assert len(found) == 233


def pages_until_the_end(links: Iterable[str], *rows: Outline) -> int:
    """How many pages are asked for of a server that always gives these rows, with these links."""
    listing = Listing(Ask(SINCE))
    for number, link in enumerate(links):
        if listing.ask is None:
            return number
        listing.read(page(*rows, link=link))
    raise AssertionError("the links ended first")


def test_a_link_that_repeats_itself_ends() -> None:
    """A listing that gives the same page and the same link for ever ends."""
    assert pages_until_the_end(repeat("again"), row(1, 1), row(2, 1)) <= MOST_BARREN + 5


def test_links_that_lead_nowhere_end() -> None:
    """Empty pages with ever new links are followed for a while and then taken for the end."""
    assert pages_until_the_end(map(str, count())) == MOST_BARREN


def test_rows_without_a_time_are_counted() -> None:
    """Rows without a time end the listing too: they are counted, since no time leads behind them."""
    listing = Listing(Ask(SINCE))
    listing.read(page(row(1, None)))
    assert listing.ask == Ask(SINCE, skip=1)
    listing.read(page())
    assert listing.ask is None


def test_a_refused_page_is_asked_for_in_halves() -> None:
    """A row that makes its page be refused is found by halves; behind it pages are whole again."""
    server = Server(list(range(100)), corrupt=frozenset({37}))
    found, passed = server.read_all()
    assert len(set(found)) == 99
    assert len(passed) == 1
    assert len(server.asked) <= 14
    assert server.asked[1] == Ask(SINCE, top=PAGE // 2)
    assert server.asked[-1].top == PAGE


def test_a_corrupt_row_in_a_crowd_of_one_second_is_passed_by() -> None:
    """Links that give whole pages do not stop the search for a corrupt row among hundreds of one second."""
    server = Server([3] * 230 + [7], links=True, corrupt=frozenset({3, 40, 140}))
    found, passed = server.read_all()
    assert len(set(found)) == 228
    assert [(ask.skip, ask.link) for ask in passed] == [(3, None), (40, None), (140, None)]


def test_an_outage_passes_nothing_by() -> None:
    """When one row after the other is refused it is an outage: the reading fails, and no row counts as passed by."""
    listing = Listing(Ask(SINCE))
    tries = 1
    while listing.refused():
        tries += 1
    assert tries < 10
    assert listing.passed == []


def _at(seconds: int) -> datetime:
    return SINCE + timedelta(seconds=seconds)


def test_one_row_that_is_always_refused_is_passed_by() -> None:
    """The row that alone is refused is passed by as soon as the one behind it comes."""
    server = Server([1, 2, 3, 4], corrupt=frozenset({2}))
    found, passed = server.read_all()
    assert set(found) == {"id-0", "id-1", "id-3"}
    assert [(ask.since, ask.skip) for ask in passed] in ([(_at(2), 1)], [(SINCE, 2)])
