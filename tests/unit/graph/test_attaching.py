"""Files onto drafts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import errors
from shared.domain.model import Address, DraftContent, OutgoingFile
from shared.graph import mapping
from shared.graph.attaching import CHUNK_BYTES, fit_inside, may_upload_to, pieces
from shared.graph.provider import MAX_REQUEST_BYTES, GraphMail
from tests.builders import KEY
from tests.unit.graph.conftest import BASE, Tokens, Wire

SESSION = "https://outlook.office.com/api/v2.0/Users('u')/AttachmentSessions('s')?authtoken=t"
FULL = 3_145_728


def file(size: int, **changes: Any) -> OutgoingFile:
    return replace(OutgoingFile("a.zip", "application/zip", b"x" * size), **changes)


def graph(wire: Wire, *, refused: dict[str, tuple[int, str]] | None = None, url: str = SESSION) -> None:
    """Graph's attachments: `refused` answers a way with a status and a code."""

    def answer(request: httpx.Request) -> httpx.Response:
        way = {"PUT": "put"}.get(request.method, request.url.path.rpartition("/")[2])
        if way in (refused or {}):
            status, code = (refused or {})[way]
            return httpx.Response(status, json={"error": {"code": code}})
        return httpx.Response(201, json={"uploadUrl": url} if way == "createUploadSession" else {})

    wire.answers.append(answer)


def ways(wire: Wire) -> list[str]:
    return ["put" if one.method == "PUT" else one.url.path.rpartition("/")[2] for one in wire.requests]


