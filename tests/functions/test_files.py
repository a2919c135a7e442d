"""Files over HTTP: taken ahead of a send, given by signed links."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import unquote

import pytest

from shared.security.links import LinkSigner
from shared.state import keys
from tests.functions.answers import Answer, problem
from tests.functions.app import App, send_body
from tests.unit.file_contents.files import DOC, DOCX, ZIP
from tests.unit.file_contents.files import EXE_WHOLE as PROGRAM

LIMIT = 3_145_728
MISMATCH = "attachment_content_mismatch"

GOOD: dict[str, tuple[bytes, str]] = {
    "photo.jpg": (b"\xff\xd8\xff\xe0JFIF", "image/jpeg"),
    "photo.jpeg": (b"\xff\xd8\xff\xe1Exif", "image/jpeg"),
    "logo.png": (b"\x89PNG\r\n\x1a\n", "image/png"),
    "film.mp4": (b"\x00\x00\x00\x18ftypisom", "video/mp4"),
    "film.mpeg": (b"\x00\x00\x01\xba", "video/mpeg"),
    "all.zip": (b"PK\x03\x04", "application/zip"),
    "all.rar": (b"Rar!\x1a\x07\x00", "application/vnd.rar"),
    "offer.pdf": (b"%PDF-1.7", "application/pdf"),
    "old.doc": (DOC, "application/msword"),
    "new.docx": (
        DOCX,
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    "notes.txt": ("Grüße".encode(), "text/plain; charset=utf-8"),
    "OFFER.PDF": (b"%PDF-1.7", "application/pdf"),
    "empty.txt": (b"", "text/plain; charset=utf-8"),
}

REFUSED: dict[str, tuple[str, bytes, str, str]] = {
    "unlisted": ("tool.exe", b"MZ", "attachment_type_not_supported", ""),
    "without an extension": ("README", b"x", "attachment_type_not_supported", ""),
    "two extensions": ("offer.pdf.exe", b"%PDF-", "attachment_type_not_supported", ""),
    "a web page": ("page.html", b"<p>", "attachment_type_not_supported", ""),
    "a program as a picture": ("photo.png", PROGRAM, MISMATCH, ": named .png, is a Windows program"),
    "a web page as a document": ("offer.pdf", b"<html>", MISMATCH, ": named .pdf, is a web page"),
    "a picture as a text": ("notes.txt", b"\x89PNG\r\n\x1a\n", MISMATCH, ": named .txt, is a PNG picture"),
    "an archive as a document": ("new.docx", ZIP, MISMATCH, ": named .docx, is a ZIP archive"),
    "noise": ("offer.pdf", b"\x00\x01\x02", MISMATCH, ": named .pdf, is of a kind that is not known"),
    "empty": ("offer.pdf", b"", "attachment_empty", ""),
}


async def upload(app: App, name: str | None, content: bytes) -> Answer:
    headers = {} if name is None else {"Content-Disposition": f'attachment; filename="{name}"'}
    return await app.v1("POST", "files", body=content, headers=headers)


async def attached(app: App, content: bytes, name: str = "offer.txt") -> str:
    """Send a file and return the token of its link."""
    uploaded = (await upload(app, name, content)).json()
    await app.sent(attachments=[{"file_id": uploaded["id"]}])
    return str(app.crm.last["attachments"][0]["url"]).rsplit("/", 1)[1]


@pytest.mark.parametrize(("name", "file"), GOOD.items(), ids=GOOD)
async def test_listed_types_are_taken(app: App, name: str, file: tuple[bytes, str]) -> None:
    """A file whose name and content are of a listed type is taken, and stored with our content type (R7, R8)."""
    content, content_type = file
    answer = await upload(app, name, content)
    assert answer.status == 201
    said = answer.json()
    assert (said["name"], said["content_type"], said["size_bytes"]) == (name, content_type, len(content))


@pytest.mark.parametrize(("name", "content", "reason", "found"), REFUSED.values(), ids=REFUSED)
async def test_others_are_refused_at_once(
    app: App, name: str, content: bytes, reason: str, found: str
) -> None:
    """An unlisted, empty or mislabelled upload is refused with file, reason and what it is; nothing is kept."""
    staged = len(await app.staged())
    document = problem(await upload(app, name, content), 422, "attachment-refused")
    assert document["errors"] == [{"pointer": "/attachments", "detail": f"{name}: {reason}{found}"}]
    assert len(await app.staged()) == staged


async def test_three_mebibytes_are_the_limit(app: App) -> None:
    """An upload of 3,145,728 bytes is taken, one of a byte more is refused."""
    assert (await upload(app, "big.txt", b"a" * LIMIT)).status == 201
    problem(await upload(app, "big.txt", b"a" * (LIMIT + 1)), 413, "body-too-large")


NAMES = {
    "attachment; filename=offer.txt": "offer.txt",
    'attachment; filename="my offer.txt"': "my offer.txt",
    "attachment; filename*=UTF-8''Pr%C3%BCfung.txt": "Prüfung.txt",
    "attachment; filename=\"fallback.txt\"; filename*=UTF-8''real.txt": "real.txt",
    'attachment; filename="../../etc/passwd.txt"': "passwd.txt",
    'attachment; filename="a\\\\b.txt"': "b.txt",
    "attachment; filename*=iso-8859-1''Gr%FC%DFe.txt": "Grüße.txt",
    "attachment; filename*=UTF-8''100%2525.txt": "100%25.txt",
    "attachment; FileName=offer.txt": "offer.txt",
    "attachment; filename=nul.txt": "_nul.txt",
}


@pytest.mark.parametrize(("header", "name"), NAMES.items())
async def test_names_are_read_by_rfc_6266_and_made_safe(app: App, header: str, name: str) -> None:
    """An upload's name is read by RFC 6266, `filename*` first, and freed of paths (F-4)."""
    answer = await app.v1("POST", "files", body=b"x", headers={"Content-Disposition": header})
    assert answer.json()["name"] == name


