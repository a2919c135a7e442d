"""How a mailbox lies in its rows: what the fence says, and beside it what changes often.

The rows `fence:NN` hold connection, generation and whether the mailbox is open; all of them say the same. Whoever
lets something in or out writes one of them under its ETag; whoever opens or closes the mailbox writes them all. So a
closed mailbox stops even a worker that read it open, while those who only note a pause or a sweep, in the row
`mailbox`, stand in nobody's way. How many fence rows there are is known in this file alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from shared.domain.model import Mailbox
from shared.state import keys
from shared.state.codec import columns_of, members_in, members_of, unknown_members
from shared.storage.api import Insert, Op, Replace, Row

FENCES: Final = 1  # more of them would let more writers pass at once
FENCE_MEMBERS: Final = ("connection_id", "generation", "state")
IN_BOTH: Final = "generation"  # tells rows that were read while another connection was being written
COMMIT_COLUMN: Final = "commit"
FROM, TO = keys.FENCE_PREFIX, f"{keys.MAILBOX_ROW}~"


@dataclass(frozen=True, slots=True)
class StoredMailbox:
    """A mailbox as its rows say; by row: ETag, mark of the last commit, and the members that this version knows not."""

    value: Mailbox
    etags: Mapping[str, str]
    marks: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def are_torn(rows: Sequence[Row]) -> bool:
    """Whether these rows are of two generations: read while another connection was being written.

    It is not known that a query of one partition sees a transaction whole, so this does not rest on it.
    """
    return len({members_in(row.values)[IN_BOTH] for row in rows}) > 1


def from_rows(rows: Sequence[Row]) -> StoredMailbox | None:
    """The mailbox in the rows between FROM and TO; None where it was never connected.

    Raises msgspec.ValidationError where the rows are not those of a mailbox.
    """
    if not rows:
        return None
    members: dict[str, Any] = {}
    for row in rows:
        members |= members_in(row.values)
    return StoredMailbox(
        msgspec.convert(members, Mailbox),
        {row.row: row.etag for row in rows},
        {row.row: str(row.values.get(COMMIT_COLUMN, "")) for row in rows},
        {row.row: unknown_members(Mailbox, members_in(row.values)) for row in rows},
    )


def rows_to_write(before: StoredMailbox | None, value: Mailbox, *, passes: bool, jitter: float) -> list[str]:
    """Which rows a change of the mailbox writes: a fence row where something passes, and its own row if it changed."""
    fences = [keys.fence_row(number) for number in range(FENCES)]
    if before is None or _fence_members(before.value) != _fence_members(value):
        return [*fences, keys.MAILBOX_ROW]
    chosen = [fences[int(jitter * FENCES)]] if passes else []
    return [*chosen, *([keys.MAILBOX_ROW] if before.value != value else [])]


def written(before: StoredMailbox | None, value: Mailbox, row: str, mark: str) -> Op:
    """The write of one of these rows, under the ETag it was read with."""
    members = members_of(value, {})
    fence = {name: members[name] for name in FENCE_MEMBERS}
    beside = {name: value for name, value in members.items() if name == IN_BOTH or name not in fence}
    kind, known = ("Mailbox", beside) if row == keys.MAILBOX_ROW else ("Fence", fence)
    unknown = before.unknown.get(row, {}) if before is not None else {}
    etag = before.etags.get(row) if before is not None else None
    marked = {**columns_of(kind, {**unknown, **known}), COMMIT_COLUMN: mark}
    return Replace(row, marked, etag) if etag else Insert(row, marked)


def _fence_members(mailbox: Mailbox) -> tuple[Any, ...]:
    return tuple(getattr(mailbox, name) for name in FENCE_MEMBERS)
