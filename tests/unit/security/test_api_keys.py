"""Keys of the CRM's server (A-1)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.security.api_keys import SCOPES, ApiKeyring
from tests.builders import TENANT, SeededRandom
from tests.unit.security.token_cases import NEW, TokenCases

FORM = re.compile(r"psk_[a-z2-7]{12}_[A-Za-z0-9_-]{43}")


class TestApiKeys(TokenCases):
    """The contract; a tenant's two keys during its rotation are two records, so the pepper is one."""

    kept = ""

    def minted(self, keys: Sequence[str]) -> str:
        key, record = ApiKeyring(keys[0]).mint(TENANT, SeededRandom())
        TestApiKeys.kept = record.secret_hash
        return key

    def accepted(self, keys: Sequence[str], token: str) -> bool:
        ring = ApiKeyring(keys[0])
        parsed = ring.parse(f"Bearer {token}")
        return parsed is not None and parsed[0] == self._key_id() and ring.matches(parsed[1], self.kept)

    def _key_id(self) -> str:
        return ApiKeyring(NEW).mint(TENANT, SeededRandom())[1].key_id


def test_a_key_is_shown_once_and_kept_as_a_hash() -> None:
    """A new key has 256 random bits and is kept as a hash with tenant and scopes (A-1)."""
    random = SeededRandom()
    key, record = ApiKeyring(NEW).mint(TENANT, random)
    assert FORM.fullmatch(key)
    secret = key[-43:]
    assert key == f"psk_{record.key_id}_{secret}"
    assert (record.tenant_id, record.scopes, record.expires_at) == (TENANT, SCOPES, None)
    assert re.fullmatch(r"[0-9a-f]{64}", record.secret_hash)
    assert secret not in repr(record)


def test_scopes_are_as_few_as_asked_for() -> None:
    """A key that is made for reading has that scope alone."""
    assert ApiKeyring(NEW).mint(TENANT, SeededRandom(), ("read",))[1].scopes == ("read",)


def test_no_two_keys_are_alike() -> None:
    """No two keys share an id, a secret or a hash."""
    random = SeededRandom()
    made = [ApiKeyring(NEW).mint(TENANT, random) for _ in range(50)]
    assert len({key for key, _ in made}) == 50
    assert len({record.key_id for _, record in made}) == 50
    assert len({record.secret_hash for _, record in made}) == 50


def test_one_keys_secret_does_not_open_another() -> None:
    """A key's hash matches that key's secret alone."""
    ring, random = ApiKeyring(NEW), SeededRandom()
    (first, first_kept), (second, second_kept) = ring.mint(TENANT, random), ring.mint(TENANT, random)
    assert ring.matches(first[-43:], first_kept.secret_hash)
    assert not ring.matches(first[-43:], second_kept.secret_hash)
    assert not ring.matches(second[-43:], first_kept.secret_hash)


def test_without_the_pepper_a_stolen_table_is_worth_nothing() -> None:
    """The same secret has another hash under another pepper, and a hash is no key."""
    first, second = (
        ApiKeyring(pepper).mint(TENANT, SeededRandom())[1].secret_hash for pepper in (NEW, NEW + "x")
    )
    assert first != second
    assert not ApiKeyring(NEW).matches(first, first)


GOOD = f"psk_{'a' * 12}_{'A-_z' * 10}bcd"


@pytest.mark.parametrize("header", [f"Bearer {GOOD}", f"bearer {GOOD}", f"BEARER {GOOD}"])
def test_a_key_comes_in_the_authorization_header(header: str) -> None:
    """A key is read from the Authorization header, whatever the scheme's case (RFC 9110, 11.1)."""
    assert ApiKeyring(NEW).parse(header) == ("a" * 12, GOOD[-43:])


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        GOOD,
        f"Basic {GOOD}",
        f"Token {GOOD}",
        f"Bearer  {GOOD}",
        f"Bearer\t{GOOD}",
        f" Bearer {GOOD}",
        f"Bearer {GOOD} ",
        f"Bearer {GOOD}\n",
        f"Bearer {GOOD},{GOOD}",
        f"Bearer {GOOD.upper()}",
        f"Bearer sk_{GOOD[4:]}",
        f"Bearer {GOOD[:-1]}\u00e9",
        f"Bearer psk_../../Tenants_{'A' * 43}",
        f"Bearer psk_{'A' * 12}_{'A' * 43}",
    ],
)
def test_anything_else_is_no_key(header: str | None) -> None:
    """A header of any other form is no key."""
    assert ApiKeyring(NEW).parse(header) is None


@given(st.text(st.characters(), max_size=80))
def test_any_header_is_read(header: str) -> None:
    """A key id that is read from any header is safe as a table's key."""
    parsed = ApiKeyring(NEW).parse(f"Bearer psk_{header}") or ApiKeyring(NEW).parse(header)
    assert parsed is None or re.fullmatch(r"[a-z0-9]{12}", parsed[0])
