"""The mutants: which source is changed how, and which test must fail then.

Imports nothing of the product, so that all of it can still be changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Edit:
    """A text that stands once in a file, and what stands there instead."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken step. `proof`: the test that fails then, as pytest names it, `rule` what it breaks."""

    name: str
    rule: str
    edits: tuple[Edit, ...]
    proof: str

    def changed_sources(self) -> dict[str, str]:
        """The changed text of each file, by its path. Raises LookupError where a text no longer stands there once."""
        found: dict[str, str] = {}
        for edit in self.edits:
            text = found.get(edit.file) or (ROOT / edit.file).read_text(encoding="utf-8")
            if text.count(edit.old) != 1:
                raise LookupError(f"{self.name}: {edit.file} has {text.count(edit.old)} times {edit.old!r}")
            found[edit.file] = text.replace(edit.old, edit.new)
        return found


def _mutant(name: str, rule: str, proof: str, *edits: tuple[str, str, str]) -> Mutant:
    return Mutant(name, rule, tuple(Edit(*edit) for edit in edits), proof)


FUNCTIONS, STATE, DOMAIN = "tests/functions", "tests/unit/state", "tests/unit/domain"
SECURITY, GRAPH = "tests/unit/security", "tests/unit/graph"

MUTANTS: Final = (
    _mutant(
        "a notification is acknowledged before it is stored",
        "G-2",
        f"{FUNCTIONS}/test_receiving.py::test_a_change_becomes_a_hint",
        ("functions/graph_webhooks.py", "changes.set(split_changes(tuple(notifications.hints)))", "pass"),
    ),
    _mutant(
        "a send is acknowledged before it is stored",
        "A-7",
        f"{FUNCTIONS}/test_sending.py::test_a_send_is_accepted_durably",
        (
            "shared/sync/outbound/accept_outbound.py",
            "    await _write(ctx, item, connection.value.connection_id)\n",
            "",
        ),
    ),
    _mutant(
        "a record is replaced whatever has become of it",
        "E-2",
        f"{STATE}/test_ledger.py::test_writes_outside_the_fence_hold_to_their_etags",
        (
            "shared/state/ledger.py",
            "import Delete, Insert, Op, Replace, Row, TableStore",
            "import Delete, Insert, Op, Replace, Row, TableStore, Upsert",
        ),
        (
            "shared/state/ledger.py",
            "return Replace(row, encode(change), change.etag) if change.etag else",
            "return Upsert(row, encode(change)) if change.etag else",
        ),
    ),
    _mutant(
        "what passes does not write the fence",
        "E-4",
        f"{STATE}/test_ledger.py::test_a_mailbox_that_closed_meanwhile_stops_a_worker_that_read_it_open",
        (
            "shared/state/mailbox_rows.py",
            "chosen = [open_to[int(jitter * len(open_to))]] if passes else []",
            "chosen: list[str] = []",
        ),
    ),
    _mutant(
        "who closes a mailbox writes one fence row",
        "E-4",
        f"{STATE}/test_ledger.py::test_who_closes_a_mailbox_closes_every_fence_row_that_there_is",
        (
            "shared/state/mailbox_rows.py",
            "*sorted({*made, *(before.fences if before is not None else ())})",
            "*made",
        ),
    ),
    _mutant(
        "the generation of a mailbox is not looked at",
        "R5",
        f"{FUNCTIONS}/test_unit_of_work.py::test_being_fenced_out_is_final",
        (
            "shared/sync/mailbox/unit_of_work.py",
            "if generation is not None and generation != stored.value.generation:",
            "if False:",
        ),
    ),
    _mutant(
        "a commit without an answer is taken for lost",
        "E-6",
        f"{STATE}/test_ledger.py::test_a_lost_answer_is_concluded_as_done",
        ("shared/state/ledger.py", "if found is None or found.marks.get(row) != mark:", "if True:"),
    ),
    _mutant(
        "a task is not in the transaction of its row",
        "E-1",
        f"{STATE}/test_ledger.py::test_tasks_come_move_and_go_with_their_row",
        ("shared/state/ledger.py", "{keys.row_of(task): encode(Stored(task)) for task in fresh}", "{}"),
    ),
    _mutant(
        "the due row is written after the transaction that needs it",
        "E-1",
        f"{STATE}/test_ledger.py::test_no_work_is_written_without_its_due_row",
        (
            "shared/state/ledger.py",
            "        plan = _plan(changes)\n        await self._add_due(ref, plan.added)\n",
            "        plan = _plan(changes)\n",
        ),
        (
            "shared/state/ledger.py",
            "        return Written(tuple(etags[: len(changes)]), plan.added)",
            """        await self._add_due(ref, plan.added)
        return Written(tuple(etags[: len(changes)]), plan.added)""",
        ),
    ),
    _mutant(
        "a clientState's signature is not checked",
        "G-2",
        f"{SECURITY}/test_client_state.py",
        ("shared/security/client_state.py", " if any(good) else None", ""),
    ),
    _mutant(
        "the secret in a webhook's path is not checked",
        "G-3",
        f"{FUNCTIONS}/test_receiving.py::test_another_path_is_not_there",
        ("functions/graph_webhooks.py", "        raise NotFound\n", "        pass\n"),
    ),
    _mutant(
        "an API key's secret is not checked",
        "A-1",
        f"{SECURITY}/test_api_keys.py::test_one_keys_secret_does_not_open_another",
        (
            "shared/security/api_keys.py",
            "return hmac.compare_digest(self._hash(secret).encode(), secret_hash.encode())",
            "return True",
        ),
    ),
    _mutant(
        "a file link's signature is not checked",
        "F-5",
        f"{SECURITY}/test_links.py::test_nobody_makes_a_link_last_longer",
        ("shared/security/links.py", "if not any(good) or int(", "if int("),
    ),
    _mutant(
        "a file link's end is forgotten",
        "F-5",
        f"{SECURITY}/test_links.py::test_a_link_ends",
        (
            "shared/security/links.py",
            "if not any(good) or int(parts[-1]) <= now.timestamp():",
            "if not any(good):",
        ),
    ),
    _mutant(
        "a session's end is forgotten",
        "W-3",
        f"{STATE}/test_sessions.py::test_a_row_ends_at_its_time",
        ("shared/state/sessions.py", "if stored.value.expires_at <= self._clock.now() or await", "if await"),
    ),
    _mutant(
        "a one-time row is used before it is gone",
        "O-4",
        f"{STATE}/test_sessions.py::test_of_two_at_the_same_moment_one_wins",
        (
            "shared/state/sessions.py",
            "await self._tables.delete(keys.SESSIONS, PARTITIONS[kind], secret_hash(secret), stored.etag)",
            "await self._tables.delete(keys.SESSIONS, PARTITIONS[kind], secret_hash(secret))",
        ),
    ),
    _mutant(
        "a sealed value is not bound to its place",
        "K-3",
        f"{SECURITY}/test_sealing.py::test_a_value_moved_elsewhere_does_not_open",
        (
            "shared/security/sealing.py",
            'return json.dumps([VERSION, *place], ensure_ascii=True, separators=(",", ":")).encode()',
            'return b""',
        ),
    ),
    _mutant(
        "tokens rise again after a disconnect",
        "K-7",
        f"{STATE}/test_connections.py::test_no_token_rises_again_after_disconnect",
        (
            "shared/state/connections.py",
            "import Delete, Insert, Op, Replace, Row, TableStore",
            "import Delete, Insert, Op, Replace, Row, TableStore, Upsert",
        ),
        (
            "shared/state/connections.py",
            '    return Replace(row, encode(before.changed(value)), before.etag or "")',
            "    return Upsert(row, encode(before.changed(value)))",
        ),
    ),
    _mutant(
        "another draft is made after the first was sent",
        "E-10",
        f"{DOMAIN}/test_outbound.py::test_an_unknown_outcome_is_asked_about_first",
        (
            "shared/domain/outbound.py",
            "    if item.phase in (Phase.NEW, Phase.BUILDING):\n        return _before",
            "    if item.phase in (Phase.NEW, Phase.BUILDING, Phase.SENDING):\n        return _before",
        ),
    ),
    _mutant(
        "a lease is ignored",
        "E-4",
        f"{DOMAIN}/test_outbound.py::test_a_send_that_another_worker_holds_is_left_alone",
        ("shared/domain/outbound.py", "    if held_by_another is not None:\n", "    if False:\n"),
    ),
    _mutant(
        "a draft is made without our key",
        "E-17",
        f"{FUNCTIONS}/test_sends_leaving.py::test_what_is_sent_is_what_was_asked_for",
        (
            "shared/sync/outbound/draft_message.py",
            "content = DraftContent(item.key, item.to,",
            "content = DraftContent(None, item.to,",
        ),
    ),
    _mutant(
        "a POST without an answer is taken for not sent",
        "E-7",
        f"{GRAPH}/test_client.py",
        (
            "shared/graph/client.py",
            "raise (Ambiguous if operation in UNSAFE else ProviderUnavailable) from err",
            "raise ProviderUnavailable from err",
        ),
    ),
    _mutant(
        "another body under a known id is taken",
        "A-5",
        f"{FUNCTIONS}/test_sending.py::test_another_body_under_the_same_id_is_refused",
        (
            "shared/sync/outbound/accept_outbound.py",
            "    if claim.body_hash != request.body_hash:\n        raise CrmMessageIdReused\n    ctx = ",
            "    ctx = ",
        ),
    ),
    _mutant(
        "a mail is told without being noted as seen",
        "E-16",
        f"{FUNCTIONS}/test_inbound.py::test_a_doubled_notification_changes_nothing",
        (
            "shared/sync/inbound/record_import.py",
            "        *await plan_seen_rows(ctx, mailbox, seen, outline, known.held),\n",
            "",
        ),
        (
            "shared/domain/copies.py",
            "    if index is None:\n        return ()\n    others",
            "    return ()\n    others",
        ),
    ),
    _mutant(
        "a copy of a mail is told as well",
        "E-15",
        f"{DOMAIN}/test_copies.py::test_a_copy_has_the_same_author_and_nearly_the_same_time",
        (
            "shared/domain/copies.py",
            "    if index is None:\n        return ()\n    others",
            "    return ()\n    others",
        ),
    ),
    _mutant(
        "a mail that is held counts as decided on",
        "R14",
        f"{FUNCTIONS}/test_held.py::test_what_became_readable_is_told_after_all",
        (
            "shared/sync/inbound/hold_mail.py",
            "row = Seen(name, message_id, thread_id, reason, now, again)",
            "row = Seen(name, message_id, thread_id, reason, now)",
        ),
    ),
    _mutant(
        "the sweep's cursor goes ahead of what is stored",
        "E-25",
        f"{FUNCTIONS}/test_sweeps.py::test_a_sweep_that_is_stopped_on_the_way_goes_on_from_there",
        (
            "shared/sync/inbound/sweep_mailbox.py",
            "return place.since if place is not None else self.asked_at",
            "return self.began_at",
        ),
    ),
    _mutant(
        "a sweep begins where the last one ended",
        "E-25",
        f"{FUNCTIONS}/test_sweeps.py::test_a_mail_that_shows_up_late_in_lists_is_swept",
        (
            "shared/domain/renewals.py",
            "SWEEP_OVERLAP: Final = timedelta(minutes=10)",
            "SWEEP_OVERLAP: Final = timedelta(0)",
        ),
    ),
    _mutant(
        "a mail is read before anything shows that it is ours",
        "R4",
        f"{FUNCTIONS}/test_inbound.py::test_foreign_mail_is_never_looked_into",
        (
            "shared/sync/inbound/import_message.py",
            "    traced = await find_evidence(ctx, mailbox, outline)\n",
            "    await _fetch(ctx, outline)\n    traced = await find_evidence(ctx, mailbox, outline)\n",
        ),
    ),
    _mutant(
        "a known conversation alone is evidence",
        "R4",
        f"{DOMAIN}/test_admission.py::test_a_conversation_counts_only_with_a_known_participant",
        (
            "shared/domain/admission.py",
            "(entry for entry in ranked if entry[1] > 0 or reported)",
            "(entry for entry in ranked)",
        ),
    ),
    _mutant(
        "an event gets another id each time",
        "E-19",
        f"{DOMAIN}/test_ids.py::test_the_same_happening_has_one_event_id",
        (
            "shared/domain/ids.py",
            "return f\"evt_{digest('event', tenant_id, kind, subject, str(version))}\"",
            "return f\"evt_{digest('event', tenant_id, kind, subject, __import__('uuid').uuid4().hex)}\"",
        ),
    ),
    _mutant(
        "a CRM's 500 counts as a yes",
        "C-8",
        f"{DOMAIN}/test_retries.py",
        (
            "shared/domain/retries.py",
            "if status is not None and 200 <= status < 300:",
            "if status is not None and 200 <= status < 600:",
        ),
    ),
    _mutant(
        "an unreadable row is forgotten by the tick",
        "E-1",
        f"{FUNCTIONS}/test_newer_version.py::test_a_task_of_an_unknown_kind_stays_listed",
        ("shared/sync/tasks/enqueue_due_work.py", "    if due or read.more:\n", "    if due:\n"),
    ),
)
