"""Who was first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.domain.errors import OutcomeUnknown, RowChanged
from shared.state.claims import Claims, MailboxClaim, SendClaim
from shared.state.codec import Stored
from shared.storage.testing import Call, MemoryTables
from tests.builders import KEY, MAILBOX, NOW, TENANT, THREAD

ANN = MailboxClaim(TENANT, "u_ann", MAILBOX.mailbox_id, NOW)
BOB = MailboxClaim("ten_fabrikam", "u_bob", "mbx_other", NOW)
SEND = SendClaim("hash-1", MAILBOX.mailbox_id, "msg_1", THREAD, 1, NOW)


async def test_a_mailbox_has_one_holder(claims: Claims) -> None:
    """The second to claim a mailbox learns who holds it, in whatever tenant (R1)."""
    assert (await claims.claim_mailbox("tid", "oid", ANN)).value == ANN
    assert (await claims.claim_mailbox("tid", "oid", BOB)).value == ANN


async def test_other_mailboxes_are_other_claims(claims: Claims) -> None:
    """A claim is for one pair of directory and object id, case included."""
    await claims.claim_mailbox("tid", "oid", ANN)
    for tid, oid in (("tid", "OID"), ("tid2", "oid"), ("tido", "id")):
        assert (await claims.claim_mailbox(tid, oid, BOB)).value == BOB


async def test_a_claim_passes_on_once(claims: Claims) -> None:
    """Of two who take over the same claim at once one succeeds."""
    await claims.claim_mailbox("tid", "oid", ANN)
    held = await claims.claim_mailbox("tid", "oid", BOB)
    await claims.move_mailbox("tid", "oid", held.changed(BOB))
    with pytest.raises(RowChanged):
        await claims.move_mailbox("tid", "oid", held.changed(replace(BOB, user_id="u_eve")))
    assert (await claims.claim_mailbox("tid", "oid", ANN)).value == BOB


async def test_a_send_is_claimed_once(claims: Claims) -> None:
    """A repeated claim of a send gets the first claim back, whatever the repeat brings."""
    assert await claims.find_send(TENANT, KEY) is None
    first = await claims.claim_send(TENANT, KEY, SEND)
    again = await claims.claim_send(TENANT, KEY, replace(SEND, body_hash="hash-2"))
    assert first.value == again.value == SEND
    found = await claims.find_send(TENANT, KEY)
    assert found is not None
    assert found.value == SEND


async def test_the_same_crm_message_id_of_two_tenants_are_two_claims(claims: Claims) -> None:
    """Two tenants' sends under the same key are two claims."""
    await claims.claim_send(TENANT, KEY, SEND)
    assert (
        await claims.claim_send("ten_other", KEY, replace(SEND, body_hash="hash-2"))
    ).value.body_hash == "hash-2"


async def test_a_claim_moves_by_its_etag(claims: Claims) -> None:
    """Of two repeats that both found the old mailbox closed one moves the claim of the send."""
    stored = await claims.claim_send(TENANT, KEY, SEND)
    moved = replace(SEND, mailbox_id="mbx_new", generation=2)
    await claims.move_send(TENANT, KEY, stored.changed(moved))
    with pytest.raises(RowChanged):
        await claims.move_send(TENANT, KEY, stored.changed(SEND))
    found = await claims.find_send(TENANT, KEY)
    assert found is not None
    assert found.value == moved


async def test_a_fresh_claim_can_be_moved(claims: Claims) -> None:
    """A new claim can be moved under the ETag that making it returned."""
    stored: Stored[MailboxClaim] = await claims.claim_mailbox("tid", "oid", ANN)
    await claims.move_mailbox("tid", "oid", stored.changed(BOB))


async def test_an_insert_without_an_answer_is_not_taken_for_a_claim(
    claims: Claims, tables: MemoryTables
) -> None:
    """A claim whose insert was not answered is an error to the caller, and its repeat finds the own claim."""

    def lost(call: Call) -> None:
        if call.operation == "insert":
            tables.after = lambda _: None
            raise OutcomeUnknown

    tables.after = lost
    with pytest.raises(OutcomeUnknown):
        await claims.claim_send(TENANT, KEY, SEND)
    assert (await claims.claim_send(TENANT, KEY, SEND)).value == SEND
