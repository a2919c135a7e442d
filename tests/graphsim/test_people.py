"""Who a mail names as its author, and what the profile knows of the user's addresses."""

from __future__ import annotations

import pytest

from tests.graphsim.conftest import CAT, App, Lab, at, draft

ROB = "rob@northwind.example"
ALIAS = "r.roe@northwind.example"


@pytest.fixture
async def rob(lab: Lab) -> App:
    """Rob, who has an alias."""
    await lab.control(
        "POST", "users", {"address": ROB, "display_name": "Rob Roe", "aliases": [ALIAS.title()]}
    )
    return await lab.app(ROB)


async def _legacy_name(lab: Lab, app: App) -> str:
    await lab.knobs(proxy_addresses="x500")
    proxies = (await app.ok("GET", "me?$select=proxyAddresses"))["proxyAddresses"]
    return str(next(proxy for proxy in proxies if proxy.startswith("X500:")).removeprefix("X500:"))


@pytest.mark.parametrize(
    ("knob", "seen_outside", "in_sent_items"),
    [
        ("x500", ROB, None),
        ("alias", ALIAS, ALIAS),
        ("plus", "rob+outlook@northwind.example", "rob+outlook@northwind.example"),
        ("address", ROB, ROB),
    ],
)
async def test_how_the_users_own_mail_names_the_user(
    lab: Lab, rob: App, knob: str, seen_outside: str, in_sent_items: str | None
) -> None:
    """A mail written in Outlook is from the address that the knob says; an X.500 name shows in Sent Items alone."""
    await lab.knobs(own_from=knob)
    body = {"to": [CAT], "subject": "Hello", "html": "<p>Hello</p>"}
    await lab.control("POST", f"mailboxes/{ROB}/compose", body)
    await lab.pass_time(5)
    (mine,), (theirs,) = await lab.mailbox(ROB), await lab.outside()
    assert theirs["from"] == seen_outside
    assert mine["from"] == (in_sent_items or await _legacy_name(lab, rob))
    await lab.control(
        "POST",
        f"outside/{CAT}/reply",
        {"internet_message_id": theirs["internet_message_id"], "html": "<p>Yes</p>"},
    )
    await lab.pass_time(5)
    answers = [mail for mail in await lab.mailbox(ROB) if mail["folder"] == "inbox"]
    assert [mail["to"] for mail in answers] == [[seen_outside]]


async def test_a_reply_to_ones_own_mail_goes_to_its_recipients(lab: Lab, rob: App) -> None:
    """CreateReply on a sent copy that names the user by an X.500 name is no mail to the user."""
    made = await rob.ok("POST", "me/messages", draft())
    await rob("POST", f"{at(str(made['id']))}/send")
    await lab.pass_time(5)
    (copy,) = await lab.mailbox(ROB)
    assert copy["from"] == await _legacy_name(lab, rob)
    reply = await rob.ok("POST", f"{at(copy['ordinary_id'])}/createReply", {})
    assert [person["emailAddress"]["address"] for person in reply["toRecipients"]] == [CAT]


async def test_what_the_profile_lists(lab: Lab, rob: App) -> None:
    """`proxyAddresses` is there when it is selected: nothing, the SMTP addresses, or the X.500 name too."""
    assert "proxyAddresses" not in await rob.ok("GET", "me")
    listed = {}
    for knob in ("empty", "smtp", "x500"):
        await lab.knobs(proxy_addresses=knob)
        listed[knob] = (await rob.ok("GET", "me?$select=mail,proxyAddresses"))["proxyAddresses"]
    assert (listed["empty"], listed["smtp"]) == ([], [f"SMTP:{ROB}", f"smtp:{ALIAS}", f"SIP:{ROB}"])
    assert listed["x500"][1:] == listed["smtp"]
    assert listed["x500"][0].startswith("X500:/O=EXCHANGELABS/OU=")
