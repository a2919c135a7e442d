"""Reading the app's own answers: `/api/health/live` and `/api/health/ready`."""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

TIMEOUT_SECONDS: Final = 30
MAX_BYTES: Final = 64 * 1024
REFERENCE: Final = re.compile(
    r"@Microsoft\.KeyVault|Key Vault reference|not resolved|unresolved", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an address answered: the HTTP status, 0 where nothing answered, and what is wrong in words."""

    status: int
    faults: tuple[str, ...] = ()
    detail: str = ""

    @property
    def good(self) -> bool:
        """Whether it was a 200."""
        return self.status == http.client.OK

    @property
    def waits_for_references(self) -> bool:
        """Whether a Key Vault reference that is not resolved yet is among the faults."""
        return any(REFERENCE.search(fault) for fault in self.faults)

    @property
    def words(self) -> str:
        """One line about it."""
        if self.faults:
            return f"{self.status}, {len(self.faults)} settings are wrong or missing"
        return f"{self.status} {self.detail}".strip() if self.status else self.detail


def parse(status: int, body: bytes) -> Answer:
    """An answer from its status and body: a problem document (RFC 9457), its member `faults` naming settings."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return Answer(status, detail="an answer that is not the app's own" if body else "")
    faults = document.get("faults")
    texts = tuple(str(fault) for fault in faults) if isinstance(faults, list) else ()
    return Answer(status, texts, str(document.get("title") or ""))


def fetch(url: str) -> Answer:
    """GET an address of the app; whatever goes wrong on the way is an answer too. https, or this machine."""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in {"127.0.0.1", "localhost"}:
        return Answer(0, detail="not an https address")
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - looked at above
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 - the same
            return parse(response.status, response.read(MAX_BYTES))
    except urllib.error.HTTPError as err:
        with err:
            return parse(err.code, err.read(MAX_BYTES))
    except (urllib.error.URLError, http.client.HTTPException, OSError) as err:
        return Answer(
            0, detail=f"no answer ({err.reason if isinstance(err, urllib.error.URLError) else err})"
        )
