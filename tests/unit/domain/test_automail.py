"""Mail written by machines (RFC 3834)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.automail import is_automatic
from tests.strategies import texts

CASES = [
    ((), False),
    ((("Auto-Submitted", "auto-replied"),), True),
    ((("Auto-Submitted", "auto-generated"),), True),
    ((("AUTO-SUBMITTED", "Auto-Replied; owner-email=a@b"),), True),
    ((("Auto-Submitted", "no"),), False),
    ((("Auto-Submitted", " No "),), False),
    ((("Auto-Submitted", "no; because=a person wrote it"),), False),
    ((("X-Auto-Response-Suppress", "All"),), True),
    ((("X-Autoreply", "yes"),), True),
    ((("List-Id", "<news.example>"),), True),
    ((("List-Unsubscribe", "<mailto:out@example>"),), True),
    ((("Precedence", "bulk"),), True),
    ((("Precedence", "Auto_Reply"),), True),
    ((("Precedence", "first-class"),), False),
    ((("Return-Path", "<>"),), True),
    ((("Return-Path", ""),), True),
    ((("Return-Path", "<bea@fabrikam.example>"),), False),
    ((("Subject", "Automatic reply: Your offer"),), False),
    ((("Auto-Submitted", "no"), ("Precedence", "junk")), True),
]


@pytest.mark.parametrize(("headers", "automatic"), CASES)
def test_a_machines_mail_is_known_by_its_headers(
    headers: tuple[tuple[str, str], ...], *, automatic: bool
) -> None:
    """Automatic mail is known by the headers of RFC 3834, 5 and older marks, and never by its subject."""
    assert is_automatic(headers) is automatic


@given(st.lists(st.tuples(texts, texts), max_size=5))
def test_any_headers_are_judged(headers: list[tuple[str, str]]) -> None:
    """Any headers are judged as automatic or not."""
    assert is_automatic(headers) in {True, False}
