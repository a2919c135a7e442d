"""Parsing of a request to Graph, and the entries of the route table."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from sandbox.graphsim import schema
from sandbox.graphsim.errors import GraphError, bad_body, bad_query, bad_request, not_simulated
from sandbox.graphsim.render import Style

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from sandbox.graphsim.entra import Grant
    from sandbox.graphsim.requestlog import Entry
    from sandbox.graphsim.store import Mailbox
    from sandbox.graphsim.world import World

MAX_REQUEST_BYTES = 4 * 1024 * 1024
_KEYED = re.compile(r"^([A-Za-z]+)\('(.*)'\)$")
_PREFERENCE = re.compile(r'^\s*([A-Za-z.\-]+)\s*(?:=\s*"?([^"]*)"?)?\s*$')
_KNOWN_PREFERENCES = {
    "idtype": {"ImmutableId"},
    "outlook.body-content-type": {"text", "html"},
    "outlook.allow-unsafe-html": None,
    "outlook.timezone": None,
    "odata.maxpagesize": None,
    "return": {"minimal", "representation"},
}


@dataclass(slots=True)
class Reply:
    """A handler's answer: JSON, or bytes of a media type, or nothing."""

    status: int = 200
    json: dict[str, Any] | None = None
    content: bytes = b""
    media_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Call:
    """A parsed request. `base_url` is the address that the caller used, for links in answers."""

    world: World
    method: str
    segments: list[str]
    ids: dict[str, str]
    raw_query: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    base_url: str
    entry: Entry
    style: Style = field(default_factory=Style)
    grant: Grant | None = None
    _mailbox: Mailbox | None = None

    @property
    def mailbox(self) -> Mailbox:
        """The caller's own mailbox; raises Graph's 404 when the account has none."""
        if self._mailbox is None:
            if self.grant is None:
                msg = "not signed in"
                raise RuntimeError(msg)
            user = self.grant.user
            if not user.mailbox_enabled:
                raise GraphError(
                    404,
                    "MailboxNotEnabledForRESTAPI",
                    "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
                )
            self._mailbox = self.world.store.mailboxes[user.address.lower()]
        return self._mailbox

    @property
    def caller(self) -> Grant:
        """The caller's grant; raises RuntimeError before authentication."""
        if self.grant is None:
            msg = "not signed in"
            raise RuntimeError(msg)
        return self.grant

    def json_body(self, *, optional: bool = False) -> dict[str, Any]:
        """The body as a JSON object; raises Graph's 400 (or 415) otherwise."""
        if optional and not self.body:
            return {}
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise GraphError(
                415, "BadRequest", "Write requests must contain the Content-Type header 'application/json'."
            )
        try:
            value = json.loads(self.body)
            json.dumps(value, ensure_ascii=False).encode()  # refuses half characters
        except (ValueError, RecursionError) as error:
            raise bad_request(
                "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of "
                "valid JSON format."
            ) from error
        if not isinstance(value, dict):
            raise bad_body("The request body must be a JSON object.")
        return value

    def parameters(self, declared: dict[str, str]) -> dict[str, Any]:
        """The parameters of an action; names are matched without regard to case, values are checked by type."""
        names = {name.lower(): name for name in declared}
        out = {}
        for key, value in self.json_body(optional=True).items():
            name = names.get(key.lower())
            if name is None:
                raise bad_body(
                    f"The parameter '{key}' in the request payload is not a valid parameter for the operation."
                )
            taken = value is None and not declared[name].endswith("[]")
            if not taken and (problem := schema.check(declared[name], value, request=True)):
                raise bad_body(problem)
            out[name] = value
        return out

    def context(self, path: str) -> str:
        """The `@odata.context` for a path."""
        return f"{self.base_url}/v1.0/$metadata#{path}"

    def mailbox_context(self, path: str) -> str:
        """The `@odata.context` for a path below the caller's user."""
        return self.context(f"users('{self.caller.user.user_id}')/{path}")