UNNAMED = [
    None,
    "",
    "attachment",
    "attachment; filename=",
    'attachment; filename=""',
    "attachment; filename*=punycode''offer.pdf",
    "attachment; filename*=UTF-8''%FF%FE.pdf",
    f"attachment; filename*{'9' * 5_000}=offer.pdf",
]


@pytest.mark.parametrize("header", UNNAMED)
async def test_a_file_without_a_name_is_refused(app: App, header: str | None) -> None:
    """An upload without a file name is answered with 422, which points to the header where it belongs."""
    headers = {} if header is None else {"Content-Disposition": header}
    answer = await app.v1("POST", "files", body=b"x", headers=headers)
    document = problem(answer, 422, "invalid-request")
    assert document["errors"][0]["pointer"] == "/headers/content-disposition"


STRANGE = [
    "attachment; filename*=nonsense''a.txt",
    "attachment; filename*=UTF-8''%FF%FE.txt",
    "attachment; filename*=UTF-8''",
    "attachment; filename*=''a.txt",
    "; ; ;",
    'attachment; filename="unfinished.txt',
    "\u2603",
    "attachment; filename*0=a; filename*1=.txt",
]


@pytest.mark.parametrize("header", STRANGE)
async def test_a_strange_name_is_no_crash(app: App, header: str) -> None:
    """An upload with a malformed Content-Disposition is taken under a safe name or refused, and never crashes."""
    answer = await app.v1("POST", "files", body=b"x", headers={"Content-Disposition": header})
    assert answer.status in {201, 422}, answer.text


async def test_an_upload_waits_for_a_day(ready: App) -> None:
    """An upload that is a day old is unknown to a send."""
    uploaded = (await upload(ready, "offer.txt", b"x")).json()
    ready.clock.forward(hours=24)
    answer = await ready.v1("POST", "messages", json=send_body(attachments=[{"file_id": uploaded["id"]}]))
    problem(answer, 422, "invalid-request")


# ---- links


async def test_a_link_gives_a_download_and_nothing_to_interpret(ready: App) -> None:
    """A file link answers with the name in both forms, our type and a policy under which nothing runs (F-5)."""
    token = await attached(ready, "Grüße".encode(), 'Prüfung "1".txt')
    answer = await ready.call("GET", f"/files/{token}")
    assert (answer.status, answer.text) == (200, "Grüße")
    plain, _, extended = answer.headers["content-disposition"].partition("; filename*=UTF-8''")
    assert plain == 'attachment; filename="Pr_fung _1_.txt"'
    assert unquote(extended) == 'Prüfung "1".txt'
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_link_ends_after_a_week_and_the_message_has_a_new_one(ready: App) -> None:
    """A file link ends after a week, and reading the message gives a freshly signed one."""
    token = await attached(ready, b"x")
    message_id = ready.crm.last["id"]
    ready.clock.forward(days=7, seconds=-1)
    assert (await ready.call("GET", f"/files/{token}")).status == 200
    ready.clock.forward(seconds=1)
    problem(await ready.call("GET", f"/files/{token}"), 404, "not-found")
    shown = (await ready.v1("GET", f"messages/{message_id}")).json()
    fresh = shown["message"]["attachments"][0]["url"].rsplit("/", 1)[1]
    assert (await ready.call("GET", f"/files/{fresh}")).body == b"x"


async def test_a_tampered_link_is_no_link(ready: App) -> None:
    """A file link with another file, end, key or form is answered with the same 404 as any unknown link (X-5)."""
    token = await attached(ready, b"x")
    *parts, end, mac = token.split("~")
    stranger = LinkSigner(["a-key-of-somebody-else-altogether"])
    until = ready.clock.now() + timedelta(days=1)
    for changed in (
        "~".join([*parts, str(int(end) + 86_400), mac]),
        "~".join([*parts[:-1], "att_other", end, mac]),
        "~".join([*parts, "extra", end, mac]),
        "~".join([*parts, end]),
        stranger.mint(tuple(parts), until),
        token.swapcase(),
        "~",
        "~~~~",
        "é~1~x",
        "x" * 5000,
    ):
        problem(await ready.call("GET", f"/files/{changed}"), 404, "not-found")


async def test_a_good_link_to_nothing_is_a_404(ready: App) -> None:
    """A well-signed link to a message or file that is not there is answered with 404."""
    token = await attached(ready, b"x")
    tenant, message, file, *_ = token.split("~")
    until = ready.clock.now() + timedelta(days=1)
    for parts in (
        (tenant, message, "att_x"),
        (tenant, "msg_x", file),
        (ready.other.tenant_id, message, file),
        (tenant,),
    ):
        problem(
            await ready.call("GET", f"/files/{ready.services.file_links.mint(parts, until)}"),
            404,
            "not-found",
        )


async def test_a_file_whose_time_is_over_is_gone(ready: App) -> None:
    """A valid link to a file whose bytes were erased is answered with 410."""
    token = await attached(ready, b"x")
    for name in await ready.staged():
        await ready.blobs.delete(keys.STAGING, name)
    problem(await ready.call("GET", f"/files/{token}"), 410, "gone")
