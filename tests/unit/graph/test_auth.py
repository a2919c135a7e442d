"""Sign-in and refresh: what is believed, and whose fault an error is. Entra itself is scripted here."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import errors
from shared.graph.auth import SCOPES, Credential, EntraSignIn
from shared.graph.refusals import failed
from shared.security.certificates import read_certificate
from shared.transport import Transport
from tests.builders import NOW, StillClock
from tests.certificates import a_certificate

TID, OID = "5f0c3a52-7d4e-4f0b-9a51-2f3c1f0a7e11", "0b9d1d7c-6c3a-4b55-8f0e-7a3d2c1b0a99"
CLIENT = "6f3a5c1e-1111-4222-8333-944455556666"
SECRET = "the-secret-of-the-app"
REDIRECT = "https://app.example/api/oauth/callback"
BACK = "https://app.example/api/oauth/admin-consent"
AUTHORITY = "https://login.example/common"
ISSUER = "https://login.example/{tenantid}/v2.0"


def b64(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@dataclass(slots=True)
class Entra:
    """Answers the OpenID configuration and the token endpoint; `claims` and `answer` override what is good."""

    claims: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)
    raw: httpx.Response | Exception | None = None
    configuration: httpx.Response | None = None
    issuer: str | None = ISSUER
    nonce: str = ""
    requests: list[httpx.Request] = field(default_factory=list)
    clock: StillClock = field(default_factory=StillClock)

    def serve(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.method == "GET":
            return self._configuration()
        if isinstance(self.raw, Exception):
            raise self.raw
        return self.raw or httpx.Response(200, json=self._tokens())

    def _configuration(self) -> httpx.Response:
        if self.configuration is not None:
            return self.configuration
        base = "https://login.example/common/oauth2/v2.0"
        found = {"authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token"}
        return httpx.Response(200, json={**found, **({"issuer": self.issuer} if self.issuer else {})})

    def _tokens(self) -> dict[str, Any]:
        now = int(self.clock.now().timestamp())
        claims = {
            "aud": CLIENT,
            "iss": ISSUER.replace("{tenantid}", TID),
            "tid": TID,
            "oid": OID,
            "sub": "s",
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "nonce": self.nonce,
            "preferred_username": "ann@x",
        }
        claims = {name: value for name, value in {**claims, **self.claims}.items() if value is not None}
        good = {
            "token_type": "Bearer",
            "scope": " ".join(SCOPES),
            "expires_in": 3599,
            "access_token": "access-1",
            "refresh_token": "refresh-1",
            "id_token": f"{b64({'alg': 'RS256'})}.{b64(claims)}.signature",
            "client_info": b64({"uid": OID, "utid": TID}),
        }
        return {name: value for name, value in {**good, **self.answer}.items() if value is not None}

    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.requests[-1].content.decode()).items()}

    def calls(self) -> list[str]:
        return [request.method for request in self.requests]


@pytest.fixture
def entra() -> Entra:
    return Entra()


@pytest.fixture
def sign_in(entra: Entra) -> EntraSignIn:
    return EntraSignIn(
        Transport(inner=httpx.MockTransport(entra.serve)),
        client_id=CLIENT,
        client_credential=SECRET,
        authority=AUTHORITY,
        redirect_uri=REDIRECT,
        consent_uri=BACK,
        instance_discovery=False,
        clock=entra.clock,
    )


@pytest.mark.parametrize(
    ("signed_in_at", "approved_at"),
    [
        ("https://login.example/common/oauth2/v2.0/authorize?x=1", "https://login.example/organizations"),
        ("http://localhost:7444/common/oauth2/v2.0/authorize", "http://localhost:7444/organizations"),
        (f"https://login.example/{TID}/oauth2/v2.0/authorize", f"https://login.example/{TID}"),
    ],
)
def test_an_administrators_link_names_the_app_and_nobody(
    sign_in: EntraSignIn, signed_in_at: str, approved_at: str
) -> None:
    """The link to an administrator's approval has app, way back and scopes, and neither user nor state."""
    link = sign_in.consent_link({"auth_uri": signed_in_at, "state": "state-1", "nonce": "n"})
    place, _, query = link.partition("?")
    assert place == f"{approved_at}/v2.0/adminconsent"
    asked = parse_qs(query)
    assert set(asked) == {"client_id", "redirect_uri", "scope"}
    assert (asked["client_id"], asked["redirect_uri"]) == ([CLIENT], [BACK])
    assert set(asked["scope"][0].split()) == {*SCOPES, "openid", "profile", "offline_access"}
    assert "+" not in query


