"""Graph's answers as our errors."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import errors
from shared.domain.errors import PostbraidError
from shared.domain.model import Reason
from shared.graph.errors import (
    CODES,
    KEYED,
    LONGEST_PAUSE_SECONDS,
    OF_AN_ITEM,
    REFUSALS,
    SENDING,
    SUBSCRIPTION,
    UNSAFE,
    graph_error,
    is_wrong_size,
    pause_seconds,
    read_error,
    status_of,
)

OPERATIONS = sorted(
    UNSAFE
    | SENDING
    | SUBSCRIPTION
    | OF_AN_ITEM
    | {"profile", "sweep", "find_by_key", "find_by_message_id", "subscriptions"}
)
READS = ("outline", "people", "fetch", "files", "file_content", "sweep", "locate", "find_by_key", "profile")


def error(operation: str, status: int, *codes: str, message: str = "", **headers: str) -> PostbraidError:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return graph_error(operation, status, codes, message, given)


@given(
    st.sampled_from(OPERATIONS) | st.text(),
    st.integers(-1, 999),
    st.lists(st.sampled_from(sorted(CODES)) | st.text()),
    st.text(),
    st.dictionaries(st.sampled_from(["retry-after", "date", "request-id"]), st.text()),
)
def test_every_answer_means_something(
    operation: str, status: int, codes: list[str], message: str, headers: dict[str, str]
) -> None:
    """Whatever Graph answers becomes an error of ours, with a sane pause and a known reason."""
    found = graph_error(operation, status, tuple(codes), message, headers)
    assert isinstance(found, PostbraidError)
    if isinstance(found, errors.Throttled):
        assert 1 <= found.retry_after_seconds <= LONGEST_PAUSE_SECONDS
    if isinstance(found, errors.MessageRefused):
        assert Reason(found.reason)
        assert operation in SENDING


@given(
    st.sampled_from(OPERATIONS),
    st.sampled_from([401, 403, 404, 409, 412, 413, 400, 500, 503, 504]),
    st.text(),
)
def test_nothing_of_the_text_is_kept(operation: str, status: int, text: str) -> None:
    """An error keeps status, code and request id of Graph's answer, and nothing of its text."""
    secret = f"secret {text} secret"
    found = error(operation, status, "SomeCode", message=secret, request_id="r-1")
    assert secret not in f"{found} {found.args} {vars(found)} {found.__notes__}"
    assert vars(found).items() >= {"status": status, "code": "SomeCode", "request_id": "r-1"}.items()


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_a_broken_answer_to_a_write_leaves_it_open(status: int) -> None:
    """After a 5xx a draft, file, send or subscription has an unknown outcome, and a read may be repeated."""
    for operation in ("create_draft", "create_reply", "attach", "send", "subscribe"):
        assert type(error(operation, status)) is errors.Ambiguous
    for operation in (*READS, "renew", "unsubscribe", "fill_reply"):
        assert type(error(operation, status)) is errors.ProviderUnavailable


@pytest.mark.parametrize(("code", "reason"), REFUSALS.items())
@pytest.mark.parametrize("status", [400, 403, 413, 422, 507])
def test_typed_refusals_end_a_send(code: str, reason: Reason, status: int) -> None:
    """A typed refusal ends a send with the reason of its code, whatever the status, the quota of names apart."""
    of_names = (status, code) == (403, "ErrorQuotaExceeded")
    for operation in SENDING - (KEYED if of_names else frozenset()):
        found = error(operation, status, code)
        assert isinstance(found, errors.MessageRefused)
        assert found.reason == reason


@pytest.mark.parametrize("status", [400, 403, 413, 507])
def test_a_spent_quota_of_names_is_no_full_mailbox(status: int) -> None:
    """403 `ErrorQuotaExceeded` to a create with our key is about the key; with another status the mailbox is full."""
    for operation in ("create_draft", "create_reply"):
        found = error(operation, status, "ErrorQuotaExceeded")
        assert isinstance(found, errors.KeyRefused if status == 403 else errors.MessageRefused)


def test_finer_codes_decide() -> None:
    """A known nested code decides before the one around it, and an unknown one does not."""
    assert _reason(error("send", 400, "BadRequest", "ErrorInvalidRecipients")) == "invalid_recipient"
    assert _reason(error("create_draft", 400, "ErrorQuotaExceeded", "Whatever")) == "mailbox_full"


def _reason(found: PostbraidError) -> str:
    assert isinstance(found, errors.MessageRefused)
    return found.reason


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (409, "ErrorIrresolvableConflict"), (412, "ErrorIrresolvableConflict"), (400, "ErrorInvalidOperation"),
        (400, "ErrorInvalidRequest"), (400, "BadRequest"), (405, ""), (404, "ErrorItemNotFound"), (504, "UnknownError"),
        (423, ""), (409, ""), (415, ""), (422, ""),
    ],
)  # fmt: skip
def test_a_second_send_of_a_sent_draft_is_no_refusal(status: int, code: str) -> None:
    """What Graph may say of a draft that has left already is never a refusal (E-14)."""
    assert isinstance(
        error("send", status, code), errors.Ambiguous | errors.ItemGone | errors.ProviderUnavailable
    )


