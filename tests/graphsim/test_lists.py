"""Lists that come cut short, late or not at all."""

from __future__ import annotations

from sandbox.graphsim import listing
from tests.graphsim.conftest import App, Lab, where

RECENT = where(filter="lastModifiedDateTime ge 2026-01-01T00:00:00Z", orderby="lastModifiedDateTime")
OF_IDS = f"{RECENT}&$select=id"


async def fill(lab: Lab, count: int) -> None:
    for number in range(count):
        await lab.arrives(subject=f"{number}")


async def test_a_sorted_list_is_cut_short_without_a_link(lab: Lab, app: App) -> None:
    """A page of a sorted list ends after a fifth of $top and has no link; $skip and a later time bring the rest."""
    await lab.knobs(list_504="never")
    await fill(lab, 7)
    first = await app.ok("GET", f"me/messages?{OF_IDS}&$top=20")
    assert (len(first["value"]), "@odata.nextLink" in first) == (4, False)
    rest = await app.ok("GET", f"me/messages?{OF_IDS}&$top=20&$skip=4")
    assert (len(rest["value"]), "@odata.nextLink" in rest) == (3, False)
    assert len((await app.ok("GET", "me/messages?$top=5&$select=id"))["value"]) == 5
    await lab.knobs(list_next_link="kept")
    assert "@odata.nextLink" in await app.ok("GET", f"me/messages?{OF_IDS}&$top=4")


async def test_one_mail_makes_its_pages_a_500(lab: Lab, app: App) -> None:
    """A corrupt mail makes each page with more of it than its id a 500; by its id, and on other pages, all is well."""
    await lab.knobs(list_504="never")
    corrupt, number = None, 0
    while corrupt is None:
        arrived, number = await lab.arrives(message_id=f"<{number}@fabrikam.example>"), number + 1
        mailbox = next(iter(lab.simulator.world.store.mailboxes.values()))
        corrupt = mailbox.message(arrived["id"])
        corrupt = corrupt if corrupt and listing.is_corrupt(corrupt) else None
    at_it = f"{RECENT}&$top=1&$skip={number - 1}"
    refused = (500, "ErrorInternalServerError")
    assert await app.refused("GET", f"me/messages?{at_it}") == refused
    assert await app.refused("GET", f"me/messages?{at_it}&$select=conversationId") == refused
    found = await app.ok("GET", f"me/messages?{at_it}&$select=id")
    assert (await app.ok("GET", f"me/messages/{found['value'][0]['id']}"))["subject"] == "Quote"
    assert (await app.ok("GET", f"me/messages?{RECENT}&$top=1"))["value"]
    await lab.knobs(list_500="never")
    assert (await app.ok("GET", f"me/messages?{at_it}"))["value"]


async def test_large_pages_take_too_long_now_and_then(lab: Lab, app: App) -> None:
    """One sorted list in four with $top above 10 answers 504; smaller ones and other lists never do."""
    await lab.knobs(list_500="never")
    large = [(await app("GET", f"me/messages?{RECENT}&$top=11")).status_code for _ in range(60)]
    assert set(large) == {200, 504}
    assert 5 <= large.count(504) <= 30
    assert {(await app("GET", f"me/messages?{RECENT}&$top=10")).status_code for _ in range(20)} == {200}
    await lab.knobs(list_504="never")
    assert {(await app("GET", f"me/messages?{RECENT}&$top=50")).status_code for _ in range(20)} == {200}
