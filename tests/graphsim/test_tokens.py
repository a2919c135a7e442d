"""The token endpoint: codes, refresh tokens, what they are good for and what is refused."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox.graphsim.config import HOME_TENANT_ID, PERSONAL_TENANT_ID
from tests.graphsim.conftest import (
    ANN,
    CLIENT,
    HTTPS,
    SCOPES,
    SECRET,
    VERIFIER,
    App,
    Lab,
    challenge,
    code_form,
    refresh_form,
)

ALL = f"openid profile offline_access {SCOPES}"


def assert_refused(answer: httpx.Response, status: int, error: str, number: int) -> dict[str, Any]:
    """Entra's error shape, with its number in the text."""
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"]) == (status, error, [number])
    assert body["error_description"].startswith(f"AADSTS{number}: ")
    assert body["trace_id"] in body["error_description"]
    assert {"timestamp", "trace_id", "correlation_id", "error_uri"} <= set(body)
    return body


def unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def tokens(lab: Lab, scope: str = ALL, **changes: str | None) -> dict[str, Any]:
    answer = await lab.token(code_form(await lab.code(scope=scope, **changes), scope=scope))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_code_becomes_tokens(lab: Lab) -> None:
    """A code becomes tokens with the granted scopes and a life of 60 to 90 minutes, not to be cached."""
    answer = await lab.token(code_form(await lab.code(scope=ALL), scope=ALL))
    body = answer.json()
    assert (body["token_type"], set(body["scope"].split())) == ("Bearer", set(SCOPES.split()))
    assert 3600 <= body["expires_in"] <= 5400
    assert {"access_token", "refresh_token", "id_token", "client_info"} <= set(body)
    assert answer.headers["cache-control"] == "no-store"


async def test_tokens_that_were_not_asked_for(lab: Lab) -> None:
    """A refresh token comes with offline_access only, and an ID token with openid only."""
    body = await tokens(lab, "User.Read")
    assert not {"refresh_token", "id_token"} & set(body)


async def test_the_id_token(lab: Lab) -> None:
    """The ID token names person, app and nonce, and is signed with the published key."""
    body = await tokens(lab, nonce="n-1")
    head, claims, signature = body["id_token"].split(".")
    said = json.loads(unpacked(claims))
    assert (said["aud"], said["nonce"], said["tid"]) == (CLIENT, "n-1", HOME_TENANT_ID)
    assert said["iss"] == f"https://login.microsoftonline.com/{HOME_TENANT_ID}/v2.0"
    assert (said["preferred_username"], said["ver"]) == (ANN, "2.0")
    assert json.loads(unpacked(body["client_info"])) == {"uid": said["oid"], "utid": said["tid"]}
    key = (await lab.http.get(f"{HTTPS}/common/discovery/v2.0/keys")).json()["keys"][0]
    assert json.loads(unpacked(head))["kid"] == key["kid"]
    numbers = [int.from_bytes(unpacked(key[name]), "big") for name in ("e", "n")]
    public = rsa.RSAPublicNumbers(*numbers).public_key()
    public.verify(unpacked(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())


async def test_a_personal_account(lab: Lab) -> None:
    """All personal accounts belong to one tenant."""
    await lab.control("POST", "users", {"address": "pat@outlook.example", "personal": True})
    body = (await lab.token(code_form(await lab.code("pat@outlook.example", ALL), scope=ALL))).json()
    assert json.loads(unpacked(body["id_token"].split(".")[1]))["tid"] == PERSONAL_TENANT_ID


async def test_a_code_works_once(lab: Lab) -> None:
    """A code that was redeemed already is refused."""
    form = code_form(await lab.code())
    assert (await lab.token(form)).status_code == 200
    assert_refused(await lab.token(form), 400, "invalid_grant", 54005)


async def test_a_code_lives_ten_minutes(lab: Lab) -> None:
    """A code that is more than ten minutes old is refused as expired."""
    form = code_form(await lab.code())
    lab.clock.advance(599)
    early = code_form(await lab.code())
    lab.clock.advance(2)
    assert_refused(await lab.token(form), 400, "invalid_grant", 70008)
    assert (await lab.token(early)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "status", "error", "number"),
    [
        ({"code": "0.unknown"}, 400, "invalid_grant", 9002313),
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_secret": None}, 401, "invalid_client", 7000215),
        ({"client_id": "unknown"}, 400, "unauthorized_client", 700016),
        ({"redirect_uri": "https://app.example/other"}, 400, "invalid_grant", 500112),
        ({"code_verifier": "x" * 43}, 400, "invalid_grant", 501481),
        ({"code_verifier": None}, 400, "invalid_grant", 501481),
        ({"scope": "Mail.Everything"}, 400, "invalid_scope", 70011),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"grant_type": None}, 400, "unsupported_grant_type", 70003),
    ],
)
async def test_wrong_exchanges(
    lab: Lab, changes: dict[str, str | None], status: int, error: str, number: int
) -> None:
    """A token request with one wrong field is refused with Entra's own number."""
    assert_refused(await lab.token(code_form(await lab.code(), **changes)), status, error, number)


