"""A client for the calls of Postbraid's public API that the CRM uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from sandbox.democrm.model import File, User
from sandbox.democrm.words import field_words

UNREACHABLE = {
    "title": "Postbraid cannot be reached",
    "detail": "Postbraid cannot be reached now. Try again.",
}


class Refused(Exception):
    """Postbraid answered with a problem (RFC 9457), or not at all (`status` 0)."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('title', '')}")
        self.status = status
        self.problem = problem

    @property
    def code(self) -> str:
        """The last part of the problem's type, such as `no-active-connection`."""
        return (
            str(self.problem.get("type", "")).rstrip("/#").rsplit("/", 1)[-1].rsplit("#", 1)[-1] or "unknown"
        )

    @property
    def is_thread_stopped(self) -> bool:
        """Whether the thread of the request was stopped."""
        return self.code.replace("-", "_") == "thread_stopped"

    @property
    def detail(self) -> str:
        """The problem in words for the user, with the wrong fields."""
        fields = [
            f"{field_words(error.get('pointer', ''), error.get('detail', ''))}."
            for error in self.problem.get("errors", [])
        ]
        return " ".join([str(self.problem.get("detail") or self.problem.get("title") or ""), *fields]).strip()

    @property
    def is_final(self) -> bool:
        """Whether the same request cannot succeed later: not after no answer, a 5xx, a timeout or too many requests."""
        return 400 <= self.status < 500 and self.status not in {408, 429}


class Product:
    """A client with one tenant's API key. Every method raises Refused."""

    def __init__(self, app_url: str, api_key: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.origin = str(httpx.URL(app_url).copy_with(path="/")).rstrip("/")
        self._client = httpx.AsyncClient(
            base_url=f"{app_url.rstrip('/')}/api/v1/",
            headers={"authorization": f"Bearer {api_key}"},
            timeout=20,
            transport=transport,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def create_session_link(self, user: User) -> dict[str, Any]:
        """Create a link to the settings page for `user`: `{url, expires_at}`; it works once, within 120 s."""
        person = {"id": user.id, "display_name": user.name, "addresses": [user.address]}
        return await self._call("POST", "session-links", json={"user": person})

    async def upload(self, name: str, content_type: str, content: bytes) -> str:
        """Upload a file; return its id."""
        headers = {
            "content-type": content_type,
            "content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        }
        answer = await self._call("POST", "files", content=content, headers=headers)
        return str(answer["id"])

    async def send(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send a message: `{id, thread_id, status, …}`."""
        return await self._call("POST", "messages", json=request)

    async def stop_thread(self, thread_id: str) -> dict[str, Any]:
        """Stop a thread in both directions: `{status, stopped_at, stopped_by, …}`."""
        return await self._call("POST", f"threads/{quote(thread_id, safe='')}/stop")

    async def resume_thread(self, thread_id: str) -> dict[str, Any]:
        """Resume a thread; refused when the user stopped it."""
        return await self._call("POST", f"threads/{quote(thread_id, safe='')}/resume")

    async def get_message(self, product_id: str) -> dict[str, Any]:
        """Read a message, with new links of its files."""
        return await self._call("GET", f"messages/{quote(product_id, safe='')}")

    async def list_events(self, after: str | None) -> dict[str, Any]:
        """Read a page of events: `{events, next, has_more}`."""
        params = {"limit": "100"} | ({"after": after} if after else {})
        return await self._call("GET", "events", params=params)

    async def download(self, url: str) -> bytes | None:
        """Download a file by its link (at most 3 MiB); None when the link has expired or has another origin."""
        target = httpx.URL(url)
        if str(target.copy_with(raw_path=b"/")).rstrip("/") != self.origin:
            return None
        request = self._client.build_request("GET", target)
        del request.headers["authorization"]  # the link is signed
        try:
            response = await self._client.send(request)
        except httpx.HTTPError as err:
            raise Refused(0, UNREACHABLE) from err
        return response.content if response.is_success else None

    async def fetch_link(self, product_id: str, file: File) -> str | None:
        """Read a new link of a file; None when the file is gone."""
        answer = await self.get_message(product_id)
        files = (answer.get("message") or {}).get("attachments", [])
        return next((other.get("url") for other in files if other.get("id") == file.id), None)

    async def _call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        try:
            response = await self._client.request(method, path, **request)
        except httpx.HTTPError as err:
            raise Refused(0, UNREACHABLE) from err
        if response.is_success:
            return dict(msgspec.json.decode(response.content))
        raise Refused(response.status_code, _problem(response))


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        problem = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        problem = None
    return problem if isinstance(problem, dict) else {"title": f"HTTP {response.status_code}"}
