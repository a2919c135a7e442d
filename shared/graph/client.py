"""Calls to Graph: built by msgraph-sdk's request builders, sent as raw bytes through the one transport.

The SDK is imported at the first call, because importing it costs more than everything else together; its own
transport, retries and model parsing are not used (docs/adr).
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

import httpx
import msgspec

from shared.domain.errors import Ambiguous, ProviderUnavailable, UpstreamSurprise
from shared.graph.errors import UNSAFE, graph_error, read_error
from shared.ports import Access
from shared.transport import NeverSent, NoAnswer, Transport

if TYPE_CHECKING:
    from kiota_abstractions.request_information import RequestInformation

IMMUTABLE_IDS: Final = 'IdType="ImmutableId"'
IN_FLIGHT_A_MAILBOX: Final = 2
TIMEOUT_SECONDS: Final = 30.0
ME_TOKEN: Final = "/users/me-token-to-replace"  # noqa: S105 - what the SDK writes for /me

T = TypeVar("T")


@cache
def builders() -> Any:
    """The SDK's tree of request builders; they only make addresses, nothing is sent through them."""
    from kiota_abstractions.authentication import AnonymousAuthenticationProvider
    from msgraph.graph_service_client import GraphServiceClient
    from msgraph.graph_request_adapter import GraphRequestAdapter

    adapter = GraphRequestAdapter(AnonymousAuthenticationProvider(), httpx.AsyncClient(trust_env=False))
    return GraphServiceClient(request_adapter=adapter)


def get(builder: Any, **query: Any) -> RequestInformation:
    """A GET of what a builder names, with `$select` and the like given by the SDK's parameter names."""
    from kiota_abstractions.base_request_configuration import RequestConfiguration
    from kiota_abstractions.method import Method
    from kiota_abstractions.request_information import RequestInformation

    info = RequestInformation(Method.GET, builder.url_template, dict(builder.path_parameters))
    if query:
        parameters = getattr(builder, f"{type(builder).__name__}GetQueryParameters")(**query)
        info.configure(RequestConfiguration(query_parameters=parameters))
    info.headers.try_add("Accept", "application/json")
    return info


def write(method: str, builder: Any, body: object | None = None) -> RequestInformation:
    """A POST, PATCH or DELETE of what a builder names, with a JSON body or none."""
    from kiota_abstractions.method import Method
    from kiota_abstractions.request_information import RequestInformation

    info = RequestInformation(Method[method], builder.url_template, dict(builder.path_parameters))
    if body is not None:
        info.set_stream_content(msgspec.json.encode(body), "application/json")
    info.headers.try_add("Accept", "application/json")
    return info


class GraphClient:
    """One mailbox at a time is called with at most two requests in flight (throttling is per mailbox)."""

    def __init__(self, transport: Transport, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._transport = transport
        self._limits: dict[str, asyncio.Semaphore] = {}

    async def call(self, access: Access, operation: str, info: RequestInformation) -> httpx.Response:
        """One call. Raises what `graph_error` says; a 401 is answered once with another token."""
        info.path_parameters["baseurl"] = self.base_url
        url = info.url.replace(ME_TOKEN, "/me", 1)
        content = info.content if isinstance(info.content, bytes) else b""
        method = info.http_method.value if info.http_method else "GET"
        headers = {**(info.request_headers or {}), "Prefer": IMMUTABLE_IDS}
        return await self.send(access, operation, method, url, headers, content)

    async def follow(self, access: Access, operation: str, link: str) -> httpx.Response:
        """A next link, whole, and only on the Graph host we were configured with (E-26)."""
        if not link.startswith(f"{self.base_url}/"):
            raise UpstreamSurprise
        return await self.send(access, operation, "GET", link, {"Prefer": IMMUTABLE_IDS}, b"")

    async def send(
        self, access: Access, operation: str, method: str, url: str, headers: dict[str, str], content: bytes
    ) -> httpx.Response:
        """Send with a token; at most one repeat, after a 401."""
        token = await access.token()
        answer = await self._once(access, operation, method, url, _with(headers, token), content)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            claims = _claims(answer.headers.get("www-authenticate", ""))
            token = await access.token(rejected=token, claims=claims)
            answer = await self._once(access, operation, method, url, _with(headers, token), content)
        if answer.is_success:
            return answer
        code, _ = read_error(answer.content)
        raise graph_error(operation, answer.status_code, code, answer.headers)

    async def _once(
        self, access: Access, operation: str, method: str, url: str, headers: dict[str, str], content: bytes
    ) -> httpx.Response:
        request = httpx.Request(method, url, headers=headers, content=content)
        if method == "POST" and not content:
            request.headers["Content-Length"] = "0"
        async with self._limits.setdefault(access.mailbox_id, asyncio.Semaphore(IN_FLIGHT_A_MAILBOX)):
            try:
                return await self._transport.send(
                    "graph", operation, request, timeout_seconds=TIMEOUT_SECONDS
                )
            except NeverSent as err:
                raise ProviderUnavailable from err
            except NoAnswer as err:
                raise (Ambiguous if operation in UNSAFE else ProviderUnavailable) from err

    async def upload(self, url: str, content: bytes, content_range: str) -> httpx.Response:
        """One piece to an upload address; never with our token (the address carries its own)."""
        headers = {"Content-Type": "application/octet-stream", "Content-Range": content_range}
        request = httpx.Request("PUT", url, headers=headers, content=content)
        try:
            return await self._transport.send("graph", "upload", request, timeout_seconds=TIMEOUT_SECONDS)
        except (NeverSent, NoAnswer) as err:
            raise Ambiguous from err


def decoded(answer: httpx.Response, kind: type[T]) -> T:
    """The body as a wire type. Raises UpstreamSurprise."""
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.DecodeError as err:
        raise UpstreamSurprise from err


def _with(headers: dict[str, str], token: str) -> dict[str, str]:
    return {**headers, "Authorization": f"Bearer {token}"}


def _claims(challenge: str) -> str | None:
    """The `claims` of a continuous-access-evaluation challenge, as it stands."""
    _, found, rest = challenge.partition('claims="')
    return rest.split('"', 1)[0] if found else None
