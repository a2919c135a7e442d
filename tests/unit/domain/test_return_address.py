"""Where our pages may lead people back to."""

from __future__ import annotations

import pytest

from shared.domain.return_address import is_return_address

CASES = [
    ("https://crm.example/settings/profile?tab=email#sync", True, True),
    ("https://crm.example:8443/", True, True),
    ("http://127.0.0.1:7080/settings", False, True),
    ("http://localhost:7080", False, True),
    ("http://[::1]:7080/", False, True),
    ("http://crm.example/", False, False),
    ("http://127.0.0.1.crm.example/", False, False),
    ("javascript:alert(1)", False, False),
    ("data:text/html,x", False, False),
    ("//crm.example/", False, False),
    ("/settings", False, False),
    ("https://", False, False),
    ("https://user:pw@crm.example/", False, False),
    ("https://crm.example:port/", False, False),
    ("https://crm.example/a b", False, False),
    ("https://crm.example/\n", False, False),
    ("https://crm.example/ü", False, False),
    ("https://[crm", False, False),
    ("https://crm.example/" + "x" * 500, False, False),
    ("", False, False),
]


@pytest.mark.parametrize(("url", "anywhere", "here"), CASES)
def test_people_are_led_back_over_https_or_on_their_own_machine(url: str, anywhere: bool, here: bool) -> None:
    """An https address is good everywhere, plain http only at this machine where that is allowed, nothing else."""
    assert is_return_address(url, loopback=False) is anywhere
    assert is_return_address(url, loopback=True) is here