async def begun(sign_in: EntraSignIn, entra: Entra) -> dict[str, Any]:
    """A flow whose nonce Entra knows, kept as it is kept between two requests."""
    url, flow = await sign_in.begin(state="state-1")
    entra.nonce = parse_qs(urlsplit(url).query)["nonce"][0]
    kept: dict[str, Any] = json.loads(json.dumps(flow))
    return kept


GOOD = {"code": "code-1", "state": "state-1"}


async def test_the_sign_in_asks_as_it_should(sign_in: EntraSignIn) -> None:
    """A sign-in asks by PKCE S256 and form_post, with an account to pick and our state and scopes (O-1, O-5, O-8)."""
    url, flow = await sign_in.begin(state="state-1", login_hint="ann@x")
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert query["code_challenge_method"] == "S256"
    verifier = hashlib.sha256(flow["code_verifier"].encode()).digest()
    assert query["code_challenge"] == base64.urlsafe_b64encode(verifier).decode().rstrip("=")
    assert (query["response_mode"], query["prompt"], query["state"]) == (
        "form_post",
        "select_account",
        "state-1",
    )
    assert (query["redirect_uri"], query["login_hint"]) == (REDIRECT, "ann@x")
    assert set(query["scope"].split()) == {*SCOPES, "openid", "profile", "offline_access"}
    assert query["nonce"] != flow["nonce"]


async def test_a_code_becomes_a_grant(sign_in: EntraSignIn, entra: Entra) -> None:
    """A code becomes a grant with identity, expiry, scopes and token cache, and its repr shows no token."""
    grant = await sign_in.redeem(await begun(sign_in, entra), GOOD)
    assert (grant.tid, grant.oid, grant.username, grant.access_token) == (TID, OID, "ann@x", "access-1")
    assert grant.expires_at == NOW + timedelta(seconds=3599)
    assert set(grant.scopes) == set(SCOPES)
    assert "refresh-1" in grant.cache
    assert "access-1" not in repr(grant)
    assert entra.form()["code_verifier"]
    assert entra.form()["client_secret"] == SECRET


async def test_discovery_is_read_once(sign_in: EntraSignIn, entra: Entra) -> None:
    """The OpenID configuration is read once, however many calls follow."""
    grant = await sign_in.redeem(await begun(sign_in, entra), GOOD)
    await sign_in.refresh(grant.cache)
    await sign_in.begin(state="another")
    assert entra.calls() == ["GET", "POST", "POST"]


NO_CONFIGURATIONS = [
    httpx.Response(200, content=b"<html>The service is being maintained.</html>"),
    httpx.Response(200, json={"status": "ok"}),
    httpx.Response(200, json={"token_endpoint": 7, "authorization_endpoint": None}),
    httpx.Response(200, content=b""),
    httpx.Response(404, content=b"<html>"),
    httpx.Response(302, headers={"Location": "https://elsewhere.example"}),
]


@pytest.mark.parametrize("page", NO_CONFIGURATIONS, ids=str)
async def test_a_gateways_page_is_not_remembered(
    sign_in: EntraSignIn, entra: Entra, page: httpx.Response
) -> None:
    """What comes in place of the OpenID configuration is an outage to a refresh, and forgotten when that is over."""
    cache = await kept_cache(sign_in, entra)
    sign_in._discovered.clear()
    entra.configuration = page
    for _ in range(2):
        with pytest.raises(errors.ProviderUnavailable):
            await sign_in.refresh(cache)
        entra.clock.forward(minutes=1)
    entra.configuration = None
    assert (await sign_in.refresh(cache)).access_token == "access-1"


@pytest.mark.parametrize("state", ["another", "", None])
async def test_another_state_is_believed_nothing(
    sign_in: EntraSignIn, entra: Entra, state: str | None
) -> None:
    """An answer with another state fails the sign-in, whether it brings a code or an error."""
    flow = await begun(sign_in, entra)
    for answer in ({"code": "c"}, {"error": "access_denied"}):
        with pytest.raises(errors.SignInFailed) as caught:
            await sign_in.redeem(flow, {**answer, **({} if state is None else {"state": state})})
        assert caught.value.reason == "state_mismatch"
    assert "POST" not in entra.calls()


