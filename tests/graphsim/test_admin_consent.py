"""Organisations that let only administrators consent, and the page on which one approves."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from sandbox.graphsim.config import HOME_TENANT_ID
from tests.graphsim.conftest import ANN, CLIENT, HTTP, REDIRECT, SCOPES, Lab, authorize_query, code_form
from tests.graphsim.test_authorize import PAGE, decide, fields_of

APPROVAL = f"{HTTP}/organizations/v2.0/adminconsent"
ASKED = {"client_id": CLIENT, "redirect_uri": REDIRECT, "scope": SCOPES}


async def approve(lab: Lab, decision: str = "accept", **changes: str) -> httpx.Response:
    """Click through the administrator's page."""
    shown = await lab.http.get(f"{APPROVAL}?{urlencode({**ASKED, 'account': ANN, **changes})}")
    assert shown.status_code == 200, shown.text
    return await lab.http.post(APPROVAL, data={"query": fields_of(shown)["query"], "decision": decision})


async def test_people_are_stopped_until_an_administrator_approves(lab: Lab) -> None:
    """Without approval a person comes back with AADSTS90094; after it nobody is asked, and tokens are issued."""
    await lab.control("PUT", "user-consent", {"allowed": False})
    shown = await lab.http.get(f"{PAGE}?{authorize_query(account=ANN)}")
    assert "Need admin approval" in shown.text
    refused = fields_of(await decide(lab, "accept"))
    assert (refused["error"], refused["error_description"].split(":")[0]) == ("access_denied", "AADSTS90094")
    answer = await approve(lab)
    fields = {
        name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()
    }
    assert answer.headers["location"].startswith(f"{REDIRECT}?")
    assert fields == {"admin_consent": "True", "tenant": HOME_TENANT_ID, "scope": SCOPES}
    signed_in = fields_of(await lab.http.get(f"{PAGE}?{authorize_query(account=ANN)}"))
    assert (await lab.token(code_form(signed_in["code"], scope=SCOPES))).status_code == 200


async def test_an_approval_covers_what_it_named(lab: Lab) -> None:
    """A sign-in that asks for more than was approved is stopped again."""
    await lab.control("PUT", "user-consent", {"allowed": False})
    await approve(lab, scope="User.Read")
    shown = await lab.http.get(f"{PAGE}?{authorize_query(account=ANN)}")
    assert "Need admin approval" in shown.text


async def test_an_administrator_says_no(lab: Lab) -> None:
    """A cancelled approval comes back as an error, with the state that was given, and approves nothing."""
    await lab.control("PUT", "user-consent", {"allowed": False})
    answer = await approve(lab, "decline", state="s-9")
    fields = parse_qs(urlsplit(answer.headers["location"]).query)
    assert (fields["error"], fields["state"]) == (["access_denied"], ["s-9"])
    assert "error" in fields_of(await decide(lab, "accept"))


async def test_the_administrator_picks_an_account(lab: Lab) -> None:
    """Without an account the page offers them; one that is personal approves nothing."""
    shown = await lab.http.get(f"{APPROVAL}?{urlencode(ASKED)}")
    assert ANN in re.findall(r'data-testid="account-([^"]+)"', shown.text)
    await lab.control("POST", "users", {"address": "pat@outlook.example", "personal": True})
    query = urlencode({**ASKED, "account": "pat@outlook.example"})
    assert (await lab.http.get(f"{APPROVAL}?{query}")).status_code == 400


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"client_id": "unknown"}, "AADSTS700016"),
        ({"redirect_uri": "https://evil.example/"}, "AADSTS50011"),
        ({"scope": ""}, "AADSTS900144"),
    ],
)
async def test_a_wrong_link_stays_on_the_page(lab: Lab, changes: dict[str, str], number: str) -> None:
    """An unknown app, another way back or no scope is shown on Microsoft's page alone."""
    answer = await lab.http.get(f"{APPROVAL}?{urlencode({**ASKED, **changes})}")
    assert answer.status_code == 400
    assert number in answer.text


async def test_a_reset_lets_people_consent_again(lab: Lab) -> None:
    """The simulator begins with people who may consent, and without approvals."""
    await lab.control("PUT", "user-consent", {"allowed": False})
    await lab.control("POST", "reset")
    await lab.control("POST", "users", {"address": ANN})
    shown = await lab.http.get(f"{PAGE}?{authorize_query(account=ANN)}")
    assert "Permissions requested" in shown.text
