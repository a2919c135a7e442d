"""Drafts that answer or forward: whom they go to, how they are threaded, what stands in them."""

from __future__ import annotations

import pytest

from tests.graphsim.conftest import ANN, BEN, CAT, App, Lab, at, to, where

DAN = "dan@fabrikam.example"


def addresses(message: dict[str, object], name: str) -> list[str]:
    return [recipient["emailAddress"]["address"] for recipient in message[name]]  # type: ignore[index,attr-defined]


async def test_a_reply(lab: Lab, app: App) -> None:
    """A reply goes to the sender alone, with one prefix and the quoted original, in the same conversation."""
    mail = await lab.arrives(subject="Quote", cc=[DAN], html="<p>How much?</p>")
    reply = await app.ok("POST", f"{at(mail['id'])}/createReply")
    assert (reply["subject"], reply["isDraft"], reply["conversationId"]) == (
        "AW: Quote",
        True,
        mail["conversation_id"],
    )
    assert (addresses(reply, "toRecipients"), reply["ccRecipients"]) == ([CAT], [])
    assert "How much?" in reply["body"]["content"]
    assert reply["hasAttachments"] is False
    stored = next(message for message in await lab.mailbox() if message["is_draft"])
    assert stored["in_reply_to"] == mail["internet_message_id"]
    assert stored["references"] == [mail["internet_message_id"]]
    again = await app.ok("POST", f"{at(reply['id'])}/createReply")
    assert again["subject"] == "AW: Quote"


async def test_references_grow(lab: Lab, app: App) -> None:
    """A reply's References are those of the original and the original itself (RFC 5322, 3.6.4)."""
    mail = await lab.arrives(in_reply_to="<b@x.example>", references=["<a@x.example>", "<b@x.example>"])
    await app.ok("POST", f"{at(mail['id'])}/createReply")
    stored = next(message for message in await lab.mailbox() if message["is_draft"])
    assert stored["references"] == ["<a@x.example>", "<b@x.example>", mail["internet_message_id"]]


@pytest.mark.parametrize(("knob", "seen"), [("absent", False), ("present", True)])
async def test_tags_of_the_own_reply(lab: Lab, app: App, knob: str, seen: bool) -> None:
    """The knob says whether own drafts carry In-Reply-To as a tag."""
    await lab.knobs(sent_items_reply_tags=knob)
    mail = await lab.arrives()
    reply = await app.ok("POST", f"{at(mail['id'])}/createReply")
    expand = "singleValueExtendedProperties($filter=id eq 'String 0x1042')"
    found = await app.ok("GET", f"{at(reply['id'])}?{where(select='id', expand=expand)}")
    assert ("singleValueExtendedProperties" in found) is seen


async def test_a_reply_to_all(lab: Lab, app: App) -> None:
    """A reply to all goes to sender and recipients without oneself. By the knob the original becomes read."""
    mail = await lab.arrives(to=[ANN, BEN], cc=[DAN, ANN])
    reply = await app.ok("POST", f"{at(mail['id'])}/createReplyAll")
    assert addresses(reply, "toRecipients") == [CAT, BEN]
    assert addresses(reply, "ccRecipients") == [DAN]
    assert (await app.ok("GET", at(mail["id"])))["isRead"] is True
    await lab.knobs(reply_all_marks_read="no")
    other = await lab.arrives()
    await app.ok("POST", f"{at(other['id'])}/createReplyAll")
    assert (await app.ok("GET", at(other["id"])))["isRead"] is False


async def test_a_reply_to_the_own_mail(lab: Lab, app: App) -> None:
    """A reply to a sent mail goes to its recipients, not to oneself."""
    sent = await app.ok("POST", "me/messages", {"subject": "Offer", "toRecipients": to(CAT)})
    await app("POST", f"{at(sent['id'])}/send")
    await lab.pass_time()
    copy = next(message for message in await lab.mailbox() if message["folder"] == "sentitems")
    reply = await app.ok("POST", f"{at(copy['id'])}/createReply")
    assert addresses(reply, "toRecipients") == [CAT]


async def test_a_reply_goes_where_replies_are_wanted(lab: Lab, app: App) -> None:
    """A reply goes to the original's `replyTo` instead of its sender."""
    ben = await lab.app(BEN)
    made = await ben.ok("POST", "me/messages", {"subject": "x", "toRecipients": to(ANN), "replyTo": to(DAN)})
    await ben("POST", f"{at(made['id'])}/send")
    await lab.pass_time()
    (mail,) = await lab.mailbox()
    reply = await app.ok("POST", f"{at(mail['id'])}/createReply")
    assert addresses(reply, "toRecipients") == [DAN]


