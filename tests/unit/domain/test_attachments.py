"""R7 and R8: which files sync, judged by name and by metadata."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.attachments import (
    MAX_FILE_BYTES,
    MAX_INBOUND_FILES,
    MAX_OUTBOUND_BYTES,
    MAX_OUTBOUND_FILES,
    OVERHEAD_FACTOR,
    TYPES,
    FileProblem,
    extension_of,
    judge_inbound,
    judge_metadata,
    judge_outbound,
    keeps_back,
    received_name,
)
from shared.domain.model import Reason, RemoteFile
from tests.strategies import records

THREE_MB = 3_145_728
# The article's list, written out once more so that a change of the code's table is noticed.
LISTED = {"jpg", "jpeg", "png", "mp4", "mpeg", "zip", "rar", "pdf", "doc", "docx", "txt"}
UNLISTED = [
    "gif",
    "heic",
    "svg",
    "exe",
    "html",
    "xlsx",
    "pptx",
    "eml",
    "msg",
    "csv",
    "mov",
    "mpg",
    "docm",
    "7z",
    "",
]


def test_the_types_are_those_of_the_article() -> None:
    """The listed types are those of the article, and no more."""
    assert set(TYPES) == LISTED
    assert MAX_FILE_BYTES == THREE_MB


@pytest.mark.parametrize("kind", UNLISTED)
def test_a_type_off_the_list_does_not_pass(kind: str) -> None:
    """A file with an unlisted last extension does not pass, whatever its earlier extensions."""
    name = f"a.{kind}"
    assert judge_outbound([(name, 10)]) == [FileProblem(name, TYPE)]


@pytest.mark.parametrize(("size", "reason"), [(THREE_MB, None), (THREE_MB + 1, Reason.ATTACHMENT_TOO_LARGE)])
def test_three_megabytes_pass_and_not_one_byte_more(size: int, reason: Reason | None) -> None:
    """A file of 3,145,728 bytes passes, and not one byte more (R7, F-1)."""
    assert [verdict.reason for verdict in judge_outbound([("a.pdf", size)])] == ([reason] if reason else [])


def test_every_offending_file_of_a_send_is_named() -> None:
    """Every bad file of a send is named at once, by its type before its size."""
    problems = judge_outbound([("a.pdf", 1), ("b.exe", THREE_MB + 1), ("c.png", THREE_MB + 1)])
    assert problems == [
        FileProblem("b.exe", TYPE),
        FileProblem("c.png", Reason.ATTACHMENT_TOO_LARGE),
    ]


def test_a_send_has_at_most_twenty_files() -> None:
    """A send may have twenty files and no more (R8)."""
    assert judge_outbound([("a.pdf", 1)] * MAX_OUTBOUND_FILES) == []
    (problem,) = judge_outbound([("a.pdf", 1)] * (MAX_OUTBOUND_FILES + 1))
    assert problem.reason is Reason.TOO_MANY_ATTACHMENTS
    assert MAX_OUTBOUND_FILES == 20


def test_a_send_has_at_most_25_megabytes_of_files() -> None:
    """The files of a send may have 25 MB together and not one byte more (R8)."""
    full = [("a.pdf", THREE_MB)] * 8
    rest = MAX_OUTBOUND_BYTES - 8 * THREE_MB
    assert judge_outbound([*full, ("b.pdf", rest)]) == []
    (problem,) = judge_outbound([*full, ("b.pdf", rest + 1)])
    assert problem.reason is Reason.ATTACHMENTS_TOO_LARGE_TOGETHER
    assert MAX_OUTBOUND_BYTES == 25 * 1024 * 1024


def remote(
    name: str = "offer.pdf",
    size: int = 1000,
    kind: str = "file",
    *,
    declared: str | None = None,
    inline: bool = False,
    cid: str | None = None,
) -> RemoteFile:
    return RemoteFile("att-1", name, declared, size, inline, kind, cid)


def shown(name: str, size: int = 1000, *, cid: str = "logo@x") -> RemoteFile:
    return remote(name, size, inline=True, cid=cid)


OVER = int(THREE_MB * OVERHEAD_FACTOR) + 1
SHOWN = frozenset({"logo@x"})
TYPE, LARGE, PART = Reason.ATTACHMENT_TYPE, Reason.ATTACHMENT_TOO_LARGE, "report_part"

# file, Content-IDs that the HTML shows, verdict
METADATA = {
    "a listed type": (remote(), SHOWN, None),
    "listed after cleaning its name": (remote("C:\\x\\offer\u200b.PDF. "), SHOWN, None),
    "declared as something harmful": (remote(declared="application/x-msdownload"), SHOWN, None),
    "an unlisted type": (remote("a.exe"), SHOWN, TYPE),
    "declared as something harmless": (remote("a.exe", declared="image/png"), SHOWN, TYPE),
    "no extension": (remote("README"), SHOWN, TYPE),
    "no name": (remote(""), SHOWN, TYPE),
    "two extensions": (remote("offer.pdf.exe"), SHOWN, TYPE),
    "turned around": (remote("offer\u202efdp.exe"), SHOWN, TYPE),
    "3 MB as Graph counts": (remote(size=THREE_MB), SHOWN, None),
    "more than 3 MB as Graph counts, maybe less in truth": (remote(size=OVER - 1), SHOWN, None),
    "more than 3 MB in any case": (remote(size=OVER), SHOWN, LARGE),
    "an unlisted type that is too large": (remote("a.exe", OVER), SHOWN, TYPE),
    "a shown picture of a listed type": (shown("a.png"), SHOWN, None),
    "a shown picture of an unlisted type": (shown("a.gif"), SHOWN, "type"),
    "a shown picture of an unlisted type, too large": (shown("a.gif", OVER), SHOWN, "type"),
    "a shown picture of a listed type, too large": (shown("a.png", OVER), SHOWN, LARGE),
    "inline, but another one is shown": (shown("a.gif", cid="other@x"), SHOWN, TYPE),
    "inline, and nothing is shown": (shown("a.gif"), frozenset(), TYPE),
    "shown, but not marked inline": (remote("a.gif", cid="logo@x"), SHOWN, "type"),
    "shown, its id in brackets and capitals": (shown("a.gif", cid="<LOGO@X>"), SHOWN, "type"),
    "shown, without a name": (remote("", declared="image/png", cid="logo@x"), SHOWN, None),
    "shown, without a name, of an unlisted type": (remote("", declared="image/gif", cid="logo@x"), SHOWN, "type"),
    "shown, without a name or type": (remote("", cid="logo@x"), SHOWN, "type"),
    "shown, but no picture": (shown("a.exe"), SHOWN, TYPE),
    "a part that Outlook writes beside pictures": (shown("oledata.mso"), SHOWN, "type"),
    "inline without an id, but no picture": (remote("a.exe", inline=True), SHOWN, TYPE),
    "no name, of a listed type": (remote("", declared="application/pdf"), SHOWN, None),
    "inline without an id, in a mail with pictures": (remote("a.gif", inline=True), SHOWN, "type"),
    "inline without an id, in a mail without": (remote("a.gif", inline=True), frozenset(), TYPE),
    "an attached mail": (remote("Re: Offer", kind="item"), SHOWN, TYPE),
    "an attached mail with a good name": (remote("offer.pdf", kind="item"), SHOWN, TYPE),
    "an attached mail, shown inline": (remote("offer.gif", kind="item", inline=True), SHOWN, TYPE),
    "a link to a cloud": (remote("huge.exe", OVER, "reference"), SHOWN, "link"),
    "a kind nobody knows": (remote(kind="unknown"), SHOWN, TYPE),
    "a bounce's report": (remote("details.txt", declared="message/delivery-status"), SHOWN, PART),
    "a bounce's headers": (remote("x", declared="text/rfc822-headers"), SHOWN, PART),
    "a read receipt": (remote("x", declared="Message/Disposition-Notification"), SHOWN, PART),
    "a meeting": (remote("invite.ics", declared='text/calendar; charset="utf-8"; method=REQUEST'), SHOWN, PART),
    "a meeting by its name": (remote("Invite.ICS", OVER, declared="application/octet-stream"), SHOWN, PART),
    "an S/MIME signature": (remote("smime.p7s", declared="application/pkcs7-signature"), SHOWN, PART),
    "an S/MIME signature by its name": (remote("SMIME.p7s"), SHOWN, PART),
    "a PGP signature": (remote("signature.asc", declared="application/pgp-signature"), SHOWN, PART),
    "a report as an attached item": (remote("x", kind="item", declared="message/delivery-status"), SHOWN, PART),
    "a clear-signed mail": (remote("smime.p7m", declared="multipart/signed"), SHOWN, PART),
    "a signature of Thunderbird": (remote("OpenPGP_signature.asc"), SHOWN, PART),
    "a key of Thunderbird": (remote("OpenPGP_0xC0FFEE.asc", declared="application/pgp-keys"), SHOWN, PART),
    "an Outlook form": (remote("WinMail.dat", declared="application/ms-tnef"), SHOWN, PART),
    "a key that somebody attached": (remote("my-key.asc"), SHOWN, TYPE),
    "a mail that somebody attached": (remote("offer.eml", declared="message/rfc822"), SHOWN, TYPE),
    "a signed document": (remote("contract.pdf.p7m", declared="application/pkcs7-mime"), SHOWN, TYPE),
    "a web page": (remote("ATT1.htm", declared="text/html"), SHOWN, TYPE),
    "text that is too long for text": (remote("ATT00001.htm", 2_000_000, declared="text/html"), SHOWN, TYPE),
}  # fmt: skip


@pytest.mark.parametrize(("file", "cids", "verdict"), METADATA.values(), ids=METADATA)
def test_a_file_of_a_mail_by_its_metadata(
    file: RemoteFile, cids: frozenset[str], verdict: Reason | str | None
) -> None:
    """By its metadata a mail's file is fetched, left out with a note, or keeps the mail out (R7, R8)."""
    found = judge_inbound([file], cids)
    assert found.stage == ((file,) if verdict is None else ())
    assert found.blocking == (((file, verdict),) if isinstance(verdict, Reason) else ())
    assert found.omitted == (
        ((file, verdict),) if isinstance(verdict, str) and not isinstance(verdict, Reason) else ()
    )


