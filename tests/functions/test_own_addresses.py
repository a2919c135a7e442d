"""Who is the mailbox's own user, and who is a contact of a thread."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.errors import ProviderUnavailable, Throttled
from shared.domain.model import Address, Mailbox
from tests.functions.app import ANN_ADDRESS, BEA_ADDRESS, App
from tests.functions.fake_mail import SENT_ITEMS
from tests.functions.test_maintenance import lifecycle
from tests.functions.test_send_ends import mailbox_of

ALIAS, CAL = "a.archer@northwind.example", "cal@fabrikam.example"
LEGACY = "/O=EXCHANGELABS/OU=EXCHANGE ADMINISTRATIVE GROUP (FYDIBOHF23SPDLT)/CN=RECIPIENTS/CN=4D37-ANN"
STRANGER = "stan@elsewhere.example"
TRAVELLED = (("Received", "from mail.relay.example"),)


async def with_aliases(app: App, *aliases: str) -> None:
    """Ann's mailbox, whose profile names these, and a thread with Bea."""
    app.mail.aliases = aliases
    await app.connect()
    await app.sent()


async def stored(app: App) -> Mailbox:
    """Ann's mailbox as its rows say."""
    found = await app.services.ledger.mailbox(mailbox_of(app))
    assert found is not None
    return found.value


def untagged(app: App) -> dict[str, Any]:
    """Tags of a mail that only its conversation could lead to the thread."""
    return {"conversation_id": app.mail.last_sent.conversation_id}


@pytest.mark.parametrize(
    "sender", [ALIAS, "ann+offers@northwind.example", "a.archer+x@northwind.example", LEGACY.lower()]
)
async def test_the_users_answer_from_any_address_of_the_profile_is_outbound(app: App, sender: str) -> None:
    """An answer from an alias, a plus address or a listed X.500 name is the user's own, wherever it lies (R3)."""
    await with_aliases(app, ALIAS, LEGACY)
    told = await app.answered(sender, to=(Address(BEA_ADDRESS),), headers=TRAVELLED)
    assert (app.crm.types()[-1], told["direction"]) == ("message.sent", "outbound")
    assert "is_in_sent_items" not in app.mail.calls


@pytest.mark.parametrize("folder", [SENT_ITEMS, "filed by a rule"])
async def test_an_x500_name_is_the_user(begun: App, folder: str) -> None:
    """An answer written here under an X.500 name is outbound, and the CRM is told the mailbox's address instead."""
    told = await begun.answered(LEGACY, folder_id=folder)
    assert (begun.crm.types()[-1], told["direction"]) == ("message.sent", "outbound")
    assert told["from"]["address"] == ANN_ADDRESS
    assert (await stored(begun)).learned_addresses == ((LEGACY,) if folder == SENT_ITEMS else ())


async def test_an_address_of_sent_items_is_learned_once(begun: App) -> None:
    """What Sent Items names as sender of a thread's mail is the user, later in other folders too, at no more calls."""
    await begun.answered(ALIAS, folder_id=SENT_ITEMS, to=(Address(BEA_ADDRESS),))
    told = await begun.answered(ALIAS, headers=TRAVELLED)
    assert (begun.crm.types()[-1], told["direction"]) == ("message.sent", "outbound")
    assert begun.mail.calls.count("is_in_sent_items") == 1


async def test_what_drafts_of_ours_are_from_is_learned(ready: App) -> None:
    """A draft with our key that Graph shows with a sender names the user (E-17)."""
    ready.mail.drafts_are_from = Address(LEGACY)
    await ready.sent()
    assert (await stored(ready)).learned_addresses == (LEGACY,)


@pytest.mark.parametrize("headers", [(), TRAVELLED])
async def test_a_contacts_mail_dragged_into_sent_items_is_the_contacts(
    begun: App, headers: tuple[tuple[str, str], ...]
) -> None:
    """A contact does not become the user by where a mail of theirs lies."""
    for folder in (SENT_ITEMS, "inbox"):
        told = await begun.answered(folder_id=folder, headers=headers)
        assert (begun.crm.types()[-1], told["direction"]) == ("message.received", "inbound")
    assert (await stored(begun)).learned_addresses == ()


