"""Mail addresses: compared the way mail systems do, and refused where they could smuggle something in (H-3).

Of people whose time is over a salted hash is kept in the place of the address: an answer of theirs is still known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from shared.domain.controls import NO_CONTROLS, has_controls
from shared.domain.errors import FieldError
from shared.domain.model import Address
from shared.hashing import digest

MAX_RECIPIENTS: Final = 500
MAX_ADDRESS_CHARACTERS: Final = 254
MAX_LOCAL_OCTETS: Final = 64
HIDDEN: Final = "|"

# RFC 5322, 3.2.3 (dot-atom) with RFC 6531's letters beyond ASCII; quoted local parts are not taken.
_LOCAL: Final = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*")
_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


def comparable_address(address: str) -> str:
    """The form in which two addresses are compared: case folded, the domain as A-labels (RFC 5890)."""
    local, at, domain = address.strip().rpartition("@")
    if not at:
        return address.strip().casefold()
    return f"{local.casefold()}@{_ascii_domain(domain) or domain.casefold()}"


def hidden_address(address: str, salt: str) -> str:
    """What is kept of an address whose time is over; the same again for one that is hidden already."""
    if is_hidden(address):
        return address
    return f"{HIDDEN}{salt}{HIDDEN}{digest('address', salt, comparable_address(address))}"


def is_hidden(address: str) -> bool:
    """Whether only a hash is left of this address; one that can be written to has an @."""
    marked = address.startswith(HIDDEN) and address.count(HIDDEN) == 2  # noqa: PLR2004 - salt and hash
    return marked and "@" not in address


def among(addresses: Iterable[str], known: Iterable[str]) -> set[str]:
    """Those of the addresses, as they are compared, that are among the known ones, of which some may be hidden."""
    found = {comparable_address(address) for address in addresses}
    kept = list(known)
    hidden = {address for address in kept if is_hidden(address)}
    plain = {comparable_address(address) for address in kept if address not in hidden}
    salts = {address.split(HIDDEN)[1] for address in hidden}
    return {
        address
        for address in found
        if address in plain or any(hidden_address(address, salt) in hidden for salt in salts)
    }


def is_address(text: str) -> bool:
    """Whether this is one plain address that may be a recipient."""
    if len(text) > MAX_ADDRESS_CHARACTERS or any(not letter.isprintable() for letter in text):
        return False
    local, at, domain = text.rpartition("@")
    if not at or len(local.encode()) > MAX_LOCAL_OCTETS or _LOCAL.fullmatch(local) is None:
        return False
    labels = (_ascii_domain(domain) or "").split(".")
    return len(labels) > 1 and all(_LABEL.fullmatch(label) for label in labels)


def validate_recipients(
    to: Sequence[Address], cc: Sequence[Address], bcc: Sequence[Address]
) -> list[FieldError]:
    """Every reason why these cannot be recipients; empty when they can."""
    errors = [
        error for name, people in (("to", to), ("cc", cc), ("bcc", bcc)) for error in _bad(name, people)
    ]
    count = len(to) + len(cc) + len(bcc)
    if count == 0:
        errors.append(FieldError("/to", "at least one recipient is needed"))
    if count > MAX_RECIPIENTS:
        errors.append(FieldError("/to", f"at most {MAX_RECIPIENTS} recipients"))
    return errors


def _bad(name: str, people: Sequence[Address]) -> Iterator[FieldError]:
    for number, person in enumerate(people):
        if not is_address(person.address):
            yield FieldError(f"/{name}/{number}/address", "not an email address")
        if has_controls(person.name):
            yield FieldError(f"/{name}/{number}/name", NO_CONTROLS)


def _ascii_domain(domain: str) -> str | None:
    try:
        return domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