def test_a_mail_has_at_most_fifty_files_that_count() -> None:
    """A mail may have fifty files, not counting links and report parts, and no more (R8)."""
    extra = [remote("x.exe", kind="reference"), remote("a.ics"), remote("winmail.dat")] * 30
    assert judge_inbound([*[remote()] * MAX_INBOUND_FILES, *extra], frozenset()).blocking == ()
    found = judge_inbound([*extra, *[remote()] * (MAX_INBOUND_FILES + 1)], frozenset())
    assert [reason for _, reason in found.blocking] == [Reason.TOO_MANY_ATTACHMENTS]
    assert MAX_INBOUND_FILES == 50


def test_each_of_fifty_files_may_have_text_behind_it() -> None:
    """Fifty photos with a line behind each pass: the lines are text, none of them is a file."""
    photos = [remote("photo.png")] * MAX_INBOUND_FILES
    lines = [remote(f"ATT{n:05}.htm", declared="text/html") for n in range(1, MAX_INBOUND_FILES + 1)]
    found = judge_inbound([*photos, *lines], frozenset())
    assert (found.blocking, found.texts) == ((), tuple(lines))


def test_a_mail_with_more_files_than_are_listed() -> None:
    """A mail whose list of files was cut is told so first, whatever else is wrong with its files."""
    for file in (remote(), remote("x.exe"), remote("a.ics")):
        found = judge_inbound([remote("y.exe"), file], frozenset(), more=True)
        assert found.blocking[0] == (file, Reason.TOO_MANY_ATTACHMENTS)
        assert file not in found.stage
        assert file not in [omitted for omitted, _ in found.omitted]


