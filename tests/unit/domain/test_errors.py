"""The tree of errors is the one that its file draws."""

from __future__ import annotations

import re

import pytest

from shared.domain import errors
from shared.domain.errors import FieldError, PostbraidError
from tests.unit.domain.error_tree import ALL, made

DRAWN = re.compile(r"^(?P<indent>[│ ]*)(?:[├└]── )(?P<names>[A-Z]\w+(?:, [A-Z]\w+)*)", re.MULTILINE)


def drawn() -> dict[str, str]:
    """Each class of the docstring's drawing with the one above it."""
    path = ["PostbraidError"]
    found: dict[str, str] = {}
    for match in DRAWN.finditer(errors.__doc__ or ""):
        depth = len(match["indent"]) // 4 + 1
        path = path[:depth]
        found |= dict.fromkeys(match["names"].split(", "), path[-1])
        path.append(match["names"].split(", ")[-1])
    return found


def test_the_drawing_is_the_tree() -> None:
    """The drawing in the module's docstring shows every error class under its parent."""
    assert drawn() == {kind.__name__: kind.__mro__[1].__name__ for kind in ALL[1:]}
    assert len(ALL) > 30


def test_all_errors_stand_in_the_tree() -> None:
    """Every exception of the module is in the tree below PostbraidError."""
    here = {
        member
        for member in vars(errors).values()
        if isinstance(member, type) and issubclass(member, Exception)
    }
    assert here == set(ALL)


@pytest.mark.parametrize("kind", ALL)
def test_an_error_speaks_for_itself(kind: type[PostbraidError]) -> None:
    """An error without a detail says its class's sentence, and one with a detail says that."""
    sentence = kind.__doc__ or ""
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert made(kind).detail == str(made(kind)) == sentence
    assert made(kind, detail="Just so.").detail == str(made(kind, detail="Just so.")) == "Just so."


def test_errors_carry_what_their_handlers_need() -> None:
    """Errors carry the reason, row, waiting time or fields that their handlers read."""
    field = FieldError("/to/0", "not an email address")
    assert errors.InvalidRequest(errors=(field,)).errors == (field,)
    assert errors.AttachmentRefused().errors == ()
    assert errors.SignInFailed("denied").reason == "denied"
    assert errors.MessageRefused("send_denied").reason == "send_denied"
    assert errors.Throttled(12.5).retry_after_seconds == 12.5
    assert errors.ProviderUnavailable(retry_after_seconds=3.0).retry_after_seconds == 3.0
    assert errors.CrmUnavailable().retry_after_seconds is None
    assert [kind("row-1").row for kind in (errors.RowExists, errors.RowChanged, errors.RowMissing)] == [
        "row-1"
    ] * 3
