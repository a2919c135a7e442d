"""What sort of mail a message is: told on every event, and nothing of ours answers a machine (E-20)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functions.app import ANN_ADDRESS, BEA_ADDRESS, App
from tests.functions.test_reply_targets import the_thread

OOF = {"message_class": "IPM.Note.Rules.OofTemplate.Microsoft"}
KINDS: dict[str, tuple[dict[str, Any], str, bool]] = {
    "a plain mail": ({"message_class": "IPM.Note"}, "mail", False),
    "a class of somebody's own": ({"message_class": "IPM.Note.Custom"}, "mail", False),
    "out of office": (OOF, "automatic_reply", True),
    "out of office elsewhere": ({"headers": (("Auto-Submitted", "auto-replied"),)}, "automatic_reply", True),
    "an invitation": ({"odata_type": "#microsoft.graph.eventMessageRequest"}, "meeting_request", False),
    "an answer to one": ({"message_class": "IPM.Schedule.Meeting.Resp.Neg"}, "meeting_response", False),
    "a receipt": ({"message_class": "REPORT.IPM.Note.IPNRN"}, "read_receipt", True),
    "a recall": ({"message_class": "IPM.Outlook.Recall"}, "recall", False),
    "a newsletter": ({"headers": (("List-Id", "<news.example>"),)}, "mail", True),
}


@pytest.mark.parametrize(("mail", "kind", "automatic"), KINDS.values(), ids=KINDS)
async def test_the_kind_is_told(begun: App, mail: dict[str, Any], kind: str, *, automatic: bool) -> None:
    """Event, status and thread list tell what sort of mail it is; an unknown class syncs as mail."""
    told = await begun.answered(**mail)
    assert (begun.crm.types()[-1], told["kind"], told["automatic"]) == ("message.received", kind, automatic)
    shown = (await begun.v1("GET", f"messages/{told['id']}")).json()
    assert (shown["kind"], shown["message"]["kind"]) == (kind, kind)
    thread = (await begun.v1("GET", f"threads/{told['thread_id']}")).json()
    assert [message["kind"] for message in thread["messages"]] == ["mail", kind]


async def test_the_kind_of_a_mail_that_does_not_sync_is_told(begun: App) -> None:
    """A mail whose file keeps it out tells its kind all the same."""
    told = await begun.answered(files=[("run.exe", b"MZ")], **OOF)
    assert (begun.crm.types()[-1], told["kind"], told["automatic"]) == (
        "message.not_synced",
        "automatic_reply",
        True,
    )
    assert (await begun.v1("GET", f"messages/{told['id']}")).json()["kind"] == "automatic_reply"


async def test_a_machines_mail_is_not_answered(begun: App) -> None:
    """A CRM reply answers the newest message of a person, never an automatic reply, receipt or recall (RFC 3834, 2)."""
    thread_id = (await begun.answered())["thread_id"]
    for mail in (OOF, KINDS["a receipt"][0], KINDS["a recall"][0]):
        await begun.answered(**mail)
    assert (await the_thread(begun, thread_id)).value.newest_graph_message_id == "AAMk-1"
    await begun.sent("m-2", thread_id=thread_id)
    assert list(begun.mail.parents.values()) == ["AAMk-1"]


async def test_nobody_joins_a_thread_by_a_machines_mail(begun: App) -> None:
    """Whoever is on a machine's mail is no participant of the thread by it."""
    told = await begun.answered("robot@fabrikam.example", **OOF)
    thread = (await the_thread(begun, told["thread_id"])).value
    assert "robot@fabrikam.example" not in thread.participants
    assert BEA_ADDRESS in thread.participants


async def test_the_users_own_invitation_is_outbound(begun: App) -> None:
    """A meeting to which the user invites within the thread is told as sent, with its kind."""
    told = await begun.answered(ANN_ADDRESS, message_class="IPM.Schedule.Meeting.Request")
    assert (begun.crm.types()[-1], told["direction"], told["kind"]) == (
        "message.sent",
        "outbound",
        "meeting_request",
    )
