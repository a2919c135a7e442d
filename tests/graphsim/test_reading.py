"""Reading messages: properties, pages, filters, orders, bodies, ids."""

from __future__ import annotations

import re

import pytest

from tests.graphsim.conftest import ANN, CAT, IMMUTABLE, MARK, App, Lab, at, draft, file, to, where

RECENT = "receivedDateTime ge 2026-01-01T00:00:00Z"


async def subjects(app: App, query: str = "", path: str = "me/messages") -> list[str]:
    listed = await app.ok("GET", f"{path}?{query}" if query else path)
    return [mail["subject"] for mail in listed["value"]]


async def test_a_whole_message(lab: Lab, app: App) -> None:
    """Without $select a message has all but the properties that must be asked for, with times in seconds of UTC."""
    mail = await lab.arrives(subject="Quote", cc=["dan@fabrikam.example"])
    found = await app.ok("GET", at(mail["ordinary_id"]))
    assert (found["subject"], found["isRead"], found["isDraft"]) == ("Quote", False, False)
    assert found["from"]["emailAddress"]["address"] == CAT
    assert found["ccRecipients"][0]["emailAddress"]["address"] == "dan@fabrikam.example"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found["receivedDateTime"])
    assert found["@odata.etag"] == f'W/"{found["changeKey"]}"'
    assert "internetMessageHeaders" not in found
    assert "uniqueBody" not in found


async def test_select(lab: Lab, app: App) -> None:
    """$select gives the named properties, in any case, and the id."""
    mail = await lab.arrives()
    found = await app.ok("GET", f"{at(mail['id'])}?{where(select='Subject,uniqueBody')}")
    assert {name for name in found if "@" not in name} == {"id", "subject", "uniqueBody"}


@pytest.mark.parametrize(
    "query",
    [
        where(select="subject,colour"), where(select="attachments"), where(expand="sender"), where(top="0"),
        where(top="1001"), where(skip="-1"), where(orderby="colour"), where(filter="colour eq 'red'"),
        where(filter="isRead eq 'no'"), where(filter="isRead eq false and"), where(filter="receivedDateTime ge 'x'"),
        where(filter="(" * 2_000 + "isRead eq true" + ")" * 2_000), where(filter="not " * 2_000 + "isRead eq true"),
        where(filter=" or ".join(["isRead eq true"] * 2_000)),
        where(filter="subject like 'x'"), where(filter="(isRead eq true"), where(count="maybe"), "$levels=2",
        "colour=red", "$top=1&$top=2", "$select=", where(expand="attachments($levels=1)"),
        where(expand="attachments($select=contentBytes)"),
    ],
)  # fmt: skip
async def test_wrong_queries(app: App, query: str) -> None:
    """An option, property or value that Graph does not know is refused."""
    assert await app.refused("GET", f"me/messages?{query}") == (400, "RequestBroker--ParseUri")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (where(expand="singleValueExtendedProperties"), "ErrorInvalidUrlQueryFilter"),
        (where(expand="singleValueExtendedProperties($filter=id eq 'nonsense')"), "ErrorInvalidUrlQueryFilter"),
        (where(filter="singleValueExtendedProperties/Any(ep: ep/value eq 'x')"), "ErrorInvalidUrlQueryFilter"),
        (where(filter="singleValueExtendedProperties/Any(ep: ep/id eq 'x')"), "ErrorInvalidProperty"),
        (where(filter="isRead eq false", orderby="receivedDateTime desc"), "InefficientFilter"),
        (where(filter=f"isRead eq false and {RECENT}", orderby="receivedDateTime"), "InefficientFilter"),
    ],
)  # fmt: skip
async def test_queries_that_outlook_refuses(app: App, query: str, code: str) -> None:
    """Listing extended properties, and sorting by what does not come first in the filter, are refused."""
    assert await app.refused("GET", f"me/messages?{query}") == (400, code)


