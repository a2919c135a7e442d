"""Sign-in and refresh through MSAL."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from sandbox.graphsim.config import HOME_TENANT_ID, PERSONAL_TENANT_ID
from shared.domain import errors
from shared.domain.model import Profile
from shared.graph.auth import SCOPES
from shared.graph.provider import GraphMail
from tests.contract.graph.conftest import ANN, BACK, Office, SignedIn


async def refused(office: Office, reason: str, **changes: str) -> None:
    sign_in = office.sign_in()
    flow, fields = await office.approved(sign_in)
    with pytest.raises(errors.SignInFailed) as caught:
        await office.sign_in(**changes).redeem(flow, fields)
    assert caught.value.reason == reason


async def test_a_person_connects(office: Office, mail: GraphMail) -> None:
    """A sign-in gives identity, scopes and expiry, and its token reads the mailbox's profile."""
    ann = await office.signed_in()
    assert (ann.grant.tid, ann.grant.username) == (HOME_TENANT_ID, ANN)
    assert set(ann.grant.scopes) == set(SCOPES)
    assert timedelta(minutes=60) <= ann.grant.expires_at - office.clock.now() <= timedelta(minutes=90)
    assert await mail.profile(ann) == Profile(ANN, "Ann Archer")


async def test_a_profile_names_every_address(office: Office, mail: GraphMail) -> None:
    """Aliases and X.500 name of the mailbox are read with its profile, where Graph lists them."""
    await office.control(
        "POST", "users", {"address": "rob@northwind.example", "aliases": ["r.roe@northwind.example"]}
    )
    await office.knobs(proxy_addresses="x500")
    rob = await mail.profile(await office.signed_in("rob@northwind.example"))
    assert rob.address == "rob@northwind.example"
    assert rob.aliases[0].startswith("/O=EXCHANGELABS/OU=")
    assert rob.aliases[1:] == ("r.roe@northwind.example",)


async def test_a_personal_account(office: Office, mail: GraphMail) -> None:
    """An Outlook.com mailbox has the tenant of all personal accounts, and an address without `mail`."""
    await office.control(
        "POST", "users", {"address": "pat@outlook.example", "personal": True, "no_mail": True}
    )
    pat = await office.signed_in("pat@outlook.example")
    assert pat.grant.tid == PERSONAL_TENANT_ID
    assert (await mail.profile(pat)).address == "pat@outlook.example"


async def test_somebody_says_no(office: Office) -> None:
    """A person who declines fails the sign-in with that reason, and no token is asked for."""
    sign_in = office.sign_in()
    with pytest.raises(errors.SignInFailed) as caught:
        await sign_in.redeem(*await office.approved(sign_in, decision="decline"))
    assert caught.value.reason == "declined"
    assert "entra.token" not in await office.operations()


async def test_a_code_works_once(office: Office) -> None:
    """A code that was redeemed already asks the person to sign in again."""
    sign_in = office.sign_in()
    flow, fields = await office.approved(sign_in)
    await sign_in.redeem(flow, fields)
    with pytest.raises(errors.SignInFailed) as caught:
        await sign_in.redeem(flow, fields)
    assert caught.value.reason == "interaction_required"


async def test_a_code_grows_old(office: Office) -> None:
    """A code that is more than ten minutes old asks the person to sign in again."""
    sign_in = office.sign_in()
    flow, fields = await office.approved(sign_in)
    office.clock.advance(601)
    with pytest.raises(errors.SignInFailed) as caught:
        await sign_in.redeem(flow, fields)
    assert caught.value.reason == "interaction_required"


async def test_anothers_verifier_is_no_use(office: Office) -> None:
    """A code with another PKCE verifier fails the sign-in."""
    sign_in = office.sign_in()
    flow, fields = await office.approved(sign_in)
    with pytest.raises(errors.SignInFailed):
        await sign_in.redeem({**flow, "code_verifier": "x" * 43}, fields)