async def test_small_files_are_posted(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Below 3 MB one POST is enough."""
    graph(wire)
    await mail.attach(ann, "d", file(2_000_000))
    assert ways(wire) == ["attachments"]


async def test_large_files_go_by_session(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A file that would not fit a request in base64 is uploaded in order, without our token, to where Graph says."""
    graph(wire)
    content = bytes(range(256)) * (FULL // 256) + b"end"
    await mail.attach(ann, "d", file(0, content=content))
    assert ways(wire) == ["createUploadSession", "put"]
    wire.requests.clear()
    await mail.attach(ann, "d", file(0, content=content * 3))
    assert ways(wire) == ["createUploadSession", "put", "put", "put"]
    puts = wire.requests[1:]
    assert b"".join(one.content for one in puts) == content * 3
    assert {str(one.url) for one in puts} == {str(httpx.URL(SESSION))}
    assert not any("authorization" in one.headers for one in puts)
    total = 3 * len(content)
    assert [one.headers["content-range"] for one in puts] == [
        f"bytes 0-{CHUNK_BYTES - 1}/{total}",
        f"bytes {CHUNK_BYTES}-{2 * CHUNK_BYTES - 1}/{total}",
        f"bytes {2 * CHUNK_BYTES}-{total - 1}/{total}",
    ]


async def test_each_way_falls_back_to_the_other(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Limits lie between the two ways and move; the typed size error says to take the other one (F-9)."""
    graph(wire, refused={"attachments": (413, "ErrorAttachmentSizeLimitExceeded")})
    await mail.attach(ann, "d", file(2_800_000))
    assert ways(wire) == ["attachments", "createUploadSession", "put"]
    wire.requests.clear()
    wire.answers.clear()
    graph(wire, refused={"createUploadSession": (400, "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize")})
    await mail.attach(ann, "d", file(2_950_000))
    assert ways(wire) == ["createUploadSession", "attachments"]


async def test_a_file_that_fits_no_way_is_refused(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """When both ways say that the size is wrong the message can never be sent."""
    graph(
        wire,
        refused={"attachments": (413, ""), "createUploadSession": (413, "ErrorAttachmentSizeLimitExceeded")},
    )
    with pytest.raises(errors.MessageRefused) as caught:
        await mail.attach(ann, "d", file(10))
    assert caught.value.reason == "message_too_large"
    assert ways(wire) == ["attachments", "createUploadSession"]


async def test_other_refusals_are_no_reason_to_try_again(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A full mailbox, or an unknown outcome, is not answered by attaching in another way: the file may be there."""
    for answer, kind in (((403, "ErrorQuotaExceeded"), errors.MessageRefused), ((504, ""), errors.Ambiguous)):
        wire.answers.clear()
        wire.requests.clear()
        graph(wire, refused={"attachments": answer})
        with pytest.raises(kind):
            await mail.attach(ann, "d", file(10))
        assert ways(wire) == ["attachments"]


async def test_a_broken_upload_leaves_it_open(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Nobody knows what an upload that broke off has left."""
    graph(wire, refused={"put": (500, "")})
    with pytest.raises(errors.Ambiguous):
        await mail.attach(ann, "d", file(FULL))


async def test_files_go_to_outlook_only(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """An upload address elsewhere gets nothing."""
    graph(wire, url="https://outlook.office.com.evil.test/upload")
    with pytest.raises(errors.UpstreamSurprise):
        await mail.attach(ann, "d", file(FULL))
    assert ways(wire) == ["createUploadSession"]


@pytest.mark.parametrize(
    ("url", "may"),
    [
        (SESSION, True),
        ("https://outlook.office365.com/x", True),
        ("https://partner.outlook.cn/x", True),
        ("https://outlook-dod.office365.us/x", True),
        ("https://graph.example/x", True),
        ("https://GRAPH.example:443/x", True),
        ("http://outlook.office.com/x", False),
        ("https://outlook.office.com:444/x", False),
        ("https://evil.test/outlook.office.com", False),
        ("https://evil-outlook.office.com/x", False),
        ("https://u:p@outlook.office.com/x", False),
        ("http://graph.example/x", False),
        ("", False),
        ("https://[::1", False),
    ],
)
def test_upload_addresses(url: str, may: bool) -> None:
    """Outlook's hosts over https, or Graph's own, exactly."""
    assert may_upload_to(url, BASE) is may


@given(st.integers(0, 3 * CHUNK_BYTES + 2))
def test_pieces_are_the_whole(size: int) -> None:
    """Pieces join to the file, each below 4 MB, all but the last a multiple of 320 KiB."""
    content = bytes(size)
    found = list(pieces(content))
    assert sum(len(piece) for _, piece in found) == size
    assert [start for start, _ in found] == list(range(0, size, CHUNK_BYTES))
    assert all(len(piece) < 4 * 1024 * 1024 for _, piece in found)
    assert all(len(piece) % (320 * 1024) == 0 for _, piece in found[:-1])


TEXT = st.text(max_size=200)
CONTENTS = st.builds(
    DraftContent,
    st.just(KEY),
    st.lists(st.builds(Address, TEXT, TEXT), max_size=4).map(tuple),
    st.just(()),
    st.lists(st.builds(Address, TEXT, TEXT), max_size=4).map(tuple),
    TEXT,
    TEXT,
    st.lists(
        st.builds(
            OutgoingFile,
            TEXT,
            st.just("application/pdf"),
            st.binary(max_size=400),
            st.booleans(),
            st.just("x" * 60),
        ),
        max_size=4,
    ).map(tuple),
)


@given(CONTENTS, st.integers(0, 10_000))
def test_what_fits_inside_really_does(content: DraftContent, limit: int) -> None:
    """The estimate never lets a request pass its limit, whatever dead_letters are in it."""
    if fit_inside(content, limit):
        assert len(msgspec.json.encode(mapping.draft_to_graph(content, with_files=True))) <= limit


def test_the_estimate_is_not_timid() -> None:
    """A file of 2.9 MB still goes inside."""
    content = DraftContent(KEY, (Address("bea@x"),), (), (), "Offer", "<p>Hi</p>", (file(2_900_000),))
    assert fit_inside(content, MAX_REQUEST_BYTES)