async def test_a_forward(lab: Lab, app: App) -> None:
    """A forward has the original's files and a prefix of its own, and no recipients unless given."""
    await lab.knobs(inline_flag="right")
    mail = await lab.arrives(subject="Quote", attachments=[{"name": "a.txt", "content_base64": "eA=="}])
    forward = await app.ok("POST", f"{at(mail['id'])}/createForward", {"ToRecipients": to(DAN)})
    assert (forward["subject"], forward["hasAttachments"]) == ("FW: Quote", True)
    assert addresses(forward, "toRecipients") == [DAN]
    nobody = await app.ok("POST", f"{at(mail['id'])}/createForward")
    assert nobody["toRecipients"] == []


async def test_the_status_of_a_reply(lab: Lab, app: App) -> None:
    """A created reply is answered with 200, or 201 by the knob."""
    mail = await lab.arrives()
    assert (await app("POST", f"{at(mail['id'])}/createReply")).status_code == 200
    await lab.knobs(create_reply_status="201")
    assert (await app("POST", f"{at(mail['id'])}/createReply")).status_code == 201


async def test_a_comment(lab: Lab, app: App) -> None:
    """A reply's comment is lost by a known issue, and with the knob stands in the body as text."""
    mail = await lab.arrives(html="<p>How much?</p>")
    lost = await app.ok("POST", f"{at(mail['id'])}/createReply", {"Comment": "Ten < twenty"})
    assert "Ten" not in lost["body"]["content"]
    await lab.knobs(reply_comment="shown")
    shown = await app.ok("POST", f"{at(mail['id'])}/createReply", {"comment": "Ten < twenty"})
    assert "Ten &lt; twenty" in shown["body"]["content"]
    assert "How much?" in shown["body"]["content"]


async def test_the_body_given_with_a_reply(lab: Lab, app: App) -> None:
    """A body given with a reply replaces the quotation, or by the knob stands above it."""
    mail = await lab.arrives(html="<p>How much?</p>")
    given = {"Message": {"body": {"contentType": "html", "content": "<p>Ten</p>"}}}
    replaced = await app.ok("POST", f"{at(mail['id'])}/createReply", given)
    assert "Ten" in replaced["body"]["content"]
    assert "How much?" not in replaced["body"]["content"]
    await lab.knobs(reply_message_body="above")
    above = (await app.ok("POST", f"{at(mail['id'])}/createReply", given))["body"]["content"]
    assert 0 < above.index("Ten") < above.index("How much?")


async def test_recipients_given_with_a_reply(lab: Lab, app: App) -> None:
    """Recipients given with a reply are added to its own, or by the knob replace them."""
    mail = await lab.arrives()
    given = {"Message": {"toRecipients": to(DAN)}}
    added = await app.ok("POST", f"{at(mail['id'])}/createReply", given)
    assert addresses(added, "toRecipients") == [CAT, DAN]
    await lab.knobs(reply_recipients="replace")
    replaced = await app.ok("POST", f"{at(mail['id'])}/createReply", given)
    assert addresses(replaced, "toRecipients") == [DAN]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (
            {"Comment": "a", "Message": {"body": {"contentType": "text", "content": "b"}}},
            "ErrorInvalidRequest",
        ),
        ({"Message": {"colour": "red"}}, "RequestBodyRead"),
        ({"Colour": "red"}, "RequestBodyRead"),
        ({"Comment": 7}, "RequestBodyRead"),
        ({"ToRecipients": to(DAN)}, "RequestBodyRead"),
        ({"Message": {"isDraft": False}}, "ErrorInvalidPropertySet"),
    ],
)
async def test_wrong_replies(lab: Lab, app: App, body: dict[str, object], code: str) -> None:
    """A reply with comment and body, unknown parameters or wrong types is refused and makes no draft."""
    mail = await lab.arrives()
    assert await app.refused("POST", f"{at(mail['id'])}/createReply", body) == (400, code)
    assert [message["is_draft"] for message in await lab.mailbox()] == [False]


LOGO = {"name": "logo.png", "content_base64": "aGVsbG8=", "inline": True, "content_id": "Logo@x"}
PLAN = {"name": "plan.png", "content_base64": "aGVsbG8=", "inline": True, "content_id": "plan@x"}