async def test_a_wrong_secret_is_the_operators(office: Office, ann: SignedIn) -> None:
    """A wrong app secret is the operator's error at sign-in and an outage at refresh, and disconnects nobody."""
    await refused(office, "operator_error", client_credential="wrong")
    with pytest.raises(errors.ProviderUnavailable):
        await office.sign_in(client_credential="wrong").refresh(ann.cache)


async def test_an_unknown_app_is_the_operators(office: Office, ann: SignedIn) -> None:
    """An app that Entra does not know is the operator's error."""
    await office.control(
        "POST", "applications", {"client_id": "other", "client_secret": "s", "redirect_uris": []}
    )
    await refused(office, "operator_error", client_id="unknown")


async def test_entra_has_a_bad_moment(office: Office, ann: SignedIn) -> None:
    """A transient error of Entra is an outage at sign-in and at refresh, and the same code works later."""
    sign_in = office.sign_in()
    flow, fields = await office.approved(sign_in)
    for status in (400, 503):
        await office.fault("entra.token", "status", status=status, count=2)
        with pytest.raises(errors.ProviderUnavailable):
            await sign_in.redeem(flow, fields)
        with pytest.raises(errors.ProviderUnavailable):
            await sign_in.refresh(ann.cache)
        office.clock.advance(15)  # sooner nobody would be asked
    assert (await sign_in.redeem(flow, fields)).tid == HOME_TENANT_ID


async def test_a_loop_throttle_is_a_pause(office: Office, ann: SignedIn) -> None:
    """AADSTS50196 comes as `invalid_grant`; the same consent works afterwards."""
    await office.fault("entra.token", "status", code="50196")
    with pytest.raises(errors.Throttled):
        await office.sign_in().refresh(ann.cache)
    assert (await office.sign_in().refresh(ann.cache)).access_token


async def test_refreshes_go_on_for_ever(office: Office, ann: SignedIn) -> None:
    """A cache that is kept after every refresh outlives a refresh token's 90 days; an unused one does not."""
    cache = ann.cache
    for _ in range(4):
        office.clock.advance(80 * 86_400)
        cache = (await ann.sign_in.refresh(cache)).cache
    office.clock.advance(91 * 86_400)
    with pytest.raises(errors.GrantDead):
        await ann.sign_in.refresh(cache)


async def test_revoked_sessions_end_the_grant(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """Revoked sessions are a dead consent, and signing in again repairs it."""
    await office.control("POST", f"users/{ANN}/revoke")
    with pytest.raises(errors.GrantDead):
        await mail.profile(ann)
    assert await mail.profile(await office.signed_in())


async def test_an_old_token_is_replaced_in_passing(office: Office, mail: GraphMail, ann: SignedIn) -> None:
    """An expired access token costs one refresh and one repeat of the call."""
    office.clock.advance(2 * 3600)
    await office.watch()
    assert await mail.profile(ann)
    assert [(request["operation"], request["status"]) for request in await office.requests()] == [
        ("me.get", 401),
        ("entra.token", 200),
        ("me.get", 200),
    ]
    assert ann.refreshes == 1


async def test_an_administrators_approval_lets_people_connect(office: Office) -> None:
    """Stopped people get a link; where an administrator approves by it, the same people connect."""
    await office.control("PUT", "user-consent", {"allowed": False})
    sign_in = office.sign_in()
    flow, fields = await office.approved(sign_in)
    with pytest.raises(errors.SignInFailed) as caught:
        await sign_in.redeem(flow, fields)
    assert caught.value.reason == "admin_consent_required"
    link = sign_in.consent_link(flow)
    shown = await office.controls.get(f"{link}&{urlencode({'account': ANN})}")
    query = html.unescape(re.findall(r'name="query" value="([^"]*)"', shown.text)[0])
    back = await office.controls.post(link.partition("?")[0], data={"query": query, "decision": "accept"})
    assert back.headers["location"].startswith(f"{BACK}?admin_consent=True&")
    assert set((await office.signed_in()).grant.scopes) == set(SCOPES)
