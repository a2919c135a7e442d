"""The hook that makes a process of the development host behave as the product's next version would.

It writes rows with members at every depth, columns and a schema number that this version does not know, works through
tasks of a kind and sends in a phase of its own, and puts job messages of a higher version into the queues. It reads
what both versions write. `make rolling` runs it beside this version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sandbox.hooks import install as install_as_ever
from shared.state import codec, mailbox_rows
from shared.state.codec import Form
from shared.sync.queueing import jobs

if TYPE_CHECKING:
    from sandbox.devhost.context import HostContext

T = TypeVar("T")

MARK: Final = "of_the_next_version"
NEW_WORDS: Final = {
    ("Task", "kind", "deliver"): "deliver_of_the_next_version",
    ("OutboxItem", "phase", "building"): "building_of_the_next_version",
}
"""By record, member and word: what the next version writes instead, and this one does not know."""


def install(context: HostContext) -> None:
    """Called by the host in each process before it imports the app."""
    install_as_ever(context)
    write, read = codec.columns_of, codec.read_as

    def columns_of(kind: str, members: Mapping[str, Any], form: Form) -> dict[str, Any]:
        return {**write(kind, _marked(_in_new_words(kind, members)), form), MARK: "column"}

    def read_as(kind: type[T], members: Mapping[str, Any]) -> T:
        return read(kind, _in_old_words(kind.__name__, members))

    for module in (codec, mailbox_rows):
        vars(module).update(SCHEMA=2, columns_of=columns_of, read_as=read_as)
    vars(jobs).update(VERSION=2)


def _in_new_words(kind: str, members: Mapping[str, Any]) -> dict[str, Any]:
    words = {
        name: fresh
        for (record, name, old), fresh in NEW_WORDS.items()
        if record == kind and members.get(name) == old
    }
    return {**members, **words}


def _in_old_words(kind: str, members: Mapping[str, Any]) -> dict[str, Any]:
    words = {
        name: old
        for (record, name, old), fresh in NEW_WORDS.items()
        if record == kind and members.get(name) == fresh
    }
    return {**members, **words}


def _marked(value: Any) -> Any:
    """The value with one more member in every object of it."""
    if isinstance(value, Mapping):
        return {**{name: _marked(member) for name, member in value.items()}, MARK: {"of": ["tomorrow"]}}
    return [_marked(item) for item in value] if isinstance(value, list | tuple) else value
