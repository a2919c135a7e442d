"""Protection of the pages: a content security policy, and no state changes by other sites."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAIL_POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'self'; "
    "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox"
)
"""For mail bodies: no scripts, no forms, nothing loaded from other origins (so no tracking pictures)."""


class Guard:
    """ASGI middleware that adds security headers and refuses state changes by other sites' pages."""

    def __init__(self, app: ASGIApp, app_origin: str) -> None:
        """`app_origin` is Postbraid's origin; its settings page is framed."""
        self._app = app
        self._policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            f"frame-src 'self' {app_origin}; form-action 'self' {app_origin}; base-uri 'none'; frame-ancestors 'none'"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("content-security-policy", self._policy)
                headers.setdefault("cache-control", "no-store")
                headers["x-content-type-options"] = "nosniff"
                headers["referrer-policy"] = "same-origin"
            await send(message)

        site = Headers(scope=scope).get("sec-fetch-site", "none")
        foreign = scope["method"] not in {"GET", "HEAD"} and site not in {"none", "same-origin"}
        app = PlainTextResponse("Not from another site.", 403) if foreign else self._app
        await app(scope, receive, send_with_headers)
