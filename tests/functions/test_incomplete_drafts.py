"""Drafts that lack something: what else lies on a draft does not matter, five tries at most, nothing left behind."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from shared.domain.errors import (
    Ambiguous,
    GrantDead,
    MessageRefused,
    PostbraidError,
    ProviderUnavailable,
    Throttled,
    UpstreamSurprise,
)
from shared.domain.model import RemoteFile
from tests.functions.app import App

PICTURES = tuple(
    RemoteFile("q", "image001.png", "image/png", 900, inline=inline, kind="file") for inline in (True, False)
)


def files(size: int = 8) -> list[dict[str, str]]:
    """One PDF as a send carries it."""
    content = b"%PDF-1.7" + b"\0" * (size - 8)
    return [{"name": "offer.pdf", "content_base64": base64.b64encode(content).decode()}]


async def replying(app: App, **changes: Any) -> str:
    """The CRM answers with a file."""
    told = await app.answered()
    return await app.accepted("m-2", thread_id=told["thread_id"], attachments=files(), **changes)


async def test_pictures_that_a_reply_draft_brings_along(begun: App) -> None:
    """A reply with a file leaves at the first try although its draft brings pictures of the quoted mail."""
    begun.mail.brought_by_replies = PICTURES
    message_id = await replying(begun)
    await begun.later(minutes=3)
    assert await begun.standing(message_id) == ("sent", None)
    assert begun.mail.calls.count("create_reply") == 1
    assert (begun.mail.drafts, begun.mail.deleted) == ({}, {})


async def test_a_draft_that_never_holds_its_files(begun: App) -> None:
    """A draft that lacks its file five times ends the send with its own reason; all five drafts are deleted."""
    begun.mail.drops = 1_000
    message_id = await replying(begun)
    await begun.later(hours=2)
    assert await begun.standing(message_id) == ("failed", "draft_incomplete")
    assert begun.crm.last["reason"]["code"] == "draft_incomplete"
    assert begun.mail.calls.count("create_reply") == 5
    assert (begun.mail.drafts, len(begun.mail.deleted), len(begun.mail.sent)) == ({}, 5, 1)


async def test_an_outage_does_not_count_as_a_try(begun: App) -> None:
    """Failures in between do not count: only what the mailbox answered and did not keep does."""
    begun.mail.drops = 4
    begun.mail.next["attach"] = [Ambiguous() for _ in range(6)]
    begun.mail.next["files"] = [ProviderUnavailable() for _ in range(3)]
    message_id = await replying(begun)
    await begun.later(hours=2)
    assert await begun.standing(message_id) == ("sent", None)


STEPS = ["fill_reply", "attach", "files"]
ERRORS = [Ambiguous(), ProviderUnavailable(), UpstreamSurprise(), MessageRefused("mailbox_full")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("step", STEPS)
async def test_a_draft_that_cannot_be_completed_is_deleted_by_its_maker(
    begun: App, step: str, error: PostbraidError
) -> None:
    """A draft that one step could not complete is deleted at once by its id, with a key or without (E-11)."""
    begun.mail.takes_no_key = True
    begun.mail.next[step] = [error]
    await replying(begun)
    await begun.pump()
    assert list(begun.mail.drafts) == []
    assert len(begun.mail.deleted) == 1
    assert "find_by_key" not in begun.mail.calls


@pytest.mark.parametrize("error", [Throttled(60), GrantDead()], ids=lambda error: type(error).__name__)
async def test_nothing_is_deleted_where_no_call_may_be_made(begun: App, error: PostbraidError) -> None:
    """After a 429 or with a dead consent no further call is made, not even to delete a draft."""
    begun.mail.next["attach"] = [error]
    await replying(begun)
    await begun.pump()
    assert "delete_draft" not in begun.mail.calls


async def test_a_draft_is_not_deleted_once_its_sending_was_tried(begun: App) -> None:
    """From the step to `sending` on the maker deletes nothing, whatever the send answers (E-11)."""
    begun.mail.next["send"] = [Ambiguous()]
    await replying(begun)
    await begun.pump()
    assert (len(begun.mail.drafts), begun.mail.calls.count("delete_draft")) == (1, 0)


async def test_deleting_may_fail(begun: App) -> None:
    """A draft that cannot be deleted either keeps nobody from trying anew, and the janitor comes upon it."""
    begun.mail.drops = 1
    begun.mail.next["delete_draft"] = [ProviderUnavailable()]
    message_id = await replying(begun)
    await begun.later(minutes=20)
    assert await begun.standing(message_id) == ("sent", None)
    assert (begun.mail.drafts, len(begun.mail.deleted)) == ({}, 1)


# ---- the upload host


async def test_an_upload_host_that_fails_is_left_for_the_request(ready: App) -> None:
    """A file that the upload host does not take is put on a fresh draft by a request, at the same try."""
    ready.mail.attaches_apart = ready.mail.uploads_fail = True
    message_id = await ready.accepted(attachments=files())
    await ready.pump()
    assert (len(ready.mail.sent), len(ready.mail.deleted)) == (1, 1)
    await ready.later(minutes=2)
    assert await ready.standing(message_id) == ("sent", None)


async def test_a_file_that_fits_no_request_waits_for_the_upload_host(ready: App) -> None:
    """A file that fits no request waits, as in any outage, and leaves when the upload host works again."""
    ready.mail.attaches_apart = ready.mail.uploads_fail = True
    ready.mail.posts_at_most_bytes = 7
    message_id = await ready.accepted(attachments=files())
    await ready.later(hours=5)
    assert (await ready.standing(message_id))[0] == "waiting"
    assert (ready.mail.sent, ready.mail.drafts) == ({}, {})
    ready.mail.uploads_fail = False
    await ready.later(minutes=10)
    assert await ready.standing(message_id) == ("sent", None)


# ---- plain text


async def test_a_plain_text_draft_keeps_what_the_contact_wrote(begun: App) -> None:
    """Above a plain-text quotation our HTML leaves as HTML, and the contact's signs stay as they were written."""
    told = await begun.answered()
    begun.mail.reply_text = "On Monday Bea wrote:\r\n  if a <b> c & d </body>"
    await begun.sent("m-2", thread_id=told["thread_id"])
    (html,) = begun.mail.filled.values()
    assert html.startswith("<p>Here it is.</p><pre")
    assert "On Monday Bea wrote:\n  if a &lt;b&gt; c &amp; d &lt;/body&gt;</pre>" in html