async def test_pages(lab: Lab, app: App) -> None:
    """A page has ten messages unless $top says otherwise, and next links visit each message once."""
    for number in range(12):
        await lab.arrives(subject=f"mail {number}")
    first = await app.ok("GET", "me/messages")
    assert len(first["value"]) == 10
    seen, link = (
        [],
        f"{first['@odata.context'].partition('/$metadata')[0]}/me/messages?$top=5&$select=subject",
    )
    while link:
        page = await app.ok("GET", link.partition("/v1.0/")[2])
        seen += [mail["subject"] for mail in page["value"]]
        link = page.get("@odata.nextLink", "")
    assert sorted(seen) == sorted(f"mail {number}" for number in range(12))
    counted = await app.ok("GET", f"me/messages?{where(count='true', top='1')}")
    assert (counted["@odata.count"], len(counted["value"])) == (12, 1)


async def test_filters(lab: Lab, app: App) -> None:
    """Filters by comparisons, functions, and/or/not and brackets pick the right messages."""
    await lab.arrives(subject="Red")
    await lab.pass_time(3600)
    late = await lab.arrives(subject="Blue")
    await lab.control("POST", f"mailboxes/{ANN}/messages/{late['id']}/read", {})
    for text, expected in {
        "isRead eq true": ["Blue"],
        "not (isRead eq true)": ["Red"],
        "subject eq 'RED'": ["Red"],
        "startswith(subject,'bl')": ["Blue"],
        "contains(subject,'e')": ["Blue", "Red"],
        "isRead eq true and subject eq 'red'": [],
        "isRead eq true or subject eq 'red'": ["Blue", "Red"],
        f"from/emailAddress/address eq '{CAT.upper()}'": ["Blue", "Red"],
        f"receivedDateTime ge {late['received_at']}": ["Blue"],
        f"lastModifiedDateTime lt {late['received_at']}": ["Red"],
        f"internetMessageId eq '{late['internet_message_id']}'": ["Blue"],
        f"conversationId eq '{late['conversation_id']}'": ["Blue"],
        f"conversationId eq '{late['conversation_id'].upper()}'": [],
    }.items():
        assert sorted(await subjects(app, where(filter=text))) == expected, text


async def test_orders(lab: Lab, app: App) -> None:
    """$orderby sorts either way, and with a filter by what stands first there."""
    await lab.knobs(list_next_link="kept", list_500="never")
    for name in ("B", "C", "A"):
        await lab.arrives(subject=name)
    assert await subjects(app) == ["A", "C", "B"]
    assert await subjects(app, where(orderby="subject desc")) == ["C", "B", "A"]
    query = where(filter=RECENT, orderby="receivedDateTime asc", top="2")
    assert await subjects(app, query) == ["B", "C"]


async def test_a_filtered_list_has_no_order_of_its_own(lab: Lab, app: App) -> None:
    """Without $orderby a filtered list has any order, and with the knob the newest come first."""
    for number in range(8):
        await lab.arrives(subject=f"{number}")
    newest_first = [f"{number}" for number in range(7, -1, -1)]
    assert await subjects(app, where(filter="isRead eq false")) != newest_first
    await lab.knobs(unordered_list="newest_first")
    assert await subjects(app, where(filter="isRead eq false")) == newest_first


async def test_extended_properties_are_read_by_name_only(lab: Lab, app: App) -> None:
    """Extended properties come with $expand alone.

    They are found by a name of the same case and a value of any case.
    """
    await lab.knobs(property_filter="exact")
    made = await app.ok(
        "POST", "me/messages", draft(singleValueExtendedProperties=[{"id": MARK, "value": "Key-1"}])
    )
    assert "singleValueExtendedProperties" not in made
    expand = f"singleValueExtendedProperties($filter=id eq '{MARK}')"
    found = await app.ok("GET", f"{at(made['id'])}?{where(expand=expand)}")
    assert found["singleValueExtendedProperties"] == [{"id": MARK, "value": "Key-1"}]
    for name, value, count in (
        (MARK, "KEY-1", 1),
        (MARK, "other", 0),
        (MARK.replace("Mark", "mark"), "Key-1", 0),
    ):
        text = f"singleValueExtendedProperties/Any(ep: ep/id eq '{name}' and ep/value eq '{value}')"
        listed = await app.ok("GET", f"me/messages?{where(filter=text)}")
        assert len(listed["value"]) == count