def test_bad_requests_of_drafts_are_final() -> None:
    """A bad request for a draft is refused for good, and for a read it is an UpstreamSurprise."""
    for operation in SENDING - {"send"}:
        assert _reason(error(operation, 400, "RequestBodyRead")) == "refused_by_provider"
    for operation in READS:
        assert type(error(operation, 400, "InefficientFilter")) is errors.UpstreamSurprise


@pytest.mark.parametrize("code", ["ErrorItemNotFound", "ErrorInvalidIdMalformed", ""])
def test_gone(code: str) -> None:
    """A message that is not there, or has an impossible id, is gone, and so is a subscription in its own way."""
    status = 400 if code == "ErrorInvalidIdMalformed" else 404
    for operation in (
        "outline",
        "people",
        "fetch",
        "files",
        "file_content",
        "locate",
        "create_reply",
        "send",
    ):
        assert type(error(operation, status, code)) is errors.ItemGone
    for operation in SUBSCRIPTION:
        assert type(error(operation, 404, "ResourceNotFound")) is errors.SubscriptionGone


def test_a_fresh_draft_that_is_not_there_is_made_anew() -> None:
    """A 404 of our own fresh draft is an unknown outcome, not a vanished original."""
    for operation in ("attach", "fill_reply"):
        assert type(error(operation, 404, "ErrorItemNotFound")) is errors.Ambiguous


def test_a_new_mailbox_may_take_a_while() -> None:
    """A 404 of the mailbox as a whole is an outage, since a new one may take a while."""
    for operation in ("profile", "sweep", "find_by_key", "subscriptions", "subscribe", "create_draft"):
        assert type(error(operation, 404, "ErrorItemNotFound")) is errors.ProviderUnavailable


@pytest.mark.parametrize(
    "code",
    [
        "MailboxNotEnabledForRESTAPI", "ErrorMailboxNotEnabledForRESTAPI", "MailboxNotSupportedForRESTAPI",
        "ErrorNonExistentMailbox",
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [403, 404])
def test_a_mailbox_without_rest_is_unusable(code: str, status: int) -> None:
    """A mailbox that programs may not use is unusable for every operation."""
    for operation in OPERATIONS:
        assert type(error(operation, status, code)) is errors.MailboxUnusable


@pytest.mark.parametrize(
    ("status", "code", "headers", "seconds"),
    [
        (429, "ApplicationThrottled", {"retry-after": "2.128"}, 2.128),
        (429, "", {}, 10.0),
        (503, "ServiceUnavailable", {"retry-after": "7"}, 7.0),
        (400, "ErrorExceededMessageLimit", {}, None),
        (429, "ErrorExceededMessageLimit", {"retry-after": "30"}, 30.0),
        (403, "activityLimitReached", {"retry-after": "9"}, 9.0),
    ],
)
def test_throttling(status: int, code: str, headers: dict[str, str], seconds: float | None) -> None:
    """A 429, and a 503 with a time, ask for a pause on every operation, a 503 not of `send`."""
    for operation in OPERATIONS if status < 500 else {*OPERATIONS} - {"send"}:
        found = graph_error(operation, status, (code,), "", headers)
        assert (found.retry_after_seconds if isinstance(found, errors.Throttled) else None) == seconds


@pytest.mark.parametrize("code", ["ServiceUnavailable", "ApplicationThrottled", "TooManyRequests", ""])
def test_a_5xx_of_a_send_leaves_it_open(code: str) -> None:
    """A send that a 503 answered may have left, whatever time or code comes with it: the mailbox is asked later."""
    for status in (500, 503, 509):
        assert type(error("send", status, code, retry_after="1")) is errors.Ambiguous


@pytest.mark.parametrize("code", ["InvalidAuthenticationToken", "ExtensionError", ""])
def test_a_second_401_kills_no_grant(code: str) -> None:
    """A 401 by Graph on a fresh token is an outage, not a dead consent."""
    for operation in OPERATIONS:
        assert type(error(operation, 401, code)) is errors.ProviderUnavailable


def test_denied() -> None:
    """A 403 for a missing scope or a policy means a dead consent.

    One for a protected mail, a quota or send-as does not.
    """
    assert type(error("sweep", 403, "ErrorAccessDenied")) is errors.GrantDead
    assert type(error("create_draft", 403, "ErrorAccessDenied")) is errors.GrantDead
    assert type(error("fetch", 403, "ErrorAccessDenied")) is errors.AccessRefused
    assert type(error("file_content", 403, "ErrorAccessDenied")) is errors.AccessRefused
    assert type(error("profile", 403, "Authorization_RequestDenied")) is errors.GrantDead
    assert type(error("subscribe", 403, "ExtensionError")) is errors.ProviderUnavailable
    assert type(error("subscribe", 403)) is errors.ProviderUnavailable
    assert _reason(error("send", 403, "ErrorAccessDenied")) == "send_denied"


@pytest.mark.parametrize("status", [400, 403, 404, 405, 410, 422])
def test_a_gateways_refusal_refuses_nothing(status: int) -> None:
    """Graph's refusals have a code: a 4xx without one ends no send, kills no consent and may be tried again."""
    for operation in SENDING:
        found = error(operation, status)
        assert isinstance(
            found, errors.Ambiguous | errors.ItemGone | errors.NotItsAnswer | errors.ProviderUnavailable
        )
    for operation in (*READS, "renew", "unsubscribe"):
        found = error(operation, status)
        assert isinstance(found, errors.NotItsAnswer | errors.ProviderUnavailable)


def test_the_wrong_size_is_known_as_such() -> None:
    """A refusal for a file's size is told apart from others, so that the other way is tried (F-9)."""
    for status, code in (
        (413, ""), (413, "RequestEntityTooLarge"), (413, "ErrorAttachmentSizeLimitExceeded"),
        (400, "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize"),
    ):  # fmt: skip
        found = error("attach", status, code)
        assert _reason(found) == "message_too_large"
        assert is_wrong_size(found)
    assert not is_wrong_size(error("attach", 400, "RequestBodyRead"))
    assert not is_wrong_size(errors.MessageRefused("message_too_large"))


@pytest.mark.parametrize("code", ["InvalidRequest", "ValidationError"])
def test_a_failed_handshake_is_no_bad_request(code: str) -> None:
    """A failed handshake on create or renew is no bad request: nothing was made, and it may be repeated."""
    text = "Subscription validation request timed out."
    assert type(error("subscribe", 400, code, message=text)) is errors.HandshakeFailed
    assert type(error("renew", 400, code, message=text)) is errors.HandshakeFailed
    assert type(error("subscribe", 400, code, message="Something else.")) is errors.UpstreamSurprise
    assert type(error("outline", 400, code, message=text)) is errors.UpstreamSurprise


def test_redirects_are_surprises() -> None:
    """A redirect or another status that Graph does not use is not its answer."""
    for status in (100, 204, 301, 302, 307, 399):
        assert type(error("outline", status)) is errors.NotItsAnswer
    assert status_of(error("outline", 302)) == 302


NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 1.0), ("1", 1.0), ("2.128", 2.128), ("120", 120.0), ("99999", 3600.0), ("inf", 3600.0), ("nan", 10.0),
        ("-5", 10.0), ("", 10.0), (None, 10.0), ("soon", 10.0), ("Mon, 02 Mar 2026 12:00:30 GMT", 30.0),
        ("Mon, 02 Mar 2026 11:59:00 GMT", 1.0), ("Mon, 02 Mar 2026 12:00:30 -0000", 30.0),
        ("Tue, 03 Mar 2026 12:00:00 GMT", 3600.0),
    ],
)  # fmt: skip
def test_retry_after(value: str | None, seconds: float) -> None:
    """Retry-After is read as number or date, with 10 s when it says nothing and an hour at most."""
    assert pause_seconds(value, "Mon, 02 Mar 2026 12:00:00 GMT") == seconds


