"""Drafts, replies, files, sends, and where they stand afterwards."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import replace
from typing import Any

import pytest

from sandbox.graphsim.listing import ONE_IN
from shared.domain import errors
from shared.domain.model import Address, Draft, DraftContent, OutgoingFile, Whereabouts
from shared.graph.provider import GraphMail
from tests.builders import KEY
from tests.contract.graph.conftest import ANN, BEA, Office, SignedIn

PDF = OutgoingFile("offer.pdf", "application/pdf", b"%PDF-" + b"x" * 50_000)
LARGE = OutgoingFile("plan.zip", "application/zip", b"PK\x03\x04" + b"z" * 3_145_724)


def content(*files: OutgoingFile, **changes: Any) -> DraftContent:
    given: dict[str, Any] = {
        "to": (Address(BEA),),
        "cc": (),
        "bcc": (),
        "subject": "Your offer",
        "html": "<p>Hello</p>",
    }
    return DraftContent(KEY, **{**given, **changes}, files=files)


async def sent(office: Office, mail: GraphMail, ann: SignedIn, *files: OutgoingFile) -> Draft:
    draft = await mail.create_draft(ann, content(*files))
    for file in files if draft.lacks_files else ():
        await mail.attach(ann, draft.graph_message_id, file)
    await mail.send(ann, draft.graph_message_id)
    return draft


async def test_a_new_mail_takes_two_calls(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """A new mail with small files takes two calls, and the contact gets all of it."""
    await office.watch()
    assert not (await sent(office, mail, ann, PDF)).lacks_files
    assert await office.operations() == ["message.create", "message.send"]
    await office.pass_time()
    (got,) = await office.outside()
    assert (got["from"], got["to"], got["subject"]) == (ANN, [BEA], "Your offer")
    assert [(file["name"], file["size_bytes"]) for file in got["attachments"]] == [
        ("offer.pdf", len(PDF.content))
    ]
    assert "<p>Hello</p>" in got["html"]
    assert not any(name.lower().startswith("x-") for name in got["headers"])


@pytest.mark.parametrize("recipients", ["added", "replace"])
@pytest.mark.parametrize("status", ["200", "201"])
async def test_a_reply_takes_three_calls(
    office: Office, mail: GraphMail, ann: SignedIn, recipients: str, status: str
) -> None:
    """A reply takes three calls and has threading headers, the quotation and our recipients alone."""
    await office.knobs(reply_recipients=recipients, create_reply_status=status)
    parent = await office.arrives(cc=["cal@contoso.example"])
    original = next(message for message in await office.mailbox() if message["id"] == parent)
    wanted = content(to=(Address("dan@contoso.example"),))
    await office.watch()
    draft = await mail.create_reply(ann, parent, wanted)
    await mail.fill_reply(ann, draft.graph_message_id, wanted, f"<p>Hello</p>{draft.html}")
    await mail.send(ann, draft.graph_message_id)
    assert await office.operations() == ["message.createReply", "message.update", "message.send"]
    await office.pass_time()
    (got,) = await office.outside("dan@contoso.example")
    assert (got["to"], got["cc"]) == (["dan@contoso.example"], [])
    assert got["in_reply_to"] == original["internet_message_id"]
    assert original["internet_message_id"] in got["references"]
    assert got["subject"].upper().startswith("AW:")
    assert "<p>Yes.</p>" in got["html"]
    assert got["html"].index("Hello") < got["html"].index("Yes.")
    assert len(await office.outside("cal@contoso.example")) == 1, "the original, and no answer"


async def test_the_original_may_be_gone(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """A reply to a mail that is gone says so and makes no draft."""
    parent = await office.arrives()
    for _ in range(2):
        await office.control("POST", f"mailboxes/{ANN}/messages/{parent}/delete")
    with pytest.raises(errors.ItemGone):
        await mail.create_reply(ann, parent, content())
    assert not any(message["is_draft"] for message in await office.mailbox())


async def test_large_files_arrive_whole(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """Files beyond one request are attached singly, the largest by upload session, and arrive whole."""
    await office.watch()
    draft = await sent(office, mail, ann, LARGE, PDF)
    operations = await office.operations()
    assert draft.lacks_files
    assert operations == [
        "message.create", "attachment.createUploadSession", "upload.put", "attachment.create", "message.send",
    ]  # fmt: skip
    assert draft.conversation_id is not None
    await office.pass_time()
    (got,) = await office.outside()
    assert {(file["name"], file["size_bytes"]) for file in got["attachments"]} == {
        ("plan.zip", len(LARGE.content)), ("offer.pdf", len(PDF.content)),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("size", "minimum"),
    [
        *(
            (size, minimum)
            for size in (2_899_999, 2_900_000, 3_000_000, 3_145_600)
            for minimum in (0, 3_000_000, 4_000_000)
        ),
        *((3_145_728, minimum) for minimum in (0, 3_000_000, 3_145_728)),
    ],
)
async def test_every_size_finds_its_way(
    office: Office, mail: GraphMail, ann: SignedIn, size: int, minimum: int
) -> None:
    """Wherever Graph draws the line between the two ways, a file gets through, and once (F-9).

    Only where a session's least size is 3 MiB do 128 bytes below it fit neither way: base64 makes them 4 MiB.
    """
    await office.knobs(upload_session_minimum_bytes=minimum)
    draft = await mail.create_draft(ann, content())
    file = OutgoingFile("a.zip", "application/zip", b"z" * size)
    await mail.attach(ann, draft.graph_message_id, file)
    (found,) = await mail.files(ann, draft.graph_message_id)
    assert found.size_bytes >= size


async def test_no_way_for_a_file(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """A file that neither way takes is refused as too large."""
    await office.knobs(upload_session_minimum_bytes=5_000_000)
    draft = await mail.create_draft(ann, content())
    with pytest.raises(errors.MessageRefused) as caught:
        await mail.attach(ann, draft.graph_message_id, LARGE)
    assert caught.value.reason == "message_too_large"


async def test_an_upload_host_that_fails(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """Where the upload host keeps failing, a file that fits is attached past it, and a larger one is not, each time."""
    await office.knobs(upload_session_minimum_bytes=0, upload_host="failing")
    draft = await mail.create_draft(ann, content())
    fitting = replace(LARGE, content=LARGE.content[:3_000_000])
    for _ in range(8):
        with pytest.raises(errors.UploadFailed):
            await mail.attach(ann, draft.graph_message_id, fitting)
    await mail.attach(ann, draft.graph_message_id, fitting, directly=True)
    with pytest.raises(errors.UploadFailed):
        await mail.attach(ann, draft.graph_message_id, LARGE, directly=True)
    (found,) = await mail.files(ann, draft.graph_message_id)
    assert found.size_bytes >= 3_000_000


@pytest.mark.parametrize("form", ["text", "html"])
async def test_a_reply_to_a_plain_text_mail(
    office: Office, mail: GraphMail, ann: SignedIn, form: str
) -> None:
    """The draft of a reply to a plain-text mail says which form its quotation has."""
    await office.knobs(text_reply_draft=form)
    parent = await office.arrives(html=None, text="1 <b>2</b> & 3")
    draft = await mail.create_reply(ann, parent, content())
    shown = draft.text if form == "text" else draft.html
    assert ("1 <b>2</b> & 3" if form == "text" else "1 &lt;b&gt;2&lt;/b&gt; &amp; 3") in (shown or "")
    assert (draft.text is None, draft.html == "") == (form == "html", form == "text")


async def test_a_pictures_place_is_kept(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """An inline picture keeps its Content-ID by either way of attaching it."""
    for size in (100, 3_145_728):
        draft = await mail.create_draft(ann, content())
        picture = OutgoingFile(
            "logo.png", "image/png", b"\x89PNG" + b"p" * (size - 4), inline=True, content_id="logo"
        )
        await mail.attach(ann, draft.graph_message_id, picture)
        (found,) = await mail.files(ann, draft.graph_message_id)
        assert (found.inline, found.content_id) == (True, "logo")


@pytest.mark.parametrize("gap", ["missing", "draft"])
@pytest.mark.parametrize("copy_id", ["kept", "changed"])
async def test_where_a_send_stands(
    office: Office, mail: GraphMail, ann: SignedIn, gap: str, copy_id: str
) -> None:
    """A send is found as draft and as sent by our key always, and by its id as far as that holds (E-12)."""
    await office.knobs(sent_copy_gap=gap, sent_copy_id=copy_id, sent_copy_delay_seconds=30)
    draft = await mail.create_draft(ann, content())
    assert (await mail.locate(ann, draft.graph_message_id)).whereabouts is Whereabouts.DRAFT
    assert (await mail.locate(ann, draft.graph_message_id)).outline.key == KEY
    await mail.send(ann, draft.graph_message_id)
    if gap == "missing":
        with pytest.raises(errors.ItemGone):
            await mail.locate(ann, draft.graph_message_id)
    await office.pass_time()
    (found,) = await mail.find_by_key(ann, KEY)
    assert found.whereabouts is Whereabouts.SENT
    assert (found.outline.graph_message_id == draft.graph_message_id) is (copy_id == "kept")
    if copy_id == "kept":
        assert (await mail.locate(ann, draft.graph_message_id)).whereabouts is Whereabouts.SENT


async def test_a_draft_thrown_away(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """A draft that its user deleted is told apart from one that waits, by id and by key."""
    draft = await mail.create_draft(ann, content())
    await office.control("POST", f"mailboxes/{ANN}/messages/{draft.graph_message_id}/delete")
    assert (await mail.locate(ann, draft.graph_message_id)).whereabouts is Whereabouts.DELETED_DRAFT
    assert [copy.whereabouts for copy in await mail.find_by_key(ann, KEY)] == [Whereabouts.DELETED_DRAFT]


async def test_a_draft_we_no_longer_need(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """A draft that we delete goes to Deleted Items, another one stays, and deleting twice is fine (E-11)."""
    gone, stays = [await mail.create_draft(ann, content()) for _ in range(2)]
    await office.watch()
    await mail.delete_draft(ann, gone.graph_message_id)
    assert await office.operations() == ["message.delete"]
    found = {copy.outline.graph_message_id: copy.whereabouts for copy in await mail.find_by_key(ann, KEY)}
    assert found == {
        gone.graph_message_id: Whereabouts.DELETED_DRAFT,
        stays.graph_message_id: Whereabouts.DRAFT,
    }
    for _ in range(2):
        await mail.delete_draft(ann, gone.graph_message_id)
    assert [message["id"] for message in await office.mailbox()] == [stays.graph_message_id]


@pytest.mark.parametrize("copy_id", ["kept", "changed"])
async def test_what_a_message_id_leads_to(
    office: Office, mail: GraphMail, ann: SignedIn, copy_id: str
) -> None:
    """Draft, sent copy and a contact's mail are found by Message-ID (E-12)."""
    await office.knobs(sent_copy_id=copy_id, sent_message_id="kept")
    draft = await mail.create_draft(ann, content())
    assert draft.internet_message_id is not None
    (found,) = await mail.find_by_message_id(ann, draft.internet_message_id)
    assert (found.outline.graph_message_id, found.whereabouts) == (draft.graph_message_id, Whereabouts.DRAFT)
    await mail.send(ann, draft.graph_message_id)
    await office.pass_time()
    (found,) = await mail.find_by_message_id(ann, draft.internet_message_id)
    assert (found.outline.key, found.whereabouts) == (KEY, Whereabouts.SENT)
    theirs = await office.arrives()
    told = (await mail.outline(ann, theirs)).internet_message_id
    assert told is not None
    (found,) = await mail.find_by_message_id(ann, told)
    assert (found.outline.graph_message_id, found.whereabouts) == (theirs, Whereabouts.SENT)
    assert await mail.find_by_message_id(ann, "<nobody's@fabrikam.example>") == ()


