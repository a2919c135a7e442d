"""Files of mail in the mailbox: what keeps a message from syncing, and what such a message does not stop (R7, R8)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.errors import ItemGone, ProviderUnavailable, TooLarge
from shared.domain.model import Address
from tests.functions.app import ANN_ADDRESS, BEA_ADDRESS, App, send_body

LIMIT = 3_145_728
PDF = b"%PDF-1.7 offer"
PNG = b"\x89PNG\r\n\x1a\n"

BLOCKING: dict[str, tuple[tuple[str, bytes], str]] = {
    "too large": (("big.txt", b"a" * (LIMIT + 1)), "attachment_too_large"),
    "much too large": (("film.mp4", b"a" * (LIMIT * 2)), "attachment_too_large"),
    "unlisted": (("tool.exe", b"MZ"), "attachment_type_not_supported"),
    "no extension": (("README", b"text"), "attachment_type_not_supported"),
    "another content": (("offer.pdf", b"MZ\x90\x00"), "attachment_content_mismatch"),
    "empty": (("offer.pdf", b""), "attachment_empty"),
}


@pytest.mark.parametrize(("file", "reason"), BLOCKING.values(), ids=BLOCKING)
@pytest.mark.parametrize("sender", [BEA_ADDRESS, ANN_ADDRESS], ids=["inbound", "outbound"])
async def test_a_file_that_does_not_sync_keeps_its_message_back(
    begun: App, file: tuple[str, bytes], reason: str, sender: str
) -> None:
    """A mail in either direction with a file that may not sync is told with file and reason, without words or bytes."""
    staged = len(await begun.staged())
    await begun.answered(sender, files=[("good.pdf", PDF), file], html="<p>canary</p>", text="canary")
    await begun.later(minutes=45)  # a small file that is not what its name says may be a stand-in (R14)
    told = begun.crm.last
    assert begun.crm.types()[-1] == "message.not_synced"
    assert told["direction"] == ("inbound" if sender == BEA_ADDRESS else "outbound")
    assert told["reason"]["code"] == reason
    assert [(listed["name"], listed["problem"]) for listed in told["reason"]["files"]] == [(file[0], reason)]
    assert "canary" not in str(begun.crm.told)
    assert "attachments" not in told
    shown = (await begun.v1("GET", f"messages/{told['id']}")).json()
    assert (shown["status"], shown["reason"]["code"]) == ("not_synced", reason)
    assert "message" not in shown
    assert len(await begun.staged()) <= staged + 1


@pytest.mark.parametrize(("file", "reason"), BLOCKING.values(), ids=BLOCKING)
async def test_a_tenant_may_choose_to_leave_the_file_out(
    begun: App, file: tuple[str, bytes], reason: str
) -> None:
    """With `omit` the mail syncs with its words and other files; the one left out is noted with its reason (R10)."""
    await begun.services.tenants.set_omits_files(begun.tenant.tenant_id, omits=True)
    await begun.answered(files=[("good.pdf", PDF), file])
    await begun.later(minutes=45)
    told = begun.crm.last
    assert begun.crm.types()[-1] == "message.received"
    listed = [(shown["name"], shown["omitted"], shown["url"] is None) for shown in told["attachments"]]
    assert listed == [("good.pdf", None, False), (file[0], reason, True)]


async def test_with_omit_files_over_fifty_are_left_out(begun: App) -> None:
    """Fifty files sync and the fifty-first is noted."""
    await begun.services.tenants.set_omits_files(begun.tenant.tenant_id, omits=True)
    told = await begun.answered(files=[(f"{number}.txt", b"text") for number in range(51)])
    assert [shown["omitted"] for shown in told["attachments"]] == [None] * 50 + ["too_many_attachments"]


async def test_a_send_is_refused_whatever_the_tenant_chose(begun: App) -> None:
    """A CRM send with a file that does not sync is refused as before: nothing leaves without its file (R10)."""
    await begun.services.tenants.set_omits_files(begun.tenant.tenant_id, omits=True)
    content = base64.b64encode(b"MZ").decode()
    body = send_body("m-2", attachments=[{"name": "tool.exe", "content_base64": content}])
    assert (await begun.v1("POST", "messages", json=body)).status == 422


async def test_a_file_of_exactly_the_limit_syncs(begun: App) -> None:
    """A received file of 3,145,728 bytes syncs, and its link gives exactly these bytes."""
    content = b"a" * LIMIT
    told = await begun.answered(files=[("big.txt", content)])
    (file,) = told["attachments"]
    assert (begun.crm.types()[-1], file["size_bytes"]) == ("message.received", LIMIT)
    answer = await begun.call("GET", "/files/" + file["url"].rsplit("/", 1)[1])
    assert answer.body == content


async def test_a_later_reply_still_syncs(begun: App) -> None:
    """A reply to a message that did not sync is in the thread, found by that message's Message-ID."""
    blocked = await begun.answered(files=[("tool.exe", b"MZ")])
    number = begun.mail.receive(BEA_ADDRESS, in_reply_to=blocked["internet_message_id"])
    await begun.arrives(number)
    assert (begun.crm.types()[-1], begun.crm.last["thread_id"]) == ("message.received", blocked["thread_id"])
    assert [event["data"]["sequence"] for event in begun.crm.told[1:]] == [1, 2, 3]


