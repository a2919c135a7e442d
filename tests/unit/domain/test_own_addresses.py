"""Which addresses name the mailbox's user, and what is learned of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.model import Address, Direction, FetchedMessage, Mailbox, Profile
from shared.domain.own_addresses import (
    MOST_ALIASES,
    MOST_LEARNED,
    direction_of,
    is_own,
    is_place_needed,
    shown_sender,
    with_learned,
    with_learned_from,
    with_profile,
)
from tests.builders import ANN, BEA, NOW, a_mailbox, outline
from tests.strategies import records

ALIAS = "a.archer@northwind.example"
LEGACY = "/O=EXCHANGELABS/OU=EXCHANGE ADMINISTRATIVE GROUP (FYDIBOHF23SPDLT)/CN=RECIPIENTS/CN=4D37-ANN"
STRANGER = "stan@elsewhere.example"
TRAVELLED = (("Received", "from mail.relay.example"),)


def mail(sender: str | None, **changes: object) -> FetchedMessage:
    """A mail by that sender, of a thread with Bea."""
    author = Address(sender, "Ann") if sender is not None else None
    made = FetchedMessage(
        outline(),
        author,
        (),
        (),
        (),
        (),
        "Re: Your offer",
        "<p>Yes.</p>",
        None,
        NOW,
        NOW,
        has_attachments=False,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # members of a mail


@pytest.mark.parametrize(
    ("address", "own"),
    [
        (ANN, True),
        ("ANN@Northwind.EXAMPLE", True),
        (ALIAS, True),
        ("ann+offers@northwind.example", True),
        ("a.archer+x+y@northwind.example", True),
        (LEGACY.lower(), True),
        (BEA, False),
        ("ann+x@elsewhere.example", False),
        ("anna@northwind.example", False),
        ("+ann@northwind.example", False),
        ("+@northwind.example", False),
        ("", False),
    ],
)
def test_what_the_profile_names_is_own(address: str, *, own: bool) -> None:
    """Address, aliases, X.500 name and their plus addresses are the user's, in any case, and nobody else's."""
    assert is_own(address, a_mailbox(aliases=(ALIAS, LEGACY))) is own


# sender, changes of the mail, whether its user wrote it
DIRECTIONS = [
    ("the user", ANN, {}, True),
    ("the user, come back over a list", ANN, {"headers": TRAVELLED}, True),
    ("a contact", BEA, {"headers": TRAVELLED}, False),
    ("a contact, dragged into Sent Items", BEA, {"in_sent_items": True}, False),
    ("a newcomer", STRANGER, {"headers": TRAVELLED}, False),
    ("a newcomer, dragged into Sent Items", STRANGER, {"headers": TRAVELLED, "in_sent_items": True}, False),
    ("written here under another address", ALIAS, {"in_sent_items": True}, True),
    ("written here under an X.500 name", LEGACY, {"in_sent_items": True}, True),
    ("written here and filed by a rule", LEGACY, {}, True),
    ("a colleague, by an X.500 name", LEGACY, {"headers": TRAVELLED}, False),
    ("nobody", None, {}, False),
    ("nobody, in Sent Items", None, {"in_sent_items": True}, True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("_case", "sender", "changes", "by_user"), DIRECTIONS, ids=[case[0] for case in DIRECTIONS]
)
def test_direction_is_seen_from_the_crm(
    _case: str, sender: str | None, changes: dict[str, object], *, by_user: bool
) -> None:
    """What the mailbox's user wrote is outbound, under whatever name; everybody else's mail is inbound."""
    direction = direction_of(mail(sender, **changes), a_mailbox(), (BEA,))
    assert direction is (Direction.OUTBOUND if by_user else Direction.INBOUND)


def test_only_what_nothing_known_names_is_looked_for_in_its_folder() -> None:
    """The folder is asked for only where no known address and no header tells who wrote a mail."""
    own = a_mailbox(learned_addresses=(ALIAS,))
    for known in (mail(ANN), mail(ALIAS), mail(STRANGER, headers=TRAVELLED)):
        assert not is_place_needed(known, own)
    assert is_place_needed(mail(LEGACY), own)


@pytest.mark.parametrize("changes", [{"headers": TRAVELLED, "in_sent_items": True}, {}])
def test_nothing_is_learned_of_what_was_not_written_here(changes: dict[str, object]) -> None:
    """A mail that travelled, or lies elsewhere, teaches no address."""
    assert with_learned_from(a_mailbox(), mail(STRANGER, **changes), (BEA,)) == a_mailbox()


def test_a_learned_address_is_own_except_for_a_contact() -> None:
    """What was learned counts until the CRM writes to that address: then it is a contact's."""
    learned = with_learned_from(a_mailbox(), mail(ALIAS, in_sent_items=True), (BEA,))
    assert learned.learned_addresses == (ALIAS,)
    assert with_learned(learned, Address(ALIAS.upper()), ()) == learned
    assert direction_of(mail(ALIAS, headers=TRAVELLED), learned, (BEA,)) is Direction.OUTBOUND
    assert direction_of(mail(ALIAS, headers=TRAVELLED), learned, (BEA, ALIAS)) is Direction.INBOUND


def test_learned_addresses_are_few_and_short() -> None:
    """A mailbox's row does not outgrow its bounds, however many names a user has; no name at all teaches nothing."""
    mailbox = a_mailbox()
    for number in range(MOST_LEARNED + 5):
        mailbox = with_learned(mailbox, Address(f"ann{number}@x.example"), ())
    assert len(mailbox.learned_addresses) == MOST_LEARNED
    assert mailbox.learned_addresses[-1] == f"ann{MOST_LEARNED + 4}@x.example"
    assert with_learned(mailbox, Address("a" * 501), ()) == mailbox
    assert with_learned(mailbox, None, ()) == mailbox


def test_a_fresh_profile_takes_the_place_of_the_former() -> None:
    """Aliases that are gone no longer count, and the address that the connection goes by stays (O-6)."""
    crowd = tuple(f"a{number}@x.example" for number in range(MOST_ALIASES + 9))
    fresh = with_profile(
        a_mailbox(aliases=(ALIAS,)), Profile("ann.new@x.example", "Ann", (ANN.upper(), *crowd)), NOW
    )
    assert (fresh.address, fresh.profile_read_at) == (ANN, NOW)
    assert fresh.aliases == ("ann.new@x.example", *crowd)[:MOST_ALIASES]


def test_the_crm_is_told_an_address_that_it_can_write_to() -> None:
    """For the user's X.500 name the CRM is told the mailbox's address; other senders are told as written."""
    assert shown_sender(mail(LEGACY), a_mailbox(), Direction.OUTBOUND) == Address(ANN, "Ann")
    assert shown_sender(mail(LEGACY), a_mailbox(), Direction.INBOUND) == Address(LEGACY, "Ann")
    assert shown_sender(mail(ALIAS), a_mailbox(), Direction.OUTBOUND) == Address(ALIAS, "Ann")
    assert shown_sender(mail(None), a_mailbox(), Direction.OUTBOUND) is None


@given(records(FetchedMessage), records(Mailbox), st.lists(st.text(max_size=30), max_size=4))
def test_a_contact_is_never_learned(message: FetchedMessage, mailbox: Mailbox, contacts: list[str]) -> None:
    """Whatever a mail says, none of the thread's contacts becomes an address of the mailbox's own."""
    sender = message.sender.address if message.sender else ""
    assert with_learned_from(mailbox, message, [*contacts, sender]) == mailbox
