"""Answers that are faster than the sent copy they answer."""

from __future__ import annotations

from datetime import timedelta

from tests.functions.app import BEA_ADDRESS, App, send_body

REAL = "<real-1@outlook.example>"


async def left(app: App) -> None:
    """A send that has left under another Message-ID than its draft's; its copy was not seen yet."""
    await app.v1("POST", "messages", json=send_body())
    await app.pump()
    app.mail.renamed_on_send[list(app.mail.sent)[-1]] = REAL


async def test_an_answer_that_comes_before_the_copy_is_in_the_crm_within_two_minutes(ready: App) -> None:
    """An answer to a Message-ID that nobody knows yet is brought in once the sent copy was seen (R3)."""
    await left(ready)
    await ready.arrives(ready.mail.receive(BEA_ADDRESS, in_reply_to=REAL))
    assert ready.crm.types()[-1] != "message.received"
    await ready.later(minutes=2)
    assert ready.crm.types()[-2:] == ["message.sent", "message.received"]
    assert "sweep" not in ready.mail.calls


async def test_a_foreign_answer_meanwhile_stays_foreign(ready: App) -> None:
    """A foreign answer that comes while a sent copy is awaited is never brought in.

    It costs four looks at its ids at most.
    """
    await left(ready)
    await ready.arrives(ready.mail.receive(BEA_ADDRESS, in_reply_to="<theirs@x.example>"))
    await ready.later(minutes=10)
    assert set(ready.mail.looks()) <= {"outline"}
    assert ready.mail.calls.count("outline") <= 4
    assert ready.crm.types() == ["connection.connected", "message.sent"]


async def test_mail_without_tags_is_looked_at_once(ready: App) -> None:
    """A mail without threading tags is looked at once, even while a sent copy is awaited."""
    await left(ready)
    await ready.arrives(ready.mail.receive(BEA_ADDRESS))
    await ready.later(minutes=10)
    assert ready.mail.looks() == ["outline"]


async def test_old_mail_that_is_touched_meanwhile_costs_nothing(ready: App) -> None:
    """Old mail that is touched while a sent copy is awaited is looked at once. No answer is older than its parent."""
    await left(ready)
    old = {"received_at": ready.clock.now() - timedelta(days=300)}
    await ready.arrives(ready.mail.receive("else@x.example", in_reply_to="<theirs@x.example>", tags=old))
    await ready.later(minutes=10)
    assert ready.mail.looks() == ["outline"]
