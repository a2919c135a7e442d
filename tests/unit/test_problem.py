"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.domain import errors
from shared.domain.errors import FieldError, PostbraidError
from shared.problem import CONTENT_TYPE, TABLE, TYPE_BASE, problem_for
from tests.unit.domain.error_tree import ALL, made

# Errors of storage, Graph and ciphertexts are dealt with before an answer is made. One that gets that far is a bug.
NEVER_ANSWERED = {
    PostbraidError,
    errors.AccessRefused,
    errors.GrantDead,
    errors.ItemUnreadable,
    errors.MailboxUnusable,
    errors.SubscriptionGone,
    errors.KeyRefused,
    errors.MessageRefused,
    errors.BlobExists,
    errors.SealBroken,
    errors.WorkersDied,
    errors.UpstreamSurprise,
    errors.NotItsAnswer,
}


def shown(error: Exception, instance: str | None = "inv-1") -> tuple[int, dict[str, str], dict[str, Any]]:
    """The answer to an error; the shape that all of them share is asserted here."""
    status, headers, body = problem_for(error, instance)
    document = json.loads(body)
    assert headers["Content-Type"] == CONTENT_TYPE == "application/problem+json"
    assert set(document) <= {"type", "title", "status", "detail", "instance", "errors", "waiting_for"}
    assert document["type"].startswith(TYPE_BASE)
    assert document["title"]
    assert not document["title"].endswith(".")
    assert document["status"] == status
    assert 400 <= status <= 599
    assert document["detail"]
    assert document.get("instance") == instance
    assert all(set(fault) == {"pointer", "detail"} for fault in document.get("errors", []))
    return status, headers, document


def test_every_error_has_its_place() -> None:
    """Exactly the errors listed here as never answered become a 500."""
    unexpected = {kind for kind in ALL if shown(made(kind))[0] == 500}
    assert unexpected == NEVER_ANSWERED


def test_a_narrow_class_is_never_hidden_by_a_wide_one() -> None:
    """Each row of the problem table is reached by its own error class."""
    for kind, slug, title, status in TABLE:
        found, _, document = shown(made(kind))
        assert (found, document["type"], document["title"]) == (status, TYPE_BASE + slug, title)


def test_a_type_has_one_title_and_one_status() -> None:
    """A problem type has one title and one status (RFC 9457, 3.1)."""
    seen: dict[str, tuple[str, int]] = {}
    for _, slug, title, status in TABLE:
        assert seen.setdefault(slug, (title, status)) == (title, status)


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (errors.MalformedBody(), 400, "malformed-body"),
        (errors.BodyTooLarge(), 413, "body-too-large"),
        (errors.AttachmentRefused(), 422, "attachment-refused"),
        (errors.InvalidRequest(), 422, "invalid-request"),
        (errors.NotAuthenticated(), 401, "not-authenticated"),
        (errors.NotAllowed(), 403, "not-allowed"),
        (errors.NotFound(), 404, "not-found"),
        (errors.ItemGone(), 410, "gone"),
        (errors.CrmMessageIdReused(), 409, "crm-message-id-reused"),
        (errors.NoActiveConnection(), 409, "no-active-connection"),
        (errors.MailboxClosed(), 409, "no-active-connection"),
        (errors.MailboxTaken(), 409, "mailbox-taken"),
        (errors.LinkUnusable(), 409, "link-unusable"),
        (errors.SignInFailed("denied"), 400, "sign-in-failed"),
        (errors.Throttled(1), 429, "throttled"),
        (errors.RowChanged(), 503, "busy"),
        (errors.RowExists(), 503, "busy"),
        (errors.RowMissing(), 503, "busy"),
        (errors.TooLarge(), 413, "body-too-large"),
        (errors.StoreUnavailable(), 503, "unavailable"),
        (errors.ProviderUnavailable(), 503, "unavailable"),
        (errors.OutcomeUnknown(), 503, "unavailable"),
        (errors.SealBroken(), 500, "unexpected"),
        (ZeroDivisionError(), 500, "unexpected"),
        (TimeoutError(), 500, "unexpected"),
    ],
)
def test_what_callers_are_told(error: Exception, status: int, slug: str) -> None:
    """Each error is answered with the status and problem type that callers depend on."""
    found, _, document = shown(error)
    assert (found, document["type"]) == (status, TYPE_BASE + slug)


def test_a_detail_is_of_the_case() -> None:
    """A problem's detail is the error's own text, or its class's sentence."""
    assert (
        shown(errors.NotAllowed("The key lacks the scope send."))[2]["detail"]
        == "The key lacks the scope send."
    )
    assert shown(errors.NotFound())[2]["detail"] == "There is nothing here."


def test_bad_fields_are_named() -> None:
    """Bad fields are named by pointer and detail, with letters of any script as they are."""
    fields = (FieldError("/to/0/address", "not an email address"), FieldError("/b\u00fc~1r", "\u00fcber"))
    document = shown(errors.InvalidRequest("Not so.", fields))[2]
    assert document["errors"] == [{"pointer": field.pointer, "detail": field.detail} for field in fields]
    assert "errors" not in shown(errors.InvalidRequest("Not so."))[2]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("canary: /srv/app/secret.key"),
        KeyError("canary"),
        errors.SealBroken("canary"),
        errors.UpstreamSurprise("canary of Graph's"),
        errors.BlobExists("canary"),
    ],
)
def test_an_unforeseen_error_tells_nothing(error: Exception) -> None:
    """A problem for an error nobody foresaw shows neither its text nor its class (X-5)."""
    status, headers, document = shown(error)
    assert status == 500
    assert "canary" not in json.dumps(document)
    assert type(error).__name__ not in json.dumps(document)
    assert set(headers) == {"Content-Type"}


def test_a_caller_without_a_credential_is_told_the_scheme() -> None:
    """A 401 names the scheme, and a 403 does not (RFC 9110, 15.5.2)."""
    assert shown(errors.NotAuthenticated())[1]["WWW-Authenticate"] == "Bearer"
    assert "WWW-Authenticate" not in shown(errors.NotAllowed())[1]


@pytest.mark.parametrize(
    ("error", "header"),
    [
        (errors.Throttled(30), "30"),
        (errors.Throttled(2.1), "3"),
        (errors.Throttled(0.2), "1"),
        (errors.Throttled(0), "5"),
        (errors.ProviderUnavailable(retry_after_seconds=12), "12"),
        (errors.StoreUnavailable(), "5"),
        (errors.OutcomeUnknown(), "5"),
        (errors.RowChanged(), "5"),
        (errors.NotFound(), None),
        (ValueError(), None),
    ],
)
def test_who_shall_come_back_is_told_when(error: Exception, header: str | None) -> None:
    """429 and 503 have a Retry-After in whole seconds, rounded up, and other answers have none."""
    assert shown(error)[1].get("Retry-After") == header


def test_without_an_invocation_there_is_no_instance() -> None:
    """A problem outside an invocation has no instance."""
    assert "instance" not in shown(errors.NotFound(), None)[2]
