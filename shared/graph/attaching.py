"""Files onto drafts: inside one request, by upload session, and each falling back to the other (F-9).

Source: Microsoft Graph, "Attach large files to Outlook messages or events": requests up to 4 MB, and base64 adds a
third; sessions take files of 3 MB and more, in pieces below 4 MB, in order, without an Authorization header.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from shared.domain.errors import MessageRefused, UploadFailed
from shared.domain.model import DraftContent, OutgoingFile
from shared.graph import mapping, wire
from shared.graph.client import GraphClient, decoded, same_origin
from shared.graph.errors import is_wrong_size
from shared.ports import Access

POST_BELOW_BYTES: Final = 2_900_000
MOST_POSTED_BYTES: Final = 4 * 1024 * 1024
CHUNK_BYTES: Final = 320 * 1024 * 10
UPLOAD_HOSTS: Final = (
    "outlook.office.com",
    "outlook.office365.com",
    "outlook.office365.us",
    "outlook-dod.office365.us",
    "partner.outlook.cn",
)


async def attach(
    client: GraphClient, access: Access, graph_message_id: str, file: OutgoingFile, *, directly: bool = False
) -> None:
    """Attach one file, first by the way that its size suggests. Raises what both ways raise.

    `directly`: the upload host has failed, so by a request to Graph or not now (UploadFailed).
    """
    if directly:
        await _post_or_not_now(client, access, graph_message_id, file)
        return
    ways = (_post, _upload)
    first, second = ways if len(file.content) < POST_BELOW_BYTES else ways[::-1]
    try:
        await first(client, access, graph_message_id, file)
    except MessageRefused as err:
        if not is_wrong_size(err):
            raise
        await second(client, access, graph_message_id, file)


async def _post_or_not_now(
    client: GraphClient, access: Access, graph_message_id: str, file: OutgoingFile
) -> None:
    """What fits no request waits for the upload host. Raises UploadFailed for it."""
    if _encoded_bytes(file) > MOST_POSTED_BYTES:
        raise UploadFailed
    try:
        await _post(client, access, graph_message_id, file)
    except MessageRefused as err:
        if is_wrong_size(err):
            raise UploadFailed from err
        raise


async def _post(client: GraphClient, access: Access, graph_message_id: str, file: OutgoingFile) -> None:
    attachments = client.message(graph_message_id).attachments
    request = attachments.to_post_request_information(mapping.file_to_graph(file))
    await client.call(access, "attach", request)


async def _upload(client: GraphClient, access: Access, graph_message_id: str, file: OutgoingFile) -> None:
    builder = client.message(graph_message_id).attachments.create_upload_session
    request = builder.to_post_request_information({"AttachmentItem": mapping.file_to_upload(file)})
    url = decoded(await client.call(access, "attach", request), wire.UploadSession).upload_url
    if not may_upload_to(url, client.base_url):
        raise UploadFailed
    for start, piece in pieces(file.content):
        content_range = f"bytes {start}-{start + len(piece) - 1}/{len(file.content)}"
        await client.put(access, url, piece, content_range)


def pieces(content: bytes) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) of every piece, in order."""
    for start in range(0, len(content), CHUNK_BYTES):
        yield start, content[start : start + CHUNK_BYTES]


def may_upload_to(url: str, base_url: str) -> bool:
    """The upload address may lie on Graph's own host or on Outlook's, and nowhere else."""
    return any(same_origin(url, base) for base in (base_url, *(f"https://{host}" for host in UPLOAD_HOSTS)))


def fit_inside(content: DraftContent, limit_bytes: int) -> bool:
    """Whether one request holds the draft with all its files; judged before any of them is encoded.

    A letter of text may take six bytes in JSON, and a file four for every three.
    """
    files = sum(_encoded_bytes(file) for file in content.files)
    people = sum(
        6 * (len(person.address) + len(person.name)) + 100
        for person in (*content.to, *content.cc, *content.bcc)
    )
    text = len(msgspec.json.encode((content.subject, content.html)))
    return files + people + text + 1_000 <= limit_bytes


def _encoded_bytes(file: OutgoingFile) -> int:
    return -(-len(file.content) // 3) * 4 + 6 * len(file.name) + 400
