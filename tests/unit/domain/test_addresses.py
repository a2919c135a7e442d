"""Addresses: what may be a recipient, and when two are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.addresses import (
    MAX_ADDRESS_CHARACTERS,
    MAX_LOCAL_OCTETS,
    MAX_RECIPIENTS,
    comparable_address,
    is_address,
    validate_recipients,
)
from shared.domain.errors import FieldError
from shared.domain.model import Address
from tests.builders import ANN, BEA, CAL

LONG_DOMAIN = ".".join(["a" * 63] * 3 + ["example"])


@pytest.mark.parametrize(
    "text",
    [
        ANN,
        "Ann.Archer+offers@Northwind.EXAMPLE",
        "o'neill@contoso.example",
        "a@b.co",
        "!#$%&'*+/=?^_`{|}~-@contoso.example",
        "ann@xn--bcher-kva.example",
        "ann@b\u00fccher.example",
        "j\u00fcrgen@b\u00fccher.example",
        "\u7528\u6237@\u4f8b\u5b50.\u4e2d\u56fd",
        "ann@b\u00fccher\u3002example",
        "x" * MAX_LOCAL_OCTETS + "@contoso.example",
        "\u00fc" * (MAX_LOCAL_OCTETS // 2) + "@contoso.example",
        "a" * (MAX_ADDRESS_CHARACTERS - len(LONG_DOMAIN) - 1) + "@" + LONG_DOMAIN,
    ],
)
def test_plain_addresses_may_be_recipients(text: str) -> None:
    """A plain address may be a recipient, with letters beyond ASCII on either side of the @ as well (RFC 6531)."""
    assert is_address(text)


NO_ADDRESSES = {
    "nothing": "",
    "a name": "Ann",
    "no domain": "ann@",
    "no local part": "@contoso.example",
    "a domain of one label": "ann@localhost",
    "two @": "ann@evil.example@contoso.example",
    "a space": "ann archer@contoso.example",
    "a space around": " ann@contoso.example",
    "a line break": "ann@contoso.example\n",
    "a header behind": "ann@contoso.example\r\nBcc: eve@evil.example",
    "a break inside": "ann\r@contoso.example",
    "NUL": "ann\x00@contoso.example",
    "a break of another script": "ann\u2028@contoso.example",
    "a second one": "ann@contoso.example,eve@evil.example",
    "a second one behind a semicolon": "ann@contoso.example;eve@evil.example",
    "a comma in the local part": "ann,eve@contoso.example",
    "a wide comma": "ann\uff0ceve@contoso.example",
    "a wide @": "ann\uff20evil.example",
    "a wide @ in the domain": "ann@contoso\uff20evil.example",
    "angle brackets": "<ann@contoso.example>",
    "a display name": "Ann <ann@contoso.example>",
    "a comment": "ann(work)@contoso.example",
    "a quoted local part": '"ann eve"@contoso.example',
    "a route": "@evil.example:ann@contoso.example",
    "a colon": "smtp:ann@contoso.example",
    "a backslash": "ann\\@contoso.example",
    "a dot at the start": ".ann@contoso.example",
    "a dot at the end": "ann.@contoso.example",
    "two dots": "ann..archer@contoso.example",
    "two dots in the domain": "ann@contoso..example",
    "a dot behind": "ann@contoso.example.",
    "a label that starts with a hyphen": "ann@-contoso.example",
    "a label that ends with a hyphen": "ann@contoso-.example",
    "an underscore in the domain": "ann@con_toso.example",
    "an address literal": "ann@[127.0.0.1]",
    "a label that is too long": f"ann@{'a' * 64}.example",
    "a wide label that is too long": f"ann@{chr(0xFC) * 60}.example",
    "a local part that is too long": "x" * (MAX_LOCAL_OCTETS + 1) + "@contoso.example",
    "a wide local part that is too long": "\u00fc" * 33 + "@contoso.example",
    "too long": "a" * (MAX_ADDRESS_CHARACTERS - len(LONG_DOMAIN)) + "@" + LONG_DOMAIN,
    "a hidden character": "an\u200bn@contoso.example",
    "turned around": "ann\u202e@contoso.example",
    "half a character": "ann\ud800@contoso.example",
}  # fmt: skip


@pytest.mark.parametrize("text", NO_ADDRESSES.values(), ids=NO_ADDRESSES)
def test_anything_else_may_not(text: str) -> None:
    """A text that could smuggle a header or a second recipient into a mail is no address (H-3)."""
    assert not is_address(text)


@given(st.text(max_size=30) | st.text(alphabet="ab.-@,;<>\r\n\u00fc\u3002", max_size=20))
def test_every_text_is_an_address_or_not(text: str) -> None:
    """Any text that counts as an address has exactly one @, no line break and nothing that separates a list."""
    if is_address(text):
        assert text.count("@") == 1
        assert not set(text) & set(',;:<>()[]"\\ \r\n\t\x00')


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (ANN, "ANN@Northwind.Example"),
        (ANN, f" {ANN}\t"),
        ("ann@b\u00fccher.example", "ann@XN--BCHER-KVA.example"),
        ("ann@B\u00dcCHER.example", "ann@xn--bcher-kva.example"),
        ("J\u00dcRGEN@contoso.example", "j\u00fcrgen@contoso.example"),
        ("ann@b\u00fccher\u3002example", "ann@b\u00fccher.example"),
    ],
)
def test_the_same_address_in_two_spellings(first: str, second: str) -> None:
    """Two spellings of an address compare equal, whatever their case and however the domain is written (RFC 5890)."""
    assert comparable_address(first) == comparable_address(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (ANN, BEA),
        (ANN, "ann@northwind.example.evil.example"),
        (ANN, "ann+x@northwind.example"),
        ("a.nn@contoso.example", "ann@contoso.example"),
        ("ann@contoso.example", "\u0430nn@contoso.example"),
        ("ann@contoso.example", "ann@cont\u043eso.example"),
        ("ann", "ann@"),
    ],
)
def test_two_addresses_stay_two(first: str, second: str) -> None:
    """Addresses that differ by a tag, a dot or a look-alike letter do not compare equal."""
    assert comparable_address(first) != comparable_address(second)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_has_a_form_to_compare(local: str, domain: str) -> None:
    """Any text that stands for an address in a mail has a form to compare, which is stable for real addresses."""
    for text in (local, f"{local}@{domain}"):
        assert isinstance(comparable_address(text), str)
    if is_address(ascii_address := f"{local}@contoso.example"):
        assert comparable_address(ascii_address) == comparable_address(comparable_address(ascii_address))


def people(*addresses: str) -> list[Address]:
    return [Address(address) for address in addresses]


def test_recipients_are_judged_one_by_one() -> None:
    """Each bad recipient of a send is named by its place."""
    errors = validate_recipients(people(ANN, "ann"), people("x@y"), people(BEA, CAL, "a,b@contoso.example"))
    assert [error.pointer for error in errors] == ["/to/1/address", "/cc/0/address", "/bcc/2/address"]
    assert {error.detail for error in errors} == {"not an email address"}


@pytest.mark.parametrize("at", ["to", "cc", "bcc"])
def test_one_recipient_is_enough(at: str) -> None:
    """One recipient in to, cc or bcc is enough, and a mail without any is refused."""
    nobody: dict[str, list[Address]] = {"to": [], "cc": [], "bcc": []}
    assert validate_recipients(**{**nobody, at: people(BEA)}) == []
    assert validate_recipients(**nobody) == [FieldError("/to", "at least one recipient is needed")]


def test_recipients_are_counted_together() -> None:
    """The recipients of to, cc and bcc together may be 500 and no more (A-7)."""
    many = people(*(f"p{number}@contoso.example" for number in range(MAX_RECIPIENTS - 2)))
    assert validate_recipients(many, people(BEA), people(CAL)) == []
    assert validate_recipients(many, people(BEA, ANN), people(CAL)) == [
        FieldError("/to", "at most 500 recipients")
    ]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Bea O'Neill, Sales",
        '"Bea" <bea@evil.example>',
        "J\u00fcrgen",
        "\u5c71\u7530\u3000\u592a\u90ce",
        "Marie\u00a0Curie",
        "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc",
        "Bea \U0001f469\u200d\U0001f4bb",
    ],
)
def test_people_write_their_names_as_they_like(name: str) -> None:
    """A display name may hold commas, quotes, and the spaces and joiners of any script."""
    assert validate_recipients([Address(BEA, name)], (), ()) == []


@pytest.mark.parametrize(
    "name",
    [
        "Bea\r\nBcc: eve@evil.example",
        "Bea\n",
        "Bea\x00",
        "B\x1bea",
        "B\x7fea",
        "B\x85ea",
        "Bea\u2028x",
        "Bea\u2029x",
        "Be\u202eae",
        "Be\u2066ae",
        "Be\ud800ae",
    ],
)
def test_no_control_stands_in_a_name(name: str) -> None:
    """A display name with a line break, another control or a direction mark is refused (H-3)."""
    assert validate_recipients([Address(BEA, name)], (), ()) == [
        FieldError("/to/0/name", "no line breaks or other controls")
    ]


def test_what_is_no_address_is_compared_as_it_is() -> None:
    """A bare name in place of an address is not compared as the domain of that name."""
    assert comparable_address(" Bea ") == "bea"
    assert comparable_address("bea") != comparable_address("@bea")
