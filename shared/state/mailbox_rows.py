"""How a mailbox lies in its rows: what the fence says, and beside it what changes often.

The rows `fence:NN` hold connection, generation and whether the mailbox is open; all of them say the same. Whoever
lets something in or out writes one of them under its ETag; whoever opens or closes the mailbox writes them all. So a
closed mailbox stops even a worker that read it open, while those who only note a pause or a sweep, in the row
`mailbox`, stand in nobody's way. How many fence rows there are is known in this file alone. This version makes one, and
works with the more of them that another version may have made: that version may let something pass by any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from shared.domain.errors import UnknownForm
from shared.domain.model import FenceState, Mailbox
from shared.state import keys
from shared.state.codec import SCHEMA, Form, Stored, columns_of, form_in, members_of, read_as, unknown_members
from shared.storage.api import Insert, Op, Replace, Row

FENCES: Final = 1  # see ADR 18 for what has to come before more of them
FENCE_MEMBERS: Final = ("connection_id", "generation", "state")
IN_BOTH: Final = "generation"  # tells rows that were read while another connection was being written
COMMIT_COLUMN: Final = "commit"
FROM, TO = keys.FENCE_PREFIX, f"{keys.MAILBOX_ROW}~"


@dataclass(frozen=True, slots=True)
class StoredMailbox:
    """A mailbox as its rows say; by row: ETag, mark of the last commit, and what this version does not know in it.

    `left`: fence rows that whoever wrote the mailbox last did not know of; they let nothing pass. `members`: what was
    written for `value`, so that a member within a member that this version does not know is kept.
    """

    value: Mailbox
    etags: Mapping[str, str]
    marks: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, Form] = field(default_factory=dict)
    left: frozenset[str] = frozenset()
    members: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fences(self) -> list[str]:
        """The fence rows that there are, of whatever version."""
        return sorted(row for row in self.etags if row.startswith(keys.FENCE_PREFIX))

    @property
    def newer(self) -> bool:
        """Whether a newer version wrote some of it, and said that it means more than this version knows."""
        return any(form.schema > SCHEMA for form in self.unknown.values())


def are_torn(rows: Sequence[Row]) -> bool:
    """Whether these rows are of two generations: read while another connection was being written.

    It is not known that a query of one partition sees a transaction whole, so this does not rest on it. A fence row of
    an older generation beside the newest is one that was left. Raises UnknownForm.
    """
    generations = {row.row: _generation(form_in(row.values)) for row in _own(rows)}
    own = generations.pop(keys.MAILBOX_ROW, None)
    return own is not None and own != max(generations.values(), default=own)


def from_rows(rows: Sequence[Row]) -> StoredMailbox | None:
    """The mailbox in the rows between FROM and TO; None where it was never connected.

    Where fence rows differ, whoever wrote the mailbox last did not know of all of them: the newest generation counts,
    and in it a row that is closed. Raises UnknownForm.
    """
    forms = {row.row: form_in(row.values) for row in _own(rows)}
    if not forms:
        return None
    fences = {name: form.members for name, form in forms.items() if name != keys.MAILBOX_ROW}
    first = max(fences, key=lambda name: (_generation(forms[name]), _is_closed(fences[name])), default=None)
    said = fences[first] if first is not None else {}
    left = (name for name, fence in fences.items() if _said(fence) != _said(said))
    beside = forms[keys.MAILBOX_ROW].members if keys.MAILBOX_ROW in forms else {}
    return StoredMailbox(
        read_as(Mailbox, {**said, **beside}),
        {row.row: row.etag for row in _own(rows)},
        {name: str(form.columns.get(COMMIT_COLUMN, "")) for name, form in forms.items()},
        {name: replace(form, members=unknown_members(Mailbox, form.members)) for name, form in forms.items()},
        frozenset(left),
        {**said, **beside},
    )


def _generation(form: Form) -> int:
    generation = form.members.get(IN_BOTH)
    if not isinstance(generation, int):
        raise UnknownForm
    return generation


def _own(rows: Sequence[Row]) -> list[Row]:
    """The mailbox's rows among these: rows of a newer version, of whatever name, may lie between them."""
    return [row for row in rows if row.row == keys.MAILBOX_ROW or row.row.startswith(keys.FENCE_PREFIX)]


def rows_to_write(before: StoredMailbox | None, value: Mailbox, *, passes: bool, jitter: float) -> list[str]:
    """Which rows a change of the mailbox writes: a fence row where something passes, and its own row if it changed."""
    made = [keys.fence_row(number) for number in range(FENCES)]
    if before is None or _fence_members(before.value) != _fence_members(value):
        return [*sorted({*made, *(before.fences if before is not None else ())}), keys.MAILBOX_ROW]
    open_to = [row for row in before.fences if row not in before.left] or made
    chosen = [open_to[int(jitter * len(open_to))]] if passes else []
    return [*chosen, *([keys.MAILBOX_ROW] if before.value != value else [])]


def members_to_write(before: StoredMailbox | None, value: Mailbox) -> dict[str, Any]:
    """The mailbox's members as they are to be written; one that has not changed stays as it was, at any depth."""
    if before is None:
        return members_of(Stored(value))
    members = members_of(Stored(value, None, before.value, Form(before.members)))
    unknown = unknown_members(Mailbox, members)
    return {name: member for name, member in members.items() if name not in unknown}


def written(before: StoredMailbox | None, value: Mailbox, row: str, mark: str) -> Op:
    """The write of one of these rows, under the ETag it was read with."""
    members = members_to_write(before, value)
    fence = {name: members[name] for name in FENCE_MEMBERS}
    beside = {name: value for name, value in members.items() if name == IN_BOTH or name not in fence}
    kind, known = ("Mailbox", beside) if row == keys.MAILBOX_ROW else ("Fence", fence)
    unknown = (before.unknown.get(row) if before is not None else None) or Form()
    etag = before.etags.get(row) if before is not None else None
    marked = {**columns_of(kind, {**unknown.members, **known}, unknown), COMMIT_COLUMN: mark}
    return Replace(row, marked, etag) if etag else Insert(row, marked)


def _fence_members(mailbox: Mailbox) -> tuple[Any, ...]:
    return tuple(getattr(mailbox, name) for name in FENCE_MEMBERS)


def _said(fence: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(fence.get(name) for name in FENCE_MEMBERS)


def _is_closed(fence: Mapping[str, Any]) -> bool:
    return fence.get("state") == FenceState.CLOSED.value