def message_id_that_no_list_shows() -> str:
    """A Message-ID whose mail makes each page with it a 500."""
    ids = (f"<{number}@fabrikam.example>" for number in itertools.count())
    return next(each for each in ids if hashlib.sha256(each.encode()).digest()[0] % ONE_IN == 0)


async def test_a_mail_that_no_list_shows_is_found(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """A mail that makes each page with it a 500 is found by its Message-ID all the same: asked for by its id."""
    await office.knobs(list_500="some")
    told = message_id_that_no_list_shows()
    theirs = await office.arrives(message_id=told)
    (found,) = await mail.find_by_message_id(ann, told)
    assert (found.outline.graph_message_id, found.whereabouts) == (theirs, Whereabouts.SENT)


async def test_a_mail_that_goes_while_it_is_searched_ends_no_search(
    office: Office, mail: GraphMail, ann: SignedIn
) -> None:
    """Of two mails that no list shows together one goes before it is read by its id: the other one is found."""
    await office.knobs(list_500="some")
    told = message_id_that_no_list_shows()
    for _ in range(2):
        await office.arrives(message_id=told)
    both = {hit.outline.graph_message_id for hit in await mail.find_by_message_id(ann, told)}
    assert len(both) == 2
    await office.fault("message.get", "status", status=404, count=1)
    (found,) = await mail.find_by_message_id(ann, told)
    assert found.outline.graph_message_id in both


@pytest.mark.parametrize("gap", ["missing", "draft"])
@pytest.mark.parametrize("copy_id", ["kept", "changed"])
async def test_a_second_send_sends_nothing(
    office: Office, mail: GraphMail, ann: SignedIn, gap: str, copy_id: str
) -> None:
    """A second send of a draft is an error that is never a refusal, and no second mail leaves (E-14)."""
    await office.knobs(sent_copy_gap=gap, sent_copy_id=copy_id)
    draft = await sent(office, mail, ann)
    for _ in range(2):
        with pytest.raises((errors.ItemGone, errors.Ambiguous, errors.ProviderUnavailable)):
            await mail.send(ann, draft.graph_message_id)
        await office.pass_time()
    assert len(await office.outside()) == 1


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "commit_late", "status"])
async def test_a_send_without_an_answer(office: Office, mail: GraphMail, ann: SignedIn, kind: str) -> None:
    """A send without a clear answer has an unknown outcome and is not repeated, whatever became of it."""
    draft = await mail.create_draft(ann, content())
    await office.fault("message.send", kind, **({"seconds": 20} if kind == "commit_late" else {}))
    await office.watch()
    with pytest.raises(errors.Ambiguous):
        await mail.send(ann, draft.graph_message_id)
    assert await office.operations() == ["message.send"]
    await office.pass_time(120)
    assert len(await office.outside()) == (1 if kind in {"drop_after", "commit_late"} else 0)