async def test_a_crm_reply_answers_the_newest_synced_message(begun: App) -> None:
    """A CRM reply answers the newest message that synced, not a newer one that did not."""
    good = await begun.answered()
    await begun.answered(files=[("tool.exe", b"MZ")])
    await begun.sent("m-2", thread_id=good["thread_id"])
    assert list(begun.mail.parents.values()) == ["AAMk-1"]
    later = await begun.answered()
    await begun.sent("m-3", thread_id=good["thread_id"])
    assert list(begun.mail.parents.values())[1:] == ["AAMk-3"]
    assert later["thread_id"] == good["thread_id"]


async def test_an_older_mail_that_is_found_late_is_not_the_newest(begun: App) -> None:
    """A CRM reply answers the newer of two mails although the older one was brought in after it."""
    old_time = begun.clock.now()
    begun.clock.forward(minutes=2)
    newer = await begun.answered()
    await begun.answered(received_at=old_time, sent_at=old_time)
    await begun.sent("m-2", thread_id=newer["thread_id"])
    assert list(begun.mail.parents.values()) == ["AAMk-1"]


async def test_a_reply_whose_parent_is_gone_is_sent_all_the_same(begun: App) -> None:
    """A CRM reply to a mail that its user deleted is sent as a fresh mail."""
    told = await begun.answered()
    begun.mail.next["create_reply"] = [ItemGone()]
    await begun.sent("m-2", thread_id=told["thread_id"])
    made = [call for call in begun.mail.calls if call in {"create_reply", "create_draft", "send"}]
    assert made == ["create_draft", "send", "create_reply", "create_draft", "send"]


def _with(app: App, number: str, **changes: Any) -> None:
    """Changes the first file of a mail as Graph lists it."""
    (remote, content), *rest = app.mail.files_of[number]
    app.mail.files_of[number] = [(replace(remote, **changes), content), *rest]


HARMLESS: dict[str, tuple[dict[str, Any], str]] = {
    "a cloud link": ({"kind": "reference", "name": "plan.xlsx"}, "link"),
    "a picture that the text shows": (
        {"name": "logo.gif", "inline": True, "content_id": "logo"},
        "type",
    ),
    "a report part": ({"name": "report.dat", "content_type": "message/delivery-status"}, "report_part"),
    "an invitation": ({"name": "meeting.ics", "content_type": "text/calendar"}, "report_part"),
    "a signature": ({"name": "smime.p7s", "content_type": "application/pkcs7-signature"}, "report_part"),
}


