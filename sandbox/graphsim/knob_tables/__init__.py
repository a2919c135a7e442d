"""Every knob, in the order in which pages and documents list them."""

from __future__ import annotations

from sandbox.graphsim.knob_tables.files import FILES
from sandbox.graphsim.knob_tables.kinds import KINDS
from sandbox.graphsim.knob_tables.knob import Knob, Value
from sandbox.graphsim.knob_tables.limits import LIMITS
from sandbox.graphsim.knob_tables.lists import LISTS
from sandbox.graphsim.knob_tables.moves import MOVES
from sandbox.graphsim.knob_tables.notifications import NOTIFICATIONS
from sandbox.graphsim.knob_tables.people import PEOPLE
from sandbox.graphsim.knob_tables.reading import READING
from sandbox.graphsim.knob_tables.replies import REPLIES
from sandbox.graphsim.knob_tables.sending import SENDING
from sandbox.graphsim.knob_tables.subscriptions import SUBSCRIPTIONS

__all__ = ["KNOBS", "Knob", "Value"]

KNOBS: tuple[Knob, ...] = (
    *SENDING,
    *REPLIES,
    *PEOPLE,
    *READING,
    *KINDS,
    *LISTS,
    *MOVES,
    *FILES,
    *SUBSCRIPTIONS,
    *NOTIFICATIONS,
    *LIMITS,
)