@pytest.mark.parametrize("operation", ["message.create", "message.createReply", "attachment.create"])
async def test_a_draft_without_an_answer(
    office: Office, mail: GraphMail, ann: SignedIn, operation: str
) -> None:
    """Making a draft or a file that is not answered has an unknown outcome."""
    parent = await office.arrives()
    draft = await mail.create_draft(ann, content())
    calls = {
        "message.create": lambda: mail.create_draft(ann, content()),
        "message.createReply": lambda: mail.create_reply(ann, parent, content()),
        "attachment.create": lambda: mail.attach(ann, draft.graph_message_id, PDF),
    }
    for kind in ("drop_after", "commit_late"):
        await office.fault(operation, kind)
        with pytest.raises(errors.Ambiguous):
            await calls[operation]()


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (400, "ErrorInvalidRecipients", "invalid_recipient"),
        (403, "ErrorSendAsDenied", "send_denied"),
        (413, "ErrorMessageSizeExceeded", "message_too_large"),
        (507, "ErrorQuotaExceeded", "mailbox_full"),
        (403, "ErrorMessageSubmissionBlocked", "sending_blocked"),
    ],
)
async def test_refused_for_good(
    office: Office, mail: GraphMail, ann: SignedIn, status: int, code: str, reason: str
) -> None:
    """Each documented refusal of a send has its own reason."""
    draft = await mail.create_draft(ann, content())
    await office.fault("message.send", "status", status=status, code=code)
    with pytest.raises(errors.MessageRefused) as caught:
        await mail.send(ann, draft.graph_message_id)
    assert caught.value.reason == reason


async def test_a_mailbox_that_takes_no_key(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """Where no name has room, a draft with our key is refused by its own error, and one without is made."""
    parent = await office.arrives()
    await office.knobs(named_property_quota="spent")
    for make in (
        lambda wanted: mail.create_draft(ann, wanted),
        lambda wanted: mail.create_reply(ann, parent, wanted),
    ):
        with pytest.raises(errors.KeyRefused):
            await make(content())
        assert (await make(replace(content(), key=None))).graph_message_id


async def test_a_full_mailbox_is_no_matter_of_the_key(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """A draft without a key that meets the same 403 tells that the mailbox is full."""
    await office.fault("message.create", "status", status=403, code="ErrorQuotaExceeded")
    with pytest.raises(errors.MessageRefused) as caught:
        await mail.create_draft(ann, replace(content(), key=None))
    assert caught.value.reason == "mailbox_full"


async def test_nobody_to_send_to(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """Graph's refusal of a mail without recipients has the reason for an invalid recipient."""
    draft = await mail.create_draft(ann, content(to=()))
    with pytest.raises(errors.MessageRefused) as caught:
        await mail.send(ann, draft.graph_message_id)
    assert caught.value.reason == "invalid_recipient"
