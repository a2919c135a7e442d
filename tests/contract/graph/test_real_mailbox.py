"""The examination of a mailbox: on the simulator, whose knobs it must find, and on a real one if its owner asks."""

from __future__ import annotations

import asyncio
import os

import httpx
import pytest
from pytest_socket import enable_socket

from tests.contract.graph.conftest import HOOK, SECURE, Office, SignedIn
from tests.contract.graph.examination import Examiner

TOKEN = os.environ.get("REAL_MAILBOX_TOKEN", "")
GRAPH = "https://graph.microsoft.com/v1.0/"
SIDES = (
    {"sent_copy_id": "changed", "sent_message_id": "changed", "sent_copy_extended_properties": "kept"},
    {"sent_copy_id": "kept", "sent_message_id": "kept", "sent_copy_extended_properties": "lost"},
)


@pytest.mark.parametrize("knobs", SIDES)
@pytest.mark.parametrize("takes_filter", ["refused", "accepted"])
async def test_the_knobs_are_found(
    office: Office, ann: SignedIn, knobs: dict[str, str], takes_filter: str
) -> None:
    """On the simulator the examination finds the knobs as they stand and one copy, and leaves nothing behind."""
    expected = {**knobs, "subscription_is_draft_filter": takes_filter}
    await office.knobs(**expected)
    headers = {"Authorization": f"Bearer {ann.access_token}"}
    inside = httpx.ASGITransport(app=office.simulator.app)
    async with httpx.AsyncClient(base_url=f"{SECURE}/v1.0/", headers=headers, transport=inside) as graph:
        found = await Examiner(graph, office.pass_time, HOOK).examine()
    assert found.knobs == expected
    assert found.copies == 1
    assert {mail["folder"] for mail in await office.mailbox()} <= {"deleteditems"}


@pytest.mark.skipif(not TOKEN, reason="REAL_MAILBOX_TOKEN is not set: no real mailbox is examined")
async def test_a_real_mailbox_behaves_as_assumed(capsys: pytest.CaptureFixture[str]) -> None:
    """A submitted draft that is sent again is sent once, and something names its copy; prints what was found."""
    enable_socket()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=GRAPH, headers=headers, timeout=30.0) as graph:
        found = await Examiner(
            graph, asyncio.sleep, os.environ.get("REAL_MAILBOX_NOTIFICATION_URL")
        ).examine()
    with capsys.disabled():
        print(f"\n{found}")  # noqa: T201 - it is what its owner asked for
    assert found.copies == 1
    assert "kept" in {
        found.knobs[name] for name in ("sent_copy_id", "sent_message_id", "sent_copy_extended_properties")
    }
