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
    return [
        "put" if request.method == "PUT" else request.url.path.rpartition("/")[2] for request in wire.requests
    ]


async def test_small_files_are_posted(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A file below 3 MB is attached by one POST."""
    graph(wire)
    await mail.attach(ann, "d", file(2_000_000))
    assert ways(wire) == ["attachments"]


async def test_large_files_go_by_session(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A large file is uploaded in order by a session, without our token, to the address that Graph gave."""
    graph(wire)
    content = bytes(range(256)) * (FULL // 256) + b"end"
    await mail.attach(ann, "d", file(0, content=content))
    assert ways(wire) == ["createUploadSession", "put"]
    wire.requests.clear()
    await mail.attach(ann, "d", file(0, content=content * 3))
    assert ways(wire) == ["createUploadSession", "put", "put", "put"]
    puts = wire.requests[1:]
    assert b"".join(put.content for put in puts) == content * 3
    assert {str(put.url) for put in puts} == {str(httpx.URL(SESSION))}
    assert not any("authorization" in put.headers for put in puts)
    total = 3 * len(content)
    assert [put.headers["content-range"] for put in puts] == [
        f"bytes 0-{CHUNK_BYTES - 1}/{total}",
        f"bytes {CHUNK_BYTES}-{2 * CHUNK_BYTES - 1}/{total}",
        f"bytes {2 * CHUNK_BYTES}-{total - 1}/{total}",
    ]


async def test_each_way_falls_back_to_the_other(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """When Graph refuses a file for its size by one way, it is attached by the other (F-9)."""
    graph(wire, refused={"attachments": (413, "ErrorAttachmentSizeLimitExceeded")})
    await mail.attach(ann, "d", file(2_800_000))
    assert ways(wire) == ["attachments", "createUploadSession", "put"]
    wire.requests.clear()
    wire.answers.clear()
    graph(wire, refused={"createUploadSession": (400, "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize")})
    await mail.attach(ann, "d", file(2_950_000))
    assert ways(wire) == ["createUploadSession", "attachments"]


async def test_a_file_that_fits_no_way_is_refused(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A file that both ways refuse for its size ends the send as too large."""
    graph(
        wire,
        refused={"attachments": (413, ""), "createUploadSession": (413, "ErrorAttachmentSizeLimitExceeded")},
    )
    with pytest.raises(errors.MessageRefused) as caught:
        await mail.attach(ann, "d", file(10))
    assert caught.value.reason == "message_too_large"
    assert ways(wire) == ["attachments", "createUploadSession"]


async def test_other_refusals_are_no_reason_to_try_again(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A full mailbox or an unknown outcome does not lead to attaching the file by the other way."""
    for answer, kind in (((403, "ErrorQuotaExceeded"), errors.MessageRefused), ((504, ""), errors.Ambiguous)):
        wire.answers.clear()
        wire.requests.clear()
        graph(wire, refused={"attachments": answer})
        with pytest.raises(kind):
            await mail.attach(ann, "d", file(10))
        assert ways(wire) == ["attachments"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 416, 500, 503, 504])
async def test_an_upload_that_is_refused_is_the_hosts_failure(
    wire: Wire, mail: GraphMail, ann: Tokens, status: int
) -> None:
    """Whatever the upload host refuses with, it is its failure, not the grant's, and nothing is posted beside it."""
    graph(wire, refused={"put": (status, "ErrorAccessDenied")})
    with pytest.raises(errors.UploadFailed):
        await mail.attach(ann, "d", file(FULL))
    assert ways(wire) == ["createUploadSession", "put"]


async def test_an_upload_host_that_does_not_answer(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """An upload host that cannot be resolved, or does not answer, has failed."""
    for broken in (httpx.ConnectError("no such host"), httpx.ReadTimeout("")):

        def answer(request: httpx.Request, error: Exception = broken) -> httpx.Response:
            if request.method == "PUT":
                raise error
            return httpx.Response(201, json={"uploadUrl": SESSION})

        wire.answers.clear()
        wire.answers.append(answer)
        with pytest.raises(errors.UploadFailed):
            await mail.attach(ann, "d", file(FULL))


async def test_a_busy_upload_host_asks_for_a_pause(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A 429 of the upload host is a pause as any other."""
    graph(wire, refused={"put": (429, "")})
    with pytest.raises(errors.Throttled):
        await mail.attach(ann, "d", file(FULL))


async def test_files_go_to_outlook_only(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """An upload address that is not Outlook's gets nothing of the file."""
    graph(wire, url="https://outlook.office.com.evil.test/upload")
    with pytest.raises(errors.UploadFailed):
        await mail.attach(ann, "d", file(FULL))
    assert ways(wire) == ["createUploadSession"]


async def test_past_the_upload_host(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """Without the upload host a file that fits a request is posted, and one that does not waits for the host."""
    graph(wire)
    await mail.attach(ann, "d", file(3_145_000), directly=True)
    assert ways(wire) == ["attachments"]
    assert len(wire.requests[-1].content) <= 4 * 1024 * 1024
    with pytest.raises(errors.UploadFailed):
        await mail.attach(ann, "d", file(FULL), directly=True)
    assert ways(wire) == ["attachments"]
    wire.answers.clear()
    graph(wire, refused={"attachments": (413, "RequestEntityTooLarge")})
    with pytest.raises(errors.UploadFailed):
        await mail.attach(ann, "d", file(3_000_000), directly=True)


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
    """A file may be uploaded to Outlook's hosts over https and to Graph's own origin, and nowhere else."""
    assert may_upload_to(url, BASE) is may


@given(st.integers(0, 3 * CHUNK_BYTES + 2))
def test_pieces_are_the_whole(size: int) -> None:
    """Upload pieces join to the file, each below 4 MB and all but the last a multiple of 320 KiB."""
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
    """A draft that is estimated to fit a request really does, whatever its letters."""
    if fit_inside(content, limit):
        assert len(msgspec.json.encode(mapping.draft_to_graph(content, with_files=True))) <= limit


def test_the_estimate_is_not_timid() -> None:
    """A draft with a file of 2.9 MB is estimated to fit one request."""
    content = DraftContent(KEY, (Address("bea@x"),), (), (), "Offer", "<p>Hi</p>", (file(2_900_000),))
    assert fit_inside(content, MAX_REQUEST_BYTES)
