"""How a listing is read to its end although none of its pages can be trusted: which page to ask for next.

Pages are asked for by time: from the newest `lastModifiedDateTime` seen, until one brings nothing new. A missing next
link proves nothing: a sorted list of 100 came with 19 items and no link (microsoft-graph-docs issue 2153). Nor is a
link followed while times move on, since a mail that is touched meanwhile moves to the end, and a link that counts rows
would then pass over another one. Only where all of a page are of the same second rows are counted, by the link or by
`$skip`: hundreds of mails that were moved at once are of one second, and more than a page. A link gives as many rows as
the page it came with was asked for, so none is followed while less is asked for. Behind a full page the last row is
asked for once more: where it does not come, rows that were counted have left the second, and others would be passed
over that have moved up to their places.

A page that is refused is asked for in halves, since a large page may be too much (504 for days, issues 5853 and 4988).
If one row alone is refused, it is passed by: one corrupt item makes its page a 500 (issue 2913).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from shared.domain.model import Outline, OutlinePage, SweepPlace
from shared.hashing import digest

PAGE: Final = 50
ROW_NAME: Final = 16  # characters, of which 50 rows of one mailbox differ
MOST_BARREN: Final = 20
# After so many refused rows in a row it must be shown that this is no outage, and again after as many.
REFUSED_IN_A_ROW: Final = 3
MOST_REFUSED_IN_A_ROW: Final = 60


@dataclass(frozen=True, slots=True)
class Ask:
    """A page to ask for: rows modified at or after a time, behind so many of them, at most `top`; or behind a link."""

    since: datetime
    skip: int = 0
    top: int = PAGE
    link: str | None = None


@dataclass(slots=True)
class Listing:
    """Where the reading stands: the page to ask for (None at the end), and the newest time that came.

    `passed`: rows that Graph refuses to list, whatever is asked with them. `_suspect`: among so many rows from here one
    is that made a page be refused. `_overlaps`: the page that is asked for begins with a row that has come before.
    """

    ask: Ask | None
    newest: datetime | None = None
    passed: list[Ask] = field(default_factory=list)
    _in_hand: SweepPlace | None = None
    _known: set[str] = field(default_factory=set)
    _followed: set[str] = field(default_factory=set)
    _barren: int = 0
    _refused: list[Ask] = field(default_factory=list)
    _suspect: int = 0
    _overlaps: bool = False

    @classmethod
    def at(cls, place: SweepPlace) -> Listing:
        """A listing that goes on where another one stood."""
        return cls(
            Ask(place.since, place.skip, place.top),
            _refused=[Ask(place.since, skip, 1) for skip in place.refused],
            _suspect=place.suspect,
        )

    @property
    def place(self) -> SweepPlace | None:
        """Where the listing stands: at the page in hand until `done`, else at the one to ask for; None at the end."""
        return self._in_hand or self._next_place()

    @property
    def is_barren(self) -> bool:
        """Whether the last page brought nothing that was not known: after some of them in a row the listing ends."""
        return self._barren > 0

    def done(self) -> None:
        """Every row of the page that was read last is done with."""
        self._in_hand = None

    def forget_search(self) -> None:
        """The search for a row that no list shows ended in a failure: it may be an outage, so it begins anew later."""
        if self.ask is not None and self._in_hand is None:
            first = self._refused[0].skip if self._refused else self.ask.skip
            self.ask, self._refused, self._suspect = Ask(self.ask.since, first), [], 0
            self._overlaps = False

    def _next_place(self) -> SweepPlace | None:
        """Without the link: a link that is followed later may count rows of another list."""
        if self.ask is None:
            return None
        refused = tuple(ask.skip for ask in self._refused)
        return SweepPlace(self.ask.since, self.ask.skip, self.ask.top, self._suspect, refused)

    def read(self, page: OutlinePage) -> None:
        """This page came in answer to `ask`: note what it holds, and what to ask for next."""
        asked = self.ask
        if asked is None:
            return
        self._in_hand = self._next_place()
        self._suspect = 0 if self._refused else max(0, self._suspect - len(page.outlines))
        self.passed, self._refused = [*self.passed, *self._refused], []
        ids = {outline.graph_message_id for outline in page.outlines}
        if self._overlaps and not self._is_joined(asked, page):
            self.ask = self._overlapping(asked.since, max(0, asked.skip - PAGE + 1))
            return
        brings = not ids <= self._known
        self._known |= ids
        times = (outline.last_modified_at for outline in page.outlines)
        self.newest = max(filter(None, (self.newest, *times)), default=None)
        self._barren = 0 if brings else self._barren + 1
        self._overlaps = False
        self.ask = None if self._barren >= MOST_BARREN else self._after(asked, page)

    def _after(self, asked: Ask, page: OutlinePage) -> Ask | None:
        if self.newest is not None and self.newest > asked.since:
            if self._suspect:  # rows of the newest second come once more before it
                self._suspect += sum(row.last_modified_at == self.newest for row in page.outlines)
            return Ask(self.newest, top=self._top())
        # Whatever came may have been cut off, a single row as well: only an empty page is the end.
        behind = asked.skip + len(page.outlines)
        if len(page.outlines) == asked.top == PAGE and not self._suspect:
            return self._overlapping(asked.since, behind - 1)
        if page.next_link is not None and page.next_link not in self._followed and not self._suspect:
            self._followed.add(page.next_link)
            return Ask(asked.since, behind, self._top(), page.next_link)
        return Ask(asked.since, behind, self._top()) if page.outlines else None

    def _is_joined(self, asked: Ask, page: OutlinePage) -> bool:
        """Whether a row of the second that is counted through is known already."""
        rows = (row for row in page.outlines if row.last_modified_at in {asked.since, None})
        return any(row.graph_message_id in self._known for row in rows)

    def _overlapping(self, since: datetime, skip: int) -> Ask:
        """A page that begins with a row that is known, as long as all in front of it are still there."""
        self._overlaps = skip > 0
        return Ask(since, skip)

    def _top(self) -> int:
        return max(1, self._suspect // 2) if self._suspect else PAGE

    def refused(self) -> bool:
        """`ask` was refused: ask for less, or for what lies behind the one row.

        False: it may be an outage, where nothing passes; whoever knows that it is none goes on.
        """
        asked = self.ask
        if asked is None:
            return False
        if asked.top > 1:
            self._suspect = asked.top
            self.ask = replace(asked, top=asked.top // 2, link=None)
            return True
        self._refused.append(asked)
        self.ask, self._overlaps = Ask(asked.since, asked.skip + 1, top=1), False
        return len(self._refused) % REFUSED_IN_A_ROW != 0

    @property
    def hopeless(self) -> bool:
        """Whether so many rows in a row were refused that it is not worth going on."""
        return len(self._refused) >= MOST_REFUSED_IN_A_ROW


def name_of_row(outline: Outline) -> str:
    """The name of a row as it stands: once the mail is changed it is another row, and looked at again."""
    changed_at = outline.last_modified_at
    return digest("row", outline.graph_message_id, changed_at.isoformat() if changed_at else "")[:ROW_NAME]
