"""The status is true: whatever crashes, races or ends between its rows, the fence says what a connection is worth."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.domain.errors import (
    GrantDead,
    MailboxClosed,
    MailboxUnusable,
    MessageRefused,
    OutcomeUnknown,
    ProviderUnavailable,
    SealBroken,
    StoreUnavailable,
    Throttled,
    UpstreamSurprise,
)
from shared.domain.model import Mailbox, MailboxRef
from shared.domain.renewals import is_active
from shared.mailbox_context import MailboxContext
from shared.state import keys
from shared.storage.api import Row
from shared.storage.testing.calls import Call, no_hook
from shared.sync.mailbox.unit_of_work import change
from tests.functions.answers import Answer, problem
from tests.functions.app import App, send_body


async def status(app: App, user_id: str = "u_ann") -> str:
    """The connection status that the CRM gets when it asks."""
    return str((await app.v1("GET", f"users/{user_id}/connection")).json()["status"])


async def mailbox_now(app: App) -> Mailbox:
    """The only mailbox of the tenant, as its rows say."""
    (mailbox_id,) = await app.services.tenants.mailboxes(app.tenant.tenant_id)
    stored = await app.services.ledger.mailbox(MailboxRef(app.tenant.tenant_id, mailbox_id))
    assert stored
    return stored.value


def fails_at(operation: str, table: str) -> Callable[[Call], None]:
    """A hook under which that write of that table fails."""

    def fail(call: Call) -> None:
        if call.operation == operation and call.place[0] == table:
            raise StoreUnavailable

    return fail


async def half_connected(app: App, user_id: str = "u_ann") -> None:
    """The connection's row was written, the mailbox's rows were not."""
    cookie = await app.signed_in(await app.page_session(user_id))
    app.tables.before = fails_at("transact", keys.MAILBOX)
    assert (await app.confirmed(cookie)).outcome == "unclear"
    app.tables.before = no_hook


# ---- half a connection


async def test_a_connection_without_its_mailbox_is_none(app: App) -> None:
    """A connection whose mailbox rows were never written is shown as not connected, and a send is refused for it."""
    await half_connected(app)
    shown = (await app.v1("GET", "users/u_ann/connection")).json()
    assert shown.pop("sign_in")["outcome"] == "failed"
    assert shown == {
        "user_id": "u_ann",
        "status": "not_connected",
        "reason": None,
        "mailbox": None,
        "connected_at": None,
        "last_synced_at": None,
        "completeness": None,
    }
    problem(await app.v1("POST", "messages", json=send_body()), 409, "no-active-connection")


async def test_half_a_connection_is_completed_by_connecting_again(app: App) -> None:
    """A half-written connection is completed by connecting again, and the CRM is told of it once."""
    await half_connected(app)
    await app.connect()
    assert await status(app) == "connected"
    await app.sent()
    assert app.crm.types() == ["connection.connected", "message.sent"]


async def test_half_a_connection_does_not_bind_its_user(app: App) -> None:
    """After a half-written connection its user may connect another mailbox."""
    await half_connected(app)
    await app.connect(mailbox="eve")
    shown = (await app.v1("GET", "users/u_ann/connection")).json()
    assert (shown["status"], shown["mailbox"]["address"]) == ("connected", "eve@northwind.example")


# ---- when mail last synced


async def last_synced(app: App) -> str | None:
    shown: str | None = (await app.v1("GET", "users/u_ann/connection")).json()["last_synced_at"]
    return shown


async def test_what_did_not_sync_moves_no_time_of_a_sync(begun: App) -> None:
    """A mail with a file that does not sync, and a send that never leaves, leave `last_synced_at` where it was."""
    at = await last_synced(begun)
    assert at is not None
    begun.clock.forward(minutes=5)
    parent = begun.mail.last_sent.internet_message_id
    await begun.arrives(
        begun.mail.receive("bea@fabrikam.example", in_reply_to=parent, files=[("tool.exe", b"MZ")])
    )
    assert (begun.crm.types()[-1], await last_synced(begun)) == ("message.not_synced", at)
    begun.mail.next["send"] = [MessageRefused("refused_by_provider")]
    await begun.accepted("m-2")
    await begun.pump()
    assert (begun.crm.types()[-1], await last_synced(begun)) == ("message.failed", at)
    await begun.arrives(begun.mail.receive("bea@fabrikam.example", in_reply_to=parent))
    assert (begun.crm.types()[-1], await last_synced(begun)) == (
        "message.received",
        begun.clock.now().isoformat().replace("+00:00", "Z"),
    )


async def test_a_mail_that_did_not_sync_keeps_the_mailbox_active(begun: App) -> None:
    """A thread in which only unsynced mail comes is swept every quarter of an hour all the same."""
    begun.clock.forward(days=8)
    parent = begun.mail.last_sent.internet_message_id
    await begun.arrives(
        begun.mail.receive("bea@fabrikam.example", in_reply_to=parent, files=[("tool.exe", b"MZ")])
    )
    assert is_active(await mailbox_now(begun), begun.clock.now())


# ---- two users, one mailbox


async def both_confirm(app: App) -> list[Answer]:
    """Ann and Bob confirm the same mailbox.

    The first is held up while writing the connection until the second is done.
    """
    cookies = [await app.signed_in(await app.page_session(user), "ann") for user in ("u_ann", "u_bob")]
    held = asyncio.Event()

    async def hold_the_first(call: Call) -> None:
        if call.operation == "transact" and call.place[0] == keys.CONNECTIONS and not held.is_set():
            held.set()
            await second

    async def confirm_second() -> Answer:
        await held.wait()
        return await app.confirmed(cookies[1])

    second = asyncio.ensure_future(confirm_second())
    app.tables.before = hold_the_first
    first = await app.confirmed(cookies[0])
    app.tables.before = no_hook
    return [first, await second]


async def test_of_two_who_confirm_one_mailbox_at_once_one_gets_it(app: App) -> None:
    """Of two users who confirm one mailbox at once the second is refused, and both statuses are true (R1)."""
    assert [answer.outcome for answer in await both_confirm(app)] == ["connected", "taken"]
    assert [await status(app, user) for user in ("u_ann", "u_bob")] == ["connected", "not_connected"]
    problem(await app.v1("POST", "messages", json=send_body(user_id="u_bob")), 409, "no-active-connection")
    await app.sent()


async def test_a_claim_that_came_to_nothing_passes_on_after_ten_minutes(app: App) -> None:
    """The claim of an unfinished connection holds for ten minutes.

    Then another user may connect the mailbox, and the first user can neither send nor take it back.
    """
    await half_connected(app)
    cookie = await app.signed_in(await app.page_session("u_bob"), "ann")
    app.clock.forward(minutes=9)
    assert (await app.confirmed(cookie)).outcome == "taken"
    app.clock.forward(minutes=1)
    await app.connect("u_bob", "ann")
    assert [await status(app, user) for user in ("u_ann", "u_bob")] == ["not_connected", "connected"]
    problem(await app.v1("POST", "messages", json=send_body()), 409, "no-active-connection")
    assert (await app.confirmed(await app.signed_in(await app.page_session()))).outcome == "taken"


async def test_an_own_claim_is_taken_up_again(app: App) -> None:
    """A user who comes back late renews the claim on a mailbox: for ten more minutes nobody else can connect it."""
    await half_connected(app)
    app.clock.forward(minutes=15)
    await half_connected(app)
    cookie = await app.signed_in(await app.page_session("u_bob"), "ann")
    assert (await app.confirmed(cookie)).outcome == "taken"
    await app.connect()


async def test_who_lost_the_claim_on_the_way_opens_no_mailbox(app: App) -> None:
    """A user whose claim ran out while confirming is refused when somebody else has connected the mailbox."""
    cookie = await app.signed_in(await app.page_session())

    async def hold(call: Call) -> None:
        if call.operation == "transact" and call.place[0] == keys.CONNECTIONS:
            app.tables.before = no_hook
            app.clock.forward(minutes=11)
            await app.connect("u_bob", "ann")

    app.tables.before = hold
    assert (await app.confirmed(cookie)).outcome == "taken"
    assert [await status(app, user) for user in ("u_ann", "u_bob")] == ["not_connected", "connected"]
    assert (await mailbox_now(app)).user_id == "u_bob"
    assert app.crm.types() == ["connection.connected"]


async def test_a_mailbox_may_be_claimed_by_another_tenant_meanwhile(app: App) -> None:
    """A user whose claim ran out while confirming is refused although the new holder is of another tenant.

    The two fences are different rows, so only the claim tells.
    """
    cookie = await app.signed_in(await app.page_session())

    async def hold(call: Call) -> None:
        if call.operation == "transact" and call.place[0] == keys.CONNECTIONS:
            app.tables.before = no_hook
            app.clock.forward(minutes=11)
            await app.connect("u_bob", "ann", app.other.api_key)

    app.tables.before = hold
    assert (await app.confirmed(cookie)).outcome == "taken"
    assert await status(app) == "not_connected"


async def test_the_fence_knows_the_connection(ready: App) -> None:
    """Of two connections with the same generation the fence lets only the one it names pass."""
    (mailbox_id,) = await ready.services.tenants.mailboxes(ready.tenant.tenant_id)
    ctx = MailboxContext(ready.services, MailboxRef(ready.tenant.tenant_id, mailbox_id))
    changing = change(ctx, 1, (await mailbox_now(ready)).connection_id)
    async for tx in changing:
        tx.mailbox = replace(tx.mailbox, late_sweeps=1)
    assert changing.committed
    with pytest.raises(MailboxClosed):
        await anext(aiter(change(ctx, 1, "con_other")))


# ---- what a person reads when it goes wrong


async def test_strange_letters_are_no_token_of_the_page(app: App) -> None:
    """A confirm token with non-ASCII letters is refused like any wrong one (X-8), and the right one still counts."""
    cookie = await app.signed_in(await app.page_session())
    refused = await app.call("POST", "/oauth/confirm", form={"csrf_token": "\u00e9\u4e2d"}, cookie=cookie)
    assert refused.status == 410
    assert (await app.confirmed(cookie)).outcome == "connected"


FAULTS: list[tuple[Exception, str]] = [
    (UpstreamSurprise(), "failed"),
    (GrantDead(), "failed"),
    (MailboxUnusable(), "unusable"),
    (Throttled(9), "try_again"),
    (ProviderUnavailable(), "try_again"),
]


@pytest.mark.parametrize(("error", "outcome"), FAULTS, ids=lambda error: type(error).__name__)
async def test_a_mailbox_that_does_not_say_whose_it_is_ends_in_a_page(
    app: App, error: Exception, outcome: str
) -> None:
    """When the mailbox's profile cannot be read after the sign-in, the person gets a page with the fitting outcome."""
    ticket = (await app.call("POST", "/session/start-tickets", key=await app.page_session())).json()
    opening = await app.call("POST", "/oauth/start", form=ticket)
    form = {"code": "ann", "state": opening.text.split("state=")[1].split("&")[0]}
    app.mail.next["profile"] = [error]
    answer = await app.followed(await app.call("POST", "/oauth/callback", form=form, cookie=opening.cookie))
    assert answer.outcome == outcome
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    "error", [StoreUnavailable(), OutcomeUnknown()], ids=lambda error: type(error).__name__
)
async def test_a_storage_that_is_down_is_said_on_a_page(app: App, error: Exception) -> None:
    """While storage is down the yes is answered with a 503 page, which does not claim that nothing was changed."""
    cookie = await app.signed_in(await app.page_session())
    shown = await app.call("GET", "/oauth/confirm", cookie=cookie)
    token = re.findall(r'name="csrf_token" value="([^"]*)"', shown.text)[0]
    app.store_down(error)
    answer = await app.call("POST", "/oauth/confirm", form={"csrf_token": token}, cookie=cookie)
    app.store_up()
    assert answer.status == 503
    assert answer.headers["content-type"].startswith("text/html")
    assert "Nothing was changed" not in answer.text


