"""One call: token, second try, limits, what an end without an answer means."""

from __future__ import annotations

import asyncio
import base64
import gc

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import errors
from shared.graph.client import GraphClient, challenged_claims, decoded, same_origin
from shared.graph.provider import GraphMail
from shared.graph.wire import Message
from shared.transport import Transport
from tests.builders import NOW
from tests.unit.graph.conftest import BASE, Tokens, Wire

CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}'


def challenge(claims: str) -> str:
    return f'Bearer realm="", error="insufficient_claims", claims="{claims}"'


async def test_a_401_is_answered_by_another_token_once(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """After a 401 another token is fetched and the same request is repeated once."""
    wire.then(401, {"error": {"code": "InvalidAuthenticationToken"}}).then(200, {"id": "AA="})
    await mail.outline(ann, "AA=")
    assert ann.asked == [(None, None), ("token-1", None)]
    assert [request.headers["authorization"] for request in wire.requests] == [
        "Bearer token-1",
        "Bearer token-2",
    ]
    assert wire.requests[0].url == wire.requests[1].url


async def test_a_second_401_ends_it(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A second 401 ends the call without a third try."""
    wire.then(401)
    with pytest.raises(errors.ProviderUnavailable):
        await mail.outline(ann, "AA=")
    assert len(wire.requests) == 2


async def test_a_body_is_repeated_whole(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """The repeat after a 401 carries the same body."""
    wire.then(401).then(200, {"id": "sub", "expirationDateTime": "2026-03-09T00:00:00Z"})
    await mail.renew(ann, "sub", NOW)
    assert wire.requests[0].content == wire.requests[1].content != b""


async def test_a_challenge_is_passed_on(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A claims challenge reaches the token request as JSON, not as base64."""
    encoded = base64.b64encode(CLAIMS.encode()).decode()
    wire.then(401, None, WWW_Authenticate=challenge(encoded)).then(200, {"id": "AA="})
    await mail.outline(ann, "AA=")
    assert ann.asked[1] == ("token-1", CLAIMS)


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        (challenge(base64.b64encode(CLAIMS.encode()).decode()), CLAIMS),
        (challenge(base64.urlsafe_b64encode(CLAIMS.encode()).decode().rstrip("=")), CLAIMS),
        (challenge(base64.b64encode(b"not json").decode()), None),
        (challenge(base64.b64encode(b"[1]").decode()), None),
        (challenge("%%%"), None),
        (challenge("A" * 10_000), None),
        (challenge(""), None),
        ('Bearer realm=""', None),
        ("", None),
    ],
)
def test_challenges(header: str, claims: str | None) -> None:
    """Only a JSON object in base64 of either alphabet is a claims challenge."""
    assert challenged_claims(header) == claims


@given(st.text())
def test_any_challenge_can_be_read(header: str) -> None:
    """Any header can be read for a claims challenge without an error."""
    assert isinstance(challenged_claims(challenge(header)), str | None)


@pytest.mark.parametrize("lost", [httpx.ReadError(""), httpx.ReadTimeout(""), httpx.RemoteProtocolError("")])
async def test_a_lost_answer_leaves_a_send_open(
    wire: Wire, mail: GraphMail, ann: Tokens, lost: Exception
) -> None:
    """A send without an answer has an unknown outcome; a read without one may be repeated."""
    wire.fails(lost)
    with pytest.raises(errors.Ambiguous):
        await mail.send(ann, "AA=")
    with pytest.raises(errors.ProviderUnavailable):
        await mail.outline(ann, "AA=")
    assert len(wire.requests) == 2


async def test_without_a_connection_nothing_was_sent(wire: Wire, mail: GraphMail, ann: Tokens) -> None:
    """A send that could not connect is an outage, since nothing was sent."""
    wire.fails(httpx.ConnectError(""))
    with pytest.raises(errors.ProviderUnavailable):
        await mail.send(ann, "AA=")


async def test_a_mailbox_that_gets_nothing_but_429_pauses_ever_longer(
    wire: Wire, mail: GraphMail, ann: Tokens
) -> None:
    """Three in a row are pauses as Graph asks for them, then each is twice as long; an answer ends that."""
    waits: list[float] = []
    for _ in range(10):
        wire.then(429, None, Retry_After="10")
    wire.then(200, {"id": "AA="}).then(429, None, Retry_After="10").then(429, None, Retry_After="900")
    for _ in range(13):
        try:
            await mail.outline(ann, "AA=")
        except errors.Throttled as err:
            waits.append(err.retry_after_seconds)
    assert waits == [10, 10, 10, 20, 40, 80, 160, 240, 240, 240, 10, 900]


