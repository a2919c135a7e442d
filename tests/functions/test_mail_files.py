"""Which files of a mail count: by what the text shows, whatever the flags of Exchange say (R7, R8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.domain.errors import AccessRefused, ItemGone, ItemUnreadable, PostbraidError
from shared.domain.model import RemoteFile
from tests.functions.app import BEA_ADDRESS, App

PDF = b"%PDF-1.7 offer"
PNG = b"\x89PNG\r\n\x1a\n"


def listed(name: str, content: bytes = b"x", **members: Any) -> tuple[RemoteFile, bytes]:
    """A file as Graph lists it, and its bytes."""
    given: dict[str, Any] = {"content_type": None, "inline": False, "kind": "file", **members}
    return RemoteFile("", name, size_bytes=len(content), **given), content


async def arrived(app: App, *files: tuple[RemoteFile, bytes], html: str = "<p>Yes.</p>", **mail: Any) -> Any:
    """Bea's answer with these files; returns what the CRM was told: the event's type, and its data."""
    ours = app.mail.last_sent.internet_message_id
    number = app.mail.receive(BEA_ADDRESS, in_reply_to=ours, html=html, **mail)
    app.mail.files_of[number] = [
        (replace(file, remote_id=f"f{position}"), content) for position, (file, content) in enumerate(files)
    ]
    told = len(app.crm.told)
    await app.arrives(number)
    if len(app.crm.told) == told:  # Exchange may still change it: looked at again until that is final (R14)
        await app.later(minutes=50)
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


LOGO = '<p>Yes</p><img src="cid:Logo%40x">'
NOBODY_SENT: dict[str, tuple[tuple[RemoteFile, bytes], str]] = {
    "a picture that is not marked inline": (listed("logo.gif", content_id="logo@x"), "type"),
    "its id in brackets": (listed("logo.gif", content_id="<LOGO@x>", inline=True), "type"),
    "an empty picture": (listed("image001.jpg", b"", content_id="logo@x"), "attachment_empty"),
    "a mislabelled picture": (
        listed("image001.jpg", b"RIFF....WEBPVP8 ", content_id="logo@x"),
        "attachment_content_mismatch",
    ),
    "a picture without name and type": (listed("", content_id="logo@x"), "type"),
    "a clear-signed mail": (listed("smime.p7m", content_type="multipart/signed"), "report_part"),
    "a signature": (listed("OpenPGP_signature.asc"), "report_part"),
    "a meeting": (listed("ATT00001.ics", content_type="text/calendar"), "report_part"),
    "an Outlook form": (listed("winmail.dat", content_type="application/ms-tnef"), "report_part"),
}


@pytest.mark.parametrize(("file", "omitted"), NOBODY_SENT.values(), ids=NOBODY_SENT)
async def test_files_that_nobody_sent_are_noted(
    begun: App, file: tuple[RemoteFile, bytes], omitted: str
) -> None:
    """A picture of no use that the text shows, or a part that nobody sent, is left out with a note (R8)."""
    kind, told = await arrived(begun, listed("offer.pdf", PDF), file, html=LOGO)
    assert kind == "message.received"
    assert [why for _, why in shown(told)] == [None, omitted]


async def test_a_shown_picture_is_told_as_the_text_writes_it(begun: App) -> None:
    """A shown picture has the Content-ID of the text, a name of its type, and is inline, whatever Graph says."""
    logo = listed("", PNG, content_id="<LOGO@x>", content_type="image/png")
    kind, told = await arrived(begun, logo, listed("offer.pdf", PDF, inline=True), html=LOGO)
    assert kind == "message.received"
    assert [(file["name"], file["inline"], file["content_id"]) for file in told["attachments"]] == [
        ("attachment.png", True, "Logo@x"),
        ("offer.pdf", False, None),
    ]


async def test_a_shown_picture_of_a_listed_type_that_is_too_large_blocks(begun: App) -> None:
    """A shown picture of over 3 MB keeps its mail out, because it is of a listed type (R8)."""
    kind, told = await arrived(begun, listed("a.png", PNG + b"0" * 3_200_000, content_id="Logo@x"), html=LOGO)
    assert (kind, told["reason"]["code"]) == ("message.not_synced", "attachment_too_large")


REPORTS: dict[str, tuple[tuple[tuple[RemoteFile, bytes], ...], dict[str, Any]]] = {
    "by its part": (
        (
            listed("details.txt", content_type="message/delivery-status"),
            listed("Your offer", b"", kind="item"),
        ),
        {},
    ),
    "by its headers": (
        (listed("Your offer", b"", kind="item"),),
        {"headers": (("Content-Type", "multipart/report; report-type=delivery-status"),)},
    ),
    "by its class": (
        (listed("Your offer", b"", kind="item"),),
        {"message_class": "REPORT.IPM.Note.NDR"},
    ),
    "of a machine that returns the mail": (
        (listed("offer.eml", content_type="message/rfc822"),),
        {"headers": (("Auto-Submitted", "auto-replied"),)},
    ),
}


@pytest.mark.parametrize(("files", "mail"), REPORTS.values(), ids=REPORTS)
async def test_a_bounce_comes_with_the_mail_that_it_returns(
    begun: App, files: tuple[tuple[RemoteFile, bytes], ...], mail: dict[str, Any]
) -> None:
    """The parts of a bounce or an automatic answer never block, the returned mail among them (R8)."""
    kind, told = await arrived(begun, *files, **mail)
    assert kind != "message.not_synced"
    assert {why for _, why in shown(told)} == {"report_part"}


async def test_text_behind_a_file_is_the_end_of_the_mail(begun: App) -> None:
    """What Exchange makes of the text behind a file stands at the end of the body, and shows its own pictures (R8)."""
    tail = b'<html><body><p>Best,<script>x</script> Bea \xc3\xa9</p><img src="cid:sig"></body></html>'
    kind, told = await arrived(
        begun,
        listed("offer.pdf", PDF, inline=True),
        listed("ATT00001.htm", tail, content_type="text/html"),
        listed("sig.gif", content_id="sig"),
        html="<html><body><p>Yes</p></body></html>",
        text=None,
    )
    assert kind == "message.received"
    assert told["body"]["html"] == '<p>Yes</p><p>Best, Bea é</p><img src="cid:sig">'
    assert told["body"]["text"] == "Yes\n\nBest, Bea é"
    assert dict(shown(told)) == {"offer.pdf": None, "ATT00001.htm": "text_part", "sig.gif": "type"}


async def test_text_behind_a_file_of_a_plain_mail(begun: App) -> None:
    """Behind plain text it is told as plain text, HTML or not."""
    files = (listed("ATT00001.txt", b"Best,"), listed("ATT00002.htm", b"<p>Bea &amp; Co</p>"))
    _, told = await arrived(begun, listed("offer.pdf", PDF), *files, html="", text="Yes.")
    assert told["body"]["text"] == "Yes.\n\nBest,\n\nBea & Co"


@pytest.mark.parametrize("error", [ItemGone(), ItemUnreadable(), AccessRefused()], ids=repr)
async def test_text_that_cannot_be_read_is_not_left_away_in_silence(
    begun: App, error: PostbraidError
) -> None:
    """Where a part of the text cannot be read the mail is told as not synced."""
    begun.mail.next["file_content"] = [error] * 6
    kind, told = await arrived(begun, listed("ATT00001.htm", b"x"))
    assert (kind, told["reason"]["code"]) == ("message.not_synced", "attachment_unreadable")


PROTECTED: dict[str, tuple[tuple[RemoteFile, bytes], dict[str, Any]]] = {
    "S/MIME": (listed("smime.p7m", content_type="application/pkcs7-mime"), {}),
    "S/MIME under no type": (listed("smime.p7m", content_type="application/octet-stream"), {}),
    "restricted by its sender's organisation": (listed("message_v2.rpmsg"), {}),
    "PGP": (listed("encrypted.asc"), {"headers": (("Content-Type", "multipart/encrypted; protocol=x"),)}),
    "by its class": (listed("x.bin"), {"message_class": "IPM.Note.SMIME"}),
}


@pytest.mark.parametrize(("file", "mail"), PROTECTED.values(), ids=PROTECTED)
async def test_an_encrypted_mail_is_told_without_its_content(
    begun: App, file: tuple[RemoteFile, bytes], mail: dict[str, Any]
) -> None:
    """An encrypted mail reaches the CRM as `protected`, without text and files, and is in its thread (H-5)."""
    kind, told = await arrived(begun, file, html="<p>canary</p>", text="canary", **mail)
    assert (kind, told["kind"]) == ("message.received", "protected")
    assert told["body"] == {"html": "", "text": "", "truncated": False, "quoted_from": None}
    assert [why for _, why in shown(told)] == ["protected"]
    assert "file_content" not in begun.mail.calls
    answer = begun.mail.receive(BEA_ADDRESS, in_reply_to=told["internet_message_id"])
    await begun.arrives(answer)
    assert (begun.crm.last["kind"], begun.crm.last["thread_id"]) == ("mail", told["thread_id"])


STRANGE_NAMES = {
    "the same twice": (["a.pdf", "a.pdf"], ["a.pdf", "a.pdf"]),
    "paths": (["../../etc/a.pdf", "C:\\temp\\b.pdf", "/c.pdf"], ["a.pdf", "b.pdf", "c.pdf"]),
    "controls and turned text": (["a\r\n\x00b.pdf", "\u202efdp.pdf"], ["ab.pdf", "fdp.pdf"]),
    "only an extension": ([".pdf"], ["attachment.pdf"]),
    "very long": (["x" * 400 + ".pdf"], ["x" * 146 + ".pdf"]),
    "device": (["con.pdf"], ["_con.pdf"]),
}


@pytest.mark.parametrize(("names", "cleaned"), STRANGE_NAMES.values(), ids=STRANGE_NAMES)
async def test_names_that_are_none(begun: App, names: list[str], cleaned: list[str]) -> None:
    """Files of the same name sync each by itself, and names are cleaned before anything else (F-4)."""
    contents = [PDF + str(number).encode() for number in range(len(names))]
    files = [listed(name, content) for name, content in zip(names, contents, strict=True)]
    kind, told = await arrived(begun, *files)
    assert (kind, [name for name, _ in shown(told)]) == ("message.received", cleaned)
    links = [file["url"].rsplit("/", 1)[1] for file in told["attachments"]]
    assert [(await begun.call("GET", f"/files/{link}")).body for link in links] == contents


async def test_a_file_without_a_name(begun: App) -> None:
    """A nameless file is judged and named by its declared type, and its bytes still decide (F-1, F-4)."""
    kind, told = await arrived(begun, listed("", PDF, content_type="application/pdf"))
    assert (kind, shown(told)) == ("message.received", [("attachment.pdf", None)])
    kind, told = await arrived(begun, listed("", b"MZ", content_type="application/pdf"))
    assert (kind, told["reason"]["code"]) == ("message.not_synced", "attachment_content_mismatch")
    kind, told = await arrived(begun, listed("", PDF))
    assert (kind, told["reason"]["files"][0]["name"]) == ("message.not_synced", "attachment")


@pytest.mark.parametrize(("sent", "reason"), [(0, None), (50, None), (51, "too_many_attachments")])
async def test_pictures_that_the_text_shows_are_not_counted(
    begun: App, sent: int, reason: str | None
) -> None:
    """Sixty signatures quoted in a long answer do not keep it out; those beyond fifty files are noted (R8)."""
    pictures = [
        listed(f"image{n:03}.png", PNG, inline=True, content_id=f"i{n}", content_type="image/png")
        for n in range(60)
    ]
    html = "".join(f'<img src="cid:i{n}">' for n in range(60))
    files = [listed(f"offer{n}.pdf", PDF) for n in range(sent)]
    kind, told = await arrived(begun, *pictures, *files, html=html)
    if reason is not None:
        assert (kind, told["reason"]["code"]) == ("message.not_synced", reason)
        return
    left_out = [name for name, omitted in shown(told) if omitted == "too_many_attachments"]
    assert (kind, len(left_out)) == ("message.received", 10 + sent)
    assert all(name.endswith(".png") for name in left_out)