async def test_a_fault_of_ours_is_noted_as_the_answer_says(
    app: App, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of ours while confirming, such as a broken ciphertext, is answered with 500 and named in the log."""

    async def broken(*_: object) -> bytes:
        raise SealBroken

    cookie = await app.signed_in(await app.page_session())
    monkeypatch.setattr(type(app.services.sealer), "unseal", broken)
    problem(await app.confirmed(cookie), 500, "unexpected")
    assert "error=SealBroken" in capsys.readouterr().out


async def test_tokens_of_a_sign_in_that_nobody_confirmed_are_erased(app: App) -> None:
    """Rows of an unconfirmed sign-in are erased soon after its ten minutes, and everything else of it later."""
    await app.signed_in(await app.page_session())
    ticket = (await app.call("POST", "/session/start-tickets", key=await app.page_session())).json()
    await app.call("POST", "/oauth/start", form=ticket)
    await app.later(minutes=16)
    attempt = f"{app.tenant.tenant_id}|attempt"
    assert {row.partition for row in await rows(app)} == {"session", "ends|", attempt}
    await app.later(minutes=20)
    assert {row.partition for row in await rows(app)} == {"ends|", attempt}  # how it ended
    await app.later(hours=24)
    assert await rows(app) == []


async def rows(app: App) -> list[Row]:
    """Rows of the table of short-lived rows; partitions of notes without their times."""
    found = [row async for row in app.tables.query_partitions(keys.SESSIONS)]
    return [replace(row, partition="ends|") if row.partition.startswith("ends|") else row for row in found]
