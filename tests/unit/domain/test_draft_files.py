"""Whether a draft holds what was put on it, whatever else lies there."""

from __future__ import annotations

import pytest

from shared.domain.draft_files import holds_all
from shared.domain.model import OutgoingFile, RemoteFile

OURS = (OutgoingFile("offer.pdf", "application/pdf", b"x" * 500),)
TWO = (*OURS, OutgoingFile("offer.pdf", "application/pdf", b"x" * 90_000))


def found(name: str = "offer.pdf", size: int = 810, *, inline: bool = False) -> RemoteFile:
    return RemoteFile("att", name, None, size, inline, "file")


@pytest.mark.parametrize(
    "theirs",
    [
        [found()],
        [found(inline=True)],
        [found("image001.png", 900), found()],
        [found(), found("logo.png", 70_000), found("logo.png", 70_000)],
        [found(size=400), found()],
        [found("offer", 810)],
        [found("offer.pdf", 500_000)],
    ],
    ids=str,
)
def test_all_of_ours_are_there(theirs: list[RemoteFile]) -> None:
    """A draft with our file holds all, whatever pictures lie beside it, however it is named or shown."""
    assert holds_all(theirs, OURS)


@pytest.mark.parametrize(
    "theirs",
    [
        [],
        [found(size=499)],
        [found("image001.png", 70_000)],
        [found("image001.png", 900, inline=True)],
        [found("image001.png", 300)],
    ],
    ids=str,
)
def test_one_of_ours_is_not_there(theirs: list[RemoteFile]) -> None:
    """A draft without our file, or with less of it, does not hold all, and a quoted picture is no stand-in."""
    assert not holds_all(theirs, OURS)


def test_files_of_one_name() -> None:
    """Two files of one name are both looked for, the larger not in the place of the smaller."""
    assert holds_all([found(size=90_310), found(size=810)], TWO)
    assert not holds_all([found(size=90_310)], TWO)
    assert not holds_all([found(size=810), found(size=810)], TWO)


def test_nothing_of_ours() -> None:
    """A draft without files of ours holds all."""
    assert holds_all([found()], ())
