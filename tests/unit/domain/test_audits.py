"""What a daily audit looks at, what it leaves out, and when the next one is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from shared.domain import audits
from shared.domain.model import Audit, Author, Mailbox, MessageIndex, Thread
from tests.builders import NOW, a_mailbox, outline, thread

ACTIVE = a_mailbox(last_thread_activity_at=NOW - timedelta(hours=1))


def threads(count: int, **changes: object) -> list[Thread]:
    found = [thread(thread_id=f"thr_{number:03d}", active_from=NOW, **changes) for number in range(count)]
    return [of(ACTIVE, each) for each in found]


def of(mailbox: Mailbox, begun: Thread) -> Thread:
    return replace(begun, connection_id=mailbox.connection_id, generation=mailbox.generation)


def test_audits_are_planned_within_a_day_and_spread() -> None:
    """An active mailbox gets its first audit within a day, each at its own time; a quiet one gets none."""
    planned = [
        audits.with_audit_planned(replace(ACTIVE, connection_id=f"con_{number}"), NOW).audit_at
        for number in range(50)
    ]
    assert all(at is not None and NOW <= at <= NOW + audits.AUDIT_EVERY for at in planned)
    assert len(set(planned)) > 40
    quiet = replace(ACTIVE, last_thread_activity_at=NOW - timedelta(days=8))
    assert audits.with_audit_planned(quiet, NOW).audit_at is None
    kept = replace(ACTIVE, audit_at=NOW)
    assert audits.with_audit_planned(kept, NOW + timedelta(hours=5)) == kept


def begun(**changes: object) -> Audit:
    audit = Audit(NOW, ACTIVE.generation, NOW - timedelta(days=7), NOW - timedelta(days=7))
    return replace(audit, **changes)


def test_threads_of_the_last_week_that_sync() -> None:
    """Audited are the threads that sync and were active within a week."""
    fresh, old, stopped, other = threads(4, conversation_ids=("c",))
    old = replace(old, active_from=NOW - timedelta(days=9), newest_at=NOW - timedelta(days=8))
    stopped = replace(stopped, stopped_at=NOW)
    other = replace(other, generation=ACTIVE.generation + 1)
    indexes = [MessageIndex(f"<{each.thread_id}@x>", each.thread_id, "m", NOW) for each in (fresh, old)]
    known = audits.known_threads([other, stopped, old, fresh], indexes, ACTIVE, begun())
    assert (known.threads, known.conversation_ids) == (1, {"c"})
    assert len(known.message_ids) == 1


def test_what_may_be_of_a_thread() -> None:
    """Our key, a known Message-ID, a tag or a conversation lead to a thread; a draft and a stranger's mail do not."""
    known = audits.known_threads(
        threads(1, conversation_ids=("c",)), [MessageIndex("<a@x>", "thr_000", "m", NOW)], ACTIVE, begun()
    )
    foreign = outline(
        internet_message_id="<b@x>",
        conversation_id="d",
        in_reply_to=None,
        references=(),
        key=None,
        is_draft=False,
    )
    assert not known.may_hold(foreign)
    for changes in (
        {"key": "k"},
        {"internet_message_id": "<a@x>"},
        {"conversation_id": "c"},
        {"in_reply_to": "<a@x>"},
        {"references": ("<z@x>", "<a@x>")},
    ):
        assert known.may_hold(replace(foreign, **changes)), changes
        assert not known.may_hold(replace(foreign, **changes, is_draft=True))


def test_a_week_is_audited_where_that_is_little() -> None:
    """The first audit goes a week back, later ones too where that is twenty pages; else to the audit before."""
    assert audits.begin_audit(ACTIVE, NOW).since == NOW - timedelta(days=7)
    day_before = NOW - timedelta(days=1)
    for calls, since in ((20, NOW - timedelta(days=7)), (21, day_before - audits.JUDGED_BEFORE)):
        before = begun(began_at=day_before, since=day_before - timedelta(days=7), calls=calls)
        assert audits.begin_audit(replace(ACTIVE, audited=before), NOW).since == since
    of_a_day = begun(began_at=day_before, since=day_before - timedelta(days=1), calls=2)
    assert audits.begin_audit(replace(ACTIVE, audited=of_a_day), NOW).since == NOW - timedelta(days=7)
    missed_days = replace(of_a_day, began_at=NOW - timedelta(days=30), calls=900)
    assert audits.begin_audit(replace(ACTIVE, audited=missed_days), NOW).since == NOW - timedelta(days=7)


