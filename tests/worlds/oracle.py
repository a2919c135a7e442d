"""What must be true of a world, from what was done to it alone.

Shares no code with the product (`test_worlds.py` holds that): it knows the diary, what each CRM shows and heard, what
the simulator says has left or was read, and nothing of how the product decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.worlds.diary import NEVER, Diary, Mail, Person, Send, first_word

HOUR, DAY = 3600.0, 86_400.0
KINDS = ("lost", "unexpected", "doubled", "stuck", "foreign bodies", "lies about status")
NOTICED_WITHIN = 9 * HOUR  # an idle mailbox is looked at every six hours, and a token lives for an hour
ENDED = ("sent", "failed", "unconfirmed")
UNFIT = (413, 422)
# Reasons that are true only while something of these lasted so long after the CRM had asked.
TRUE_AFTER = {
    "waited_too_long": ({"graph", "mailbox", "entra", "tables", "queues", "blobs", "revoked"}, 2.5 * DAY),
    "left_in_drafts": ({"graph", "mailbox", "entra", "tables", "queues"}, 0.9 * HOUR),
    "send_denied": ({"mailbox"}, 0.0),
    "mailbox_unusable": ({"mailbox"}, 0.0),
    "refused_by_provider": ({"mailbox"}, 0.0),
}


@dataclass(slots=True)
class Verdict:
    """Faults by kind, each in words; and figures."""

    faults: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    attempted: int = 0
    acknowledged: int = 0
    figures: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, text: str) -> None:
        """Something is not as it must be."""
        self.faults[kind].append(text)

    def all(self) -> list[str]:
        """Every fault with its kind."""
        return [f"{kind}: {text}" for kind, texts in self.faults.items() for text in texts]


@dataclass(slots=True)
class Evidence:
    """What can be seen of a world when it has come to rest. Everything as JSON of the CRM and the simulator."""

    diary: Diary
    messages: list[list[dict[str, Any]]]  # of each tenant's CRM
    events: list[list[dict[str, Any]]]  # that each CRM accepted
    feeds: list[list[str]]  # ids of the events that the API lists, of each tenant
    endpoints: list[str]  # each CRM's address, by which its outages are called
    outside: list[dict[str, Any]]  # mails that contacts received
    mailboxes: dict[str, list[dict[str, Any]]]  # by address
    reads: list[dict[str, Any]]  # requests that read a body or a subject
    waiting: dict[str, int]  # messages of each queue


def judge(evidence: Evidence) -> Verdict:
    """Everything that is not as it must be."""
    verdict = Verdict()
    left = Counter((first_word(mail["html"]), mail["reader"]) for mail in evidence.outside)
    for send in evidence.diary.sends.values():
        _judge_send(verdict, evidence, send, [left[send.word, contact] for contact in send.contacts])
    for mail in evidence.diary.mails.values():
        _judge_mail(verdict, evidence, mail)
    _judge_reads(verdict, evidence)
    _judge_events(verdict, evidence)
    _judge_drafts(verdict, evidence)
    for kind, text in evidence.diary.wrong:
        verdict.add(kind, text)
    for queue, count in evidence.waiting.items():
        if count:
            verdict.add("stuck", f"{count} messages in {queue}")
    return verdict


def _judge_send(verdict: Verdict, evidence: Evidence, send: Send, reached: list[int]) -> None:
    """`reached` is how often it came to each of its contacts."""
    verdict.attempted += 1
    left = max(reached)
    own = [
        message
        for message in evidence.messages[send.person.tenant]
        if message["id"] == send.crm_message_id or first_word(str(message["html"] or "")) == send.word
    ]
    if left > 1:
        verdict.add("doubled", f"{send.word} left {left} times")
    if left and not min(reached):
        verdict.add("lost", f"{send.word} left to only some of its recipients")
    if len(own) > 1:
        verdict.add("doubled", f"{send.word} is shown {len(own)} times")
    if send.answer != 202:
        _judge_refusal(verdict, evidence, send, left)
        return
    verdict.acknowledged += 1
    _judge_acceptance(verdict, evidence.diary, send)
    shown = next((message for message in own if message["id"] == send.crm_message_id), None)
    if shown is None:
        verdict.add("lost", f"{send.word} is not in the CRM")
    else:
        _judge_outcome(verdict, evidence.diary, send, shown, left)


def _judge_acceptance(verdict: Verdict, diary: Diary, send: Send) -> None:
    """What cannot leave is refused at once."""
    if send.unfit:
        verdict.add("unexpected", f"{send.word} was accepted with a file that does not sync")
    for stop in diary.stops:
        if stop.thread == send.asked and stop.told <= send.at and send.answered_at <= stop.back:
            verdict.add("unexpected", f"{send.word} was accepted in a stopped thread")


def _judge_outcome(verdict: Verdict, diary: Diary, send: Send, shown: dict[str, Any], left: int) -> None:
    status, reason = shown["status"], (shown["reason"] or {}).get("code")
    verdict.figures[f"send {status}"] += 1
    if status not in ENDED:
        verdict.add("stuck", f"{send.word} is {status} (left {left})")
    elif status == "sent" and not left:
        verdict.add("lies about status", f"{send.word} is sent and never left")
    elif status == "failed" and left:
        verdict.add("lies about status", f"{send.word} is failed ({reason}) and left")
    elif status == "failed" and not _is_true(diary, send, str(reason)):
        verdict.add("lost", f"{send.word} failed: {reason}")


def _judge_refusal(verdict: Verdict, evidence: Evidence, send: Send, left: int) -> None:
    """A mail is refused only for a file, or while its user is not connected or its thread stopped; then it stays."""
    if left:
        verdict.add("lies about status", f"{send.word} was refused ({send.answer}) and left")
    closings = [each for each in evidence.diary.closings if each.person == send.person and not each.by_change]
    stops = [stop for stop in evidence.diary.stops if stop.thread == send.asked]
    if send.unfit and send.answer in UNFIT:
        return
    if not any(each.since <= send.answered_at and send.at <= each.until for each in (*closings, *stops)):
        verdict.add("lost", f"{send.word} was refused with {send.answer} by an open mailbox")


def _is_true(diary: Diary, send: Send, reason: str) -> bool:
    """Whether a send may have failed for that reason."""
    if send.kills:
        return True  # five deaths hold or end it
    if reason in {"disconnected", "mailbox_changed"}:
        return any(
            each.person == send.person and each.until > send.at
            and each.by_change == (reason == "mailbox_changed")
            for each in diary.closings
        )  # fmt: skip
    if reason == "thread_stopped":
        return any(stop.thread in {send.thread, send.asked} and stop.until > send.at for stop in diary.stops)
    whats, seconds = TRUE_AFTER.get(reason, (set(), 0.0))
    lasted = sum(
        max(0.0, until - max(since, send.at))
        for what, address, since, until in diary.outages
        if what in whats and address in {None, send.person.address, send.person.second}
    )
    return bool(whats) and lasted > 0 and lasted >= seconds


def _judge_mail(verdict: Verdict, evidence: Evidence, mail: Mail) -> None:
    count = {
        tenant: sum(
            first_word(str(message["html"] or message["text"] or message.get("snippet") or "")) == mail.word
            and message["kind"] != "bounce"
            for message in messages
        )
        for tenant, messages in enumerate(evidence.messages)
    }
    own = count[mail.person.tenant]
    elsewhere = sum(count.values()) - own
    verdict.attempted += mail.must
    if elsewhere:
        verdict.add("unexpected", f"{mail.word} is shown to another tenant")
    if own > 1:
        verdict.add("doubled", f"{mail.word} is shown {own} times")
    if mail.unfit:
        _judge_unfit(verdict, evidence, mail, own)
        return
    if mail.must and not own:
        verdict.add("lost", f"{mail.word} of {mail.thread} ({mail.kind}) is not shown")
    if own and mail.why_not and not mail.must and not mail.why_not.startswith("maybe"):
        verdict.add("unexpected", f"{mail.word} is shown, although {mail.why_not}")
    for message in evidence.messages[mail.person.tenant]:
        if first_word(str(message["html"] or "")) == mail.word:
            expected = "inbound" if mail.kind == "answer" else "outbound"
            if mail.kind != "private" and message["direction"] != expected:
                verdict.add("lies about status", f"{mail.word} is shown as {message['direction']}")


def _judge_unfit(verdict: Verdict, evidence: Evidence, mail: Mail, shown: int) -> None:
    """A mail with a file that does not sync is told as that, once, and nothing of its words (R7)."""
    told = [
        message
        for message in evidence.messages[mail.person.tenant]
        if message["status"] == "not_synced"
        and any(
            first_word(str(file["name"])) == mail.word for file in (message["reason"] or {}).get("files", [])
        )
    ]
    if shown:
        verdict.add("unexpected", f"{mail.word} is shown, although its file does not sync")
    if len(told) > 1:
        verdict.add("doubled", f"{mail.word} is told {len(told)} times as not synced")
    if mail.must and not told:
        verdict.add("lost", f"{mail.word} of {mail.thread} ({mail.kind}) is not told as not synced")
    if told and not mail.must and not mail.why_not.startswith("maybe"):
        verdict.add("unexpected", f"{mail.word} is told as not synced, although {mail.why_not}")


def _judge_drafts(verdict: Verdict, evidence: Evidence) -> None:
    """What a person leaves as a draft stays there (E-11)."""
    for word, address in evidence.diary.drafts.items():
        kept = [
            mail
            for mail in evidence.mailboxes[address]
            if mail["is_draft"] and first_word(mail["html"]) == word
        ]
        if len(kept) != 1:
            verdict.add("lost", f"the draft {word} lies {len(kept)} times in its mailbox")


def _judge_reads(verdict: Verdict, evidence: Evidence) -> None:
    """A body or a subject is read only of a mail of a thread of that mailbox, and never of a list."""
    words = {
        (address, mail["id"]): first_word(mail["html"])
        for address, mails in evidence.mailboxes.items()
        for mail in mails
    }
    for read in evidence.reads:
        what = f"{read['operation']} of {read['address']} at {read['at']}"
        if read["message_id"] is None:
            verdict.add("foreign bodies", f"a list: {what}")
            continue
        word = words.get((read["address"], read["message_id"]), "")
        if word and not evidence.diary.may_read(word, read["address"]):
            verdict.add("foreign bodies", f"{word}: {what}")


def _judge_events(verdict: Verdict, evidence: Evidence) -> None:
    """Each event has one id, and the CRM has heard all of them."""
    for tenant, events in enumerate(evidence.events):
        told = Counter(
            (event["type"], event["data"].get("id"), event["data"].get("version"))
            for event in events
            if event["type"] in {"message.sent", "message.received", "message.failed"}
        )
        for (kind, identity, _), count in told.items():
            if count > 1:
                verdict.add("doubled", f"{kind} of {identity} was told under {count} ids")
        heard = {event["id"] for event in events}
        asked_for = [event for event in events if event["source"] == "catch_up"]
        if asked_for and not _was_long_down(evidence.diary, evidence.endpoints[tenant]):
            verdict.add(
                "lost", f"{len(asked_for)} events came to tenant {tenant} only when it asked for them"
            )
        missing = set(evidence.feeds[tenant]) - heard
        if missing:
            verdict.add("lost", f"{len(missing)} events were not told to tenant {tenant}")


def _was_long_down(diary: Diary, endpoint: str) -> bool:
    """Whether a CRM could not be reached for so long that it has to ask what it missed."""
    return any(
        what in {"crm", "tables"} and address in {None, endpoint} and until - since > 2.5 * DAY
        for what, address, since, until in diary.outages
    )


# ---- at any moment


def judge_connection(
    diary: Diary, person: Person, now: float, status: str, address: str | None
) -> str | None:
    """What is a lie in the status of a connection that the API shows at this moment; None where it may be true."""
    if diary.changes_mailbox(person, now, now):
        return None
    for closing in diary.closings:
        if closing.person != person or closing.by_change:
            continue
        if closing.told <= now and closing.back == NEVER:
            return None if status == "disconnected" else f"{person.user_id} is {status} after a disconnect"
        if closing.since <= now < closing.until:
            return None
    if address != diary.address_of(person):
        return f"{person.user_id} is {status} with another mailbox"
    return _judge_grant(diary, person, now, status)


def _judge_grant(diary: Diary, person: Person, now: float, status: str) -> str | None:
    dead = next(
        (each for each in diary.revocations if each.person == person and each.since <= now < each.until), None
    )
    if dead is None:
        if status in {"connected", "degraded"}:
            return None
        return f"{person.user_id} is {status}, and its consent lives"
    noticed = now - dead.since > NOTICED_WITHIN and not _disturbed(diary, now - NOTICED_WITHIN, now)
    return (
        f"{person.user_id} is {status}, long after its consent died"
        if noticed and status == "connected"
        else None
    )


def judge_sending(send: Send, status: str, *, left: bool) -> str | None:
    """What is a lie in the status of a send at this moment."""
    if status == "sent" and not left:
        return f"{send.word} is sent before it left"
    if status == "failed" and left:
        return f"{send.word} is failed after it left"
    return None


def _disturbed(diary: Diary, since: float, until: float) -> bool:
    return any(begun < until and ended > since for _, _, begun, ended in diary.outages)


def summed(verdicts: Iterable[Verdict]) -> Mapping[str, int]:
    """The figures of many worlds."""
    total: Counter[str] = Counter()
    for verdict in verdicts:
        total["attempted"] += verdict.attempted
        total["acknowledged"] += verdict.acknowledged
        for kind in KINDS:
            total[kind] += len(verdict.faults[kind])
        total.update(verdict.figures)
    return total
