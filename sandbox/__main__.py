"""`python -m sandbox up` runs the local world until Ctrl-C; `story` plays the story; `kills` plays with deaths."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from sandbox.azurite import AzuriteMissing
from sandbox.banner import Facts, banner
from sandbox.kills.killing import SIGNALS
from sandbox.processes import ROOT, NotReady, ProcessDied
from sandbox.sabotage import SABOTAGES
from sandbox.story.stage import Lie
from sandbox.world import World, WorldOptions

DATA_DIR = ROOT / ".sandbox" / "world"
# A person who tries it sees whole emoji; the story is played with halves too.
DEMO_KNOBS = ("half_surrogates=whole",)


def main() -> int:
    """Run the command; print why when something could not start. Return the exit code."""
    asked = _parser().parse_args()
    try:
        if asked.command == "up":
            return asyncio.run(_up(asked.seed, tuple(asked.local_origin), play=not asked.empty))
        return asyncio.run(_other(asked))
    except (AzuriteMissing, ProcessDied, NotReady) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except Lie as lie:
        print(f"\nthe story's beginning failed: {lie}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _other(asked: argparse.Namespace) -> Coroutine[Any, Any, int]:
    """The commands that play something and end."""
    if asked.command == "kills":
        from sandbox.kills import running

        plan = running.Plan(
            asked.kills, asked.seed or running.fresh_seed(), asked.death, asked.sabotage or None
        )
        return running.run(plan)
    if asked.command == "rolling":
        from sandbox.kills import rolling
        from sandbox.kills.running import fresh_seed

        return rolling.run(asked.seconds, asked.seed or fresh_seed())
    from sandbox.story import run

    package = asked.package and asked.package.resolve()
    return run(asked.sabotage or None, asked.profile, package)


def _at_least_once(text: str) -> int:
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError("nothing is shown without a death")
    return count


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start everything, play the story's beginning, stay until Ctrl-C")
    up.add_argument("--seed", type=int, default=1, help="seed of the simulator's random choices")
    up.add_argument("--empty", action="store_true", help="leave out the story's beginning")
    up.add_argument(
        "--local-origin",
        action="append",
        default=[],
        help="http://127.0.0.1:PORT of another CRM that the product may call",
    )
    story = commands.add_parser("story", help="play the whole story in a separate world")
    story.add_argument(
        "--sabotage",
        default="",
        choices=("", *SABOTAGES),
        help="break the product (lose, double, peek); the story must then fail",
    )
    story.add_argument(
        "--package",
        type=Path,
        help="folder of an unpacked deployment package to play it on (make package), with Python 3.13",
    )
    story.add_argument(
        "--profile",
        default="local",
        choices=("local", "azure"),
        help="the product as on this machine, or as on Azure, with stand-ins",
    )
    kills = commands.add_parser(
        "kills", help="kill workers while mail goes both ways, then judge what became of it"
    )
    kills.add_argument(
        "--kills", type=_at_least_once, default=100, help="how many processes are killed (default: 100)"
    )
    kills.add_argument(
        "--seed", type=int, default=0, help="seed of moves, victims and pauses (default: a new one)"
    )
    kills.add_argument(
        "--death",
        default="kill",
        choices=SIGNALS,
        help="SIGKILL, SIGTERM (which drains), or each of them at random",
    )
    kills.add_argument(
        "--sabotage", default="", choices=("", *SABOTAGES), help="break the product; this must then fail"
    )
    roll = commands.add_parser(
        "rolling", help="deploy the next version while mail goes both ways, then judge"
    )
    roll.add_argument(
        "--seconds", type=float, default=30.0, help="length of each of the three stages (default: 30)"
    )
    roll.add_argument("--seed", type=int, default=0, help="seed of the moves (default: a new one)")
    return parser


async def _up(seed: int, local_origins: tuple[str, ...], *, play: bool) -> int:
    """Run the demo; return 0 after Ctrl-C, 1 when a process died."""
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    options = WorldOptions(
        preferred_ports=True, data_dir=DATA_DIR, seed=seed, local_origins=local_origins, knobs=DEMO_KNOBS
    )
    async with World.start(options) as world:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupted.set)
        died = asyncio.create_task(_wait_until_ended(world))
        if play:
            from sandbox.story import beginning

            print("playing the story's beginning", file=sys.stderr, flush=True)
            await _run_unless_interrupted(beginning.play(world), interrupted)
        if not interrupted.is_set():
            print(banner(_facts(world, played=play)), flush=True)
        await asyncio.wait(
            [died, asyncio.ensure_future(interrupted.wait())], return_when=asyncio.FIRST_COMPLETED
        )
        died.cancel()
        print("stopping" if interrupted.is_set() else "a process died: stopping", file=sys.stderr, flush=True)
        return 0 if interrupted.is_set() else 1


async def _run_unless_interrupted(playing: object, interrupted: asyncio.Event) -> None:
    task = asyncio.ensure_future(playing)  # type: ignore[call-overload]  # the story's coroutine
    waiting = asyncio.ensure_future(interrupted.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not task.done():
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return
    await task


async def _wait_until_ended(world: World) -> None:
    while not world.ended.is_set():  # noqa: ASYNC110 - the event belongs to the watching thread
        await asyncio.sleep(0.2)


def _facts(world: World, *, played: bool) -> Facts:
    """What the banner says; who is connected is asked of the CRM."""
    with httpx.Client(base_url=world.crm_url, timeout=10.0, trust_env=False) as crm:
        users = crm.get("/api/users").json()["users"]
        connections = crm.get("/api/connections").json()["connections"]
    connected = {item["user_id"]: item["address"] for item in connections if item["status"] == "connected"}
    return Facts(
        crm_url=world.crm_url,
        sim_url=world.sim_http_url,
        app_url=world.app_url,
        people=[(user["name"], connected.get(user["id"])) for user in users],
        played=played,
        origins=world.options.local_origins,
        environment_file=world.place.environment_file,
        logs=world.logs_dir,
    )


if __name__ == "__main__":
    sys.exit(main())
