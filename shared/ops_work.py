"""Commands for operators about work that did not go well: held mails and dead letters, listed, shown, replayed.

They read and write the same rows as the app, and enqueue what they make due: the app's workers do the work.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from shared.domain.errors import NotFound
from shared.services import Services
from shared.state.dead_letters import KeptLetter
from shared.sync.operators.asked_looks import (
    ask_for_looks,
    count_outcomes,
    describe_held,
    find_held,
    wait_for_looks,
)
from shared.sync.operators.dead_letters import (
    Wanted,
    describe_letter,
    find_letter,
    find_letters,
    show_letter,
)
from shared.sync.operators.held_mails import HeldMail
from shared.sync.operators.open_letters import list_letter
from shared.sync.operators.replay import audit_now, replay_letter
from shared.sync.operators.status import counted, describe_installation
from shared.sync.operators.tenants import describe_tenants

Shown = str | Mapping[str, object]
CAME_IN: Final = ("received", "sent", "not_synced")
COMMANDS: Final = (
    "status",
    "list-tenants",
    "list-held",
    "show-held",
    "replay-held",
    "list-dead-letters",
    "show-dead-letter",
    "replay-dead-letter",
)


NOUNS: Final = {"tenants": "tenant", "held": "held mail", "dead_letters": "dead letter"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to show, and whether all is well: the command's exit code says so too."""

    shown: Shown
    is_well: bool


class NothingMeant(Exception):
    """A replay that names neither an id nor what is meant: everything must be asked for by `--all`."""


def add_commands(commands: Any) -> None:
    """Add these to the commands of `python -m shared.ops` (what argparse's `add_subparsers` gave)."""
    status = commands.add_parser("status", help="say what is silent, failing, late or incomplete")
    tenants = commands.add_parser("list-tenants", help="list the CRM accounts and how their endpoints stand")
    held = commands.add_parser("list-held", help="list mails that nobody could decide on, by their ids")
    held.add_argument("--look-now", action="store_true", help="have all of them looked at again at once")
    show_held = commands.add_parser("show-held", help="show one held mail by its ids, with its dead letter")
    replay_held = commands.add_parser("replay-held", help="have held mails looked at again at once")
    for command in (held, show_held, replay_held):
        command.add_argument("tenant", help="its id: ten_…")
    show_held.add_argument("id", help="Graph's id of the mail, or our id of its message")
    replay_held.add_argument(
        "id", nargs="*", help="Graph's id, or ours of the message; none: all that are meant"
    )
    listed = commands.add_parser("list-dead-letters", help="list work that was given up, refused or crashed")
    show = commands.add_parser("show-dead-letter", help="show a dead letter with its payload")
    show.add_argument("id", help="its id, as list-dead-letters prints it")
    replay = commands.add_parser("replay-dead-letter", help="make the work of dead letters due again")
    replay.add_argument(
        "id", nargs="*", help="their ids; none: all that are meant and were not replayed since"
    )
    replay.add_argument("--all", action="store_true", help="all of them, where nothing else says which")
    for command in (listed, replay):
        command.add_argument("--tenant", help="of this tenant: ten_…")
        command.add_argument("--work", help="of this kind: send, deliver, sweep, look_again, endpoint …")
        command.add_argument(
            "--cause", help="whose cause begins so: given_up:KeyError, refused, crashed_workers …"
        )
        command.add_argument("--last-hours", type=float, help="that happened within so many hours")
    for command in (listed, replay, replay_held):
        command.add_argument("--mailbox", help="of this mailbox: mbx_…")
    for command in (status, tenants, held, show_held, replay_held, listed, show, replay):
        command.add_argument("--json", action="store_true", help="print JSON")


async def carry_out(s: Services, asked: argparse.Namespace) -> Shown | Verdict:
    """Carry out one of these commands; what to show of it. Raises NotFound, NothingMeant."""
    match asked.command:
        case "status":
            return await _status(s, as_json=asked.json)
        case "list-tenants":
            return _shown("tenants", await describe_tenants(s), as_json=asked.json)
        case "list-held" | "show-held" | "replay-held":
            return await _carry_out_on_held(s, asked)
        case "list-dead-letters":
            found = [await list_letter(s, kept) for kept in await find_letters(s, _wanted(s, asked))]
            return _shown("dead_letters", found, as_json=asked.json)
        case "show-dead-letter":
            return await show_letter(s, await _letter(s, asked.id))
        case _:
            return await _replay_letters(s, asked)


