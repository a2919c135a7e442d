"""Every class of the tree of errors, and one error of each."""

from __future__ import annotations

from collections.abc import Iterator

from shared.domain import errors
from shared.domain.errors import PostbraidError
from shared.domain.model import WaitsFor


def below(kind: type[PostbraidError]) -> Iterator[type[PostbraidError]]:
    for subclass in kind.__subclasses__():
        if subclass.__module__ == errors.__name__:
            yield subclass
            yield from below(subclass)


ALL = [PostbraidError, *below(PostbraidError)]
NEEDED = {
    errors.SignInFailed: {"reason": "denied"},
    errors.MustWait: {"waits_for": WaitsFor.SIGN_IN},
    errors.MessageRefused: {"reason": "send_denied"},
    errors.Throttled: {"retry_after_seconds": 7.0},
}


def made(kind: type[PostbraidError], **more: object) -> PostbraidError:
    """An error of the class with whatever it must be given."""
    return kind(**{**NEEDED.get(kind, {}), **more})  # type: ignore[arg-type]
