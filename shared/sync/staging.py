"""Blobs of bodies and files: random names, never the name of a file (F-4).

Before the random part stands whose the blob is: the id of a message, or an upload. So what a crash or a lost race left
behind is found by asking that row alone (`shared.sync.tasks.erase_unnamed`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from shared.domain.errors import ItemGone
from shared.services import Services
from shared.state import keys

INLINE_CHARACTERS: Final = 24_000


def new_name(s: Services, tenant_id: str, owner: str) -> str:
    """A name for a blob of this message or upload."""
    return f"{tenant_id}/{owner}/{s.random.token(24)}"


async def stage(s: Services, tenant_id: str, owner: str, content: bytes, content_type: str) -> str:
    """Keep bytes of a message, `owner` being its id; returns the blob's name."""
    name = new_name(s, tenant_id, owner)
    await s.blobs.put(keys.STAGING, name, content, content_type)
    return name


async def unstage(s: Services, name: str) -> bytes:
    """The bytes of a staged blob. Raises ItemGone when its time is over."""
    blob = await s.blobs.get(keys.STAGING, name)
    if blob is None:
        raise ItemGone
    return blob.data


class Body(msgspec.Struct, frozen=True):
    """A message's body in both forms."""

    html: str
    text: str


async def stage_body(s: Services, tenant_id: str, message_id: str, body: Body) -> str:
    """Keep the body of a message."""
    return await stage(s, tenant_id, message_id, msgspec.json.encode(body), "application/json")


async def unstage_body(s: Services, name: str) -> Body:
    """A kept body."""
    return msgspec.json.decode(await unstage(s, name), type=Body)


async def read_kept_body(s: Services, name: str) -> Body:
    """A kept body, or an empty one when its time is over: a mail that left so late is announced all the same."""
    try:
        return await unstage_body(s, name)
    except ItemGone:
        return Body("", "")