async def test_a_newcomers_mail_dragged_into_sent_items_is_the_newcomers(begun: App) -> None:
    """A mail that travelled was not written here, whoever it is from."""
    told = await begun.answered(CAL, folder_id=SENT_ITEMS, headers=TRAVELLED)
    assert (begun.crm.types()[-1], told["direction"]) == ("message.received", "inbound")
    assert (await stored(begun)).learned_addresses == ()


async def test_foreign_mail_teaches_nothing(begun: App) -> None:
    """Of foreign mail in Sent Items neither people nor folder are asked for."""
    number = begun.mail.receive(ALIAS, to=(Address(BEA_ADDRESS),), folder_id=SENT_ITEMS)
    before = len(begun.mail.calls)
    await begun.arrives(number)
    assert begun.mail.calls[before:] == ["outline"]
    assert (await stored(begun)).learned_addresses == ()


@pytest.mark.parametrize("known", [True, False], ids=["in the profile", "unknown"])
async def test_a_strangers_mail_to_an_own_alias_is_foreign(app: App, *, known: bool) -> None:
    """An own alias on a thread's mail is no participant: a stranger's mail of that conversation is not read (R4)."""
    await with_aliases(app, *([ALIAS] if known else []))
    await app.answered(to=(Address(ALIAS),), cc=(Address("ann+x@northwind.example"),))
    number = app.mail.receive(
        STRANGER, tags=untagged(app), to=(Address(ALIAS), Address("ann+x@northwind.example"))
    )
    before = len(app.mail.looks())
    await app.arrives(number)
    assert app.mail.looks()[before:] == ["outline", "people"]


async def test_who_was_only_copied_is_no_contact(begun: App) -> None:
    """Somebody on cc of a thread's mail is a contact once they wrote in the thread, and not before (R4)."""
    await begun.answered(cc=(Address(CAL),))
    await begun.answered(ANN_ADDRESS, to=(Address(CAL),))
    types = begun.crm.types()
    await begun.arrives(begun.mail.receive(CAL, tags=untagged(begun)))
    assert begun.crm.types() == types
    await begun.answered(CAL)
    await begun.arrives(begun.mail.receive(CAL, tags=untagged(begun)))
    assert begun.crm.types() == [*types, "message.received", "message.received"]


async def test_the_user_among_the_recipients_is_no_contact(ready: App) -> None:
    """A CRM that copies its user on a send makes no contact of the user."""
    await ready.sent(cc=[{"address": "ann+crm@northwind.example"}])
    before = len(ready.mail.looks())
    to_tag = (Address("ann+crm@northwind.example"),)
    await ready.arrives(ready.mail.receive(STRANGER, tags=untagged(ready), to=to_tag))
    assert ready.mail.looks()[before:] == ["outline", "people"]


async def renewed(app: App) -> None:
    """Two days on Graph asks to reauthorise, and the subscription is renewed."""
    app.clock.forward(days=2)
    assert (await lifecycle(app, "reauthorizationRequired"))[0] == "renew"


async def test_a_renewal_reads_the_profile_anew(begun: App) -> None:
    """An alias that was given after the sign-in counts from the next renewal on, for one call."""
    begun.mail.aliases = (ALIAS,)
    await renewed(begun)
    assert (begun.mail.calls.count("renew"), begun.mail.calls.count("profile")) == (1, 2)
    assert (await stored(begun)).aliases == (ALIAS,)
    assert await lifecycle(begun, "reauthorizationRequired") == ["renew"]
    assert begun.mail.calls.count("profile") == 2


@pytest.mark.parametrize("error", [ProviderUnavailable(), Throttled(retry_after_seconds=600.0)])
async def test_a_renewal_does_not_need_the_profile(begun: App, error: Exception) -> None:
    """Where Graph does not give the profile the renewal stands, and a pause that it asks for is kept."""
    begun.mail.next["profile"] = [error]
    before = (await stored(begun)).subscription_expires_at
    await renewed(begun)
    after = await stored(begun)
    assert after.subscription_expires_at != before
    assert (after.paused_until is None) is isinstance(error, ProviderUnavailable)
