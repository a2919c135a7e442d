"""Mails that are moved by desktop clients and rules."""

from __future__ import annotations

from sandbox.graphsim.knob_tables.knob import Knob, choice, number

MOVES: tuple[Knob, ...] = (
    choice(
        "desktop_move_id",
        "changed kept",
        "(f)",
        "docs issue 21247",
        "A move by a person, in Outlook for Windows, copies and deletes: the mail has new ids, the immutable one too.",
    ),
    number(
        "silent_move_items",
        25,
        "(f)",
        "docs issue 14914",
        "A move of more than so many mails at once brings no notification of any of them.",
    ),
    choice(
        "mass_move_event",
        "silent missed",
        "(f)",
        "docs issue 14914",
        "Whether one `missed` event follows a move that brought no notifications.",
    ),
)
