"""HTTP: change and lifecycle notifications of Graph: kept durably, then 202; workers do the work (G-1 to G-5, G-7)."""

from __future__ import annotations

import hmac
from typing import List  # noqa: UP035 - the worker library matches this very annotation

import azure.functions as func

from functions.boundary import MIB, SECURITY_HEADERS, check_length, problem
from shared.bootstrap import services
from shared.domain.errors import NotFound, PostbraidError
from shared.graph.notifications import read_notifications, validation_answer
from shared.sync.queueing.jobs import split_changes
from shared.telemetry import canonical_line

bp = func.Blueprint()


@bp.route(route="graph/notifications/{secret}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@bp.queue_output(arg_name="changes", queue_name="changes", connection="DataStorage")
async def receive_notifications(req: func.HttpRequest, changes: func.Out[List[str]]) -> func.HttpResponse:  # noqa: UP006 - as above
    """Change notifications."""
    return _receive("receive_notifications", req, changes)


@bp.route(route="graph/lifecycle/{secret}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@bp.queue_output(arg_name="changes", queue_name="changes", connection="DataStorage")
async def receive_lifecycle_notifications(
    req: func.HttpRequest,
    changes: func.Out[List[str]],  # noqa: UP006 - as above
) -> func.HttpResponse:
    """Lifecycle notifications."""
    return _receive("receive_lifecycle_notifications", req, changes)


def _receive(name: str, req: func.HttpRequest, changes: func.Out[List[str]]) -> func.HttpResponse:  # noqa: UP006 - as above
    """Handshake, or judge each item by its clientState without any I/O; the host writes the queue before it answers."""
    with canonical_line(name) as line:
        try:
            response = _answer(req, changes, line)
        except PostbraidError as err:
            response = problem(err, line)
        line["status"] = response.status_code
        return response


def _answer(
    req: func.HttpRequest, changes: func.Out[list[str]], line: dict[str, object]
) -> func.HttpResponse:
    s = services()
    if not hmac.compare_digest(
        req.route_params.get("secret", "").encode(), s.addresses.webhook_secret.encode()
    ):
        raise NotFound
    token = req.params.get("validationToken")
    if token is not None:
        return _handshake(token)
    check_length(req, MIB)
    notifications = read_notifications(req.get_body(), s.client_states.verify)
    line["hints"], line["dropped"] = len(notifications.hints), len(notifications.dropped)
    if notifications.hints:
        changes.set(split_changes(tuple(notifications.hints)))
    return func.HttpResponse(status_code=202, headers=SECURITY_HEADERS)


def _handshake(token: str) -> func.HttpResponse:
    """The decoded token, nothing else, as text that no browser interprets (G-1)."""
    answer = validation_answer(token)
    if answer is None:
        return func.HttpResponse(status_code=400, headers=SECURITY_HEADERS)
    return func.HttpResponse(
        answer, headers={**SECURITY_HEADERS, "Content-Type": "text/plain; charset=utf-8"}
    )
