"""clientState: what Graph sends back to us with every notification (G-2)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.security import client_state
from shared.security.client_state import MAX_CHARACTERS, ClientStateSigner
from tests.builders import MAILBOX
from tests.unit.security.token_cases import NEW, RotatedTokenCases

MBX, NONCE = MAILBOX.mailbox_id, "bm9uY2U_-AAAAAAA"


class TestClientState(RotatedTokenCases):
    """The contract; there is no expiry, since a notification is a hint whose replay costs a look."""

    def minted(self, keys: Sequence[str]) -> str:
        return ClientStateSigner(keys).mint(MBX, 3, NONCE)

    def accepted(self, keys: Sequence[str], token: str) -> bool:
        found = ClientStateSigner(keys).verify(token)
        assert found in {None, (MBX, 3)}
        return found is not None


def test_it_says_whose_mailbox_and_which_generation() -> None:
    """A clientState names mailbox id and generation, and no address or tenant."""
    signer = ClientStateSigner([NEW])
    minted = signer.mint(MBX, 7, NONCE)
    assert re.fullmatch(rf"v1\.{MBX}\.7\.{NONCE}\.[A-Za-z0-9_-]{{43}}", minted)
    assert signer.verify(minted) == (MBX, 7)


@given(st.integers(0, 999_999_999), st.from_regex(r"[A-Za-z0-9_-]{16}", fullmatch=True))
def test_it_fits_graphs_field(generation: int, nonce: str) -> None:
    """A clientState fits Graph's 128 characters for any mailbox and generation."""
    signer = ClientStateSigner([NEW])
    minted = signer.mint(MBX, generation, nonce)
    assert len(minted) <= MAX_CHARACTERS == 128
    assert signer.verify(minted) == (MBX, generation)


def test_one_that_would_not_fit_is_not_made() -> None:
    """A clientState over 128 characters is not made."""
    with pytest.raises(ValueError, match="128"):
        ClientStateSigner([NEW]).mint("m" * 64, 999_999_999, "n" * 16)


@pytest.mark.parametrize("part", range(4))
def test_no_part_can_be_taken_from_another(part: int) -> None:
    """No part of a clientState can be exchanged for that of another (G-2)."""
    signer = ClientStateSigner([NEW])
    first = signer.mint(MBX, 3, NONCE).split(".")
    second = signer.mint("mbx_" + "a" * 26, 4, "another").split(".")
    mixed = [*first[: part + 1], second[part + 1], *first[part + 2 :]]
    assert signer.verify(".".join(mixed)) is None


@pytest.mark.parametrize(
    "form",
    [
        "v2.{}.3.n",
        "v1.{}.-3.n",
        "v1.{}.\u0663.n",
        "v1..3.n",
        "v1.{}.3.",
        "v1.{}.3",
        "v1.{}.3.n.n",
        "v1.{}.1234567890.n",
    ],
)
def test_another_form_is_refused_even_when_it_is_signed(form: str) -> None:
    """A signed text of another form is no clientState."""
    signed = form.format(MBX)
    assert ClientStateSigner([NEW]).verify(f"{signed}.{client_state._mac(NEW.encode(), signed)}") is None