async def test_an_answer_without_a_code_fails(sign_in: EntraSignIn, entra: Entra) -> None:
    """An answer with the right state but without a code fails the sign-in."""
    with pytest.raises(errors.SignInFailed) as caught:
        await sign_in.redeem(await begun(sign_in, entra), {"state": "state-1"})
    assert caught.value.reason == "failed"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another-app"},
        {"aud": None},
        {"iss": "https://login.example/another/v2.0"},
        {"iss": None},
        {"tid": None},
        {"iss": f"https://evil.example/{TID}/v2.0"},
        {"tid": "not-a-guid", "iss": "https://login.example/not-a-guid/v2.0"},
        {"oid": None},
        {"oid": ""},
        {"oid": 7},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"exp": "soon"},
        {"tid": "0f0c3a52-7d4e-4f0b-9a51-2f3c1f0a7e11"},
    ],
)
async def test_an_unproven_identity_is_none(
    sign_in: EntraSignIn, entra: Entra, claims: dict[str, Any]
) -> None:
    """An identity counts only with audience, the tenant's issuer, nonce, time and both ids right (O-6)."""
    entra.claims = claims
    with pytest.raises(errors.SignInFailed) as caught:
        await sign_in.redeem(await begun(sign_in, entra), GOOD)
    assert caught.value.reason == "identity_unproven"


async def test_the_issuer_beside_the_code_must_agree(sign_in: EntraSignIn, entra: Entra) -> None:
    """The issuer that comes with the code must be the tenant's (RFC 9207)."""
    flow = await begun(sign_in, entra)
    with pytest.raises(errors.SignInFailed):
        await sign_in.redeem(flow, {**GOOD, "iss": f"https://login.example/{OID}/v2.0"})
    await sign_in.redeem(flow, {**GOOD, "iss": f"https://login.example/{TID}/v2.0"})


async def test_no_issuer_no_identity(sign_in: EntraSignIn, entra: Entra) -> None:
    """Where the OpenID configuration names no issuer no identity is believed."""
    entra.issuer = None
    with pytest.raises(errors.SignInFailed):
        await sign_in.redeem(await begun(sign_in, entra), GOOD)


@pytest.mark.parametrize("left_out", SCOPES)
async def test_every_scope_must_be_granted(sign_in: EntraSignIn, entra: Entra, left_out: str) -> None:
    """A sign-in that lacks one of our scopes fails (O-8)."""
    entra.answer = {
        "scope": " ".join(f"https://graph.microsoft.com/{scope}" for scope in SCOPES if scope != left_out)
    }
    with pytest.raises(errors.SignInFailed) as caught:
        await sign_in.redeem(await begun(sign_in, entra), GOOD)
    assert caught.value.reason == "scopes_missing"


async def test_scopes_come_in_either_form(sign_in: EntraSignIn, entra: Entra) -> None:
    """Granted scopes count with Graph's address before them and in another case."""
    entra.answer = {"scope": " ".join(f"https://graph.microsoft.com/{scope.lower()}" for scope in SCOPES)}
    assert await sign_in.redeem(await begun(sign_in, entra), GOOD)


REASONS = [
    ("access_denied", "AADSTS65004: User declined to consent.", "declined"),
    ("access_denied", "", "declined"),
    ("access_denied", "AADSTS90094: Admin consent is required.", "admin_consent_required"),
    ("consent_required", "AADSTS65001: no consent", "admin_consent_required"),
    ("access_denied", "AADSTS90095: request workflow", "admin_consent_required"),
    ("interaction_required", "AADSTS50076", "interaction_required"),
    ("login_required", "AADSTS50058", "interaction_required"),
    ("invalid_grant", "AADSTS54005", "interaction_required"),
    ("unauthorized_client", "AADSTS700016", "operator_error"),
    ("invalid_client", "AADSTS7000215", "operator_error"),
    ("invalid_scope", "AADSTS70011", "operator_error"),
    ("invalid_request", "AADSTS90002", "operator_error"),
    ("unheard_of", "AADSTSx AADSTS1", "failed"),
    ("", "", "failed"),
]


@pytest.mark.parametrize(("error", "description", "reason"), REASONS)
async def test_refusals_on_the_way(
    sign_in: EntraSignIn, entra: Entra, error: str, description: str, reason: str
) -> None:
    """An error that the browser brings back becomes a reason of ours, and its description is kept nowhere (O-9)."""
    answer = {"state": "state-1", "error": error, "error_description": description}
    with pytest.raises(errors.SignInFailed) as caught:
        await sign_in.redeem(await begun(sign_in, entra), answer)
    assert caught.value.reason == reason
    assert not description or description not in f"{caught.value} {vars(caught.value)}"


