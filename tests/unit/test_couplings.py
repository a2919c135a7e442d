"""Numbers that hold only together: each stands in one place, and what must be longer than what is said here."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from shared import azure_http, endpoint_watch, turns
from shared.crm import generic
from shared.domain import connection, inbound, leases, leftovers, outbound, renewals, retention
from shared.graph import client
from shared.security import fetch
from shared.state import due, keys, sessions
from shared.sync.events import announce, deliver_event, endpoint, list_events, rendering
from shared.sync.inbound import receive_change
from shared.sync.mailbox import unit_of_work
from shared.sync.tasks import enqueue_due_work, erase_unnamed, finish_closing, sweep_after_outage

ROOT = Path(__file__).parents[2]
HOST: dict[str, Any] = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
STORE_CALL = timedelta(seconds=azure_http.CONNECT_SECONDS + azure_http.READ_SECONDS)
LONGEST_CHANGE = unit_of_work.TRIES_FOR + STORE_CALL  # from the first try to the end of the last
CLOCKS_APART = timedelta(minutes=20)  # how far our clock and others' may be apart without harm


def span(text: str) -> timedelta:
    """A time span as host.json writes it."""
    hours, minutes, seconds = map(int, text.split(":"))
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


FUNCTION = span(HOST["functionTimeout"])
QUEUES = HOST["extensions"]["queues"]


# ---- one rule, one place


def test_links_are_good_as_long_as_their_files_are_kept() -> None:
    """A link of an event that was just taken leads to a file until its end."""
    assert announce.LINK_FOR == retention.KEPT_ONCE_TOLD


def test_five_weeks_are_one_number() -> None:
    """What is held for an endpoint that is off, and what the storage account empties, end with the content."""
    assert endpoint.LOOK_BACK == retention.KEPT_AT_MOST
    bicep = (ROOT / "infra" / "main.bicep").read_text(encoding="utf-8")
    found = re.search(r"container: 'staging', days: (\d+)", bicep)
    assert found is not None
    assert timedelta(days=int(found[1])) == retention.KEPT_AT_MOST


# ---- leases


def test_a_lease_outlasts_the_longest_step_that_is_not_renewed() -> None:
    """A file goes by up to three calls of Graph; a linked one is fetched, then kept."""
    left = leases.LEASE - leases.RENEW_AFTER
    assert left >= 3 * timedelta(seconds=client.TIMEOUT_SECONDS)
    assert left >= timedelta(seconds=fetch.TIMEOUT_SECONDS) + 2 * STORE_CALL


def test_drafts_are_tidied_when_no_worker_can_still_be_at_one() -> None:
    """Who lost its lease may go on as long as a function may."""
    assert leftovers.TIDY_AFTER >= FUNCTION


def test_a_sweep_lease_outlasts_its_function() -> None:
    """A second worker does not begin while the first may still be at it."""
    assert renewals.SWEEP_LEASE >= FUNCTION


# ---- changes of a mailbox


def test_a_due_note_outlasts_the_transaction_that_it_came_before() -> None:
    """The timers read a bucket until its grace is over: by then the task's row stands, however many tries it took."""
    assert LONGEST_CHANGE <= due.GRACE


def test_a_request_that_loses_races_is_answered_before_azure_gives_it_up() -> None:
    """Azure's load balancer closes a request after 230 seconds ("Azure Functions HTTP triggers")."""
    waits = timedelta(seconds=turns.LONGEST_WAIT_SECONDS + deliver_event.TOGETHER_SECONDS)
    assert waits + LONGEST_CHANGE < timedelta(seconds=230)


def test_all_tries_fit_the_time_that_they_have() -> None:
    """Pauses grow to a second: the tries end before their time does, unless the store itself is slow."""
    pauses = unit_of_work.MAX_TRIES * unit_of_work.LONGEST_PAUSE_SECONDS
    assert timedelta(seconds=pauses) <= unit_of_work.TRIES_FOR


