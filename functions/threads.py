"""HTTP: one thread, shown, stopped and resumed: by the CRM's server, and by the person on the settings page (R12).

The use cases are imported by the first call (see `workers.py`).
"""

from __future__ import annotations

import azure.functions as func

from functions.boundary import Caller, json_answer, session, tenant_key
from shared.bootstrap import services
from shared.domain.model import StoppedBy
from shared.mailbox_context import MailboxContext
from shared.state.sessions import Session

bp = func.Blueprint()


@bp.route(route="v1/threads/{thread_id}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@tenant_key("read")
async def show_thread(req: func.HttpRequest, caller: Caller) -> func.HttpResponse:
    """A thread with its messages, a page at a time."""
    from shared.sync.threads.show_threads import show_thread as show_one_thread

    tenant_id, thread_id = caller.tenant.tenant_id, req.route_params["thread_id"]
    return json_answer(await show_one_thread(services(), tenant_id, thread_id, req.params.get("after", "")))


@bp.route(route="v1/threads/{thread_id}/stop", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@tenant_key("send")
async def stop_thread(req: func.HttpRequest, caller: Caller) -> func.HttpResponse:
    """Stop a thread in both directions."""
    return await _steer_for_crm(req, caller, stops=True)


@bp.route(route="v1/threads/{thread_id}/resume", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@tenant_key("send")
async def resume_thread(req: func.HttpRequest, caller: Caller) -> func.HttpResponse:
    """Let a stopped thread go on, unless the user stopped it."""
    return await _steer_for_crm(req, caller, stops=False)


@bp.route(route="session/threads", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@session
async def list_session_threads(req: func.HttpRequest, opened: Session) -> func.HttpResponse:
    """The threads of the page's user's mailbox, the newest first."""
    from shared.sync.threads.show_threads import find_own_mailbox, list_threads

    ctx = await find_own_mailbox(services(), opened.tenant_id, opened.user.user_id)
    if ctx is None:
        return json_answer({"items": [], "next": None})
    return json_answer(await list_threads(ctx, req.params.get("after", "")))


@bp.route(route="session/threads/{thread_id}/stop", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@session
async def stop_session_thread(req: func.HttpRequest, opened: Session) -> func.HttpResponse:
    """The person stops a thread of the own mailbox."""
    return await _steer_for_user(req, opened, stops=True)


@bp.route(route="session/threads/{thread_id}/resume", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@session
async def resume_session_thread(req: func.HttpRequest, opened: Session) -> func.HttpResponse:
    """The person lets a thread of the own mailbox go on."""
    return await _steer_for_user(req, opened, stops=False)


async def _steer_for_crm(req: func.HttpRequest, caller: Caller, *, stops: bool) -> func.HttpResponse:
    from shared.sync.threads.show_threads import find_thread

    thread_id = req.route_params["thread_id"]
    ctx = find_thread(services(), caller.tenant.tenant_id, thread_id)
    return await _steer(ctx, thread_id, StoppedBy.CRM, stops=stops)


async def _steer_for_user(req: func.HttpRequest, opened: Session, *, stops: bool) -> func.HttpResponse:
    """Raises NotFound for a thread of another mailbox or user, the same as for none (X-5)."""
    from shared.sync.threads.show_threads import find_own_thread

    thread_id = req.route_params["thread_id"]
    own = await find_own_thread(services(), opened.tenant_id, opened.user.user_id, thread_id)
    return await _steer(own, thread_id, StoppedBy.USER, stops=stops)


async def _steer(ctx: MailboxContext, thread_id: str, by: StoppedBy, *, stops: bool) -> func.HttpResponse:
    """Stop or resume, and answer how the thread stands now."""
    from shared.sync.threads.show_threads import show_standing
    from shared.sync.threads.stop_thread import resume_thread as resume
    from shared.sync.threads.stop_thread import stop_thread as stop

    await (stop if stops else resume)(ctx, thread_id, by)
    return json_answer(await show_standing(ctx, thread_id))
