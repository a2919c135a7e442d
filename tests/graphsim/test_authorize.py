"""The sign-in page and its documents."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.graphsim.conftest import ANN, BEN, CLIENT, HTTP, HTTPS, REDIRECT, Lab, authorize_query

PAGE = f"{HTTP}/common/oauth2/v2.0/authorize"


def fields_of(page: httpx.Response) -> dict[str, str]:
    """The hidden inputs of a form."""
    return dict(re.findall(r'name="([^"]+)" value="([^"]*)"', page.text.replace("&amp;", "&")))


async def decide(lab: Lab, decision: str, account: str = ANN, **changes: str) -> httpx.Response:
    """Click through the pages as a browser would."""
    shown = await lab.http.get(f"{PAGE}?{authorize_query(account=account, **changes)}")
    assert shown.status_code == 200
    return await lab.http.post(PAGE, data={"query": fields_of(shown)["query"], "decision": decision})


async def test_the_openid_configuration(lab: Lab) -> None:
    """The OpenID configuration names a plain http sign-in page, TLS for tokens, and a template as issuer of common."""
    found = (await lab.http.get(f"{HTTPS}/common/v2.0/.well-known/openid-configuration")).json()
    assert found["authorization_endpoint"] == PAGE
    assert found["token_endpoint"] == f"{HTTPS}/common/oauth2/v2.0/token"
    assert found["issuer"] == "https://login.microsoftonline.com/{tenantid}/v2.0"
    assert found["response_modes_supported"] == ["query", "fragment", "form_post"]
    own = (
        await lab.http.get(
            f"{HTTPS}/f8cdef31-a31e-4b4a-93e4-5f571e91255a/v2.0/.well-known/openid-configuration"
        )
    ).json()
    assert own["issuer"].endswith("/f8cdef31-a31e-4b4a-93e4-5f571e91255a/v2.0")


async def test_instance_discovery(lab: Lab) -> None:
    """Instance discovery names the hosts of one cloud in the form that libraries read."""
    query = {"api-version": "1.1", "authorization_endpoint": f"{HTTPS}/common/oauth2/v2.0/authorize"}
    found = (await lab.http.get(f"{HTTPS}/common/discovery/instance", params=query)).json()
    assert found["tenant_discovery_endpoint"] == f"{HTTPS}/common/v2.0/.well-known/openid-configuration"
    assert found["metadata"][0]["aliases"] == ["localhost"]


async def test_a_person_picks_an_account(lab: Lab) -> None:
    """The sign-in page offers every account, the hinted one first, and a click leads to the permissions."""
    page = await lab.http.get(f"{PAGE}?{authorize_query(login_hint=BEN)}")
    assert re.findall(r'data-testid="account-([^"]+)"', page.text) == [BEN, ANN]
    link = re.search(r'href="(\?[^"]+)"', page.text)
    assert link
    consent = await lab.http.get(f"{PAGE}{link[1].replace('&amp;', '&')}")
    for text in ("An application", BEN, "Read your mail", "Send mail as you"):
        assert text in consent.text
    assert "Keep access while you are away" not in consent.text


async def test_acceptance_is_posted(lab: Lab) -> None:
    """With form_post the browser posts code and state to the application."""
    answer = await decide(lab, "accept", client_info="1")
    fields = fields_of(answer)
    assert f'action="{REDIRECT}"' in answer.text
    assert set(fields) == {"code", "state", "session_state", "client_info"}
    assert fields["state"] == "s-1"


@pytest.mark.parametrize(("mode", "part"), [("query", "query"), (None, "query"), ("fragment", "fragment")])
async def test_acceptance_is_a_redirect(lab: Lab, mode: str | None, part: str) -> None:
    """Without form_post code and state come in the redirect's query (the default) or fragment."""
    query = authorize_query(account=ANN, response_mode=mode)
    shown = await lab.http.get(f"{PAGE}?{query}")
    answer = await lab.http.post(PAGE, data={"query": fields_of(shown)["query"], "decision": "accept"})
    assert answer.status_code == 302
    fields = parse_qs(getattr(urlsplit(answer.headers["location"]), part))
    assert fields["state"] == ["s-1"]
    assert fields["code"]


async def test_declining(lab: Lab) -> None:
    """A person who declines is sent back with access_denied and AADSTS65004."""
    fields = fields_of(await decide(lab, "decline"))
    assert (fields["error"], fields["error_subcode"], fields["state"]) == ("access_denied", "cancel", "s-1")
    assert fields["error_description"].startswith("AADSTS65004")
    assert "code" not in fields


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"client_id": "unknown"}, "AADSTS700016"),
        ({"redirect_uri": REDIRECT + "/"}, "AADSTS50011"),
        ({"redirect_uri": "https://evil.example/callback"}, "AADSTS50011"),
        ({"scope": None}, "AADSTS900144"),
        ({"response_type": None}, "AADSTS900144"),
    ],
)
async def test_errors_that_stay_on_the_page(lab: Lab, changes: dict[str, str | None], number: str) -> None:
    """An unknown app, another redirect address or a missing parameter is shown on the page alone."""
    answer = await lab.http.get(f"{PAGE}?{authorize_query(**changes)}")
    assert answer.status_code == 400
    assert number in answer.text
    assert "location" not in answer.headers


async def test_errors_that_go_back(lab: Lab) -> None:
    """Another response type, and prompt=none without a session, are told to the application."""
    fields = fields_of(await decide(lab, "accept", response_type="token"))
    assert fields["error"] == "unsupported_response_type"
    answer = await lab.http.get(f"{PAGE}?{authorize_query(prompt='none')}")
    assert fields_of(answer)["error"] == "login_required"


async def test_pages_escape_what_they_are_given(lab: Lab) -> None:
    """Markup in the state is escaped on the sign-in page."""
    page = await lab.http.get(f"{PAGE}?{authorize_query(state='<script>x</script>', client_id=CLIENT)}")
    assert "<script>x" not in page.text
