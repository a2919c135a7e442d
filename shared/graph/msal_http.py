"""MSAL's HTTP: it calls in its thread, the request runs on our loop and leaves through the one transport."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import msgspec

from shared.domain.errors import ProviderUnavailable, Throttled
from shared.graph.errors import pause_seconds
from shared.transport import NeverSent, NoAnswer, TooMuch, Transport

TIMEOUT_SECONDS: Final = 15.0
MOST_BYTES: Final = 1024 * 1024


class Answer:
    """A response in the shape MSAL reads."""

    def __init__(self, status_code: int, text: str, headers: Mapping[str, str]) -> None:
        self.status_code = status_code
        self.text = text
        self.headers = dict(headers)

    def raise_for_status(self) -> None:
        """MSAL calls this on discovery."""
        if self.status_code >= 400:  # noqa: PLR2004 - errors
            raise ProviderUnavailable


class MsalHttp:
    """What MSAL calls in its thread; the request itself runs on our loop."""

    def __init__(
        self, transport: Transport, loop: asyncio.AbstractEventLoop, discovered: dict[str, Answer]
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._discovered = discovered

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> Answer:
        """Discovery documents; each is fetched once a process, if it is one: a gateway's page is not remembered."""
        whole = f"{url}?{urlencode(params)}" if params else url
        if whole not in self._discovered:
            answer = self._run("discover", httpx.Request("GET", whole, headers=headers or {}))
            if answer.status_code != httpx.codes.OK:
                return answer
            if not _is_discovery(json_object(answer.text)):
                raise ProviderUnavailable
            self._discovered[whole] = answer
        return self._discovered[whole]

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> Answer:
        """The token endpoint. MSAL gives an assertion that it signed itself as bytes."""
        form = {
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in (data or {}).items()
        }
        return self._run("token", httpx.Request("POST", url, params=params, data=form, headers=headers or {}))

    def close(self) -> None:
        """The transport stays open."""

    def _run(self, operation: str, request: httpx.Request) -> Answer:
        sending = self._transport.send(
            "entra", operation, request, timeout_seconds=TIMEOUT_SECONDS, limit_bytes=MOST_BYTES
        )
        future = asyncio.run_coroutine_threadsafe(sending, self._loop)
        try:
            answer = future.result(TIMEOUT_SECONDS * 2)
        except (NeverSent, NoAnswer, TooMuch) as err:
            raise ProviderUnavailable from err
        except TimeoutError as err:
            future.cancel()
            raise ProviderUnavailable from err
        return _judged(operation, answer)


def _judged(operation: str, answer: httpx.Response) -> Answer:
    """What MSAL may see. It would log the text of a token answer that is no JSON, so such a one stays here."""
    status, retry_after = answer.status_code, answer.headers.get("retry-after")
    if status == httpx.codes.TOO_MANY_REQUESTS or (status >= 500 and retry_after):  # noqa: PLR2004 - their side
        raise Throttled(pause_seconds(retry_after, answer.headers.get("date")))
    if status >= 500 or (operation == "token" and not json_object(answer.text)):  # noqa: PLR2004 - as above
        raise ProviderUnavailable
    return Answer(status, answer.text, answer.headers)


def _is_discovery(document: Mapping[str, Any]) -> bool:
    """Whether this is an OpenID configuration, or what instance discovery answers, as far as MSAL reads them."""
    read = (("authorization_endpoint", "token_endpoint"), ("tenant_discovery_endpoint",))
    return any(all(isinstance(document.get(name), str) for name in names) for names in read)


def json_object(text: str) -> dict[str, Any]:
    """A JSON object, or an empty one for anything else."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return {}
