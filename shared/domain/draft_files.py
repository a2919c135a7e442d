"""Whether a draft holds all files that were put on it, and how often one that does not is made anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.domain.model import OutgoingFile, RemoteFile

MOST_INCOMPLETE_DRAFTS: Final = 5
STORED_WITH_BYTES: Final = 65_536


def holds_all(found: Sequence[RemoteFile], ours: Sequence[OutgoingFile]) -> bool:
    """Whether each of our files is among those found, at least as large as it is (Graph counts its overhead in).

    What else lies on the draft is not ours: pictures of the quoted mail, an add-in's logo (msgraph-sdk-dotnet 2937,
    office-js 5457). A name that Exchange changed is made up for by the size; whether it says inline does not matter.
    """
    left, renamed = sorted(found, key=lambda remote: remote.size_bytes), []
    for file in sorted(ours, key=lambda file: len(file.content)):
        same = [
            remote for remote in left if remote.name == file.name and remote.size_bytes >= len(file.content)
        ]
        if same:
            left.remove(same[0])
        else:
            renamed.append(len(file.content))
    for size in renamed:
        fits = range(size, size + STORED_WITH_BYTES)
        other = [remote for remote in left if remote.size_bytes in fits and not remote.inline]
        if not other:
            return False
        left.remove(other[0])
    return True
