"""Judges a case by what the outside shows: simulator, CRM, public API; of the stores only by what is left over.

Nothing here knows the product's rules: what must be true follows from what was done (`truth`).
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from sandbox.story.stage import ANN, CARLA
from tests.explore.truth import Truth, own_word

OPEN = {"accepted", "sending", "waiting", "unconfirmed"}
ONCE = {"message.sent", "message.received", "message.failed", "message.not_synced", "message.bounced"}
QUEUES = ("changes", "outbox", "deliveries", "maintenance")


async def judge(truth: Truth) -> dict[str, list[str]]:
    """What is not as it must be, by its kind: lost, doubled, unexpected, stuck, foreign, lies, litter."""
    found: dict[str, list[str]] = {
        kind: []
        for kind in ("lost", "doubled", "unexpected", "stuck", "foreign", "lies", "litter", "remains")
    }
    await _about_sends(truth, found)
    await _about_mails(truth, found)
    await _about_events(truth, found)
    await _about_the_connection(truth, found)
    await _about_foreign_bodies(truth, found)
    await _about_queues(truth, found)
    await _about_litter(truth, found)
    return {kind: texts for kind, texts in found.items() if texts}


async def _about_sends(truth: Truth, found: dict[str, list[str]]) -> None:
    left = Counter(own_word(mail) for mail in await truth.stage.outside(CARLA))
    for word, send in truth.sends.items():
        if left[word] > 1:
            found["doubled"].append(f"{word} left {left[word]} times")
        if send.answer != 202:
            if "refused" not in send.ends:
                found["unexpected"].append(f"{word} was answered {send.answer}")
            if left[word]:
                found["unexpected"].append(f"{word} was refused and left")
            continue
        shown = {} if send.own_id else await truth.stage.of_crm("GET", f"/api/messages/{send.identity}")
        product_id = send.own_id or shown["product_id"]
        own = (await truth.stage.api("GET", f"/v1/messages/{product_id}")).json()["status"]
        status = shown.get("status", own)
        if own != status and own not in OPEN:
            found["lies"].append(f"{word} is {own} and the CRM was told {status}")
        if own in OPEN:
            found["stuck"].append(f"{word} is {own} and left {left[word]} times")
        elif (own == "sent") is not (left[word] > 0):
            found["lost" if own == "sent" else "lies"].append(f"{word} is {own} and left {left[word]} times")
        elif own not in send.ends:
            reason = (shown.get("reason") or {}).get("code")
            found["unexpected"].append(f"{word} is {own} ({reason})")
    known = {*truth.sends, *truth.shown, *truth.either, *truth.kept_out, *truth.refused}
    found["unexpected"] += [f"{word!r} reached the contact" for word in left if word not in known]


async def _about_mails(truth: Truth, found: dict[str, list[str]]) -> None:
    messages = await truth.stage.crm_messages()
    seen = Counter(own_word(message) for message in messages)
    for word in {*truth.shown, *truth.either}:
        if seen[word] > 1:
            found["doubled"].append(f"{word} is shown {seen[word]} times")
        if word in truth.shown and not seen[word]:
            found["lost"].append(f"{word} is not shown")
    for word in truth.sends:
        if seen[word] > 1:
            found["doubled"].append(f"{word} is shown {seen[word]} times")
    outside = (*truth.kept_out, *truth.foreign, *truth.refused)
    found["unexpected"] += [f"{word} is shown" for word in outside if seen[word]]
    refusals = [event["data"]["id"] for event in await truth.stage.crm_events("message.not_synced")]
    if len(set(refusals)) < len(truth.refused):
        found["lost"].append(f"{len(set(refusals))} refusals were told, not {len(truth.refused)}")
    for message in messages:
        wanted = {**truth.shown, **truth.either}.get(own_word(message), message["direction"])
        if message["direction"] != wanted:
            found["lies"].append(f"{own_word(message)} is shown as {message['direction']}")


async def _about_events(truth: Truth, found: dict[str, list[str]]) -> None:
    feed = (await truth.stage.api("GET", "/v1/events?limit=500")).json()["events"]
    heard = await truth.stage.crm_events()
    by_feed, by_crm = {event["id"] for event in feed}, {event["id"] for event in heard}
    found["lost"] += [f"{event['type']} was not told" for event in feed if event["id"] not in by_crm]
    found["unexpected"] += [f"{e['type']} is not in the feed" for e in heard if e["id"] not in by_feed]
    told = Counter((event["type"], event["data"].get("id")) for event in heard if event["type"] in ONCE)
    found["doubled"] += [
        f"{kind} of {identity} was told {n} times" for (kind, identity), n in told.items() if n > 1
    ]
    outcomes = Counter(identity for kind, identity in told if kind in {"message.sent", "message.failed"})
    found["lies"] += [f"{identity} was told sent and failed" for identity, n in outcomes.items() if n > 1]


async def _about_the_connection(truth: Truth, found: dict[str, list[str]]) -> None:
    shown = (await truth.stage.api("GET", f"/v1/users/{ANN}/connection")).json()
    status = shown.get("status", "disconnected")
    if status != truth.status:
        found["lies"].append(f"the connection is shown as {status}, not {truth.status}")
    address = (shown.get("mailbox") or {}).get("address")
    if truth.status == "connected" and address != truth.address:
        found["lies"].append(f"the mailbox is shown as {address}, not {truth.address}")
    subscriptions = (await truth.stage.control("GET", "subscriptions"))["subscriptions"]
    live = [s for s in subscriptions if datetime.fromisoformat(s["expires_at"]) > truth.world.clock.now()]
    wanted = 1 if truth.begun and truth.status == "connected" else 0
    if len(live) < wanted:
        found["stuck"].append("no subscription")
    if len(live) > wanted:
        found["litter"].append(f"{len(live)} subscriptions instead of {wanted}")


async def _about_foreign_bodies(truth: Truth, found: dict[str, list[str]]) -> None:
    for address in {truth.address, "ann@northwind.example"}:
        foreign = {m["id"] for m in await truth.stage.mailbox(address) if own_word(m) in truth.foreign}
        _, log = await truth.stage.requests()
        read = [
            r
            for r in log
            if r["reads_body"] and (r["message_id"] in foreign or r["operation"] == "message.list")
        ]
        found["foreign"] += [f"{request['operation']} at {request['at']}" for request in read]


async def _about_queues(truth: Truth, found: dict[str, list[str]]) -> None:
    queues = truth.world.stores.queues
    for queue in QUEUES:
        if count := await queues.count(f"{queue}-poison"):
            found["stuck"].append(f"{count} poison messages of {queue}")
        if count := await queues.count(queue):
            found["stuck"].append(f"{count} messages wait in {queue}")
    if truth.has_letters:
        return
    letters = truth.world.stores.tables.query_partitions("DeadLetters")
    found["stuck"] += [f"a dead letter: {_cause(row)}" async for row in letters]


def _cause(row: Any) -> str:
    return " ".join(
        f"{name}={value}" for name, value in row.values.items() if name in {"kind", "cause", "error"}
    )


async def _about_litter(truth: Truth, found: dict[str, list[str]]) -> None:
    """Blobs that no row names, work that is due for long and never done, drafts of ours that stayed."""
    stores, now = truth.world.stores, truth.world.clock.now()
    rows = [
        row for table in list(stores.tables._tables) async for row in stores.tables.query_partitions(table)
    ]
    words = "\n".join(str(value) for row in rows for value in row.values.values() if isinstance(value, str))
    blobs = [blob.name for blob in await stores.blobs.list("staging") if blob.name not in words]
    found["litter"] += [f"no row names a blob ({len(blobs)})"] if blobs else []
    limit = f"task:{now - timedelta(hours=2):%Y%m%dT%H%M%S}"
    found["stuck"] += [
        f"overdue: {row.row.split('|')[1]}" for row in rows if row.row.startswith("task:") and row.row < limit
    ]
    for address in {truth.address, "ann@northwind.example"}:
        mails = await truth.stage.mailbox(address)
        drafts = [mail for mail in mails if mail["is_draft"] and mail["folder"] != "deleteditems"]
        kind = "litter" if (truth.status, truth.address) == ("connected", address) else "remains"
        found[kind] += [f"{len(drafts)} drafts stayed"] if drafts else []
