"""HTTP: what did not go well, for a CRM's server: held messages and dead letters, listed, shown, replayed (E-30).

Nothing of a mail that may be foreign is among it. The use cases are imported by the first call (see `workers.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import azure.functions as func

from functions.boundary import KIB, Caller, json_answer, page_limit, tenant_key
from functions.wire import ReplayIn
from shared.bootstrap import services
from shared.domain.errors import Conflict, FieldError, InvalidRequest, NotFound
from shared.domain.stamps import PATTERN
from shared.json_reader import read_json

if TYPE_CHECKING:
    from shared.sync.operators.replay import Replayed

bp = func.Blueprint()

LETTER_ID: Final = re.compile(r"[a-z2-7]{26}")
HELD_PLACE: Final = re.compile(rf"mbx_[a-z2-7]{{26}}\|(~|{PATTERN}\|[a-z_]{{1,40}}\|[a-z2-7]{{26}})")


@bp.route(route="v1/held-messages", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@tenant_key("read")
async def list_held_messages(req: func.HttpRequest, caller: Caller) -> func.HttpResponse:
    """Messages of threads that nobody could decide on yet, a page at a time (R14)."""
    from shared.sync.operators.held_mails import list_told_held

    after, limit = _place(req.params.get("after", ""), HELD_PLACE), page_limit(req)
    return json_answer(await list_told_held(services(), caller.tenant.tenant_id, after, limit))


@bp.route(route="v1/held-messages/{message_id}/replay", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@tenant_key("send")
async def replay_held_message(req: func.HttpRequest, caller: Caller) -> func.HttpResponse:
    """Have a held message looked at again at once."""
    from shared.sync.operators.held_mails import find_told_held, look_now
    from shared.sync.operators.replay import Replayed

    s, message_id = services(), req.route_params["message_id"]
    await look_now(s, [await find_told_held(s, caller.tenant.tenant_id, message_id)])
    return _replayed(message_id, Replayed.DUE)


@bp.route(route="v1/dead-letters", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@tenant_key("read")
async def list_dead_letters(req: func.HttpRequest, caller: Caller) -> func.HttpResponse:
    """Work of this tenant that was given up, refused or crashed, a page at a time (E-29)."""
    from shared.sync.operators.dead_letters import list_told_letters

    after, limit = _place(req.params.get("after", ""), LETTER_ID), page_limit(req)
    return json_answer(await list_told_letters(services(), caller.tenant.tenant_id, after, limit))


@bp.route(route="v1/dead-letters/{dead_letter_id}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@tenant_key("read")
async def show_dead_letter(req: func.HttpRequest, caller: Caller) -> func.HttpResponse:
    """One of them."""
    from shared.sync.operators.dead_letters import find_told_letter

    _, told = await find_told_letter(services(), caller.tenant.tenant_id, _letter_id(req))
    return json_answer(told)


@bp.route(
    route="v1/dead-letters/{dead_letter_id}/replay", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS
)
@tenant_key("send")
async def replay_dead_letter(req: func.HttpRequest, caller: Caller) -> func.HttpResponse:
    """Make the work of a dead letter due again; what has ended for good is a conflict."""
    from shared.sync.operators.dead_letters import find_told_letter
    from shared.sync.operators.replay import HOW_IT_WENT, Replayed, replay_letter

    s, letter_id = services(), _letter_id(req)
    kept, _ = await find_told_letter(s, caller.tenant.tenant_id, letter_id)
    replayed = await replay_letter(s, kept)
    if replayed in {Replayed.ENDED, Replayed.UNREADABLE}:
        raise Conflict(HOW_IT_WENT[replayed])
    return _replayed(letter_id, replayed)


@bp.route(route="v1/replays", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@tenant_key("send")
async def replay_all(req: func.HttpRequest, caller: Caller) -> func.HttpResponse:
    """Replay whatever is meant, up to a hundred at a time: dead letters not replayed since, or held messages."""
    from shared.sync.operators.by_filter import replay_held_messages, replay_told_letters
    from shared.sync.operators.dead_letters import Wanted

    asked = read_json(req.get_body(), 16 * KIB, ReplayIn)
    if asked.of == "held_messages" and (asked.work or asked.cause or asked.since):
        raise InvalidRequest(
            "Held messages are meant by their mailbox alone.",
            (FieldError("/of", "work, cause and since are of dead letters"),),
        )
    wanted = Wanted(None, asked.mailbox_id, asked.work, asked.cause, asked.since, again=False)
    replay, form = (
        (replay_held_messages, HELD_PLACE)
        if asked.of == "held_messages"
        else (replay_told_letters, LETTER_ID)
    )
    after = _place(asked.after, form)
    return json_answer(await replay(services(), caller.tenant.tenant_id, wanted, after), 202)


def _replayed(replayed_id: str, replayed: Replayed) -> func.HttpResponse:
    from shared.sync.operators.replay import HOW_IT_WENT

    told = {"id": replayed_id, "outcome": replayed.value, "detail": HOW_IT_WENT[replayed]}
    return json_answer(told, 202)


def _letter_id(req: func.HttpRequest) -> str:
    """The id of a dead letter. Raises NotFound for what is none: it may be no key that a table takes."""
    letter_id = str(req.route_params["dead_letter_id"])
    if LETTER_ID.fullmatch(letter_id) is None:
        raise NotFound
    return letter_id


def _place(after: str, form: re.Pattern[str]) -> str:
    """The `next` of the page before, "" for the first. Raises InvalidRequest."""
    if after and form.fullmatch(after) is None:
        raise InvalidRequest(
            "The cursor is not one of ours.", (FieldError("/after", "not a `next` of ours"),)
        )
    return after
