"""Requests to Graph as values, built with msgraph-sdk's request builders. Nothing in here sends.

The only file that imports msgraph-sdk, and therefore imported at the first call, not before. Of the SDK only the
request builders are used: not its transport and retries (one retry policy, ours; its own would send a mail twice), not
its authentication, not its models (parsing them costs five times the rest of a call, and importing them a second).
Bodies are written by msgspec from plain values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx
import msgspec
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.graph_service_client import GraphServiceClient

if TYPE_CHECKING:
    from kiota_abstractions.request_information import RequestInformation

# What the SDK writes for /me, and replaces in a middleware that is not used here (`GraphRequestAdapter`).
ME_TOKEN: Final = "/users/me-token-to-replace"  # noqa: S105 - no secret
# The path parameter that every URL template begins with; the SDK's adapter sets it (`HttpxRequestAdapter`).
BASE_ADDRESS: Final = "baseurl"
EXPRESSIONS: Final = "{?"


class _JsonWriter:
    """What the SDK's `to_post_request_information` and `to_patch_request_information` write a body with."""

    def __init__(self) -> None:
        self._content = b""

    def write_object_value(self, _key: str | None, value: Any) -> None:
        """Take a plain value instead of one of the SDK's models."""
        self._content = msgspec.json.encode(value)

    def get_serialized_content(self) -> bytes:
        """The body."""
        return self._content


class _JsonWriters:
    """The SDK asks by content type; there is one."""

    def get_serialization_writer(self, _content_type: str) -> _JsonWriter:
        """A fresh writer."""
        return _JsonWriter()


class _Adapter:
    """The part of the SDK's `RequestAdapter` that request builders use: an address and a writer of bodies."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def get_serialization_writer_factory(self) -> _JsonWriters:
        """Bodies are plain values."""
        return _JsonWriters()

    def enable_backing_store(self, _factory: Any) -> None:
        """Do nothing: only the SDK's models have one."""


def request_builders(base_url: str) -> GraphServiceClient:
    """The tree of request builders below a Graph address."""
    return GraphServiceClient(request_adapter=_Adapter(base_url))


def read_request(builder: Any, **query: Any) -> RequestInformation:
    """A GET of what a builder names, with `$select` and the like by the SDK's parameter names."""
    parameters = getattr(builder, f"{type(builder).__name__}GetQueryParameters")(**query) if query else None
    return builder.to_get_request_information(RequestConfiguration(query_parameters=parameters))


def content_request(builder: Any) -> RequestInformation:
    """A GET of the raw bytes behind an item (`/$value`, which the SDK has no builder for on attachments)."""
    info = read_request(builder)
    info.url_template = f"{builder.url_template.partition(EXPRESSIONS)[0]}/$value"
    info.headers.clear()
    return info


def http_request(info: RequestInformation, base_url: str) -> httpx.Request:
    """The HTTP request that was built, below that Graph address.

    A POST without a body says `Content-Length: 0` (Microsoft Graph, "message: send").
    """
    info.path_parameters[BASE_ADDRESS] = base_url
    method, content = info.http_method.value, info.content or b""
    request = httpx.Request(
        method, info.url.replace(ME_TOKEN, "/me", 1), headers=info.request_headers, content=content
    )
    if method == "POST" and not content:
        request.headers["Content-Length"] = "0"
    return request
