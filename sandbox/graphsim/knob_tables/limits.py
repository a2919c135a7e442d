"""Entra, throttling and the time of a call."""

from __future__ import annotations

from sandbox.graphsim.knob_tables.knob import Knob, choice, number
from sandbox.graphsim.knob_tables.pages import THROTTLING

LIMITS: tuple[Knob, ...] = (
    number(
        "access_token_seconds",
        0,
        "(k)",
        "Configurable token lifetimes",
        "Lifetime of access tokens; 0: by chance 60 to 90 minutes.",
    ),
    number(
        "refresh_token_days",
        90,
        "stated",
        "Refresh tokens",
        "Days of disuse after which a refresh token expires.",
    ),
    choice(
        "revoked_access_tokens",
        "refused usable",
        "(k)",
        "Continuous access evaluation",
        "Access tokens after revocation: 401 at once, or valid until they expire.",
    ),
    choice(
        "federated_mismatch",
        "numbered 70021",
        "(f)",
        "azure-workload-identity issues 1200, 616",
        "An assertion without a federated credential: a number each for issuer, audience, subject, or one for all.",
    ),
    choice("retry_after", "decimal integer absent", "stated", THROTTLING, "Form of Retry-After on a 429."),
    number(
        "mailbox_concurrency",
        4,
        "stated",
        "Service-specific throttling limits",
        "Requests in flight per app and mailbox.",
    ),
    number(
        "mailbox_requests",
        10_000,
        "stated",
        "Service-specific throttling limits",
        "Requests per app and mailbox in 10 minutes.",
    ),
    number("service_seconds", 0, "stated", "none", "Real seconds that each Graph call takes."),
)
