"""A send on its way out: at most once, whatever happens, and the CRM hears how it ended (E-10 to E-14)."""

from __future__ import annotations

import pytest

from shared.domain.errors import (
    Ambiguous,
    CrmUnavailable,
    InvalidRequest,
    MailboxUnusable,
    MessageRefused,
    ProviderUnavailable,
    Throttled,
    TooLarge,
    UpstreamSurprise,
)
from tests.functions.app import App

FILE = "https://files.example/offer"


async def test_the_first_send_subscribes_before_it_sends(ready: App) -> None:
    """The first send of a mailbox makes the subscription before it sends, and the second finds it there (R2)."""
    await ready.accepted()
    await ready.pump()
    assert ready.mail.calls == ["profile", "probe", "subscribe", "create_draft", "send"]
    await ready.accepted("m-2")
    await ready.pump()
    assert ready.mail.calls[5:] == ["create_draft", "send"]


async def test_what_is_sent_is_what_was_asked_for(ready: App) -> None:
    """A draft carries the recipients, the subject and the cleaned body of the send, and our key."""
    people = [{"address": "cal@contoso.example", "name": "Cal"}]
    body = {"html": '<p onclick="x()">Here it is.</p><script>alert(1)</script>'}
    await ready.accepted(cc=people, bcc=[{"address": "dan@contoso.example"}], body=body)
    await ready.pump()
    (sent,) = ready.mail.sent.values()
    assert [person.address for person in (*sent.to, *sent.cc, *sent.bcc)] == [
        "bea@fabrikam.example",
        "cal@contoso.example",
        "dan@contoso.example",
    ]
    assert (sent.subject, sent.html) == ("Your offer", "<p>Here it is.</p>")
    assert len(sent.key) == 64


async def test_a_send_is_told_when_its_copy_was_seen(ready: App) -> None:
    """A send is told as sent when its copy was seen in Sent Items, not when Graph took it."""
    message_id = await ready.accepted()
    await ready.pump()
    assert (await ready.standing(message_id), ready.crm.types()) == (
        ("sending", None),
        ["connection.connected"],
    )
    await ready.later(minutes=2)
    assert await ready.standing(message_id) == ("sent", None)
    assert ready.crm.types() == ["connection.connected", "message.sent"]
    assert (ready.crm.last["crm_message_id"], ready.crm.last["crm_context"]) == ("m-1", {"deal": "d-42"})


REFUSALS = {
    "invalid_recipient": "invalid_recipient",
    "send_denied": "send_denied",
    "mailbox_full": "mailbox_full",
    "a reason of tomorrow": "refused_by_provider",
}


@pytest.mark.parametrize("step", ["create_draft", "send"])
@pytest.mark.parametrize(("said", "told"), REFUSALS.items())
async def test_a_refusal_ends_the_send(ready: App, step: str, said: str, told: str) -> None:
    """A send that Graph refuses fails with the reason, and is not tried again."""
    ready.mail.next[step] = [MessageRefused(said)]
    message_id = await ready.accepted()
    await ready.pump()
    await ready.later(minutes=30)
    assert await ready.standing(message_id) == ("failed", told)
    assert ready.crm.types() == ["connection.connected", "message.failed"]
    assert ready.crm.last["reason"]["code"] == told
    assert ready.mail.sent == {}
    assert ready.mail.calls.count("create_draft") == 1


@pytest.mark.parametrize(
    "error", [ProviderUnavailable(), Ambiguous(), UpstreamSurprise()], ids=lambda error: type(error).__name__
)
@pytest.mark.parametrize("step", ["subscribe", "create_draft"])
async def test_trouble_before_the_send_is_tried_again(ready: App, step: str, error: Exception) -> None:
    """A failure before a send left is tried again, and one mail leaves (E-10)."""
    ready.mail.next[step] = [error]
    message_id = await ready.accepted()
    await ready.pump()
    assert ready.mail.sent == {}
    await ready.later(minutes=10)
    assert await ready.standing(message_id) == ("sent", None)
    assert ready.mail.calls.count("send") == 1


