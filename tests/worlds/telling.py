"""What the worlds did, in words."""

from __future__ import annotations

from collections.abc import Mapping

WORDS = {
    "crm_writes": "threads begun by a CRM",
    "crm_replies": "replies of a CRM",
    "crm_repeats": "requests of a CRM made again",
    "contact_answers": "answers of a contact",
    "another_answers": "answers of somebody whom a mail was handed to",
    "user_answers": "answers written in Outlook",
    "user_forwards": "mails forwarded in Outlook",
    "private_mail": "private mails",
    "mail_goes": "mails moved or deleted",
    "everything_is_moved": "whole folders moved",
    "an_answer_kills": "answers that kill whoever reads them",
    "a_send_kills": "sends that kill whoever builds them",
    "a_thread_stops": "threads stopped and resumed",
    "consent_dies": "consents revoked",
    "disconnects": "disconnects with another connect",
    "updates_email": "mailboxes put in another's place",
    "signs_in_again": "sign-ins with the same mailbox",
    "outage_begins": "outages",
    "a_process_dies": "processes told to die",
    "all_workers_die": "deaths of all workers",
    "notifications_fail": "notifications lost, doubled or late",
    "lifecycle": "lifecycle notifications",
    "graph_fails": "single failures of Graph",
    "a_mailbox_is_throttled": "mailboxes throttled",
    "graphs_clock_is_set": "clocks of Graph set",
    "endpoints_are_opened": "endpoints opened again",
    "deaths": "deaths of a process",
    "unfit answers": "answers with a file that does not sync",
    "unfit sends": "sends with a file that does not sync",
    "drafts": "drafts that stay drafts",
    "send sent": "sends that left",
    "send failed": "sends that failed",
    "send unconfirmed": "sends of unknown outcome",
}


def in_words(done: Mapping[str, int]) -> str:
    """How many of each kind, in the order of the table; a kind that it does not know is told by its name."""
    known = [f"{done.get(name, 0)} {words}" for name, words in WORDS.items()]
    return ", ".join([*known, *(f"{count} {name}" for name, count in done.items() if name not in WORDS)])
