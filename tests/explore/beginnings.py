"""The prepared worlds in which flows begin; what was lived through there is not crossed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, Final

from sandbox.story import acts
from sandbox.story.acts import PDF, attached
from sandbox.story.life import SECOND_ADDRESS
from shared.domain.model import ChangeHint
from shared.state import keys
from shared.sync.queueing.jobs import Changes, encode_job
from shared.sync.queueing.put_back import MOST_OF_A_HINT, PUT_BACK
from tests.explore.faults import Fault, Kind
from tests.explore.platform import DAY, HOUR, MINUTE
from tests.explore.truth import Truth, own_word

PAPER: Final = attached("a.pdf", "application/pdf", PDF)
CLAIMED: Final = (
    "table.insert@shared.state.claims.Claims._claim_first<shared.sync.outbound.accept_outbound._claim"
)
CONFIRMED: Final = (
    "table.transact@shared.state.connections.Connections.connect"
    "<shared.sync.connect.confirm_connection._keep_consent"
)
OLD_MAILS: Final = 60  # more than a page of a sweep
LONG: Final = "".join(f"<p>Paragraph {number} of a long mail.</p>" for number in range(3_000))


async def fresh(truth: Truth) -> None:
    """People and mailboxes; nobody has connected."""
    await acts.seed(truth.stage)
    await truth.stage.control("POST", "users", address=SECOND_ADDRESS, display_name="Ann Archer")


async def connected(truth: Truth) -> None:
    """Ann has connected and nothing was sent."""
    await fresh(truth)
    await truth.user_connects()
    await asyncio.sleep(MINUTE)


async def begun(truth: Truth) -> None:
    """The CRM has written, the contact has answered."""
    await connected(truth)
    await truth.crm_sends("Send0x")
    await truth.contact_answers("Answer0x", "Send0x")
    await asyncio.sleep(20 * MINUTE)


async def stale(truth: Truth) -> None:
    """The access token is about to end, or has."""
    await begun(truth)
    truth.world.clock.advance(3 * HOUR)
    await asyncio.sleep(20.0)


async def old(truth: Truth) -> None:
    """The subscription is to be renewed within minutes."""
    await begun(truth)
    await _until_task(truth, "renew")


async def aged(truth: Truth) -> None:
    """All has lain for over a month: words, files, what nobody could read, an upload nobody used, a send cut off."""
    await begun(truth)
    await put_unreadable(truth)
    await _cut_off(truth, CLAIMED, truth.crm_sends("SendCx", pauses=()))
    del truth.sends["SendCx"]  # the CRM was never told yes, and gives it up
    await truth.crm_sends("SendOx", within="Send0x", files=(60,))
    await truth.contact_answers("AnswerOx", "Send0x", html=f"<p>AnswerOx</p>{LONG}", attachments=[PAPER])
    await asyncio.sleep(20 * MINUTE)
    headers = {"content-type": "application/pdf", "content-disposition": 'attachment; filename="unused.pdf"'}
    await truth.stage.api("POST", "/v1/files", content=PDF, headers=headers)
    truth.world.clock.advance(37 * DAY)


async def ancient(truth: Truth) -> None:
    """What was told has lain for nearly three months; the mailbox was used now and then."""
    await begun(truth)
    for days in (46, 43):
        truth.world.clock.advance(days * DAY)
        await asyncio.sleep(5 * MINUTE)
    truth.world.clock.advance(8 * DAY)


async def put_unreadable(truth: Truth) -> None:
    """Messages of queues that no version of ours has written."""
    queues = truth.world.stores.queues
    await queues.put("maintenance", "neither JSON nor ours")
    await queues.put("changes-poison", "neither JSON nor ours")
    truth.has_letters = True
    await asyncio.sleep(10 * MINUTE)


async def crowded(truth: Truth) -> None:
    """The mailbox holds more mail than a page of a sweep."""
    await begun(truth)
    for number in range(OLD_MAILS):
        await truth.stranger_writes(f"Private{number}x")
    await asyncio.sleep(20 * MINUTE)


async def silent(truth: Truth) -> None:
    """Graph has failed for over a week; the contact has answered, and the user has answered that."""
    await begun(truth)
    await truth.stage.control(
        "POST", "faults", operation="message.*", kind="status", status=503, probability=1.0
    )
    await truth.contact_answers("AnswerAx", "Send0x")
    await asyncio.sleep(HOUR)
    await truth.user_answers("OutlookAx", "AnswerAx")
    await asyncio.sleep(HOUR)
    truth.has_letters = True  # what has failed for over a week is told to operators
    truth.world.clock.advance(9 * DAY)


async def claimed(truth: Truth) -> None:
    """A process died while it accepted a send, and before the CRM asks again the user has another mailbox."""
    await begun(truth)
    await _cut_off(truth, CLAIMED, truth.crm_sends("SendAx", ends=("sent", "failed"), pauses=()))
    truth.begun = False
    await truth.user_connects(SECOND_ADDRESS)
    await asyncio.sleep(5 * MINUTE)


async def unopened(truth: Truth) -> None:
    """A process has just died while it changed the mailbox, before it opened the second one; the user leaves."""
    await begun(truth)
    await _cut_off(truth, CONFIRMED, truth.user_tries(SECOND_ADDRESS))


async def _cut_off(truth: Truth, site: str, act: Coroutine[Any, Any, Any]) -> None:
    """Do that with a process that dies right after its call there."""
    crossings = truth.world.crossings
    crossings.plan, crossings.on = [Fault(site, 1, Kind.DIE_AFTER)], True
    await act
    if not crossings.hit:
        msg = f"no call is made at {site}"
        raise LookupError(msg)
    crossings.forget()


async def put_worn_hint(truth: Truth, word: str) -> None:
    """The hint at the mail with that word as it comes again after a day in which a store failed for it."""
    stores, stage = truth.world.stores, truth.stage
    [mail] = [mail for mail in await stage.mailbox() if own_word(mail) == word]
    [subscription] = (await stage.control("GET", "subscriptions"))["subscriptions"]
    rows = stores.tables.query_partitions("Mailbox")
    [ref] = {ref async for row in rows if (ref := keys.mailbox_in(row.partition)) is not None}
    hint = ChangeHint(keys.mailbox_key(ref), 1, subscription["id"], mail["id"], "created")
    envelope = json.loads(encode_job(Changes((hint,))))
    await stores.queues.put(keys.CHANGES, json.dumps({**envelope, PUT_BACK: MOST_OF_A_HINT}))
    truth.has_letters = True  # where it fails once more, operators are told


async def _until_task(truth: Truth, kind: str) -> None:
    """Nothing runs until shortly before such a task is due, which is cheaper than days of sweeps."""
    clock = truth.world.clock
    rows = truth.world.stores.tables.query_partitions("Mailbox")
    tasks = [row.row async for row in rows if row.row.startswith("task:") and f"|{kind}|" in row.row]
    due_at = datetime.strptime(tasks[0].split("|")[0], "task:%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
    clock.advance((due_at - clock.now()).total_seconds() - 2 * MINUTE)
