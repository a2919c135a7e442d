"""Writes a corpus of what this version stores: `python -m tests.unit.state.freezing NAME` before a release.

Each corpus in `frozen/` is read for ever by `test_frozen.py`; none is ever written again.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec

from shared.domain import model
from shared.domain.model import ChangeHint, Mailbox, Task, TaskKind
from shared.security.client_state import ClientStateSigner
from shared.security.sealing import EnvelopeSealer, LocalKeyWrapper
from shared.state import (
    claims,
    connections,
    dead_letters,
    keys,
    mailbox_rows,
    session_notes,
    sessions,
    subscription_trail,
    tenants,
)
from shared.state.codec import Stored, encode
from shared.storage.api import Insert
from shared.storage.testing import MemoryTables
from shared.sync.queueing.jobs import QUEUE_OF, Changes, TaskMessage, encode_job
from shared.sync.staging import Body
from tests.builders import NOW, SeededRandom, StillClock

FOLDER: Final = Path(__file__).parent / "frozen"
KINDS: Final[dict[str, type[Any]]] = {
    kind.__name__: kind
    for kind in (
        *(model.Thread, model.ThreadMessage, model.ConversationLink, model.MessageIndex, model.Seen),
        *(model.OutboxItem, model.Event, model.Activity, model.Task, model.MessageRecord, model.Connection),
        *(model.Tenant, model.ApiKey, model.WebhookSecret, claims.MailboxClaim, claims.SendClaim),
        *(connections.Current, connections.Sealed, dead_letters.DeadLetter),
        *(subscription_trail.SubscriptionNote, sessions.SessionLink, sessions.Session, sessions.StartTicket),
        *(sessions.SignInState, sessions.PendingConnection, sessions.PendingDisconnect, sessions.Upload),
        *(session_notes.Result, session_notes.SignInAttempt, session_notes.UserEnd, tenants.DataKey),
        tenants.MailboxOfTenant,
    )
}
KEYED: Final = get_args(keys.Record)
SEALING_KEY: Final = bytes(range(32))
PLACE: Final = ("Connections", "ten|user", "tokens:con_1", "sealed")
CLIENT_STATE_KEY: Final = "client-state-key-of-enough-characters"
_NUMBERS: Final = iter(range(1, 1_000_000))


def samples(kind: type[Any]) -> Iterator[Any]:
    """Records of a kind: with as little as may be, with everything, and one for each value of each enum in it."""
    hints = get_type_hints(kind)
    least = {member.name: _sample(hints[member.name]) for member in fields(kind) if _has_no_default(member)}
    yield kind(**least)
    yield kind(**{member.name: _sample(hints[member.name]) for member in fields(kind)})
    for member in fields(kind):
        for value in _values(hints[member.name]):
            yield kind(**{**least, member.name: value})


def _has_no_default(member: Any) -> bool:
    return "MISSING" in repr(member.default) and "MISSING" in repr(member.default_factory)


def _values(hint: Any) -> list[Enum]:
    found = [
        found for part in (get_args(hint) or (hint,)) for found in ([part] if isinstance(part, type) else [])
    ]
    return [value for part in found if issubclass(part, Enum) for value in part]


def _sample(hint: Any) -> Any:
    """A value of that type, no two alike where that can be."""
    number = next(_NUMBERS)
    if get_origin(hint) in {Union, UnionType}:
        return _sample(next(part for part in get_args(hint) if part is not type(None)))
    if get_origin(hint) is tuple:
        return (_sample(get_args(hint)[0]), _sample(get_args(hint)[0]))
    if issubclass(hint, Enum):
        return next(iter(hint))
    plain = {str: f"text {number}", int: number, bool: True, bytes: b"bytes", float: number + 0.5}
    if hint in plain:
        return plain[hint]
    if hint is type(NOW):
        return NOW + timedelta(microseconds=number)
    return hint(**{member.name: _sample(get_type_hints(hint)[member.name]) for member in fields(hint)})


def rows() -> list[dict[str, Any]]:
    """Every kind of record as it lies in its table, with its row key where that follows from it."""
    return [
        {
            "kind": name,
            "row": keys.row_of(record) if isinstance(record, KEYED) else None,
            "columns": encode(Stored(record)),
        }
        for name, kind in KINDS.items()
        for record in samples(kind)
    ]


def mailboxes() -> list[list[dict[str, Any]]]:
    """Mailboxes, each as the rows it lies in."""
    found = []
    for mailbox in samples(Mailbox):
        names = mailbox_rows.rows_to_write(None, mailbox, passes=True, jitter=0.0)
        ops = [mailbox_rows.written(None, mailbox, name, "mark") for name in names]
        found.append([{"row": op.row, "columns": dict(op.values)} for op in ops if isinstance(op, Insert)])
    return found


def messages() -> list[dict[str, str]]:
    """Every queue message."""
    hint = ChangeHint("northwind-1", 1, "sub-1", "AAMk", "created")
    lifecycle = ChangeHint("northwind-1", 1, "sub-1", lifecycle_event="missed")
    found = [{"queue": keys.CHANGES, "text": encode_job(Changes((hint, lifecycle)))}]
    for kind in TaskKind:
        text = encode_job(TaskMessage("ten_northwind", "mbx_1", Task(NOW, kind, "ref", 1, NOW, 2)))
        found.append({"queue": QUEUE_OF[kind], "text": text})
    return found


async def secrets(folder: Path) -> dict[str, str]:
    """A sealed value with its wrapped data key, and a clientState."""
    key = folder / "key"
    key.write_bytes(SEALING_KEY)
    key.chmod(0o600)
    tables = MemoryTables()
    await tables.ensure(keys.TABLES)
    kept = tenants.Tenants(tables, StillClock())
    sealer = EnvelopeSealer(LocalKeyWrapper(key), kept, StillClock(), SeededRandom())
    sealed = await sealer.seal("ten_northwind", PLACE, b"token cache")
    found = await kept.load_data_key("ten_northwind", None)
    assert found
    state = ClientStateSigner([CLIENT_STATE_KEY]).mint("northwind-1", 7, "nonce")
    return {"data_key": found[0], "wrapped": found[1], "sealed": sealed, "client_state": state}


def corpus() -> dict[str, Any]:
    """Everything."""
    with tempfile.TemporaryDirectory() as folder:
        kept = asyncio.run(secrets(Path(folder)))
    body = msgspec.json.encode(Body("<p>Hello</p>", "Hello")).decode()
    return {"rows": rows(), "mailboxes": mailboxes(), "messages": messages(), "body": body, "secrets": kept}


def main() -> None:
    """Write the corpus; one of that name must not be there."""
    path = FOLDER / f"{sys.argv[1]}.json"
    with path.open("x", encoding="utf-8") as file:
        json.dump(corpus(), file, indent=1, ensure_ascii=False)
        file.write("\n")


if __name__ == "__main__":
    main()
