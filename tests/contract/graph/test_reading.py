"""Outline, people, whole mails, files and sweeps."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.domain import errors
from shared.domain.listing import Ask
from shared.domain.model import Address
from shared.graph.provider import GraphMail
from tests.contract.graph.conftest import ANN, BEA, Office, SignedIn, encoded

PARENT = "<parent@northwind.example>"
EARLIER = "<earlier@northwind.example>"


@pytest.mark.parametrize("tags", ["both", "in_reply_to", "references", "none"])
async def test_an_outline(office: Office, mail: GraphMail, ann: SignedIn, tags: str) -> None:
    """An outline has the threading tags that the mailbox has, and reads no body."""
    await office.knobs(received_reply_tags=tags)
    graph_id = await office.arrives(in_reply_to=PARENT, references=[EARLIER, PARENT])
    await office.watch()
    outline = await mail.outline(ann, graph_id)
    assert outline.graph_message_id == graph_id
    assert outline.in_reply_to == (PARENT if tags in {"both", "in_reply_to"} else None)
    assert outline.references == ((EARLIER, PARENT) if tags in {"both", "references"} else ())
    assert (outline.is_draft, outline.key) == (False, None)
    assert outline.received_at is not None
    (request,) = await office.requests()
    assert (request["reads_body"], request["reads_attachments"], request["status"]) == (False, False, 200)


async def test_people(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """The people of a mail are read without a word of it."""
    await office.control("PUT", "knobs", {"null_members": "none"})
    graph_id = await office.arrives(cc=["cal@contoso.example"])
    await office.watch()
    people = await mail.people(ann, graph_id)
    assert people.sender == Address(BEA, "Bea")
    assert [person.address for person in people.everyone()] == [BEA, ANN, "cal@contoso.example"]
    assert not any(request["reads_body"] for request in await office.requests())


async def test_a_whole_mail(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """A mail's body, people, headers, tags and list of files are read in one call, whatever hasAttachments says."""
    graph_id = await office.arrives(
        headers={"Auto-Submitted": "auto-replied"}, attachments=[encoded("a.pdf", b"%PDF-1")]
    )
    await office.watch()
    message = await mail.fetch(ann, graph_id)
    assert (message.subject, message.has_attachments) == ("Your offer", False)
    assert [file.name for file in message.files] == ["a.pdf"]
    assert "<p>Yes.</p>" in (message.html or "")
    assert message.sender is not None
    assert message.sender.address == BEA
    assert ("Auto-Submitted", "auto-replied") in message.headers
    assert len(await office.requests()) == 1


async def test_files(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """Files of every kind are listed with their Content-IDs, and their bytes are read only when asked for."""
    content = b"%PDF-" + b"x" * 1_000
    await office.knobs(inline_flag="right")
    graph_id = await office.arrives(
        attachments=[
            encoded("offer.pdf", content),
            encoded("logo.png", b"\x89PNG", inline=True, content_id="logo", content_type="image/png"),
            {"name": "Forwarded", "kind": "item", "content_base64": ""},
            {"name": "Cloud", "kind": "reference", "content_base64": ""},
        ]
    )
    found = await mail.files(ann, graph_id)
    assert [(file.name, file.kind, file.inline, file.content_id) for file in found] == [
        ("offer.pdf", "file", False, None),
        ("logo.png", "file", True, "logo"),
        ("Forwarded", "item", False, None),
        ("Cloud", "reference", False, None),
    ]
    assert found[0].size_bytes >= len(content)
    assert await mail.file_content(ann, graph_id, found[0], len(content)) == content
    with pytest.raises(errors.TooLarge):
        await mail.file_content(ann, graph_id, found[0], len(content) - 1)
    with pytest.raises(errors.UpstreamSurprise):
        await mail.file_content(ann, graph_id, found[3], 10)


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"content_id_cast": "refused"},
        {"expand_attachments": "refused"},
        {"content_id_cast": "refused", "expand_attachments": "refused"},
    ],
    ids=str,
)
async def test_files_come_with_the_mail(
    office: Office, mail: GraphMail, ann: SignedIn, knobs: dict[str, str]
) -> None:
    """A mail's files and the Content-ID of the picture that it shows are told, whatever Graph refuses of the ways."""
    await office.knobs(expanded_attachments_page=1, **knobs)
    logo = encoded("logo.png", b"PNG", content_id="logo", content_type="image/png")
    html = '<p>Yes.</p><img src="cid:logo">'
    graph_id = await office.arrives(attachments=[encoded("a.pdf", b"%PDF-1"), logo], html=html)
    for _ in range(2):
        found = (await mail.fetch(ann, graph_id)).files
        assert [(file.name, file.inline, file.content_id) for file in found] == [
            ("a.pdf", True, None),
            ("", False, "logo"),
        ]