TEXTS = {
    "HTML": remote("ATT00001.htm", declared="text/html"),
    "HTML by its name": remote("att00012.HTML"),
    "words": remote("ATT00002.txt", declared="text/plain; charset=utf-8"),
    "without a name": remote("", declared="text/html"),
    "forwarded by Outlook": remote("Untitled attachment 00012.htm", declared="text/html"),
    "marked inline": remote("ATT00001.htm", declared="text/html", inline=True),
}


@pytest.mark.parametrize("file", TEXTS.values(), ids=TEXTS)
def test_text_behind_a_file_is_text(file: RemoteFile) -> None:
    """What Exchange makes of the text behind a file is no file but text, up to fifty of them (R8)."""
    assert judge_inbound([remote(), file], SHOWN).texts == (file,)
    assert len(judge_inbound([file] * 51, SHOWN).texts) == 50


REPORTED = {
    "the returned mail": remote("Your offer", kind="item"),
    "the returned mail as a file": remote("offer.eml", declared="message/rfc822"),
    "a part without a name of its own": remote("ATT00002"),
    "such a part that Outlook forwards": remote("Untitled attachment 00019.dat"),
}


@pytest.mark.parametrize("file", REPORTED.values(), ids=REPORTED)
def test_the_parts_of_a_report_do_not_count(file: RemoteFile) -> None:
    """What a bounce brings back never counts, whether its kind or another part says that it is a report (R8)."""
    status = remote("details.txt", declared="message/delivery-status")
    assert judge_inbound([status, file], frozenset()).omitted == ((status, PART), (file, PART))
    assert judge_inbound([file], frozenset(), of_report=True).omitted == ((file, PART),)
    assert judge_inbound([file], frozenset()).blocking == ((file, TYPE),)