async def test_a_filter_may_let_any_value_through(lab: Lab, app: App) -> None:
    """By default a filter on a property's value finds every message with the property, and none without it."""
    for value in ("Key-1", "Key-2"):
        await app.ok(
            "POST", "me/messages", draft(singleValueExtendedProperties=[{"id": MARK, "value": value}])
        )
    await app.ok("POST", "me/messages", draft())
    text = f"singleValueExtendedProperties/Any(ep: ep/id eq '{MARK}' and ep/value eq 'Key-1')"
    for setting, count in (("any_value", 2), ("exact", 1)):
        await lab.knobs(property_filter=setting)
        assert len((await app.ok("GET", f"me/messages?{where(filter=text)}"))["value"]) == count


async def test_comparing_extended_properties(lab: Lab, app: App) -> None:
    """Extended properties' values can be compared in filters, and lists of values are read by $expand."""
    await lab.knobs(property_filter="exact")
    listed = MARK.replace("String", "StringArray")
    made = await app.ok(
        "POST",
        "me/messages",
        draft(
            singleValueExtendedProperties=[{"id": MARK, "value": "Key-1"}],
            multiValueExtendedProperties=[{"id": listed, "value": ["a", "b"]}],
        ),
    )
    for condition, count in {
        "ep/value ne 'other'": 1,
        "ep/value ne 'KEY-1'": 0,
        "contains(ep/value, 'EY-')": 1,
        "startswith(ep/value, 'key')": 1,
        "startswith(ep/value, 'ey')": 0,
    }.items():
        text = f"singleValueExtendedProperties/Any(ep: ep/id eq '{MARK}' and {condition})"
        found = await app.ok("GET", f"me/messages?{where(filter=text)}")
        assert len(found["value"]) == count, condition
    wrong = f"singleValueExtendedProperties/Any(ep: ep/id ne '{MARK}')"
    assert (await app.refused("GET", f"me/messages?{where(filter=wrong)}"))[0] == 400
    expand = f"multiValueExtendedProperties($filter=id eq '{listed}')"
    shown = await app.ok("GET", f"{at(made['id'])}?{where(expand=expand)}")
    assert shown["multiValueExtendedProperties"] == [{"id": listed, "value": ["a", "b"]}]


@pytest.mark.parametrize(
    "query",
    [
        where(search='"x"'),
        where(expand="extensions"),
        where(filter="categories/any(c: c eq 'Red')"),
        where(filter="toRecipients/all(r: r/emailAddress/address eq 'x')"),
    ],
)
async def test_what_is_not_imitated(app: App, query: str) -> None:
    """Search, open extensions and filters over other collections are answered as not implemented."""
    assert await app.refused("GET", f"me/messages?{query}") == (501, "SimulatorNotImplemented")


TAG_FORMS = {
    "exact": ("<one@x.example>", "<zero@x.example> <one@x.example>"),
    "bare": ("one@x.example", "zero@x.example, one@x.example"),
    "words": (
        'Your message of "Mon, 2 Mar 2026 09:00:00 +0000"\r\n <one@x.example>',
        'Your message of "Mon, 2 Mar 2026 09:00:00 +0000"\r\n <zero@x.example>\r\n\t<one@x.example>',
    ),
}