@pytest.mark.parametrize(
    ("error", "number"),
    [
        ("temporarily_unavailable", 0),
        ("server_error", 0),
        ("invalid_request", 90024),
        ("invalid_grant", 90033),
        ("invalid_grant", 50196),
        ("x", 90006),
        ("x", 90055),
    ],
)
def test_transient_errors_are_nobodys_fault(error: str, number: int) -> None:
    """Entra's transient errors are told as an outage and not as a failed sign-in."""
    assert isinstance(failed({"error": error, "error_codes": [number]}), errors.ProviderUnavailable)


@given(
    st.dictionaries(
        st.sampled_from(["error", "error_codes", "suberror"]),
        st.none() | st.text() | st.lists(st.integers() | st.text()),
    )
)
def test_every_refusal_has_a_reason(result: dict[str, Any]) -> None:
    """Whatever the token endpoint says is an outage or a failure with a reason."""
    found = failed(result)
    assert isinstance(found, errors.ProviderUnavailable) or found.reason


async def kept_cache(sign_in: EntraSignIn, entra: Entra) -> str:
    return (await sign_in.redeem(await begun(sign_in, entra), GOOD)).cache


def refusal(error: str, status: int = 400, *codes: int) -> httpx.Response:
    body = {"error": error, "error_description": "AADSTS1: canary@secret.example", "error_codes": codes}
    return httpx.Response(status, json=body)


async def test_a_refresh_asks_every_time(sign_in: EntraSignIn, entra: Entra) -> None:
    """A refresh always asks Entra, because Graph may have refused the token in the cache."""
    cache = await kept_cache(sign_in, entra)
    entra.answer = {"access_token": "access-2", "refresh_token": "refresh-2", "id_token": None}
    fresh = await sign_in.refresh(cache)
    assert (fresh.access_token, fresh.expires_at) == ("access-2", NOW + timedelta(seconds=3599))
    assert entra.form()["refresh_token"] == "refresh-1"
    assert "refresh-2" in fresh.cache
    await sign_in.refresh(fresh.cache)
    assert entra.form()["refresh_token"] == "refresh-2"


async def test_claims_are_passed_on(sign_in: EntraSignIn, entra: Entra) -> None:
    """The claims that Graph's challenge asks for reach the token endpoint unchanged."""
    cache = await kept_cache(sign_in, entra)
    claims = '{"access_token":{"nbf":{"essential":true}}}'
    await sign_in.refresh(cache, claims=claims)
    assert json.loads(entra.form()["claims"]) == json.loads(claims)


@pytest.mark.parametrize(
    "error", ["invalid_grant", "interaction_required", "consent_required", "login_required"]
)
async def test_a_dead_grant(sign_in: EntraSignIn, entra: Entra, error: str) -> None:
    """Only Entra's four errors that ask for the user mean that a consent is dead."""
    cache = await kept_cache(sign_in, entra)
    entra.raw = refusal(error, 400, 700082)
    with pytest.raises(errors.GrantDead):
        await sign_in.refresh(cache)


@pytest.mark.parametrize(
    "answer",
    [
        refusal("invalid_client", 401, 7000215),
        refusal("invalid_client", 401, 7000222),
        refusal("unauthorized_client", 400, 700016),
        refusal("invalid_scope", 400, 70011),
        refusal("invalid_request", 400, 90002),
        refusal("temporarily_unavailable", 400, 90033),
        refusal("unheard_of"),
        httpx.Response(500),
        httpx.Response(503),
        httpx.Response(400, content=b"<html>"),
        httpx.Response(200, content=b"[]"),
        httpx.Response(200, content=b""),
        httpx.Response(302, headers={"Location": "https://evil.example"}),
        httpx.ReadTimeout(""),
        httpx.ConnectError(""),
    ],
    ids=str,
)
async def test_others_faults_kill_no_grant(
    sign_in: EntraSignIn, entra: Entra, answer: httpx.Response | Exception
) -> None:
    """An expired secret, an outage or a gateway's page is an outage, and no dead consent."""
    cache = await kept_cache(sign_in, entra)
    entra.raw = answer
    with pytest.raises(errors.ProviderUnavailable) as caught:
        await sign_in.refresh(cache)
    assert "canary" not in f"{caught.value} {vars(caught.value)} {getattr(caught.value, '__notes__', '')}"


