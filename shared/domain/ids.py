"""Ids: how ours are made, and how those from outside are compared.

Case matters in every id from outside (Graph's, the CRM's, Message-IDs); none of them is ever folded. What is
hashed is hashed whole, so that no two ids meet by cutting.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from shared.hashing import digest

_TENANT: Final = re.compile(r"ten_[a-z0-9]{1,60}")
_LOCATED: Final = re.compile(r"(?P<kind>msg|thr|fil|evt)_(?P<mailbox>[a-z2-7]{26})_(?P<rest>[a-z2-7]{26})")


def is_tenant_id(text: str) -> bool:
    """Whether this may be the id of a tenant: it then may stand in a key as it is."""
    return _TENANT.fullmatch(text) is not None


def mailbox_id(tenant_id: str, tid: str, oid: str) -> str:
    """The same mailbox of a tenant has the same id for ever, so that a later connection finds its threads (R9)."""
    return f"mbx_{digest('mailbox', tenant_id, tid, oid)}"


def crm_key(tenant_id: str, crm_message_id: str) -> str:
    """K of E-17: lower-case hex, because Graph compares property values without case."""
    return hashlib.sha256(b"\x00".join((tenant_id.encode(), crm_message_id.encode()))).hexdigest()


def outbound_message_id(mailbox: str, key: str) -> str:
    """Our id of a message the CRM sends: found again from its K alone."""
    return _located("msg", mailbox, digest("outbound", key))


def inbound_message_id(mailbox: str, graph_message_id: str) -> str:
    """Our id of a message found in the mailbox: the same however often it is found."""
    return _located("msg", mailbox, digest("mailbox-message", graph_message_id))


def thread_id(mailbox: str, key: str) -> str:
    """The id of the thread that this send begins: it ends as the id of its opening message does."""
    return _located("thr", mailbox, digest("outbound", key))


def opening_message_id(thread_id: str) -> str:
    """The id of the message that begins this thread."""
    return f"msg_{thread_id.removeprefix('thr_')}"


def message_ids_begin(mailbox: str) -> str:
    """How every id of a message of this mailbox begins."""
    return f"msg_{mailbox.removeprefix('mbx_')}_"


def event_id(tenant_id: str, kind: str, subject: str, version: int = 1) -> str:
    """The same happening can never get two ids (E-19)."""
    return f"evt_{digest('event', tenant_id, kind, subject, str(version))}"


def mailbox_of(located_id: str, kind: str) -> str | None:
    """The mailbox that a message or thread id names, or None when it is no such id of ours."""
    match = _LOCATED.fullmatch(located_id)
    return f"mbx_{match['mailbox']}" if match and match["kind"] == kind else None


def _located(kind: str, mailbox: str, rest: str) -> str:
    return f"{kind}_{mailbox.removeprefix('mbx_')}_{rest}"
