"""Calls to Graph: built with msgraph-sdk's request builders, sent by the one transport, read as raw bytes.

The SDK is imported at the first call, because importing it costs more than everything else together.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import httpx
import msgspec

from shared.domain.errors import (
    Ambiguous,
    NotItsAnswer,
    ProviderUnavailable,
    Throttled,
    TooLarge,
    UploadFailed,
    UpstreamSurprise,
)
from shared.graph import tolerant, wire
from shared.graph.errors import DONE, UNSAFE, UPLOAD, graph_error, read_error
from shared.ports import Access
from shared.transport import NeverSent, NoAnswer, TooMuch, Transport

if TYPE_CHECKING:
    from kiota_abstractions.request_information import RequestInformation

IMMUTABLE_IDS: Final = 'IdType="ImmutableId"'
IN_FLIGHT_A_MAILBOX: Final = 2
TIMEOUT_SECONDS: Final = 30.0
MOST_BYTES: Final = 32 * 1024 * 1024
MOST_PAGES: Final = 1_000
MOST_CLAIMS_CHARACTERS: Final = 8_192
# So many in a row as Graph asks for them; from the next on each is twice as long as the one before.
MOST_PAUSES: Final = 3
LONGEST_OWN_PAUSE_SECONDS: Final = 240.0
MOST_REMEMBERED: Final = 10_000
PAGES: Final = frozenset({"text/html", "application/json"})  # what gateways answer with

T = TypeVar("T")


def unheard(_date: str | None) -> None:
    """Nobody wants to know what time it is at Graph."""


class GraphClient:
    """One mailbox at a time is called with at most two requests in flight (throttling is per mailbox)."""

    def __init__(
        self, transport: Transport, base_url: str, told_time: Callable[[str | None], None] = unheard
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._transport = transport
        self._told_time = told_time
        self._limits: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._pauses: dict[str, int] = {}
        self._builders: Any = None

    @property
    def builders(self) -> Any:
        """The SDK's tree of request builders."""
        if self._builders is None:
            from shared.graph import sdk

            self._builders = sdk.request_builders(self.base_url)
        return self._builders

    def message(self, graph_message_id: str) -> Any:
        """The builder of one message."""
        return self.builders.me.messages.by_message_id(graph_message_id)

    async def get(self, access: Access, operation: str, builder: Any, **query: Any) -> bytes:
        """GET what a builder names; `query` by the SDK's parameter names."""
        from shared.graph import sdk

        return await self.call(access, operation, sdk.read_request(builder, **query))

    async def get_all(
        self, access: Access, operation: str, builder: Any, kind: type[wire.Page[T]], **query: Any
    ) -> list[T]:
        """GET every page of a list. Raises UpstreamSurprise when it goes in circles or does not end (E-26)."""
        page = decoded(await self.get(access, operation, builder, **query), kind)
        found, followed = list(page.value), set[str]()
        while page.next_link:
            if page.next_link in followed or len(followed) >= MOST_PAGES:
                raise UpstreamSurprise
            followed.add(page.next_link)
            page = decoded(await self.follow(access, operation, page.next_link), kind)
            found += page.value
        return found

    async def get_content(
        self, access: Access, operation: str, builder: Any, limit_bytes: int, media_type: str | None
    ) -> bytes:
        """GET the raw bytes behind what a builder names. Raises TooLarge as soon as there are more.

        They come with the file's own `media_type` ("Get attachment"): in a page of another one a gateway speaks.
        """
        from shared.graph import sdk

        request = sdk.http_request(sdk.content_request(builder), self.base_url)
        answer = await self._send_authorized(access, operation, request, limit_bytes)
        came, wanted = map(_plain_type, (answer.headers.get("content-type"), media_type))
        if wanted and came in PAGES and came != wanted:
            raise NotItsAnswer
        return answer.content

    async def call(
        self, access: Access, operation: str, info: RequestInformation, limit_bytes: int = MOST_BYTES
    ) -> bytes:
        """Send one request and return the answer's body, empty where it has none. Raises what `graph_error` says.

        The body is read up to `limit_bytes`; of more, UpstreamSurprise, or TooLarge where a file is read.
        """
        from shared.graph import sdk

        request = sdk.http_request(info, self.base_url)
        return (await self._send_authorized(access, operation, request, limit_bytes)).content

    async def follow(self, access: Access, operation: str, link: str) -> bytes:
        """GET a next link, whole, and only on the configured Graph host (E-26). Raises UpstreamSurprise."""
        if not same_origin(link, self.base_url):
            raise UpstreamSurprise
        try:
            request = httpx.Request("GET", link, headers={"Accept": "application/json"})
        except httpx.InvalidURL as err:
            raise UpstreamSurprise from err
        return (await self._send_authorized(access, operation, request, MOST_BYTES)).content

    async def put(self, access: Access, url: str, content: bytes, content_range: str) -> None:
        """Send one piece to an upload address; never with our token, the address carries its own.

        Raises UploadFailed whatever went wrong, and Throttled.
        """
        headers = {"Content-Type": "application/octet-stream", "Content-Range": content_range}
        try:
            request = httpx.Request("PUT", url, headers=headers, content=content)
            answer = await self._send_once(access, UPLOAD, request, MOST_BYTES)
        except (httpx.InvalidURL, ProviderUnavailable, UpstreamSurprise) as err:
            raise UploadFailed from err
        _checked(UPLOAD, answer)

    async def _send_authorized(
        self, access: Access, operation: str, request: httpx.Request, limit_bytes: int
    ) -> httpx.Response:
        """Send with a token; after a 401 fetch another, as its challenge asks, and send once more."""
        request.headers["Prefer"] = IMMUTABLE_IDS
        token = await access.token()
        request.headers["Authorization"] = f"Bearer {token}"
        answer = await self._send_once(access, operation, request, limit_bytes)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            claims = challenged_claims(answer.headers.get("www-authenticate", ""))
            token = await access.token(rejected=token, claims=claims)
            request.headers["Authorization"] = f"Bearer {token}"
            answer = await self._send_once(access, operation, request, limit_bytes)
        try:
            return _checked(operation, answer)
        except Throttled as err:
            err.retry_after_seconds = self._lengthened(access.mailbox_id, err.retry_after_seconds)
            raise
        finally:
            if answer.is_success:
                self._pauses.pop(access.mailbox_id, None)

    async def _send_once(
        self, access: Access, operation: str, request: httpx.Request, limit_bytes: int
    ) -> httpx.Response:
        async with self._limit(access.mailbox_id):
            try:
                answer = await self._transport.send(
                    "graph", operation, request, timeout_seconds=TIMEOUT_SECONDS, limit_bytes=limit_bytes
                )
            except NeverSent as err:
                raise ProviderUnavailable from err
            except NoAnswer as err:
                raise (Ambiguous if operation in UNSAFE else ProviderUnavailable) from err
            except TooMuch as err:
                raise (TooLarge if operation == "file_content" else UpstreamSurprise) from err
        if operation != UPLOAD:  # another host, with another clock
            self._told_time(answer.headers.get("date"))
        return answer

    def _lengthened(self, mailbox_id: str, asked_seconds: float) -> float:
        """How long a mailbox pauses that gets nothing but 429: Graph may ask for ten seconds each time, for days."""
        if len(self._pauses) >= MOST_REMEMBERED:
            self._pauses.clear()
        count = self._pauses[mailbox_id] = self._pauses.get(mailbox_id, 0) + 1
        doubled = asked_seconds * (1 << min(max(count - MOST_PAUSES, 0), 10))
        return max(asked_seconds, min(doubled, LONGEST_OWN_PAUSE_SECONDS))

    def _limit(self, mailbox_id: str) -> asyncio.Semaphore:
        """The mailbox's semaphore; it is forgotten when nobody holds or awaits it."""
        limit = self._limits.get(mailbox_id)
        if limit is None:
            limit = self._limits[mailbox_id] = asyncio.Semaphore(IN_FLIGHT_A_MAILBOX)
        return limit


