"""The beginning of the story, so that the demo's pages show something at first."""

from __future__ import annotations

from sandbox.story import acts
from sandbox.story.connecting import connect
from sandbox.story.playing import staged
from sandbox.story.stage import DEV, Stage
from sandbox.story.telling import Told
from sandbox.world import World

BOB = ("u_bob", "bob@northwind.example")


async def play(world: World) -> None:
    """Ann connects her mailbox and writes to Carla, Carla answers; Bob's mailbox is left to be connected by hand."""
    async with staged(world) as stage:
        await acts.seed(stage)
        await _add_people(stage)
        await connect(stage)
        told = Told()
        await acts.sending(stage, told)
        await acts.contact_replies(stage, told)


async def _add_people(stage: Stage) -> None:
    await stage.control("POST", "users", address=BOB[1], display_name="Bob Baker")
    await stage.control("POST", "contacts", address=DEV, name="Dev Das")