@pytest.mark.parametrize(
    ("status", "header", "seconds"), [(429, "7", 7.0), (429, None, 10.0), (503, "2.5", 2.5)]
)
async def test_throttling(
    sign_in: EntraSignIn, entra: Entra, status: int, header: str | None, seconds: float
) -> None:
    """Entra's Retry-After becomes a pause."""
    cache = await kept_cache(sign_in, entra)
    entra.raw = httpx.Response(status, headers={"Retry-After": header} if header else {})
    with pytest.raises(errors.Throttled) as caught:
        await sign_in.refresh(cache)
    assert caught.value.retry_after_seconds == seconds


@pytest.mark.parametrize(("number", "seconds"), [(50196, 300.0), (90055, 10.0)])
@pytest.mark.parametrize("error", ["invalid_grant", "temporarily_unavailable", "interaction_required"])
async def test_a_throttle_kills_no_grant_whatever_it_is_called(
    sign_in: EntraSignIn, entra: Entra, error: str, number: int, seconds: float
) -> None:
    """AADSTS50196 comes as `invalid_grant` and is a pause; the person could do nothing about it."""
    cache = await kept_cache(sign_in, entra)
    entra.raw = refusal(error, 400, number)
    with pytest.raises(errors.Throttled) as caught:
        await sign_in.refresh(cache)
    assert caught.value.retry_after_seconds == seconds
    entra.raw = None
    assert (await sign_in.refresh(cache)).access_token


@pytest.mark.parametrize("number", [50033, 90006, 90012, 90024, 90033])
async def test_a_passing_trouble_kills_no_grant(sign_in: EntraSignIn, entra: Entra, number: int) -> None:
    """Numbers of troubles that pass are outages beside `invalid_grant` too."""
    cache = await kept_cache(sign_in, entra)
    entra.raw = refusal("invalid_grant", 400, number)
    with pytest.raises(errors.ProviderUnavailable):
        await sign_in.refresh(cache)


@pytest.mark.parametrize("number", [50076, 50173, 53003, 65001, 70008, 70043, 700082, 700084])
async def test_numbers_that_want_the_person(sign_in: EntraSignIn, entra: Entra, number: int) -> None:
    """Revocation, disuse, sign-in frequency and conditional access are ended by the person only."""
    cache = await kept_cache(sign_in, entra)
    entra.raw = refusal("invalid_grant", 400, number)
    with pytest.raises(errors.GrantDead):
        await sign_in.refresh(cache)


async def test_a_number_is_read_from_the_description(sign_in: EntraSignIn, entra: Entra) -> None:
    """A refusal without a list of numbers has its number in the description."""
    cache = await kept_cache(sign_in, entra)
    body = {"error": "invalid_grant", "error_description": "AADSTS50196: The server terminated an operation."}
    entra.raw = httpx.Response(400, json=body)
    with pytest.raises(errors.Throttled):
        await sign_in.refresh(cache)


async def test_a_refusal_is_not_remembered(sign_in: EntraSignIn, entra: Entra) -> None:
    """A refresh after a refused one asks Entra again, although MSAL remembers refusals for a minute."""
    cache = await kept_cache(sign_in, entra)
    entra.raw = refusal("invalid_grant")
    with pytest.raises(errors.GrantDead):
        await sign_in.refresh(cache)
    entra.raw = None
    assert (await sign_in.refresh(cache)).access_token == "access-1"


async def failing(sign_in: EntraSignIn, *caches: str) -> list[float | None]:
    """A refresh of each, at the same time, that Entra does not answer: how long each is asked to wait."""
    refreshes = (sign_in.refresh(cache) for cache in caches)
    found = await asyncio.gather(*refreshes, return_exceptions=True)
    assert all(isinstance(error, errors.ProviderUnavailable) for error in found), found
    return [getattr(error, "retry_after_seconds", None) for error in found]


async def test_a_silent_entra_is_asked_again_after_a_while_only(sign_in: EntraSignIn, entra: Entra) -> None:
    """After 15 seconds, a minute, then every four minutes one asks, however many need the token."""
    cache = await kept_cache(sign_in, entra)
    entra.raw = httpx.ConnectError("")
    await failing(sign_in, cache)
    for wait in (15, 60, 240, 240):
        before = len(entra.requests)
        entra.clock.forward(seconds=wait - 1)
        assert await failing(sign_in, cache, cache) == [1.0, 1.0]
        assert len(entra.requests) == before
        entra.clock.forward(seconds=1)
        await failing(sign_in, cache, cache, cache)
        assert len(entra.requests) == before + 1
    entra.clock.forward(seconds=240)
    entra.raw = None
    await sign_in.refresh(cache)
    await sign_in.refresh(cache)