async def test_anothers_code(lab: Lab) -> None:
    """A code is refused to another application."""
    await lab.control(
        "POST", "applications", {"client_id": "other", "client_secret": "s", "redirect_uris": []}
    )
    form = code_form(await lab.code(), client_id="other", client_secret="s")
    assert_refused(await lab.token(form), 400, "invalid_grant", 9002313)


async def test_pkce_without_a_hash(lab: Lab) -> None:
    """Without a method in the request the PKCE challenge is the verifier itself."""
    plain = await lab.code(code_challenge=VERIFIER, code_challenge_method=None)
    assert (await lab.token(code_form(plain))).status_code == 200
    hashed = await lab.code(code_challenge=challenge(), code_challenge_method=None)
    assert_refused(await lab.token(code_form(hashed)), 400, "invalid_grant", 501481)


async def test_client_credentials_in_the_header(lab: Lab) -> None:
    """A client may prove itself by HTTP Basic."""
    basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
    form = code_form(await lab.code(), client_id=None, client_secret=None)
    assert (await lab.token(form, Authorization=f"Basic {basic}")).status_code == 200
    broken = await lab.token(form, Authorization="Basic no-base64!")
    assert_refused(broken, 401, "invalid_client", 7000215)


async def test_refreshing(lab: Lab) -> None:
    """A refresh token gives new tokens, stays good itself, and works only for its own application."""
    first = await tokens(lab)
    second = (await lab.token(refresh_form(first["refresh_token"]))).json()
    assert second["access_token"] != first["access_token"]
    assert second["refresh_token"] != first["refresh_token"]
    assert (await lab.token(refresh_form(first["refresh_token"]))).status_code == 200
    await lab.control(
        "POST", "applications", {"client_id": "other", "client_secret": "s", "redirect_uris": []}
    )
    stolen = refresh_form(second["refresh_token"], client_id="other", client_secret="s")
    assert_refused(await lab.token(stolen), 400, "invalid_grant", 9002313)


async def test_narrower_and_wider_scopes(lab: Lab) -> None:
    """A refresh may ask for fewer scopes than were approved, and for more the person must be asked."""
    first = await tokens(lab, "offline_access User.Read Mail.Read")
    less = await lab.token(refresh_form(first["refresh_token"], scope="User.Read"))
    assert less.json()["scope"] == "User.Read"
    more = await lab.token(refresh_form(first["refresh_token"], scope="Mail.Send"))
    assert assert_refused(more, 400, "invalid_grant", 65001)["suberror"] == "consent_required"


async def test_scopes_with_their_address(lab: Lab) -> None:
    """A scope may be written with Graph's address before it."""
    body = await tokens(lab, "https://graph.microsoft.com/Mail.Read")
    assert body["scope"] == "Mail.Read"