@pytest.mark.parametrize("form", TAG_FORMS)
async def test_standard_tags(lab: Lab, app: App, form: str) -> None:
    """Exchange's own tags give Message-ID, In-Reply-To and References without the headers, as they were written."""
    await lab.knobs(received_reply_tags="both", reply_tag_form=form)
    mail = await lab.arrives(
        in_reply_to="<one@x.example>", references=["<zero@x.example>", "<one@x.example>"]
    )
    tags = ["String 0x1035", "String 0x1042", "String 0x1039"]
    named = " or ".join(f"id eq '{tag}'" for tag in tags)
    expand = f"singleValueExtendedProperties($filter={named})"
    found = await app.ok("GET", f"{at(mail['id'])}?{where(select='id', expand=expand)}")
    assert {tag["id"]: tag["value"] for tag in found["singleValueExtendedProperties"]} == dict(
        zip(tags, [mail["internet_message_id"], *TAG_FORMS[form]], strict=True)
    )


async def test_received_mail_may_lack_a_tag(lab: Lab, app: App) -> None:
    """By default received mail carries one of the two reply tags or both, never none."""
    seen = set()
    expand = "singleValueExtendedProperties($filter=id eq 'String 0x1042' or id eq 'String 0x1039')"
    for _ in range(12):
        mail = await lab.arrives(in_reply_to="<a@x.example>", references=["<a@x.example>"])
        found = await app.ok("GET", f"{at(mail['id'])}?{where(select='id', expand=expand)}")
        seen.add(tuple(sorted(tag["id"] for tag in found["singleValueExtendedProperties"])))
    assert seen == {("String 0x1042",), ("String 0x1039",), ("String 0x1039", "String 0x1042")}


async def test_headers_of_received_mail(lab: Lab, app: App) -> None:
    """Received mail's headers come in order and repeated when asked for, and a draft of one's own has none."""
    mail = await lab.arrives(headers={"Auto-Submitted": "auto-replied"}, in_reply_to="<a@x.example>")
    found = await app.ok("GET", f"{at(mail['id'])}?{where(select='internetMessageHeaders')}")
    names = [header["name"] for header in found["internetMessageHeaders"]]
    assert names.count("Received") == 2
    assert {"Message-ID", "In-Reply-To", "Auto-Submitted", "Date"} <= set(names)
    made = await app.ok("POST", "me/messages", draft())
    own = await app.ok("GET", f"{at(made['id'])}?{where(select='internetMessageHeaders')}")
    assert "internetMessageHeaders" not in own


async def test_bodies(lab: Lab, app: App) -> None:
    """A body comes as HTML without scripts, or as text on request, with a preview of 255 characters."""
    html = f'<p onclick="x()">Hi {"long " * 80}</p><script>steal()</script><img src="cid:logo">'
    made = await app.ok("POST", "me/messages", draft(body={"contentType": "HTML", "content": html}))
    assert made["body"]["contentType"] == "html"
    assert made["body"]["content"].startswith("<html><head>")
    assert not {"script", "onclick"} & set(re.findall(r"\w+", made["body"]["content"]))
    assert len(made["bodyPreview"]) == 255
    answer = await app("GET", at(made["id"]), Prefer='outlook.body-content-type="text"')
    assert answer.headers["Preference-Applied"] == 'outlook.body-content-type="text"'
    text = answer.json()["body"]
    assert text["contentType"] == "text"
    assert text["content"].endswith("[cid:logo]")


async def test_unsafe_html_on_request(lab: Lab, app: App) -> None:
    """Scripts of received mail are kept and shown only to who asks for unsafe HTML."""
    mail = await lab.arrives(html="<p>Hi</p><script>steal()</script>")
    shown = (await app.ok("GET", at(mail["id"])))["body"]["content"]
    assert "steal" not in shown
    whole = await app.ok("GET", at(mail["id"]), Prefer="outlook.allow-unsafe-html")
    assert "steal()" in whole["body"]["content"]


