"""Let pairs happen in one world: the CRM writes to each contact, the mails come, time passes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.graphsim.knobs import Value
from sandbox.story.connecting import connect
from sandbox.story.stage import ANN, ANN_ADDRESS, Stage
from tests.corpus.answers import Answers
from tests.corpus.mailbox import Corpus, Placed
from tests.corpus.pairs import Pair
from tests.simulation.world import one_process

ALIASES = ("ann.archer@northwind.example", "sales@northwind.example")
MINUTE, HOUR = 60.0, 3600.0
# Files that Exchange may still change are looked at again for 44 minutes, unreadable mails for hours (R14).
REST_HOURS = 3.0
LONG_REST_HOURS = 27.0
# What pairs are not about is at its kindest: their mails say themselves what is odd about them.
KNOBS: dict[str, Value] = {
    "transport_per_minute": 0,
    "notification_duplicates": "never",
    "received_updated": "no",
    "reauthorization_events": "none",
    "access_token_seconds": 86_400,
    "proxy_addresses": "smtp",
}
PEOPLE = {"from", "sender", "toRecipients", "ccRecipients", "bccRecipients", "replyTo"}


@dataclass(slots=True)
class Played:
    """What came of a pair: the events of its thread, and what was asked of Graph about each of its mails."""

    fill: dict[str, str]
    thread_id: str
    sent_id: str
    placed: dict[str, Placed] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    asked: dict[str, set[str]] = field(default_factory=dict)
    original: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Outcome:
    """Every pair by name; events that belong to no thread of theirs; events that the CRM did not take."""

    played: dict[str, Played]
    stray: list[dict[str, Any]]
    not_taken: list[str]


async def play(folder: Path, chosen: Iterable[Pair], knobs: Mapping[str, Value] | None = None) -> Outcome:
    """All pairs together in one mailbox; `knobs` beside those that are at their kindest here."""
    async with one_process(folder, knobs={**KNOBS, **(knobs or {})}) as world:
        stage = world.stage
        await _seed(stage)
        way = "localhost:7443"
        answers = Answers(world.router.hosts[way], world.clock.now)
        world.router.hosts[way] = answers
        mailbox = world.simulator.world.store.mailbox(ANN_ADDRESS)
        assert mailbox is not None
        corpus = Corpus(world, answers, mailbox)
        played = {pair.name: await _crm_writes(stage, pair) for pair in chosen}
        await world.advance(10 * MINUTE)
        for pair in chosen:
            await _learn_sent(corpus, pair, played[pair.name])
        await _let_happen(corpus, chosen, played)
        await world.advance(REST_HOURS * HOUR)
        await world.advance(LONG_REST_HOURS * HOUR)
        return await _outcome(stage, played)


async def _seed(stage: Stage) -> None:
    await stage.control(
        "POST", "users", address=ANN_ADDRESS, display_name="Ann Archer", aliases=list(ALIASES)
    )
    await connect(stage)
    await stage.quiet()


async def _crm_writes(stage: Stage, pair: Pair) -> Played:
    """The CRM begins the pair's thread."""
    content = {"to": pair.contact, "subject": pair.subject, "html": "<p>Our offer.</p>"}
    answer = await stage.crm.post("/api/messages", json={"user_id": ANN, **content})
    assert answer.status_code == 202, f"{pair.name}: {answer.status_code} {answer.text}"
    told = answer.json()
    fill = {"name": pair.name, "contact": pair.contact, "ann": ANN_ADDRESS, "subject": pair.subject}
    return Played(fill, told["thread_id"], told["product_id"])


async def _learn_sent(corpus: Corpus, pair: Pair, played: Played) -> None:
    """The Message-ID and the conversation of what the CRM sent, as the mailbox knows them."""
    sent = next(m for m in corpus.mailbox.messages.values() if m.subject == pair.subject and not m.is_draft)
    bare = sent.internet_message_id.strip("<>")
    played.fill |= {
        "sent": sent.internet_message_id,
        "sent_bare": bare,
        "sent_left": bare.partition("@")[0],
        "sent_right": bare.partition("@")[2],
        "conversation": sent.conversation_id,
        "alias": ALIASES[0],
    }