def _checked(operation: str, answer: httpx.Response) -> httpx.Response:
    if answer.is_success and answer.status_code == DONE.get(operation, answer.status_code):
        return answer
    codes, message = read_error(answer.content)
    raise graph_error(operation, answer.status_code, codes, message, answer.headers)


def _plain_type(media_type: str | None) -> str:
    """Without its parameters, in lower case; empty where there is none."""
    return (media_type or "").partition(";")[0].strip().lower()


def decoded(content: bytes, kind: type[T]) -> T:
    """A body as a wire type; what does not fit costs that member. Raises NotItsAnswer."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return tolerant.decode(content, kind)
    except (msgspec.DecodeError, tolerant.Unreadable, RecursionError) as err:
        raise NotItsAnswer from err


def same_origin(url: str, base_url: str) -> bool:
    """Whether both name the same scheme, host and port, default ports counted in."""
    return _origin(url) is not None and _origin(url) == _origin(base_url)


def _origin(url: str) -> tuple[str, str | None, int | None] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return None
    if parts.username is not None or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port


def challenged_claims(challenge: str) -> str | None:
    """The `claims` of a continuous-access-evaluation challenge, as the JSON text that Entra takes.

    Microsoft identity platform, "Claims challenges, claims requests, and client capabilities": base64-encoded in
    the challenge, decoded in the request.
    """
    _, found, rest = challenge.partition('claims="')
    value = rest.partition('"')[0]
    if not found or len(value) > MOST_CLAIMS_CHARACTERS:
        return None
    padded = value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4)
    try:
        text = base64.b64decode(padded, altchars=b"-_" if {*value} & {*"-_"} else None, validate=True)
        msgspec.json.decode(text, type=dict[str, Any])
        return text.decode()
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        return None