async def test_the_part_above_the_quotation(lab: Lab, app: App) -> None:
    """`uniqueBody` leaves out what a mail program quoted."""
    mail = await lab.arrives(html="<p>Yes, gladly</p><blockquote>Shall we?</blockquote>")
    found = await app.ok("GET", f"{at(mail['id'])}?{where(select='uniqueBody')}")
    assert "gladly" in found["uniqueBody"]["content"]
    assert "Shall we" not in found["uniqueBody"]["content"]


async def test_mime(lab: Lab, app: App) -> None:
    """$value gives a message as RFC 5322 text."""
    mail = await lab.arrives(subject="Quote")
    answer = await app("GET", f"{at(mail['id'])}/$value")
    assert answer.headers["content-type"].startswith("text/plain")
    assert f"Message-ID: {mail['internet_message_id']}" in answer.text
    assert "Subject: Quote" in answer.text
    reply = {
        "body": {"contentType": "text", "content": "Ten"},
        "ccRecipients": to(ANN),
        "bccRecipients": to(ANN),
    }
    given = {"Message": {**reply, "attachments": [file("a.txt", b"hello")]}}
    made = await app.ok("POST", f"{at(mail['id'])}/createReply", given)
    text = (await app("GET", f"{at(made['id'])}/$value")).text
    for line in (
        f"In-Reply-To: {mail['internet_message_id']}",
        "References: ",
        "Cc: ",
        "Bcc: ",
        'filename="a.txt"',
    ):
        assert line in text
    assert "From: " not in text


async def test_both_kinds_of_id(lab: Lab, app: App) -> None:
    """Prefer decides the kind of id in answers. Either kind names the message, and a move changes the ordinary one."""
    mail = await lab.arrives()
    ordinary = await app.ok("GET", at(mail["id"]))
    immutable = await app.ok("GET", at(mail["ordinary_id"]), **IMMUTABLE)
    assert (ordinary["id"], immutable["id"]) == (mail["ordinary_id"], mail["id"])
    await app.ok("POST", f"{at(ordinary['id'])}/move", {"DestinationId": "archive"})
    assert await app.refused("GET", at(ordinary["id"])) == (404, "ErrorItemNotFound")
    assert (await app.ok("GET", at(immutable["id"]), **IMMUTABLE))["id"] == immutable["id"]


async def test_ids_are_case_sensitive(lab: Lab, app: App) -> None:
    """Two ids may differ by the case of one letter, and each names its own message."""
    ids = [(await lab.arrives(subject=f"{number}"))["id"] for number in range(12)]
    assert len({message_id.lower() for message_id in ids}) < len(ids)
    for number, message_id in enumerate(ids):
        assert (await app.ok("GET", at(message_id)))["subject"] == f"{number}"


@pytest.mark.parametrize(
    "prefer",
    ['IdType="Mutable"', 'outlook.body-content-type="pdf"', "outlook.colour=red", '=;"x', "eventual"],
)
async def test_unknown_preferences(lab: Lab, app: App, prefer: str) -> None:
    """A preference that Graph does not know is passed over, and the others count (RFC 7240, section 2)."""
    mail = await lab.arrives()
    plain = await app("GET", at(mail["ordinary_id"]), Prefer=prefer)
    assert plain.json()["id"] == mail["ordinary_id"]
    assert "Preference-Applied" not in plain.headers
    found = await app.ok("GET", at(mail["ordinary_id"]), Prefer=f'{prefer}, IdType="ImmutableId"')
    assert found["id"] == mail["id"]


async def test_several_preferences(lab: Lab, app: App) -> None:
    """One Prefer header may hold several preferences."""
    await lab.knobs(null_members="none")
    mail = await lab.arrives()
    found = await app.ok(
        "GET", at(mail["id"]), Prefer='outlook.body-content-type="text", IdType="ImmutableId"'
    )
    assert (found["id"], found["body"]["contentType"]) == (mail["id"], "text")


