"""The only file that imports msgraph-sdk, and therefore imported at the first call, not before.

Of the SDK its request builders are used, and its adapter with three parts taken out: its transport and retries (one
retry policy, ours; and its own would send a mail twice), its authentication, and its models (parsing them costs five
times the rest of a call, and importing them a second). Bodies are written by msgspec from plain values.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn

import httpx
import msgspec
from kiota_abstractions.authentication import AnonymousAuthenticationProvider
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.request_information import RequestInformation
from kiota_abstractions.request_option import RequestOption
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph.graph_service_client import GraphServiceClient

# What the SDK writes for /me, and replaces in a middleware that is not used here.
ME_TOKEN: Final = "/users/me-token-to-replace"  # noqa: S105 - no secret
EXPRESSIONS: Final = "{?"

Carry = Callable[[httpx.Request], Awaitable[httpx.Response]]


class Errand(RequestOption):  # type: ignore[misc] # the SDK's types are not followed, see pyproject.toml
    """Who carries this request; rides along with it through the adapter."""

    def __init__(self, carry: Carry) -> None:
        self.carry = carry

    @staticmethod
    def get_key() -> str:
        """Its name among a request's options."""
        return "postbraid.errand"


class _NoNetwork(httpx.AsyncBaseTransport):
    """The adapter insists on a client; nothing goes through it, and it loads no certificates."""

    async def handle_async_request(self, request: httpx.Request) -> NoReturn:
        """Never."""
        raise httpx.UnsupportedProtocol("not a way out", request=request)


class _JsonWriter:
    """What the SDK's `to_post_request_information` writes a body with."""

    def __init__(self) -> None:
        self._content = b""

    def write_object_value(self, _key: str | None, value: Any) -> None:
        """A plain value instead of one of the SDK's models."""
        self._content = msgspec.json.encode(value)

    def get_serialized_content(self) -> bytes:
        """The body."""
        return self._content


class _JsonWriters:
    """The SDK asks by content type; there is one."""

    def get_serialization_writer(self, _content_type: str) -> _JsonWriter:
        """A fresh writer."""
        return _JsonWriter()


class Adapter(GraphRequestAdapter):  # type: ignore[misc] # as above
    """msgraph-sdk's adapter, sending through whoever the request's errand names."""

    def __init__(self, base_url: str) -> None:
        super().__init__(AnonymousAuthenticationProvider(), httpx.AsyncClient(transport=_NoNetwork()))
        self.base_url = base_url

    def get_serialization_writer_factory(self) -> Any:
        """Bodies are plain values."""
        return _JsonWriters()

    async def get_http_response_message(
        self,
        request_info: RequestInformation,
        parent_span: Any,  # noqa: ARG002 - the SDK's
        claims: str = "",  # noqa: ARG002 - the SDK's way of a second try
    ) -> httpx.Response:
        """Hand the request over; the errand authenticates it, and raises for every answer but a good one."""
        errand = request_info.request_options[Errand.get_key()]
        assert isinstance(errand, Errand)  # noqa: S101 - put there by `send`
        self.set_base_url_for_request_information(request_info)
        return await errand.carry(_native(request_info))


def _native(info: RequestInformation) -> httpx.Request:
    method = info.http_method.value if info.http_method else "GET"
    content = info.content if isinstance(info.content, bytes) else b""
    request = httpx.Request(
        method, info.url.replace(ME_TOKEN, "/me", 1), headers=info.request_headers, content=content
    )
    if method == "POST" and not content:
        request.headers["Content-Length"] = "0"  # "message: send" asks for it
    return request


def service(base_url: str) -> GraphServiceClient:
    """The tree of request builders below a Graph address."""
    return GraphServiceClient(request_adapter=Adapter(base_url))


def get(builder: Any, **query: Any) -> RequestInformation:
    """A GET of what a builder names, with `$select` and the like by the SDK's parameter names."""
    parameters = getattr(builder, f"{type(builder).__name__}GetQueryParameters")(**query) if query else None
    info: RequestInformation = builder.to_get_request_information(
        RequestConfiguration(query_parameters=parameters)
    )
    return info


def get_content(builder: Any) -> RequestInformation:
    """A GET of the raw bytes behind an item (`/$value`, which the SDK has no builder for on attachments)."""
    info = get(builder)
    info.url_template = f"{builder.url_template.partition(EXPRESSIONS)[0]}/$value"
    info.headers.clear()
    return info


async def send(client: GraphServiceClient, info: RequestInformation, carry: Carry) -> bytes:
    """Through the adapter and back as raw bytes; empty where the answer has no body."""
    info.add_request_options([Errand(carry)])
    content: Any = await client.request_adapter.send_primitive_async(info, "bytes", {})
    return content if isinstance(content, bytes) else b""