async def test_pictures_of_the_quoted_mail(lab: Lab, app: App) -> None:
    """By the knob a reply draft brings the pictures that the original shows, one of two inline, and no other file."""
    await lab.knobs(inline_flag="right", renamed_attachments="kept")
    shown = '<p>See <img src="cid:logo@x"><img src="cid:Plan@x"></p>'
    mail = await lab.arrives(html=shown, attachments=[LOGO, PLAN, {**PLAN, "content_id": "unshown@x"}])
    reply = await app.ok("POST", f"{at(mail['id'])}/createReply")
    brought = (await app.ok("GET", f"{at(reply['id'])}/attachments"))["value"]
    seen = [(file["name"], file["contentId"], file["isInline"]) for file in brought]
    assert seen == [("logo.png", "Logo@x", False), ("plan.png", "plan@x", True)]
    await lab.knobs(reply_draft_pictures="none")
    reply = await app.ok("POST", f"{at(mail['id'])}/createReply")
    assert (await app.ok("GET", f"{at(reply['id'])}/attachments"))["value"] == []


@pytest.mark.parametrize(("knob", "words"), [("text", "1 <b>2</b>"), ("html", "1 &lt;b&gt;2&lt;/b&gt;")])
async def test_a_reply_to_plain_text(lab: Lab, app: App, knob: str, words: str) -> None:
    """By the knob the draft of a reply to a plain-text mail is text itself, with the original as it was written."""
    await lab.knobs(text_reply_draft=knob, null_members="none")
    sent = {"to": [ANN], "subject": "Quote", "text": "1 <b>2</b>"}
    await lab.control("POST", f"outside/{CAT}/compose", sent)
    await lab.pass_time()
    (mail,) = await lab.mailbox()
    assert (await app.ok("GET", at(mail["id"])))["body"] == {"contentType": "text", "content": "1 <b>2</b>"}
    body = (await app.ok("POST", f"{at(mail['id'])}/createReply"))["body"]
    assert body["contentType"] == knob
    assert words in body["content"]


async def test_plain_text_is_answered_in_plain_text(lab: Lab) -> None:
    """An outsider who writes only text answers in text, with the original quoted; so does the user in such a draft."""
    sent = await lab.control("POST", f"outside/{CAT}/compose", {"to": [ANN], "subject": "x", "text": "5 < 6"})
    await lab.pass_time()
    (mail,) = await lab.mailbox()
    written = {"action": "reply", "graph_message_id": mail["id"], "html": "<p>Really?</p>"}
    answer = await lab.control("POST", f"mailboxes/{ANN}/compose", written)
    await lab.pass_time()
    got = (await lab.control("GET", f"outside/{CAT}/messages"))["messages"][-1]
    assert got["html"].startswith("<pre>Really?")
    assert "5 &lt; 6" in got["html"]
    again = {"internet_message_id": got["internet_message_id"], "text": "Yes."}
    await lab.control("POST", f"outside/{CAT}/reply", again)
    await lab.pass_time()
    newest = next(message for message in await lab.mailbox() if message["html"].startswith("<pre>Yes."))
    assert "&gt; Really?" in newest["html"]
    assert answer["internet_message_id"] != sent["internet_message_id"]


@pytest.mark.parametrize(
    ("knob", "ours", "theirs"),
    [
        ("aw", "AW: Quote", "AW: Quote"),
        ("antw", "Antw: Quote", "Antw: Quote"),
        ("sv", "SV: Quote", "SV: Quote"),
        ("external", "RE: Quote", "RE: [EXTERNAL] RE: Quote"),
        ("re", "RE: Quote", "RE: Quote"),
    ],
)
async def test_prefixes_of_replies(lab: Lab, app: App, knob: str, ours: str, theirs: str) -> None:
    """A program puts its own prefix once before the subject; a contact's gateway may mark what comes from outside."""
    await lab.knobs(reply_prefix=knob)
    mail = await lab.arrives(subject="Quote")
    reply = await app.ok("POST", f"{at(mail['id'])}/createReply")
    assert reply["subject"] == ours
    await app("POST", f"{at(reply['id'])}/send")
    await lab.pass_time(5)
    got = (await lab.outside())[-1]
    body = {"internet_message_id": got["internet_message_id"], "text": "Yes"}
    await lab.control("POST", f"outside/{CAT}/reply", body)
    await lab.pass_time(5)
    inbox = [each["subject"] for each in await lab.mailbox() if each["folder"] == "inbox"]
    assert inbox[-1] == theirs