@given(st.text() | st.floats().map(str) | st.datetimes().map(str), st.none() | st.text())
def test_any_retry_after_is_a_pause(value: str, date: str | None) -> None:
    """Any Retry-After becomes a pause between a second and an hour."""
    assert 1.0 <= pause_seconds(value, date) <= LONGEST_PAUSE_SECONDS


def body(**inner: object) -> bytes:
    return msgspec.json.encode({"error": inner})


@pytest.mark.parametrize(
    ("raw", "codes"),
    [
        (body(code="ErrorItemNotFound", message="m"), ("ErrorItemNotFound",)),
        (
            body(code="BadRequest", innerError={"code": "A", "innererror": {"code": "B"}}),
            ("BadRequest", "A", "B"),
        ),
        (body(code="TooManyRequests", innererror={"code": "429"}), ("TooManyRequests", "429")),
        (body(code=None, message=None), ()),
        (body(code=7, message=["m"], innerError="odd"), ()),
        (b'{"error":"invalid_client"}', ()),
        (b"[]", ()),
        (b"", ()),
        (b"<html>Bad gateway</html>", ()),
        (b'{"error":{"code":"\xff"}}', ()),
        (b"[" * 100_000, ()),
    ],
)
def test_error_bodies(raw: bytes, codes: tuple[str, ...]) -> None:
    """Error codes are read in both spellings and at any depth, and other bodies have none."""
    assert read_error(raw)[0] == codes


@given(st.binary())
def test_any_body_can_be_read(raw: bytes) -> None:
    """Any bytes can be read as an error body without an error."""
    codes, message = read_error(raw)
    assert isinstance(codes, tuple)
    assert isinstance(message, str)


RIGHTS = [("sweep", "read"), ("profile", "read"), ("create_draft", "write"), ("attach", "write"),
          ("renew", "subscribe"), ("subscribe", "subscribe"), ("subscriptions", "subscribe")]  # fmt: skip


@pytest.mark.parametrize(("operation", "right"), RIGHTS)
def test_a_denial_names_the_right(operation: str, right: str) -> None:
    """A denial by Graph names the right that it was about."""
    denied = error(operation, 403, "ErrorAccessDenied")
    assert isinstance(denied, errors.GrantDead)
    assert denied.denied == right