@pytest.mark.parametrize(("changes", "omitted"), HARMLESS.values(), ids=HARMLESS)
async def test_what_is_no_file_of_anybody_blocks_nothing(
    begun: App, changes: dict[str, Any], omitted: str
) -> None:
    """Links, shown pictures, report parts, invitations and signatures are noted as left out and never fetched (R8)."""
    ours = begun.mail.last_sent.internet_message_id
    html = '<p>Yes.<img src="cid:logo"></p>'
    number = begun.mail.receive(BEA_ADDRESS, in_reply_to=ours, files=[("x", b"x")], html=html)
    _with(begun, number, **changes)
    await begun.arrives(number)
    assert begun.crm.types()[-1] == "message.received"
    (file,) = begun.crm.last["attachments"]
    assert (file["omitted"], file["url"]) == (omitted, None)
    assert "file_content" not in begun.mail.calls


BLOCKS_AS_WELL: dict[str, tuple[dict[str, Any], str]] = {
    "an attached mail": ({"kind": "item", "name": "Fwd: hello"}, "attachment_type_not_supported"),
    "a kind of tomorrow": ({"kind": "unknown", "name": "x.pdf"}, "attachment_type_not_supported"),
    "a large picture that the text shows": (
        {"name": "logo.png", "inline": True, "content_id": "logo", "size_bytes": LIMIT * 2},
        "attachment_too_large",
    ),
    "an inline file that the text does not show": (
        {"name": "tool.exe", "inline": True, "content_id": "elsewhere"},
        "attachment_type_not_supported",
    ),
}


@pytest.mark.parametrize(("changes", "reason"), BLOCKS_AS_WELL.values(), ids=BLOCKS_AS_WELL)
async def test_what_counts_as_a_file_blocks(begun: App, changes: dict[str, Any], reason: str) -> None:
    """A file of an unlisted kind, type or size keeps its mail out before a byte of it is fetched (R8)."""
    ours = begun.mail.last_sent.internet_message_id
    html = '<p>Yes.<img src="cid:logo"></p>'
    number = begun.mail.receive(BEA_ADDRESS, in_reply_to=ours, files=[("x", PNG)], html=html)
    _with(begun, number, **changes)
    await begun.arrives(number)
    await begun.later(minutes=45)
    assert (begun.crm.types()[-1], begun.crm.last["reason"]["code"]) == ("message.not_synced", reason)
    assert "file_content" not in begun.mail.calls


FETCHING: list[tuple[Callable[[], Exception], str]] = [
    (TooLarge, "attachment_too_large"),
    (ItemGone, "attachment_unreadable"),
]


@pytest.mark.parametrize(("error", "reason"), FETCHING, ids=["larger than listed", "gone meanwhile"])
async def test_what_the_bytes_say_counts(begun: App, error: Callable[[], Exception], reason: str) -> None:
    """A file that is larger than listed, or gone at every look, keeps its mail out with that reason."""
    begun.mail.next["file_content"] = [error() for _ in range(5)]
    await begun.answered(files=[("offer.pdf", PDF)])
    await begun.later(minutes=45)
    told = begun.crm.last
    assert (begun.crm.types()[-1], told["reason"]["code"]) == ("message.not_synced", reason)


async def test_fifty_files_sync_and_fifty_one_do_not(begun: App) -> None:
    """A mail with fifty files syncs, one with fifty-one does not (R8)."""
    many = [(f"{number}.txt", b"x") for number in range(51)]
    told = await begun.answered(files=many[:50])
    assert (begun.crm.types()[-1], len(told["attachments"])) == ("message.received", 50)
    told = await begun.answered(to=(Address(ANN_ADDRESS),), files=many)
    assert (begun.crm.types()[-1], told["reason"]["code"]) == ("message.not_synced", "too_many_attachments")


async def test_a_file_that_stops_a_mail_leaves_nothing_of_the_others(begun: App) -> None:
    """A file that may not sync or cannot be fetched leaves no bytes of the mail's other files in staging."""
    before = await begun.staged()
    await begun.answered(files=[("good.txt", b"fine"), ("bad.pdf", b"no pdf")])
    number = begun.mail.receive(
        BEA_ADDRESS,
        in_reply_to=begun.mail.last_sent.internet_message_id,
        files=[("a.txt", b"a"), ("b.txt", b"b")],
    )
    begun.mail.next["file_content"] = [None, ProviderUnavailable()]
    await begun.arrives(number)
    assert await begun.staged() == before
