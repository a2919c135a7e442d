"""What one process remembers for a minute, while another process changes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from shared import bootstrap
from shared.domain.errors import GrantDead
from shared.domain.model import Draft, Right
from shared.services import Services
from shared.state.connections import Connections
from shared.state.due import DueIndex
from shared.state.ledger import Ledger
from shared.state.tenants import Tenants
from shared.sync.events.endpoint import open_endpoint
from tests.functions.app import App
from tests.functions.fake_mail import FakeMail
from tests.functions.fakes import FakeAnswer, FakeSignIn
from tests.functions.test_connection_truth import mailbox_now, status


def another_process(app: App) -> Services:
    """Services with a memory of their own over the same stores, as each function group has on Flex."""
    s = app.services
    due = DueIndex(app.tables, app.clock)
    return replace(
        s,
        due=due,
        ledger=Ledger(app.tables, due, s.random),
        connections=Connections(app.tables, s.sealer, app.clock),
        tenants=Tenants(app.tables, app.clock),
    )


@contextmanager
def runs_in(process: Services) -> Iterator[None]:
    with bootstrap.replaced(process):
        yield


async def test_a_token_remembered_from_before_a_repair_is_not_asked_with(
    begun: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Graph denies the right to write to tokens of the old consent; the user reconnects half a minute later.

    The worker still remembers the old access token and asks with it: its denial must not undo the repair.
    """
    worker = another_process(begun)
    old_token = await _issue_tokens(begun, monkeypatch)
    create = FakeMail.create_draft

    async def judge_token(self: FakeMail, access: object, content: object) -> Draft:
        if await access.token() == old_token:  # type: ignore[attr-defined]
            raise GrantDead(denied=Right.WRITE)
        return await create(self, access, content)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeMail, "create_draft", judge_token)
    await begun.accepted("m-2")
    with runs_in(worker):
        await begun.later(minutes=3)
    assert await status(begun) == "reconnect_required"
    begun.clock.forward(seconds=30)
    await begun.connect()  # in the HTTP process: new consent, the stored access token goes
    assert await status(begun) == "connected"
    begun.clock.forward(seconds=2)
    with runs_in(worker):
        await begun.pump()
        await begun.later(minutes=10)
    assert await status(begun) == "connected"
    assert len(begun.mail.sent) == 2


async def _issue_tokens(app: App, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each refresh gives another token, so that one can be told from another. Returns the present one."""
    refresh = FakeSignIn.refresh
    count = iter(range(2, 100))

    async def numbered(self: FakeSignIn, cache: str, *, claims: str | None = None) -> object:
        fresh = await refresh(self, cache, claims=claims)
        return replace(fresh, access_token=f"{fresh.access_token}#{next(count)}")

    monkeypatch.setattr(FakeSignIn, "refresh", numbered)
    mailbox = await mailbox_now(app)
    whose = (app.tenant.tenant_id, mailbox.user_id, mailbox.connection_id)
    kept = await app.services.connections.access_token(*whose)
    assert kept is not None
    return kept[0]


async def test_an_endpoint_that_is_on_again_is_called_soon_by_who_remembers_it_off(begun: App) -> None:
    """Two workers remember it off; an operator's process switches it on."""
    first, second = another_process(begun), another_process(begun)
    begun.crm.answers.append(FakeAnswer(410))
    with runs_in(first):
        await begun.answered()
    with runs_in(second):
        await second.tenants.get(begun.tenant.tenant_id)
        await open_endpoint(begun.services, begun.tenant.tenant_id)
        await begun.pump()
    with runs_in(first):
        begun.mail.receive("bea@fabrikam.example")
        await begun.pump()
    assert begun.crm.types().count("message.received") == 1