def test_the_feed_waits_for_whoever_is_still_writing() -> None:
    """An event takes its time before its transaction: a cursor passes nothing that may still land before it."""
    assert list_events.SETTLED >= LONGEST_CHANGE + STORE_CALL


# ---- queues


def test_a_queue_message_survives_two_minutes_without_tables() -> None:
    """So many deliveries at that distance: a shorter outage makes no poison message, whatever the workers raise."""
    survives = QUEUES["maxDequeueCount"] * span(QUEUES["visibilityTimeout"])
    assert survives >= timedelta(minutes=2)


def test_due_work_is_enqueued_again_only_after_it_had_its_time() -> None:
    """A bucket is as long as the delay up to which work is announced at once."""
    from shared.sync.queueing import jobs

    assert timedelta(seconds=jobs.SOON_SECONDS) >= keys.BUCKET
    assert enqueue_due_work.MOST_A_MAILBOX <= enqueue_due_work.MOST_READ


# ---- deliveries


def test_a_tick_announces_work_anew_when_the_host_has_told_of_a_death() -> None:
    """The host hides a dead worker's message for ten minutes (Azure WebJobs SDK, `QueueProcessor`)."""
    assert timedelta(minutes=10) < due.ANNOUNCED_FOR
    assert sweep_after_outage.OUTAGE_LAG > due.BEHIND


def test_an_invocation_waits_for_the_crm_no_longer_than_it_says() -> None:
    """The last try begins while one of them still fits."""
    assert deliver_event.ONE_TRY_SECONDS == generic.TIMEOUT_SECONDS
    assert deliver_event.TOGETHER_SECONDS == 20
    slow_after = endpoint_watch.SLOW_AFTER.total_seconds()
    assert slow_after <= deliver_event.TOGETHER_SECONDS - deliver_event.ONE_TRY_SECONDS


def test_an_events_own_task_comes_after_the_first_try() -> None:
    """Else the timer would deliver what is just being delivered."""
    assert timedelta(seconds=deliver_event.TOGETHER_SECONDS) < rendering.FIRST_ATTEMPT_WITHIN


def test_a_closed_mailbox_is_asked_until_no_try_can_let_a_send_leave() -> None:
    """And some looks longer, so that one of them finds its draft where it was left."""
    assert connection.ASKED_FOR >= outbound.UNKNOWN_AFTER + 3 * finish_closing.LOOK_AGAIN


def test_a_mailbox_has_its_calls_under_way_and_not_all_of_the_host() -> None:
    """One more message than calls keeps both calls busy; several mailboxes with a backlog still leave room."""
    assert client.IN_FLIGHT_A_MAILBOX < receive_change.MOST_MESSAGES_AT_ONCE
    assert QUEUES["batchSize"] >= 4 * receive_change.MOST_MESSAGES_AT_ONCE


# ---- sweeps and clocks


def test_sweeps_overlap_by_more_than_the_clocks_of_one_answer_differ() -> None:
    """Graph stamps mails by several servers' clocks; the cursor itself is Graph's time, never ours."""
    assert renewals.SWEEP_OVERLAP >= 2 * inbound.CLOCKS_DIFFER


# ---- what no row names


def test_bytes_are_given_the_time_to_get_their_row() -> None:
    """Whoever staged them has ended long before somebody asks whose they are."""
    assert retention.UNNAMED_AFTER >= 2 * FUNCTION + CLOCKS_APART
    assert sessions.TAKEN_FOR >= FUNCTION + CLOCKS_APART


def test_an_event_is_looked_for_around_the_time_of_its_body() -> None:
    """The storage account's clock and ours may be apart, and the transaction takes its tries."""
    assert erase_unnamed.CLOCKS_DIFFER >= CLOCKS_APART + LONGEST_CHANGE


def test_spans_of_the_host_are_read_right() -> None:
    """Ten minutes for a function, half a minute until a message shows again."""
    assert (FUNCTION, cast("int", QUEUES["maxDequeueCount"])) == (timedelta(minutes=10), 5)