async def test_the_silence_of_one_mailbox_is_not_that_of_all(sign_in: EntraSignIn, entra: Entra) -> None:
    """Another mailbox is asked for as ever; where three in a row got no answer, all together ask once in 15 seconds."""
    caches = [f"{await kept_cache(sign_in, entra)}{' ' * number}" for number in range(5)]
    entra.raw = httpx.Response(503)
    for cache in caches[:2]:
        assert await failing(sign_in, cache) == [None]
    assert await failing(sign_in, caches[2]) == [None]
    before = len(entra.requests)
    assert await failing(sign_in, *caches[3:]) == [15.0, 15.0]
    assert len(entra.requests) == before
    entra.clock.forward(seconds=15)
    entra.raw = None
    await sign_in.refresh(caches[3])
    await sign_in.refresh(caches[4])


async def test_who_is_answered_is_not_silent(sign_in: EntraSignIn, entra: Entra) -> None:
    """A dead grant and a pause are answers: the next refresh asks."""
    cache = await kept_cache(sign_in, entra)
    for raw in (refusal("invalid_grant"), httpx.Response(429)) * 3:
        entra.raw = raw
        before = len(entra.requests)
        with pytest.raises((errors.GrantDead, errors.Throttled)):
            await sign_in.refresh(cache)
        assert len(entra.requests) > before


@pytest.mark.parametrize("odd", ["x", 5, [], {}, 1e30, True, ""], ids=repr)
@pytest.mark.parametrize(
    "member", ["expires_in", "id_token", "client_info", "scope", "refresh_token", "error_codes"]
)
async def test_an_odd_answer_is_no_fall(sign_in: EntraSignIn, entra: Entra, member: str, odd: object) -> None:
    """Whatever stands in a member of Entra's answer, a refresh ends with a token or an error of ours."""
    cache = await kept_cache(sign_in, entra)
    for answer in ({**entra._tokens(), member: odd}, {"error": "invalid_grant", member: odd}):
        entra.raw = httpx.Response(200 if "access_token" in answer else 400, json=answer)
        try:
            refreshed = await sign_in.refresh(cache)
        except errors.PostbraidError:
            continue
        assert NOW <= refreshed.expires_at <= NOW + timedelta(hours=1)


@pytest.mark.parametrize("cache", ["", "{}", "not json", "[]", '{"Account": {}}'])
async def test_a_cache_without_a_refresh_token_is_dead(sign_in: EntraSignIn, cache: str) -> None:
    """A token cache without a refresh token is a dead consent."""
    with pytest.raises(errors.GrantDead):
        await sign_in.refresh(cache)


async def test_a_grant_may_lack_offline_access(sign_in: EntraSignIn, entra: Entra) -> None:
    """A consent without offline access is dead when its first token must be refreshed."""
    entra.answer = {"refresh_token": None}
    cache = await kept_cache(sign_in, entra)
    with pytest.raises(errors.GrantDead):
        await sign_in.refresh(cache)


def other(transport: Transport, **changes: Any) -> EntraSignIn:
    given = {
        "client_id": CLIENT,
        "client_credential": SECRET,
        "authority": AUTHORITY,
        "redirect_uri": REDIRECT,
        "consent_uri": BACK,
        "instance_discovery": False,
        "clock": StillClock(),
    }
    return EntraSignIn(transport, **{**given, **changes})


@pytest.mark.parametrize("status", [400, 404])
async def test_a_wrong_authority_is_the_operators(status: int) -> None:
    """An authority that Entra does not know is an error of the operator."""
    broken = other(
        Transport(
            inner=httpx.MockTransport(lambda _: httpx.Response(status, json={"error": "invalid_tenant"}))
        )
    )
    with pytest.raises(errors.SignInFailed) as caught:
        await broken.begin(state="s")
    assert caught.value.reason == "operator_error"


