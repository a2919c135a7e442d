"""The subject of a reply is that of what it answers."""

from __future__ import annotations

from tests.functions.app import App


async def test_a_reply_tells_the_subject_that_was_sent(begun: App) -> None:
    """A CRM reply is told with the subject that Outlook gave it, not with the one that the CRM asked for."""
    thread = (await begun.v1("GET", "events")).json()["events"][-1]["data"]["thread_id"]
    begun.mail.reply_subject = "RE: Your offer"
    await begun.sent("m-2", thread_id=thread, subject="Entirely other subject")
    assert (begun.crm.types()[-1], begun.crm.last["subject"]) == ("message.sent", "RE: Your offer")
