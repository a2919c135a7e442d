"""Dead letters: kept sealed with cause, owner and times, shown to operators, replayed without doing twice (E-29)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared import ops, ops_work
from shared.domain.errors import (
    ItemUnreadable,
    KeyUnavailable,
    NotFound,
    ProviderUnavailable,
    UpstreamSurprise,
)
from shared.domain.model import ChangeHint, Task, TaskKind
from shared.ops_work import NothingMeant
from shared.state import keys
from shared.sync.queueing.jobs import Changes, TaskMessage, encode_job
from tests.functions.app import App
from tests.functions.fakes import FakeAnswer
from tests.functions.test_making_subscriptions import mailbox


async def command(app: App, *words: str) -> Any:
    """What a command shows, as JSON where it has that form."""
    with_json = [] if "--json" in words else ["--json"]
    return await ops_work.carry_out(app.services, ops._parser().parse_args([*words, *with_json]))


async def letters(app: App, *options: str) -> list[dict[str, Any]]:
    shown = await command(app, "list-dead-letters", *options)
    return list(shown["dead_letters"])


async def outcome(app: App, letter_id: str) -> str:
    (replayed,) = (await command(app, "replay-dead-letter", letter_id))["dead_letters"]
    return str(replayed["outcome"])


async def refused(app: App) -> dict[str, Any]:
    """An event that the CRM has refused three times."""
    app.crm.answers.extend(3 * [FakeAnswer(422)])
    await app.answered()
    await app.later(minutes=50)
    (letter,) = await letters(app)
    return letter


async def test_a_dead_letter_says_whose_what_and_why(begun: App) -> None:
    """A dead letter has owner, work, cause and times; its payload is sealed in the table and shown when asked for."""
    letter = await refused(begun)
    assert letter["tenant_id"] == begun.tenant.tenant_id
    assert letter["mailbox_id"] == mailbox(begun).mailbox_id
    assert (letter["work"], letter["cause"], letter["times"]) == ("deliver", "refused:422", 1)
    assert letter["first_at"] == letter["last_at"]
    assert letter["replayed_at"] is None
    event_id = begun.crm.tried[-1]
    rows = [row async for row in begun.tables.query_partitions(keys.DEAD_LETTERS)]
    assert event_id not in str(rows)
    assert letter["event_id"] == event_id
    assert letter["message_id"].startswith("msg_")
    shown = await command(begun, "show-dead-letter", letter["id"])
    assert event_id in shown["payload"]
    with pytest.raises(NotFound):
        await command(begun, "show-dead-letter", "nothing")


async def test_the_same_work_is_counted(begun: App) -> None:
    """Work that is given up again is the same dead letter, with its first and its last time and how often."""
    letter = await refused(begun)
    begun.crm.answers.extend(3 * [FakeAnswer(422)])
    assert await outcome(begun, letter["id"]) == "due"
    await begun.later(minutes=50)
    (again,) = await letters(begun)
    assert (again["id"], again["times"], again["first_at"]) == (letter["id"], 2, letter["first_at"])
    assert again["last_at"] > letter["last_at"]
    assert again["replayed_at"] is not None


async def test_where_an_error_came_up_is_told_apart(ready: App) -> None:
    """A dead letter of a fault of ours says by a hash where it came up, and nothing of its texts."""
    ready.mail.next["create_draft"] = [KeyError("secret words") for _ in range(9)]
    await ready.accepted()
    await ready.later(minutes=50)
    (letter,) = await letters(ready)
    shown = await command(ready, "show-dead-letter", letter["id"])
    assert letter["cause"] == "given_up:KeyError"
    assert len(shown["stack"]) == 26
    assert "secret words" not in json.dumps(shown)


async def test_a_dead_letter_ends_after_thirty_days(begun: App) -> None:
    """A dead letter is erased a month after it last happened, and not before (D-1)."""
    letter = await refused(begun)
    begun.clock.forward(days=20)
    begun.crm.answers.extend(3 * [FakeAnswer(422)])
    await outcome(begun, letter["id"])
    await begun.later(minutes=50)
    begun.clock.forward(days=29)
    await begun.tick()
    assert len(await letters(begun)) == 1
    begun.clock.forward(days=2)
    await begun.tick()
    await begun.tick()
    assert await letters(begun) == []


async def test_a_key_that_cannot_be_used_loses_no_dead_letter(begun: App) -> None:
    """While the key that seals cannot be used a dead letter is not written in clear, and not left out either."""
    await begun.queues.put("outbox-poison", "anything")

    async def fail(*_: object) -> str:
        raise KeyUnavailable

    seal = begun.services.sealer.seal
    begun.services.sealer.seal = fail  # type: ignore[method-assign]  # an outage of the vault
    await begun.tick()
    assert await letters(begun) == []
    begun.services.sealer.seal = seal  # type: ignore[method-assign]
    begun.clock.forward(minutes=2)
    await begun.tick()
    (letter,) = await letters(begun)
    assert (letter["cause"], letter["tenant_id"], letter["work"]) == ("crashed_workers", None, None)


# ---- replay


async def test_a_refused_event_is_told_once_more(begun: App) -> None:
    """A replayed event is delivered under its own id; a second replay tells nothing twice."""
    letter = await refused(begun)
    event_id, told = begun.crm.tried[-1], len(begun.crm.told)
    assert await outcome(begun, letter["id"]) == "due"
    await begun.pump()
    assert begun.crm.ids[told:] == [event_id]
    assert await outcome(begun, letter["id"]) == "nothing_left_to_do"
    await begun.later(hours=2)
    assert begun.crm.ids[told:] == [event_id]


async def test_a_failed_send_never_leaves(ready: App) -> None:
    """A send that the CRM was told has failed is not sent by a replay: the CRM may have sent it anew."""
    ready.mail.next["create_draft"] = [UpstreamSurprise() for _ in range(9)]
    message_id = await ready.accepted()
    await ready.later(minutes=50)
    (letter,) = await letters(ready)
    assert await outcome(ready, letter["id"]) == "ended"
    await ready.later(hours=2)
    assert await ready.standing(message_id) == ("failed", "gave_up")
    assert len(ready.mail.sent) == 0


async def test_a_held_mail_is_looked_at_again(begun: App) -> None:
    """A replayed dead letter of a held mail has it looked at at once, and it is received once."""
    number = begun.mail.receive("bea@fabrikam.example", in_reply_to=begun.mail.last_sent.internet_message_id)
    begun.mail.unreadable[number] = ItemUnreadable()
    await begun.arrives(number)
    await begun.later(minutes=45)
    (letter,) = await letters(begun)
    del begun.mail.unreadable[number]
    for _ in range(2):
        assert await outcome(begun, letter["id"]) in {"due", "nothing_left_to_do"}
        await begun.pump()
    assert begun.crm.types().count("message.received") == 1


async def test_an_endpoint_is_opened_by_replay(begun: App) -> None:
    """Replaying the dead letter of an endpoint that said 410 opens it, and what was held goes out once."""
    begun.crm.answers.append(FakeAnswer(410))
    await begun.answered()
    (letter,) = await letters(begun)
    assert (letter["work"], letter["cause"]) == ("endpoint", "endpoint_gone")
    assert await outcome(begun, letter["id"]) == "due"
    await begun.pump()
    await outcome(begun, letter["id"])
    await begun.pump()
    assert begun.crm.types()[2:] == ["message.received"]


async def test_hints_on_which_workers_died_are_looked_at(begun: App) -> None:
    """A poison message of hints is replayed as looks at each mail: one of a thread is received once, a foreign not."""
    ours = begun.mail.receive("bea@fabrikam.example", in_reply_to=begun.mail.last_sent.internet_message_id)
    foreign = begun.mail.receive("sven@stranger.example")
    key = keys.mailbox_key(mailbox(begun))
    hints = tuple(ChangeHint(key, 1, "sub-1", number, "created") for number in (ours, foreign))
    await begun.queues.put("changes-poison", encode_job(Changes(hints)))
    await begun.tick()
    (letter,) = await letters(begun)
    assert (letter["work"], letter["tenant_id"]) == ("hints", begun.tenant.tenant_id)
    for _ in range(2):
        begun.clock.forward(seconds=1)
        assert await outcome(begun, letter["id"]) == "due"
        await begun.pump()
    assert begun.crm.types()[2:] == ["message.received"]
    assert begun.mail.calls.count("fetch") == 1


@pytest.mark.parametrize("kind", TaskKind)
async def test_any_work_on_which_workers_died_may_be_replayed(begun: App, kind: TaskKind) -> None:
    """A poison message of any kind of work is replayed, twice as well, without an error and without a second mail."""
    job = TaskMessage(mailbox(begun).tenant_id, mailbox(begun).mailbox_id, Task(begun.clock.now(), kind, "x"))
    await begun.queues.put("maintenance-poison", encode_job(job))
    await begun.tick()
    (letter,) = await letters(begun, "--work", kind.value)
    for _ in range(2):
        assert await outcome(begun, letter["id"]) in {"due", "nothing_left_to_do"}
        await begun.later(minutes=2)
    assert (len(begun.mail.sent), begun.crm.types()[2:]) == (1, [])


async def test_a_row_that_a_sweep_passed_by_is_listed_again(begun: App) -> None:
    """The replay of a row that no list showed has everything listed since then, at once."""
    corrupt = begun.mail.receive("bea@fabrikam.example", in_reply_to=begun.mail.last_sent.internet_message_id)
    begun.mail.corrupt.add(corrupt)
    begun.mail.next["listed_id"] = [ProviderUnavailable(), ProviderUnavailable()]
    await begun.later(minutes=20)
    (letter,) = await letters(begun, "--work", "listed_row")
    begun.mail.corrupt.clear()
    begun.clock.forward(hours=2)
    assert await outcome(begun, letter["id"]) == "due"
    await begun.pump()
    assert begun.crm.types()[2:] == ["message.received"]


@pytest.mark.parametrize("text", ["nonsense", '{"v":9,"job":{"of":"tomorrow"}}'])
async def test_what_cannot_be_read_is_not_replayed(app: App, text: str) -> None:
    """A poison message that is no job of ours stays a dead letter: its replay says so, and is noted."""
    await app.queues.put("outbox-poison", text)
    await app.tick()
    (letter,) = await letters(app)
    assert await outcome(app, letter["id"]) == "payload_unreadable"
    assert (await letters(app))[0]["replayed_at"] is not None
    assert await outcome(app, letter["id"]) == "payload_unreadable"
    assert (await command(app, "show-dead-letter", letter["id"]))["payload"] == text


async def test_after_a_disconnect_a_replay_brings_nothing_in(begun: App) -> None:
    """Work of a mailbox that was disconnected is not done by a replay."""
    job = TaskMessage(
        mailbox(begun).tenant_id, mailbox(begun).mailbox_id, Task(begun.clock.now(), TaskKind.SWEEP, "")
    )
    await begun.queues.put("maintenance-poison", encode_job(job))
    await begun.tick()
    await begun.v1("DELETE", "users/u_ann/connection")
    (letter,) = await letters(begun)
    assert await outcome(begun, letter["id"]) == "ended"


async def test_a_replay_by_filter(begun: App) -> None:
    """A replay by filter takes what is meant and was not replayed since; without any filter `--all` must be said."""
    letter = await refused(begun)
    await begun.queues.put("outbox-poison", "nonsense")
    await begun.tick()
    with pytest.raises(NothingMeant):
        await command(begun, "replay-dead-letter")
    taken = await command(begun, "replay-dead-letter", "--cause", "refused", "--last-hours", "2")
    assert [row["id"] for row in taken["dead_letters"]] == [letter["id"]]
    taken = await command(begun, "replay-dead-letter", "--tenant", begun.tenant.tenant_id)
    assert taken["dead_letters"] == []
    taken = await command(begun, "replay-dead-letter", "--all")
    assert [row["cause"] for row in taken["dead_letters"]] == ["crashed_workers"]


async def test_lists_are_lines_too(begun: App) -> None:
    """Without --json a list is a line for each, with what it says, and a count."""
    letter = await refused(begun)
    asked = ops._parser().parse_args(["list-dead-letters"])
    said = str(await ops_work.carry_out(begun.services, asked))
    assert said.startswith(f"id={letter['id']} tenant_id={begun.tenant.tenant_id} ")
    assert said.endswith("\n1 dead letter")
    shown = await command(begun, "list-tenants")
    assert {(row["name"], row["mailboxes"], row["endpoint"]) for row in shown["tenants"]} == {
        ("Northwind", 1, "open"),
        ("Contoso", 0, "open"),
    }


async def test_a_held_mail_is_shown_and_replayed_by_its_id(begun: App) -> None:
    """One held mail is shown with its dead letter, and looked at by either of its ids."""
    number = begun.mail.receive("bea@fabrikam.example", in_reply_to=begun.mail.last_sent.internet_message_id)
    begun.mail.unreadable[number] = ItemUnreadable()
    await begun.arrives(number)
    await begun.later(minutes=45)
    (letter,) = await letters(begun)
    tenant, message_id = begun.tenant.tenant_id, begun.crm.last["id"]
    shown = await command(begun, "show-held", tenant, message_id)
    assert (shown["graph_message_id"], shown["dead_letters"]) == (number, [letter["id"]])
    looked = await command(begun, "replay-held", tenant, number)
    assert [mail["message_id"] for mail in looked["held"]] == [message_id]
    looked = await command(begun, "replay-held", tenant, "--mailbox", "mbx_other")
    assert looked["held"] == []
    with pytest.raises(NotFound, match="no held mail is called x"):
        await command(begun, "replay-held", tenant, "x")