async def test_disuse(lab: Lab) -> None:
    """A refresh token ends after 90 days without use, and each use starts them anew."""
    body = await tokens(lab)
    for _ in range(3):
        lab.clock.advance(89 * 86_400)
        assert (await lab.token(refresh_form(body["refresh_token"]))).status_code == 200
    lab.clock.advance(91 * 86_400)
    assert_refused(await lab.token(refresh_form(body["refresh_token"])), 400, "invalid_grant", 700082)


async def test_revocation(lab: Lab) -> None:
    """Revoked sessions end a person's refresh tokens, and access tokens at once or, by the knob, when they expire."""
    await lab.knobs(revoked_access_tokens="usable")
    body = await tokens(lab)
    ben = await lab.app("ben@northwind.example")
    await lab.control("POST", f"users/{ANN}/revoke")
    assert_refused(await lab.token(refresh_form(body["refresh_token"])), 400, "invalid_grant", 50173)
    assert await App(lab.http, body["access_token"]).ok("GET", "me")
    await lab.knobs(revoked_access_tokens="refused")
    await lab.control("POST", f"users/{ANN}/revoke")
    answer = await App(lab.http, body["access_token"])("GET", "me")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")
    challenge = answer.headers["www-authenticate"]
    assert 'error="insufficient_claims"' in challenge
    wanted = json.loads(base64.b64decode(challenge.partition('claims="')[2].rstrip('"')))
    assert int(wanted["access_token"]["nbf"]["value"]) == int(lab.clock.now().timestamp())
    assert await ben.ok("GET", "me")
    again = await tokens(lab)
    assert (await lab.token(refresh_form(again["refresh_token"]))).status_code == 200


async def test_access_tokens_expire(lab: Lab) -> None:
    """An access token is refused with a challenge when its time, set by a knob, is over."""
    await lab.knobs(access_token_seconds=100)
    body = await tokens(lab)
    assert body["expires_in"] == 100
    app = App(lab.http, body["access_token"])
    lab.clock.advance(99)
    assert await app.ok("GET", "me")
    lab.clock.advance(1)
    answer = await app("GET", "me")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")
    assert answer.headers["www-authenticate"].startswith("Bearer ")


async def test_a_bad_moment(lab: Lab) -> None:
    """A planned fault of the token endpoint answers as Entra does when it is overloaded."""
    await lab.control(
        "POST", "faults", {"operation": "entra.token", "kind": "status", "status": 503, "count": 1}
    )
    form = code_form(await lab.code())
    assert_refused(await lab.token(form), 503, "temporarily_unavailable", 90033)
    assert (await lab.token(form)).status_code == 200


@pytest.mark.parametrize(
    ("code", "status", "error", "suberror"),
    [
        ("50076", 400, "interaction_required", "basic_action"),
        ("53003", 400, "interaction_required", "message_only"),
        ("65001", 400, "invalid_grant", "consent_required"),
        ("700082", 400, "invalid_grant", "token_expired"),
        ("50196", 400, "invalid_grant", None),
        ("7000222", 401, "invalid_client", None),
    ],
)
async def test_planned_refusals(lab: Lab, code: str, status: int, error: str, suberror: str | None) -> None:
    """A planned fault of the token endpoint answers with the chosen number of Entra's."""
    body = await tokens(lab)
    await lab.control("POST", "faults", {"operation": "entra.token", "kind": "status", "code": code})
    answer = await lab.token(refresh_form(body["refresh_token"]))
    assert assert_refused(answer, status, error, int(code)).get("suberror") == suberror
    assert (await lab.token(refresh_form(body["refresh_token"]))).status_code == 200


async def test_what_the_log_keeps(lab: Lab) -> None:
    """Token requests are logged with their outcome and without a secret."""
    await lab.token(code_form(await lab.code(), client_secret="wrong"))
    (entry,) = [request for request in await lab.requests() if request["operation"] == "entra.token"]
    assert (entry["status"], entry["error"]) == (401, "invalid_client")
    assert not re.search("wrong|0\\.A", json.dumps(entry))