async def test_attachments_with_the_message(app: App) -> None:
    """$expand=attachments gives a message's files, and with $select inside only their outlines."""
    made = await app.ok("POST", "me/messages", draft(attachments=[file()]))
    whole = await app.ok("GET", f"{at(made['id'])}?{where(expand='attachments')}")
    assert whole["attachments"][0]["contentBytes"] == "aGVsbG8="
    outline = await app.ok("GET", f"{at(made['id'])}?{where(expand='attachments($select=name,size)')}")
    assert {name for name in outline["attachments"][0] if "@" not in name} == {"id", "name", "size"}


async def test_by_way_of_a_folder(lab: Lab, app: App) -> None:
    """A folder, by name, id or in brackets, lists its own messages alone and gives none of another's."""
    mail = await lab.arrives(subject="In")
    await app.ok("POST", "me/messages", draft(subject="Out"))
    inbox = (await app.ok("GET", "me/mailFolders/inbox"))["id"]
    for path in (
        "me/mailFolders/inbox/messages",
        "me/mailFolders('inbox')/messages",
        f"me/mailFolders/{inbox}/messages",
    ):
        assert await subjects(app, path=path) == ["In"]
    assert (await app.ok("GET", f"me/mailFolders/inbox/messages/{mail['id']}"))["subject"] == "In"
    assert await app.refused("GET", f"me/mailFolders/drafts/messages/{mail['id']}") == (
        404,
        "ErrorItemNotFound",
    )
    assert await app.refused("GET", "me/mailFolders/nowhere/messages") == (400, "ErrorInvalidIdMalformed")


WAVE = "\U0001f44b"


async def test_half_characters_of_received_mail(lab: Lab, app: App) -> None:
    """A character of two halves arrives as its first, as an escape, in texts and names; by the knob it stays whole."""
    picture = {"name": f"plan{WAVE}.png", "content_base64": "eA=="}
    mail = await lab.arrives(subject=f"Hi {WAVE}", html=f"<p>Hi {WAVE}</p>", attachments=[picture])
    answer = await app("GET", f"{at(mail['id'])}?$select=subject,body")
    assert rb'"Hi \ud83d"' in answer.content
    assert answer.json()["subject"] == "Hi \ud83d"
    assert "Hi \ud83d<" in answer.json()["body"]["content"]
    (listed,) = (await app.ok("GET", f"{at(mail['id'])}/attachments?$select=name"))["value"]
    assert listed["name"] == "plan\ud83d.png"
    await lab.knobs(half_surrogates="whole")
    assert (await app.ok("GET", at(mail["id"])))["subject"] == f"Hi {WAVE}"


async def test_nulls_of_received_mail(lab: Lab, app: App) -> None:
    """A received mail has null where the metadata allows it, beside everybody it was from and to; by the knob none."""
    mail = await lab.arrives(cc=["dan@fabrikam.example"])
    query = "$select=from,ccRecipients,body,internetMessageHeaders"
    found = await app.ok("GET", f"{at(mail['id'])}?{query}")
    assert found["from"] == {"emailAddress": {"name": None, "address": CAT}}
    dan = {"emailAddress": {"name": None, "address": "dan@fabrikam.example"}}
    assert found["ccRecipients"] == [dan, {"emailAddress": None}]
    assert found["body"]["contentType"] is None
    assert {"name": None, "value": None} in found["internetMessageHeaders"]
    await lab.knobs(null_members="none")
    found = await app.ok("GET", f"{at(mail['id'])}?{query}")
    assert {"emailAddress": None} not in found["ccRecipients"]
    assert None not in (found["body"]["contentType"], found["from"]["emailAddress"]["name"])


async def test_drafts_come_back_as_they_were_made(app: App) -> None:
    """What the application wrote itself is neither halved nor made null."""
    made = await app.ok("POST", "me/messages", draft(subject=f"Hi {WAVE}"))
    found = await app.ok("GET", at(made["id"]))
    assert (found["subject"], found["body"]["contentType"]) == (f"Hi {WAVE}", "html")
