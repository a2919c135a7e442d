"""How a listing is read to its end although none of its pages can be trusted: which page to ask for next.

Pages are asked for by time: from the newest `lastModifiedDateTime` seen, until one brings nothing new. A missing next
link proves nothing: a sorted list of 100 came with 19 items and no link (microsoft-graph-docs issue 2153). Nor is a
link followed while times move on, since a mail that is touched meanwhile moves to the end, and a link that counts rows
would then pass over another one. Only where all of a page are of the same second rows are counted, by the link or by
`$skip`: hundreds of mails that were moved at once are of one second, and more than a page. A link gives as many rows as
the page it came with was asked for, so none is followed while less is asked for.

A page that is refused is asked for in halves, since a large page may be too much (504 for days, issues 5853 and 4988).
If one row alone is refused, it is passed by: one corrupt item makes its page a 500 (issue 2913).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from shared.domain.model import OutlinePage

PAGE: Final = 50
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
    is that made a page be refused.
    """

    ask: Ask | None
    newest: datetime | None = None
    passed: list[Ask] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)
    _followed: set[str] = field(default_factory=set)
    _barren: int = 0
    _refused: list[Ask] = field(default_factory=list)
    _suspect: int = 0

    def read(self, page: OutlinePage) -> None:
        """This page came in answer to `ask`: note what it holds, and what to ask for next."""
        asked = self.ask
        if asked is None:
            return
        self._suspect = 0 if self._refused else max(0, self._suspect - len(page.outlines))
        self.passed, self._refused = [*self.passed, *self._refused], []
        ids = {outline.graph_message_id for outline in page.outlines}
        brings = not ids <= self._known
        self._known |= ids
        times = (outline.last_modified_at for outline in page.outlines)
        self.newest = max(filter(None, (self.newest, *times)), default=None)
        self._barren = 0 if brings else self._barren + 1
        self.ask = None if self._barren >= MOST_BARREN else self._after(asked, page, brings=brings)

    def _after(self, asked: Ask, page: OutlinePage, *, brings: bool) -> Ask | None:
        if self.newest is not None and self.newest > asked.since:
            if self._suspect:  # rows of the newest second come once more before it
                self._suspect += sum(row.last_modified_at == self.newest for row in page.outlines)
            return Ask(self.newest, top=self._top())
        behind = asked.skip + len(page.outlines)
        if page.next_link is not None and page.next_link not in self._followed and not self._suspect:
            self._followed.add(page.next_link)
            return Ask(asked.since, behind, self._top(), page.next_link)
        if not page.outlines:
            return None
        # One row of a whole page is the newest known one, asked for again. Of more the rest may have been cut off.
        ends = not brings and len(page.outlines) == 1 and (asked.skip, asked.top) == (0, PAGE)
        return None if ends else Ask(asked.since, behind, self._top())

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
        self.ask = Ask(asked.since, asked.skip + 1, top=1)
        return len(self._refused) % REFUSED_IN_A_ROW != 0

    @property
    def hopeless(self) -> bool:
        """Whether so many rows in a row were refused that it is not worth going on."""
        return len(self._refused) >= MOST_REFUSED_IN_A_ROW
