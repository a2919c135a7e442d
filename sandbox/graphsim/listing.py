"""What becomes of a list of mails on its way: pages without their rest, pages that are refused (knobs)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sandbox.graphsim.errors import GraphError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.graphsim.query import Page, Shape
    from sandbox.graphsim.store import Message
    from sandbox.graphsim.world import World

SMALL_PAGE = 10
ONE_IN = 16


def cut_off(world: World, page: Page, left: int) -> int | None:
    """How many items a page has that is cut short; None: it is whole."""
    most = max(1, page.top // 5)
    cuts = world.knobs.text("list_next_link") == "cut" and bool(page.order)
    return most if cuts and left > most else None


def check(world: World, page: Page, shape: Shape, part: Sequence[Message]) -> None:
    """Raise Graph's 504 for a page that took too long, its 500 for one with an item that it cannot show."""
    slow = page.order and page.filter and page.top > SMALL_PAGE
    if slow and world.knobs.text("list_504") == "sometimes" and world.random.random() < 1 / 4:
        raise GraphError(504, "UnknownError", "")
    shows_more = bool(shape.fields - {"id"} or shape.expansion.single or shape.expansion.attachments)
    if shows_more and world.knobs.text("list_500") == "some" and any(map(is_corrupt, part)):
        raise GraphError(
            500, "ErrorInternalServerError", "An internal server error occurred. The operation failed."
        )


def is_corrupt(message: Message) -> bool:
    """Whether no list can show it: a received mail, whatever is done with it."""
    received = bool(message.headers)
    return received and hashlib.sha256(message.internet_message_id.encode()).digest()[0] % ONE_IN == 0
