"""Which files of a mail count: by what the text shows, whatever the flags of Exchange say (R7, R8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.domain.model import RemoteFile
from tests.functions.app import BEA_ADDRESS, App

PDF = b"%PDF-1.7 offer"
PNG = b"\x89PNG\r\n\x1a\n"


def listed(name: str, content: bytes = b"x", **members: Any) -> tuple[RemoteFile, bytes]:
    """A file as Graph lists it, and its bytes."""
    given: dict[str, Any] = {"content_type": None, "inline": False, "kind": "file", **members}
    return RemoteFile("", name, size_bytes=len(content), **given), content


async def arrived(app: App, *files: tuple[RemoteFile, bytes], html: str | None = None, **mail: Any) -> Any:
    """Bea's answer with these files; returns what the CRM was told: the event's type, and its data."""
    ours = app.mail.last_sent.internet_message_id
    number = app.mail.receive(BEA_ADDRESS, in_reply_to=ours, html=html or "<p>Yes.</p>", **mail)
    app.mail.files_of[number] = [
        (replace(file, remote_id=f"f{position}"), content) for position, (file, content) in enumerate(files)
    ]
    await app.arrives(number)
    return app.crm.types()[-1], app.crm.last


def shown(told: Any) -> list[tuple[str, str | None]]:
    """Name and reason for being left out of each file that the CRM is told of."""
    return [(file["name"], file["omitted"]) for file in told["attachments"]]


async def test_a_file_of_a_mail_whose_files_are_all_inline(begun: App) -> None:
    """A PDF that Apple Mail marks as inline syncs, although Graph says that the mail has no attachments."""
    kind, told = await arrived(begun, listed("contract.pdf", PDF, inline=True), has_attachments=False)
    assert (kind, shown(told)) == ("message.received", [("contract.pdf", None)])


INLINE = {
    "too large": (listed("scan.png", PNG + b"0" * 3_300_000, inline=True), "attachment_too_large"),
    "unlisted": (listed("tool.exe", b"MZ", inline=True), "attachment_type_not_supported"),
    "mislabelled": (listed("offer.pdf", b"MZ", inline=True), "attachment_content_mismatch"),
}


@pytest.mark.parametrize(("file", "reason"), INLINE.values(), ids=INLINE)
async def test_an_inline_file_that_the_text_does_not_show_is_an_ordinary_file(
    begun: App, file: tuple[RemoteFile, bytes], reason: str
) -> None:
    """A bad file keeps its mail out although it is marked inline and Graph says that there are no attachments."""
    kind, told = await arrived(begun, file, has_attachments=False)
    assert (kind, told["reason"]["code"]) == ("message.not_synced", reason)


async def test_a_mail_with_more_files_than_are_listed(begun: App) -> None:
    """A mail with thousands of files is told with that reason, and none of them is fetched."""
    files = [listed(f"{number}.txt") for number in range(40)]
    kind, told = await arrived(begun, *files, has_more_files=True)
    assert (kind, told["reason"]["code"]) == ("message.not_synced", "too_many_attachments")
    assert "file_content" not in begun.mail.calls
