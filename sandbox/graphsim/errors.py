"""Graph's errors: status, `error.code` and message; and those of Entra's token endpoint.

Sources: Microsoft Graph, "Error responses and resource types"; codes of single operations from their method pages
and from field reports, see docs/simulator.md.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(slots=True)
class GraphError(Exception):
    """An error of an operation; it is answered with Graph's error body."""

    status: int
    code: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class EntraError(Exception):
    """An OAuth error with its AADSTS number."""

    error: str
    number: int
    text: str
    status: int = 400
    suberror: str | None = None


class ConnectionCut(httpx.RemoteProtocolError):
    """Raised to cut the connection; an in-process httpx client sees this very exception."""

    def __init__(self) -> None:
        super().__init__("Server disconnected without sending a response.")


def item_not_found() -> GraphError:
    """The item was moved, deleted, or is not there yet."""
    return GraphError(404, "ErrorItemNotFound", "The specified object was not found in the store.")


def malformed_id() -> GraphError:
    """The text does not have the form of an id."""
    return GraphError(400, "ErrorInvalidIdMalformed", "Id is malformed.")


def access_denied() -> GraphError:
    """A scope is missing, or the mailbox is another person's."""
    return GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")


_CHALLENGE = 'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"'


def invalid_token(message: str) -> GraphError:
    """The access token is missing, unknown or expired."""
    return GraphError(401, "InvalidAuthenticationToken", message, {"WWW-Authenticate": _CHALLENGE})


def revoked_token(since: datetime) -> GraphError:
    """A token issued before its user's sessions were ended; `claims` asks for one issued since.

    Source: Microsoft identity platform, "Claims challenges, claims requests, and client capabilities".
    """
    wanted = {"access_token": {"nbf": {"essential": True, "value": str(int(since.timestamp()))}}}
    claims = base64.b64encode(json.dumps(wanted).encode()).decode()
    text = (
        "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: "
        "TokenIssuedBeforeRevocationTimestamp"
    )
    challenge = f'{_CHALLENGE}, error="insufficient_claims", claims="{claims}"'
    return GraphError(401, "InvalidAuthenticationToken", text, {"WWW-Authenticate": challenge})


def bad_query(message: str) -> GraphError:
    """An OData option that Graph cannot parse."""
    return GraphError(400, "RequestBroker--ParseUri", message)


def bad_body(message: str) -> GraphError:
    """The JSON does not fit the declared type."""
    return GraphError(400, "RequestBodyRead", message)


def bad_request(message: str, code: str = "BadRequest") -> GraphError:
    """Any other mistake of the caller."""
    return GraphError(400, code, message)


def read_only(name: str) -> GraphError:
    """A property that cannot be set, or cannot be set any more."""
    return GraphError(
        400, "ErrorInvalidPropertySet", f"The property '{name}' is read-only or cannot be set on this item."
    )


def not_simulated(what: str) -> GraphError:
    """Graph can do this, the simulator cannot."""
    return GraphError(
        501, "SimulatorNotImplemented", f"The simulator does not imitate {what}; see docs/simulator.md."
    )