@pytest.mark.parametrize("status", [429, 500, 503, 504])
async def test_nothing_is_retried(wire: Wire, mail: GraphMail, ann: Tokens, status: int) -> None:
    """A call that fails is sent once and never retried by the SDK."""
    wire.then(status, {"error": {"code": "UnknownError"}})
    with pytest.raises(errors.PostbraidError):
        await mail.send(ann, "AA=")
    assert len(wire.requests) == 1


async def test_two_calls_a_mailbox_at_a_time() -> None:
    """At most two calls of a mailbox run at a time, and another mailbox's do not wait for them (E-24)."""
    running: dict[str, int] = {"mbx_ann": 0, "mbx_bob": 0}
    most = dict(running)
    go = asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        owner = "mbx_ann" if request.url.path.endswith("ann") else "mbx_bob"
        running[owner] += 1
        most[owner] = max(most[owner], running[owner])
        await go.wait()
        running[owner] -= 1
        return httpx.Response(200, json={"id": "x"})

    mail = GraphMail(Transport(inner=httpx.MockTransport(slow)), BASE)
    async with asyncio.TaskGroup() as group:
        for name in ("ann", "bob"):
            for _ in range(4):
                group.create_task(mail.outline(Tokens(f"mbx_{name}"), name))
        for _ in range(50):
            await asyncio.sleep(0)
        go.set()
    assert most == {"mbx_ann": 2, "mbx_bob": 2}


async def test_limits_of_quiet_mailboxes_are_forgotten(wire: Wire, client: GraphClient) -> None:
    """The client keeps no limit for mailboxes that have no call under way."""
    wire.then(200, {"value": []})
    for number in range(50):
        await client.follow(Tokens(f"mbx_{number}"), "sweep", f"{BASE}/me/messages?$skip=10")
    gc.collect()
    assert len(client._limits) == 0


@pytest.mark.parametrize(
    "link",
    [
        "https://graph.example.evil.test/v1.0/me/messages", "https://graph.example@evil.test/v1.0/me", "http://graph.example/v1.0/me",
        "https://graph.example:8443/v1.0/me", "//graph.example/v1.0", "/me/messages", "", "https://", "https://[::1/", "https://graph.example:x/",
        "https://user@graph.example/v1.0/me/messages", "https://graph.example/v1.0/me\x00/messages",
    ],
)  # fmt: skip
async def test_links_elsewhere_are_not_followed(
    wire: Wire, client: GraphClient, ann: Tokens, link: str
) -> None:
    """A next link to any other origin than Graph's is not followed (E-26)."""
    wire.then(200, {"value": []})
    with pytest.raises(errors.UpstreamSurprise):
        await client.follow(ann, "sweep", link)
    assert wire.requests == []


async def test_links_are_followed_whole(wire: Wire, client: GraphClient, ann: Tokens) -> None:
    """A next link is followed character by character as it came."""
    wire.then(200, {"value": []})
    link = "https://GRAPH.example:443/v1.0/users('a%2Fb')/messages?%24skip=10&$skiptoken=a%2Bb=%3D&x=y%20z"
    await client.follow(ann, "sweep", link)
    assert wire.last.url.raw_path == link.removeprefix("https://GRAPH.example:443").encode()
    assert wire.last.headers["prefer"] == 'IdType="ImmutableId"'
    assert wire.last.headers["authorization"] == "Bearer token-1"


def test_origins() -> None:
    """Two addresses are of one origin by scheme, host without case, and port with its default."""
    assert same_origin("https://Graph.example/a", "https://graph.EXAMPLE:443/b")
    assert not same_origin("http://graph.example:443/a", "https://graph.example/b")
    assert not same_origin("", "")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"id":7}', b'{"id":"\xff"}', b"[" * 100_000, b"<html>"]
)
def test_an_answer_that_cannot_be_read_is_a_surprise(content: bytes) -> None:
    """A 200 whose body is not what was asked for is an UpstreamSurprise."""
    with pytest.raises(errors.UpstreamSurprise):
        decoded(content, Message)
