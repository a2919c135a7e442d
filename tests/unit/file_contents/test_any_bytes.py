"""Whatever the bytes are, judging them ends with a verdict, soon."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.attachments import TYPES
from shared.file_contents import judge_content
from shared.file_contents.containers import is_doc, name_of_zip, zip_names
from tests.unit.file_contents import files

CORPUS = Path(__file__).parent / "corpus"
FILES = {
    row["file"]: CORPUS.joinpath(row["file"]).read_bytes()
    for row in json.loads((CORPUS / "manifest.json").read_text())
}


@given(st.sampled_from(sorted(TYPES)), st.binary(max_size=600))
def test_any_bytes_have_a_verdict(extension: str, content: bytes) -> None:
    """No bytes make the judge fail, under any listed name."""
    judge_content(f"a.{extension}", content)


@settings(max_examples=max(150, settings().max_examples))
@given(st.data())
def test_a_damaged_file_has_a_verdict(data: st.DataObject) -> None:
    """A real file with bytes changed, cut or doubled makes the judge fail never."""
    content = bytearray(FILES[data.draw(st.sampled_from(sorted(FILES)))])
    for _ in range(data.draw(st.integers(1, 6))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    for damaged in (bytes(content), bytes(content[:cut]), bytes(content[cut:])):
        for extension in TYPES:
            judge_content(f"a.{extension}", damaged)


def test_a_long_directory_is_read_in_bounds() -> None:
    """A directory as long as a file may be is read to its end, whatever number of entries it claims."""
    entry = b"PK\x01\x02" + bytes(24) + b"\x01\x00" + bytes(16) + b"x"
    count = 3_000_000 // len(entry)
    directory = entry * count
    end = b"PK\x05\x06" + bytes(4) + b"\xff\xff\xff\xff" + len(directory).to_bytes(4, "little") + bytes(6)
    before = time.process_time()
    assert zip_names(directory + end) == {"x"}
    assert name_of_zip(directory + end) == "a ZIP archive"
    assert time.process_time() - before < 2


@pytest.mark.parametrize("claimed", [0, 1, 2])
def test_macros_are_seen_behind_what_the_directory_claims(claimed: int) -> None:
    """Macros stay macros where the end of the ZIP says that its directory has fewer entries, and behind very many."""
    packed = bytearray(files.archive("[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"))
    end = packed.rfind(b"PK\x05\x06")
    packed[end + 8 : end + 12] = claimed.to_bytes(2, "little") * 2
    many = files.archive(
        "[Content_Types].xml", "word/document.xml", *map(str, range(20_001)), "word/vbaProject.bin"
    )
    for content in (bytes(packed), many):
        assert name_of_zip(content) == "an Office document with macros"


@pytest.mark.parametrize("start", ["root", "fat", "directory"])
def test_an_ole_file_that_points_at_itself_ends(start: str) -> None:
    """Chains of sectors that lead back to themselves, and a directory that is its own child, end."""
    content = bytearray(FILES["word.doc"])
    if start == "root":
        content[1024 + 76 : 1024 + 80] = (0).to_bytes(4, "little")
    elif start == "fat":
        content[512 + 4 : 512 + 8] = (1).to_bytes(4, "little")
    else:
        content[1024 + 128 + 68 : 1024 + 128 + 72] = (1).to_bytes(4, "little")
    is_doc(bytes(content))