async def test_listing_files_reads_none(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """Listing files that are not inline reads no byte of them."""
    await office.knobs(inline_flag="right")
    graph_id = await office.arrives(attachments=[encoded("a.pdf", b"%PDF-"), encoded("b.exe", b"MZ")])
    await office.watch()
    assert len(await mail.files(ann, graph_id)) == 2
    assert not any(request["reads_attachments"] for request in await office.requests())


@pytest.mark.parametrize("call", ["outline", "people", "fetch", "files", "locate", "send"])
async def test_gone(office: Office, mail: GraphMail, ann: SignedIn, call: str) -> None:
    """A mail that was deleted, and an id that could never be, are gone in the same way."""
    graph_id = await office.arrives()
    await office.control("POST", f"mailboxes/{ANN}/messages/{graph_id}/delete")
    await office.control("POST", f"mailboxes/{ANN}/messages/{graph_id}/delete")
    for unusable_id in (graph_id, "nonsense", "AAMk-%2F..=="):
        with pytest.raises(errors.ItemGone):
            await getattr(mail, call)(ann, unusable_id)


async def test_a_mailbox_without_rest(office: Office, mail: GraphMail) -> None:
    """A mailbox that programs may not use is unusable."""
    await office.control("POST", "users", {"address": "old@northwind.example", "no_mailbox": True})
    old = await office.signed_in("old@northwind.example")
    with pytest.raises(errors.MailboxUnusable):
        await mail.sweep(old, Ask(office.clock.now()))


async def test_a_sweep_finds_everything_once(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """A sweep lists each mail of all folders once, oldest change first, without reading a body."""
    await office.knobs(list_next_link="kept", list_500="never", list_504="never")
    since = office.clock.now()
    for number in range(60):
        await office.control(
            "POST", f"outside/{BEA}/compose", {"to": [ANN], "subject": str(number), "html": "x"}
        )
        await office.pass_time(5)
    graph_id = await office.arrives(subject="moved")
    await office.control("POST", f"mailboxes/{ANN}/messages/{graph_id}/move", {"folder": "archive"})
    await office.watch()
    first = await mail.sweep(ann, Ask(since - timedelta(minutes=10)))
    assert (len(first.outlines), first.next_link is not None) == (50, True)
    second = await mail.sweep(ann, Ask(since, link=first.next_link))
    assert second.next_link is None
    outlines = (*first.outlines, *second.outlines)
    assert {outline.graph_message_id for outline in outlines} == {
        message["id"] for message in await office.mailbox()
    }
    assert len(outlines) == 61
    times = [outline.last_modified_at for outline in outlines if outline.last_modified_at]
    assert times == sorted(times)
    assert not any(request["reads_body"] for request in await office.requests())
    assert await mail.sweep(ann, Ask(office.clock.now() + timedelta(days=1))) == type(first)((), None)


async def test_a_page_of_a_sweep_begins_behind_rows(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """A page begins behind as many rows as asked; the id of its first row is read without any of its words."""
    await office.knobs(list_next_link="kept", list_500="never", list_504="never")
    since = office.clock.now()
    ids = []
    for number in range(3):
        ids.append(await office.arrives(subject=f"{number}"))
        await office.pass_time(5)
    page = await mail.sweep(ann, Ask(since, skip=1, top=1))
    assert [outline.graph_message_id for outline in page.outlines] == [ids[1]]
    assert await mail.listed_id(ann, Ask(since, skip=2)) == ids[2]
    assert await mail.listed_id(ann, Ask(since, skip=3)) is None
    assert [request["fields"] for request in await office.requests()][-1] == ["id"]


async def test_a_conversation_is_listed_by_outlines(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """The outlines of a conversation are all of it and nothing else, and no word of them is read."""
    await office.knobs(list_500="never")
    graph_id = await office.arrives(subject="asked")
    await office.arrives(subject="other")
    body = {"action": "reply", "graph_message_id": graph_id, "html": "answered"}
    await office.control("POST", f"mailboxes/{ANN}/compose", body)
    await office.pass_time(60)
    outline = await mail.outline(ann, graph_id)
    assert outline.conversation_id is not None
    found = await mail.conversation(ann, outline.conversation_id)
    assert len(found) == 2
    assert {each.conversation_id for each in found} == {outline.conversation_id}
    assert not any(request["reads_body"] for request in await office.requests())