async def test_a_plain_authority_is_the_operators(entra: Entra) -> None:
    """An authority without TLS is an error of the operator."""
    plain = other(Transport(inner=httpx.MockTransport(entra.serve)), authority="http://login.example/common")
    with pytest.raises(errors.SignInFailed) as caught:
        await plain.begin(state="s")
    assert caught.value.reason == "operator_error"


async def test_entra_may_be_away() -> None:
    """A sign-in that gets no answer to discovery fails as an outage."""

    def away(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("")

    with pytest.raises(errors.ProviderUnavailable):
        await other(Transport(inner=httpx.MockTransport(away))).begin(state="s")


async def test_an_assertion_instead_of_a_secret(entra: Entra) -> None:
    """A federated identity proves the app by a fresh assertion for each request (K-6)."""
    made: list[str] = []

    def assertion() -> str:
        made.append("assertion")
        return f"assertion-{len(made)}"

    federated = other(
        Transport(inner=httpx.MockTransport(entra.serve)),
        client_credential={"client_assertion": assertion},
        clock=entra.clock,
    )
    cache = await kept_cache(federated, entra)
    await federated.refresh(cache)
    form = entra.form()
    assert form["client_assertion"] == "assertion-2"
    assert form["client_assertion_type"].endswith("jwt-bearer")
    assert "client_secret" not in form


async def test_both_calls_are_counted(entra: Entra) -> None:
    """MSAL's requests go through the one counted transport (T-1)."""
    seen: list[tuple[str, str]] = []
    counted = other(
        Transport(inner=httpx.MockTransport(entra.serve), observe=lambda *call: seen.append(call)),
        clock=entra.clock,
    )
    await kept_cache(counted, entra)
    assert seen == [("entra", "discover"), ("entra", "token")]


def with_credential(entra: Entra, credential: Credential) -> EntraSignIn:
    return EntraSignIn(
        Transport(inner=httpx.MockTransport(entra.serve)),
        client_id=CLIENT,
        client_credential=credential,
        authority=AUTHORITY,
        redirect_uri=REDIRECT,
        consent_uri=BACK,
        instance_discovery=False,
        clock=entra.clock,
    )


async def test_an_assertion_is_asked_for_anew_each_time(entra: Entra) -> None:
    """With a managed identity every token request carries a fresh assertion and no secret (K-6)."""
    given: list[str] = []

    async def assertion() -> str:
        given.append(f"assertion-{len(given) + 1}")
        return given[-1]

    sign_in = with_credential(entra, assertion)
    flow = await begun(sign_in, entra)
    assert given == [], "an address to sign in at needs no credential"
    grant = await sign_in.redeem(flow, {"state": "state-1", "code": "code-1"})
    sent = entra.form()
    assert sent["client_assertion"] == "assertion-1"
    assert sent["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    await sign_in.refresh(grant.cache)
    assert entra.form()["client_assertion"] == "assertion-2"
    assert all(b"client_secret" not in request.content for request in entra.requests)
    await sign_in.check()
    assert len(given) == 3


async def test_without_an_assertion_nobody_is_to_blame(entra: Entra) -> None:
    """When the identity endpoint gives no assertion, Entra is not asked and no consent counts as dead."""

    async def assertion() -> str:
        raise errors.ProviderUnavailable

    sign_in = with_credential(entra, SECRET)
    flow = await begun(sign_in, entra)
    grant = await sign_in.redeem(flow, {"state": "state-1", "code": "code-1"})
    helpless = with_credential(entra, assertion)
    asked = len([request for request in entra.requests if request.method == "POST"])
    with pytest.raises(errors.ProviderUnavailable):
        await helpless.refresh(grant.cache)
    with pytest.raises(errors.ProviderUnavailable):
        await helpless.check()
    assert len([request for request in entra.requests if request.method == "POST"]) == asked


async def test_a_certificate_signs_for_the_app(entra: Entra) -> None:
    """With a certificate every token request carries an assertion that its key signed (K-6)."""
    pem, certificate = a_certificate()
    sign_in = with_credential(entra, read_certificate(pem))
    flow = await begun(sign_in, entra)
    await sign_in.redeem(flow, {"state": "state-1", "code": "code-1"})
    shown = entra.form()["client_assertion"]
    public = certificate.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    token = "https://login.example/common/oauth2/v2.0/token"
    said = jwt.decode(shown, public, algorithms=["PS256"], audience=token)
    assert (said["iss"], said["sub"]) == (CLIENT, CLIENT)
    assert jwt.get_unverified_header(shown)["x5t#S256"]
    await sign_in.check()