Handler = "Callable[[Call], Awaitable[Reply]]"


@dataclass(frozen=True, slots=True)
class Operation:
    """An entry of the route table. `template` segments in braces are ids; any of the `scopes` suffices.

    `not_imitated`: query options that Graph accepts here and the simulator answers with 501.
    """

    name: str
    method: str
    template: str
    handler: Callable[[Call], Awaitable[Reply]]
    scopes: tuple[str, ...]
    query: tuple[str, ...] = ()
    not_imitated: frozenset[str] = frozenset()

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """The ids in a path that matches, else None; fixed segments match without regard to case."""
        parts = self.template.split("/")
        if len(parts) != len(segments):
            return None
        ids = {}
        for part, segment in zip(parts, segments, strict=True):
            if part.startswith("{"):
                ids[part[1:-1]] = segment
            elif part.lower() != segment.lower():
                return None
        return ids


def segments_of(raw_path: bytes, prefix: str) -> list[str]:
    """Decoded path segments after `prefix`; `mailFolders('inbox')` counts as two, `delta()` as `delta`."""
    path = raw_path.split(b"?")[0].decode("ascii", "replace").removeprefix(prefix).strip("/")
    out: list[str] = []
    for part in path.split("/"):
        text = unquote(part)
        keyed = _KEYED.match(text)
        if keyed:
            out += [keyed[1], keyed[2]]
        else:
            out.append(text.removesuffix("()").removeprefix("microsoft.graph."))
    return out


def parse_query(raw: str, operation: Operation) -> dict[str, str]:
    """The query options by name; raises Graph's 400 for repeated ones and those that the operation does not accept."""
    out: dict[str, str] = {}
    for name, value in parse_qsl(raw, keep_blank_values=True):
        if name in out:
            raise bad_query(
                f"Query option '{name}' was specified more than once, but it must be specified at most once."
            )
        if name in operation.not_imitated:
            raise not_simulated(f"{name} of {operation.name}")
        if name not in operation.query:
            raise bad_query(f"The query parameter '{name}' is not supported by this operation.")
        if not value.strip():
            raise bad_query(f"The query option '{name}' must have a value.")
        out[name] = value
    return out


def asks_for_body(raw: str, operation: Operation) -> bool:
    """Whether a message's body is asked for: by name, or because nothing is selected."""
    if operation.method != "GET" or operation.name not in {"message.get", "message.list", "folder.messages"}:
        return False
    selected = dict(parse_qsl(raw)).get("$select")
    return selected is None or bool({"body", "uniqueBody", "bodyPreview"} & set(selected.split(",")))


def parse_prefer(values: list[str]) -> tuple[Style, str | None]:
    """The style that all Prefer headers ask for, and the value of Preference-Applied.

    RFC 7240, section 2: a preference that a server does not know or support is ignored.
    """
    found: dict[str, str | None] = {}
    for part in ",".join(values).split(","):
        if not part.strip():
            continue
        match = _PREFERENCE.match(part)
        name = match[1].lower() if match else ""
        if match is None or name not in _KNOWN_PREFERENCES:
            continue
        permitted = _KNOWN_PREFERENCES[name]
        if permitted is None or match[2] in permitted:
            found[name] = match[2]
    kind = found.get("outlook.body-content-type")
    style = Style("idtype" in found, kind == "text", "outlook.allow-unsafe-html" in found)
    return style, f'outlook.body-content-type="{kind}"' if kind else None


def headers_of(request: Request) -> dict[str, str]:
    """The headers by lower-case name; repeated ones are joined."""
    out: dict[str, str] = {}
    for name, value in request.headers.items():
        out[name.lower()] = f"{out[name.lower()]}, {value}" if name.lower() in out else value
    return out


def decode_base64(text: str) -> bytes:
    """The bytes of base64 that was checked already, of the plain or the URL alphabet."""
    return base64.b64decode(text.replace("-", "+").replace("_", "/"))
