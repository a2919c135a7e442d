"""A contact's mail as mail programs write it: pictures in the text, text behind files, parts that nobody sent."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from sandbox.story.acts import PDF, attached
from sandbox.story.stage import CARLA
from tests.simulation.moves import connected, crm_sends, in_crm
from tests.simulation.settings import Settings
from tests.simulation.world import one_process

GIF, PNG = b"GIF89a" + b"0" * 50, b"\x89PNG\r\n\x1a\n" + b"0" * 50
KNOBS: list[Settings] = [
    {},
    {"inline_flag": "right", "renamed_attachments": "kept"},
    {"content_id_cast": "refused", "expanded_attachments_page": 1},
    {"content_id_cast": "refused", "expand_attachments": "refused", "renamed_attachments": "kept"},
]


def part(content: bytes, content_type: str, **members: Any) -> dict[str, Any]:
    """A part without a name, as the simulator's controls take it."""
    return {"content_base64": b64encode(content).decode(), "content_type": content_type, **members}


APPLE_MAIL = [
    part(GIF, "image/gif", name="logo.gif", content_id="<Logo@x>", inline=True),
    part(PNG, "image/png", name="photo.png", content_id="photo@x", inline=True),
    attached("offer.pdf", "application/pdf", PDF),
    part("<p>Best wishes, Carlä</p>".encode(), "text/html"),
    part(b"BEGIN:VCALENDAR", "text/calendar"),
]
HTML = '<p>Here it is.</p><img src="cid:logo@x"><img src="cid:photo@x">'


@pytest.mark.parametrize("settings", KNOBS, ids=str)
async def test_a_mail_of_apple_mail(tmp_path: Path, settings: Settings) -> None:
    """A mail with pictures, a file and text behind it arrives with all of it, whatever Exchange makes of its parts."""
    async with one_process(tmp_path, knobs=settings) as world:
        stage = await connected(world)
        await crm_sends(stage, "A question.")
        await world.advance(60.0)
        newest = (await stage.outside(CARLA))[-1]
        await stage.control(
            "POST", f"outside/{CARLA}/reply", internet_message_id=newest["internet_message_id"],
            html=HTML, attachments=APPLE_MAIL,
        )  # fmt: skip
        await world.advance(3_600.0)  # while its files are scanned it is held
        (shown,) = await in_crm(stage, "Here it is.")
        assert "Best wishes, Carlä" in shown["html"]
        files = [(file["omitted"], file["inline"]) for file in shown["attachments"]]
        assert sorted(files, key=str) == [
            ("report_part", False), ("text_part", False), ("type", True), (None, False), (None, True),
        ]  # fmt: skip
        assert "offer.pdf" in [file["name"] for file in shown["attachments"] if not file["omitted"]]


async def test_a_mail_with_two_thousand_files(tmp_path: Path) -> None:
    """A mail with 2,000 files is told with its reason, and costs a bounded number of calls."""
    async with one_process(tmp_path) as world:
        stage = await connected(world)
        await crm_sends(stage, "A question.")
        await world.advance(60.0)
        newest = (await stage.outside(CARLA))[-1]
        since, _ = await stage.requests()
        await stage.control(
            "POST", f"outside/{CARLA}/reply", internet_message_id=newest["internet_message_id"],
            html="<p>All of it.</p>", attachments=[attached("a.txt", "text/plain", b"a")] * 2_000,
        )  # fmt: skip
        await world.advance(120.0)
        (event,) = await stage.crm_events("message.not_synced")
        assert event["data"]["reason"]["code"] == "too_many_attachments"
        _, log = await stage.requests(since)
        assert len([request for request in log if request["operation"].startswith("attachment.")]) <= 20