async def _let_happen(corpus: Corpus, chosen: Iterable[Pair], played: dict[str, Played]) -> None:
    """Everything in the order of its time, a second apart, so that a mail's time tells which it is."""
    world, begun = corpus.world, corpus.world.clock.now()
    steps: list[tuple[float, int, Pair, str, dict[str, Any]]] = []
    for pair in chosen:
        for name, mail in pair.mails(played[pair.name].fill).items():
            at = float(mail.get("after_minutes", 0))
            steps.append((at, len(steps), pair, name, mail))
            for change in mail.get("later", ()):
                steps.append((at + change["after_minutes"], len(steps), pair, name, change))
    for at, _, pair, name, wanted in sorted(steps, key=lambda step: step[:2]):
        passed = (world.clock.now() - begun).total_seconds()
        await world.advance(max(1.0, at * MINUTE - passed))
        found = played[pair.name]
        if name in found.placed:
            corpus.change(found.placed[name], wanted, found.fill)
        else:
            found.placed[name] = corpus.place(
                wanted, graph_message(pair, name, wanted, found.fill), found.fill
            )


def graph_message(pair: Pair, name: str, wanted: dict[str, Any], fill: dict[str, str]) -> dict[str, Any]:
    """The members that Graph answers: an answer of the contact to Ann, where the pair says nothing else."""
    given: dict[str, Any] = {
        "internetMessageId": f"<{name}.{pair.name}@mailer.example>",
        "subject": f"Re: {pair.subject}",
        "from": _recipient(fill["contact"]),
        "toRecipients": [_recipient(fill["ann"])],
        "ccRecipients": [],
        "bccRecipients": [],
        "replyTo": [],
        "body": {"contentType": "html", "content": f"<html><body><p>Words of {name}.</p></body></html>"},
    }
    given["sender"] = given["from"]
    given |= wanted.get("message", {})
    return {member: _many(value) for member, value in given.items()}


def _many(value: Any) -> Any:
    """`{"of": …, "times": n}` as so much text, or as so many objects with their numbers."""
    if not isinstance(value, dict):
        return value
    if set(value) != {"of", "times"}:
        return {member: _many(inner) for member, inner in value.items()}
    if isinstance(value["of"], str):
        return value["of"] * value["times"]
    text = json.dumps(value["of"])
    return [json.loads(text.replace("${number}", str(number + 1))) for number in range(value["times"])]


def _recipient(address: str) -> dict[str, Any]:
    return {"emailAddress": {"name": address, "address": address}}


async def _outcome(stage: Stage, played: dict[str, Played]) -> Outcome:
    feed = await _feed(stage)
    told = [event for event in feed if event["type"].startswith("message.")]
    threads = {found.thread_id: found for found in played.values()}
    stray = []
    for event in told:
        found = threads.get(event["data"].get("thread_id"))
        if found is None:
            stray.append(event)
        elif event["type"] != "message.sent" or event["data"]["id"] != found.sent_id:
            found.events.append(event)
    heard = {event["id"] for event in await stage.crm_events()}
    _, log = await stage.requests()
    for found in played.values():
        found.asked = {name: _asked(log, placed) for name, placed in found.placed.items()}
        found.original = (await stage.api("GET", f"/v1/messages/{found.sent_id}")).json()
    return Outcome(played, stray, [event["id"] for event in feed if event["id"] not in heard])


async def _feed(stage: Stage) -> list[dict[str, Any]]:
    """Every event that was recorded, oldest first."""
    events: list[dict[str, Any]] = []
    after = ""
    while True:
        page = (await stage.api("GET", f"/v1/events?limit=500{after}")).json()
        events += page["events"]
        if not page["has_more"]:
            return events
        after = f"&after={page['next']}"


def _asked(log: list[dict[str, Any]], placed: Placed) -> set[str]:
    """What was asked of Graph about a mail beyond its outline: body, subject, people, headers, attachments."""
    asked: set[str] = set()
    for request in log:
        alone = request["message_id"] in placed.ids
        listed = (
            request["message_id"] is None
            and placed.message.internet_message_id in request["internet_message_ids"]
        )
        if request["method"] == "GET" and (alone or listed):
            asked |= _asked_by(request)
    return asked


def _asked_by(request: dict[str, Any]) -> set[str]:
    fields, operation = set(request["fields"]), str(request["operation"])
    if operation.startswith("attachment"):
        return {"attachments"}
    whole = operation.startswith("message") and not fields
    return {
        what
        for what, truth in (
            ("body", request["reads_body"]),
            ("subject", whole or "subject" in fields),
            ("people", whole or bool(PEOPLE & fields)),
            ("headers", "internetMessageHeaders" in fields),
            ("attachments", request["reads_attachments"] or "attachments" in str(request["expand"]).lower()),
        )
        if truth
    }