def test_an_inline_picture_beside_one_that_the_text_shows() -> None:
    """An inline picture of an unlisted type is left out beside a shown one; an inline program is not (R8)."""
    logo, beside, program = shown("a.png"), shown("b.gif", cid="b@x"), shown("c.exe", cid="c@x")
    found = judge_inbound([logo, beside, program], SHOWN)
    assert (found.stage, found.omitted, found.blocking) == (
        (logo,),
        ((beside, "type"),),
        ((program, TYPE),),
    )


@pytest.mark.parametrize("reason", [Reason.ATTACHMENT_EMPTY, Reason.ATTACHMENT_MISMATCH])
def test_a_shown_picture_that_is_none_is_left_out(reason: Reason) -> None:
    """A picture that the text shows and that is empty or mislabelled is left out; a large one blocks (R8)."""
    assert not keeps_back(reason, shown=True)
    assert keeps_back(reason, shown=False)
    assert keeps_back(Reason.ATTACHMENT_TOO_LARGE, shown=True)


@given(st.lists(records(RemoteFile), max_size=5), st.frozensets(st.text(max_size=5), max_size=3))
def test_every_file_of_a_mail_gets_one_verdict(listed: list[RemoteFile], cids: frozenset[str]) -> None:
    """Each file that Graph lists is either fetched, omitted, blocking or the mail's own text."""
    found = judge_inbound(listed, cids)
    noted = [file for file, _ in (*found.omitted, *found.blocking)]
    heaps = [*found.stage, *found.texts, *noted]
    assert sorted(map(repr, heaps)) == sorted(map(repr, listed))
    assert all(extension_of(received_name(file)) in TYPES for file in found.stage)


@given(st.sampled_from(sorted(LISTED)), st.booleans(), st.integers(0, 2 * OVER))
def test_what_metadata_lets_pass_is_of_a_listed_type(kind: str, shown: bool, size: int) -> None:
    """By metadata a file with a listed name is refused for its size alone."""
    verdict = judge_metadata(remote(f"a.{kind}", size), shown_inline=shown)
    assert verdict is (Reason.ATTACHMENT_TOO_LARGE if size > THREE_MB * OVERHEAD_FACTOR else None)