def test_pages_are_read_by_time_to_an_empty_one() -> None:
    """The next page begins at the newest second that came, behind its rows; only an empty page is the end."""
    audit = begun()
    at = audit.place + timedelta(hours=1)
    page = [outline(received_at=at - timedelta(seconds=5)), outline(received_at=at), outline(received_at=at)]
    behind = audits.after_page(audit, page)
    assert behind is not None
    assert (behind.place, behind.skip) == (at, 2)
    further = audits.after_page(behind, [outline(received_at=at)])
    assert further is not None
    assert (further.place, further.skip) == (at, 3)
    assert audits.after_page(further, []) is None
    timeless = audits.after_page(further, [outline(received_at=None)])
    assert timeless is not None
    assert timeless.skip == 4


def test_young_mail_is_not_late() -> None:
    """Mail of the last half hour may still be on its way: the audit ends before it."""
    assert audits.until(begun()) == NOW - timedelta(minutes=30)


def test_what_was_left_out_is_not_judged_each_day() -> None:
    """A mail that an audit has judged and left out is not looked at by the next; without an audit before, all are."""
    mailbox = replace(ACTIVE, audited=begun())
    for received_at, judged in (
        (NOW - timedelta(hours=2), True),
        (NOW - timedelta(minutes=50), False),
        (NOW - timedelta(days=8), False),
        (None, False),
    ):
        assert audits.was_judged(outline(received_at=received_at), mailbox) is judged
    assert not audits.was_judged(outline(received_at=NOW - timedelta(hours=2)), ACTIVE)


def test_a_copy_is_known_by_message_id_and_time() -> None:
    """The same Message-ID within ten minutes is a copy; hours apart it is a mail of its own."""
    index = MessageIndex("<a@x>", "thr_1", "msg_1", NOW, others=(Author("a@x", NOW + timedelta(days=1)),))
    assert audits.is_copy(outline(received_at=NOW + timedelta(minutes=9)), index)
    assert audits.is_copy(outline(received_at=NOW + timedelta(days=1)), index)
    assert not audits.is_copy(outline(received_at=NOW + timedelta(hours=2)), index)
    assert not audits.is_copy(outline(received_at=NOW), None)


def test_the_figure_is_kept_when_the_audit_has_ended() -> None:
    """Between slices the counts are kept apart from the figure; the next audit begins a day after this one began."""
    audit = begun(threads=3, in_mailbox=9, told=8, found_late=1, failures=2)
    later = NOW + timedelta(hours=1)
    between = audits.after_slice(ACTIVE, audit, later, ended=False)
    assert (between.auditing, between.audited, between.audit_at) == (
        audit,
        None,
        later + audits.NEXT_SLICE_AFTER,
    )
    assert audits.begin_audit(between, later) == audit
    done = audits.after_slice(between, audit, later, ended=True)
    assert done.audited == replace(audit, ended_at=later, failures=0)
    assert (done.auditing, done.audit_at) == (None, NOW + audits.AUDIT_EVERY)
    quiet = replace(ACTIVE, last_thread_activity_at=NOW - timedelta(days=8))
    assert audits.after_slice(quiet, audit, later, ended=True).audit_at is None


def test_an_audit_of_another_connection_is_begun_anew() -> None:
    """What another generation had counted is not gone on with."""
    other = replace(ACTIVE, auditing=begun(generation=ACTIVE.generation - 1, told=5))
    assert audits.begin_audit(other, NOW) == begun()


def test_a_failed_slice_is_tried_again_seldom() -> None:
    """A failure puts a slice off by a quarter of an hour at least; a given up audit begins anew tomorrow."""
    soon = audits.after_failure(ACTIVE, NOW + timedelta(seconds=15), 2, NOW)
    assert soon.audit_at == NOW + audits.NEXT_SLICE_AFTER
    assert soon.auditing is not None
    assert soon.auditing.failures == 2
    over = audits.after_failure(soon, None, 0, NOW)
    assert (over.auditing, over.audit_at) == (None, NOW + audits.AUDIT_EVERY)