async def test_a_send_that_cannot_be_built_ends(ready: App) -> None:
    """A send whose draft cannot be made for as long as it may wait ends, and the CRM is told."""
    ready.mail.next["create_draft"] = [Ambiguous() for _ in range(1_000)]
    message_id = await ready.accepted(send_within=24 * 3600)
    await ready.later(hours=23)
    assert await ready.standing(message_id) == ("waiting", None)
    await ready.later(hours=2)
    assert await ready.standing(message_id) == ("failed", "waited_too_long")


# ---- files that are fetched later

FETCHES: dict[str, tuple[bytes | Exception, str]] = {
    "too large": (TooLarge(), "attachment_too_large"),
    "another content": (b"MZ\x90", "attachment_content_mismatch"),
    "empty": (b"", "attachment_empty"),
    "an address that may not be called": (InvalidRequest("private address"), "attachment_not_fetched"),
    "never there": (CrmUnavailable(), "attachment_not_fetched"),
}


@pytest.mark.parametrize(("served", "reason"), FETCHES.values(), ids=FETCHES)
async def test_a_file_that_cannot_be_fetched_ends_the_send(
    ready: App, served: bytes | Exception, reason: str
) -> None:
    """A send fails with the reason when a file of it cannot be fetched or may not sync, and nothing leaves (R7)."""
    ready.fetcher.served[FILE] = served
    message_id = await ready.accepted(attachments=[{"name": "offer.pdf", "url": FILE}])
    await ready.pump()
    await ready.later(minutes=5)
    assert await ready.standing(message_id) == ("failed", reason)
    assert (ready.mail.sent, ready.crm.types()[-1]) == ({}, "message.failed")


async def test_a_file_is_waited_for(ready: App) -> None:
    """A send waits while the server of its file is down, and leaves with the file."""
    ready.fetcher.served[FILE] = CrmUnavailable()
    message_id = await ready.accepted(attachments=[{"name": "offer.pdf", "url": FILE}])
    await ready.pump()
    ready.fetcher.served[FILE] = b"%PDF-1.7"
    await ready.later(minutes=4)
    assert await ready.standing(message_id) == ("sent", None)
    (sent,) = ready.mail.sent.values()
    assert [file.content for file in sent.files] == [b"%PDF-1.7"]


async def test_no_graph_call_before_the_end_of_a_pause(ready: App) -> None:
    """After a 429 at any step no worker calls Graph for that mailbox before the pause ends; then the send leaves."""
    for number, step in enumerate(("create_draft", "send", "locate"), 1):
        ready.mail.next[step] = [Throttled(600)]
        message_id = await ready.accepted(f"m-{number}")
        await ready.pump()
        while ready.mail.next[step]:
            await ready.later(minutes=1)
        await ready.accepted(f"other-{number}")
        before = len(ready.mail.calls)
        await ready.later(minutes=9)
        assert ready.mail.calls[before:] == [], step
        await ready.later(minutes=15)
        assert await ready.standing(message_id) == ("sent", None), step
    assert ready.mail.calls.count("send") == 7


async def test_a_filter_that_is_refused_is_left_out(ready: App) -> None:
    """When Graph refuses the subscription's filter it is made without one, and the send leaves."""
    ready.mail.next["subscribe"] = [MessageRefused("filter_refused")]
    await ready.sent()
    assert ready.mail.calls[2:6] == ["subscribe", "subscribe", "create_draft", "send"]


async def test_without_a_subscription_nothing_is_sent(ready: App) -> None:
    """When Graph refuses the subscription in every form the first send is given up (R2)."""
    ready.mail.next["subscribe"] = [MessageRefused("refused") for _ in range(100)]
    message_id = await ready.accepted()
    await ready.pump()
    await ready.later(hours=1)
    assert await ready.standing(message_id) == ("failed", "gave_up")
    assert "create_draft" not in ready.mail.calls


async def test_an_unusable_mailbox_ends_the_send(ready: App) -> None:
    """A send through a mailbox without a licence, or on-premises, fails at once."""
    ready.mail.next["create_draft"] = [MailboxUnusable()]
    message_id = await ready.accepted()
    await ready.pump()
    assert await ready.standing(message_id) == ("failed", "mailbox_unusable")