async def _status(s: Services, *, as_json: bool) -> Verdict:
    lines = await describe_installation(s)
    to_do = [line.to_do for line in lines if line.to_do is not None]
    if as_json:
        rows = [line.shown for line in lines]
        return Verdict({"rows": rows, "well": not to_do, "to_do": to_do}, not to_do)
    end = ["to do:", *(f"- {each}" for each in to_do)] if to_do else ["all well"]
    return Verdict("\n".join([*(_line(line.shown) for line in lines), *end]), not to_do)


async def _carry_out_on_held(s: Services, asked: argparse.Namespace) -> Shown:
    match asked.command:
        case "list-held":
            return await list_held(s, asked.tenant, now=asked.look_now, as_json=asked.json)
        case "show-held":
            return await _show_held(s, asked.tenant, asked.id)
        case _:
            return await _replay_held(s, asked)


async def list_held(s: Services, tenant_id: str, *, now: bool, as_json: bool = False) -> Shown:
    """The held mails of a tenant, one a line, or as JSON; with `now` as they stand after a look at each.

    Raises NotFound.
    """
    await s.tenants.get(tenant_id)
    found = await find_held(s, tenant_id)
    if now:
        return await _look(s, found, as_json=as_json)
    return _shown("held", [describe_held(mail) for mail in found], as_json=as_json)


async def _look(s: Services, found: Sequence[HeldMail], *, as_json: bool) -> Shown:
    """Have these looked at and say what came of each. Where one came in, the mailbox's figure is made anew."""
    looked = await wait_for_looks(s, await ask_for_looks(s, found))
    came_in = {mail["mailbox_id"] for mail in looked if mail["outcome"] in CAME_IN}
    for ref in {mail.mailbox for mail in found if mail.mailbox.mailbox_id in came_in}:
        await audit_now(s, ref)
    return _shown("held", looked, as_json=as_json, end=count_outcomes(looked))


async def _show_held(s: Services, tenant_id: str, name: str) -> Shown:
    (mail,) = await _named(s, tenant_id, [name])
    letters = await find_letters(s, Wanted(tenant_id, mail.mailbox.mailbox_id))
    own = [
        shown
        for kept in letters
        if mail.seen.value.graph_message_id in (shown := await show_letter(s, kept))["payload"]
    ]
    return {**describe_held(mail), "dead_letters": [shown["id"] for shown in own]}


async def _replay_held(s: Services, asked: argparse.Namespace) -> Shown:
    if asked.id:
        found = await _named(s, asked.tenant, asked.id)
    else:
        await s.tenants.get(asked.tenant)
        found = await find_held(s, asked.tenant, asked.mailbox)
    return await _look(s, found, as_json=asked.json)


async def _named(s: Services, tenant_id: str, names: Sequence[str]) -> list[HeldMail]:
    """The held mails with these ids. Raises NotFound where there is none."""
    await s.tenants.get(tenant_id)
    held = await find_held(s, tenant_id)
    found = [next((mail for mail in held if mail.is_called(name)), None) for name in names]
    if None in found:
        raise NotFound(f"no held mail is called {names[found.index(None)]}")
    return [mail for mail in found if mail is not None]


async def _replay_letters(s: Services, asked: argparse.Namespace) -> Shown:
    """By id those, replayed before or not; else all that are meant and were not replayed since they last happened."""
    if asked.id:
        found = [await _letter(s, letter_id) for letter_id in asked.id]
    else:
        wanted = _wanted(s, asked, again=False)
        if not asked.all and wanted == Wanted(again=False):
            raise NothingMeant("say which: ids, --tenant, --mailbox, --work, --cause, --last-hours, or --all")
        found = await find_letters(s, wanted)
    done = [{**describe_letter(kept), "outcome": (await replay_letter(s, kept)).value} for kept in found]
    return _shown("dead_letters", done, as_json=asked.json)


async def _letter(s: Services, letter_id: str) -> KeptLetter:
    try:
        return await find_letter(s, letter_id)
    except NotFound as err:
        raise NotFound(f"there is no dead letter {letter_id}") from err


def _wanted(s: Services, asked: argparse.Namespace, *, again: bool = True) -> Wanted:
    since = s.clock.now() - timedelta(hours=asked.last_hours) if asked.last_hours is not None else None
    return Wanted(asked.tenant, asked.mailbox, asked.work, asked.cause, since, again)


def _shown(
    name: str, rows: Iterable[Mapping[str, object]], *, as_json: bool, end: str | None = None
) -> Shown:
    """As JSON under a name, or a line for each and a line at the end: `end`, or how many there are."""
    listed = list(rows)
    if as_json:
        return {name: listed}
    return "\n".join([*map(_line, listed), end or counted(len(listed), NOUNS[name])])


def _line(row: Mapping[str, object]) -> str:
    """What says nothing is left out."""
    return " ".join(f"{key}={value}" for key, value in row.items() if value is not None)
