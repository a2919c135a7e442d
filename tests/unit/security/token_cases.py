"""The security contract: what must hold for every secret that comes back to us from outside.

Missing, wrong, cut, changed and lengthened ones are refused; two keys overlap while one is rotated; the comparison
takes the same time wherever the first difference stands (X-8).
"""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

OLD, NEW, THEIRS = "o" * 32, "n" * 32, "t" * 32
ANY_TEXT = st.text(st.characters(), max_size=60) | st.text(
    alphabet="v1psk_.~-aA0= \u0661\ud800", max_size=120
)


class TokenCases(ABC):
    """Any secret of ours that we hand out and get back."""

    @abstractmethod
    def minted(self, keys: Sequence[str]) -> str:
        """A token as we hand it out."""

    @abstractmethod
    def accepted(self, keys: Sequence[str], token: str) -> bool:
        """Whether this token is taken for one of ours."""

    def test_ours_is_accepted(self) -> None:
        """A token of ours is accepted, each time it is shown."""
        token = self.minted([NEW])
        assert self.accepted([NEW], token)
        assert self.accepted([NEW], token)

    def test_another_deployments_is_refused(self) -> None:
        """A token made with another key is refused."""
        assert not self.accepted([NEW], self.minted([THEIRS]))
        assert not self.accepted([NEW, OLD], self.minted([THEIRS]))

    @pytest.mark.parametrize("missing", ["", " ", ".", "~", "null", "None", "v1", "psk_"])
    def test_a_missing_one_is_refused(self, missing: str) -> None:
        """A missing token, or as good as none, is refused."""
        assert not self.accepted([NEW], missing)

    def test_a_cut_one_is_refused(self) -> None:
        """A token that was cut at either end is refused."""
        token = self.minted([NEW])
        for at in range(len(token)):
            assert not self.accepted([NEW], token[:at])
            assert not self.accepted([NEW], token[at + 1 :])

    def test_a_changed_one_is_refused(self) -> None:
        """A token with any one character changed, or its case, is refused."""
        token = self.minted([NEW])
        for at, old in enumerate(token):
            for new in {"A", "B", "0", "_", "~", ".", "\u0661", "\x00", old.swapcase()} - {old}:
                assert not self.accepted([NEW], token[:at] + new + token[at + 1 :]), (at, new)

    @pytest.mark.parametrize("more", ["A", "=", " ", "\n", "\x00", "~", "."])
    def test_a_lengthened_one_is_refused(self, more: str) -> None:
        """A token with a character added in front, behind or in the middle is refused."""
        token = self.minted([NEW])
        for at in (0, len(token) // 2, len(token)):
            assert not self.accepted([NEW], token[:at] + more + token[at:])

    def test_the_secret_is_compared_in_constant_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A token is compared by hmac.compare_digest on bytes (X-8)."""
        compared: list[tuple[object, object]] = []
        real = hmac.compare_digest

        def spy(left: bytes, right: bytes) -> bool:
            compared.append((left, right))
            return real(left, right)

        monkeypatch.setattr(hmac, "compare_digest", spy)
        assert self.accepted([NEW], self.minted([NEW]))
        assert compared
        assert all(isinstance(part, bytes) for pair in compared for part in pair)

    @settings(
        suppress_health_check=[HealthCheck.differing_executors]
    )  # every kind of token inherits this test
    @given(ANY_TEXT)
    def test_any_text_is_judged(self, text: str) -> None:
        """Any text that is no token of ours is refused without an error."""
        assert not self.accepted([NEW, OLD], text)


class RotatedTokenCases(TokenCases):
    """A token of a key that is replaced now and then: the first key makes, both are accepted."""

    def test_both_keys_count_while_one_is_replaced(self) -> None:
        """While a key is replaced tokens of both keys are accepted."""
        assert self.accepted([NEW, OLD], self.minted([OLD]))
        assert self.accepted([NEW, OLD], self.minted([NEW, OLD]))

    def test_the_new_key_makes(self) -> None:
        """While a key is replaced tokens are made with the new one."""
        assert self.accepted([NEW], self.minted([NEW, OLD]))
        assert not self.accepted([OLD], self.minted([NEW, OLD]))

    def test_a_dropped_key_is_void(self) -> None:
        """A token of a dropped key is refused."""
        assert not self.accepted([NEW], self.minted([OLD]))

    def test_every_key_is_compared(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A token is compared with every key, also after one fitted."""
        compared: list[bytes] = []
        real = hmac.compare_digest
        monkeypatch.setattr(
            hmac, "compare_digest", lambda left, right: compared.append(left) or real(left, right)
        )
        assert self.accepted([NEW, OLD], self.minted([NEW]))
        assert len(compared) == 2
