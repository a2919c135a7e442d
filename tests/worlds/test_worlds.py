"""The worlds themselves: the oracle knows nothing of the product, and notices a product that is broken on purpose."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from sandbox.sabotage import SABOTAGES
from tests.worlds import __main__ as program
from tests.worlds import people
from tests.worlds.idle import nothing_happens
from tests.worlds.run import LONG_MOVES, MOVES, TROUBLES, Director, run
from tests.worlds.telling import WORDS, in_words
from tests.worlds.world import Beginning

HERE = Path(__file__).parent
FOUND_AS = {"lose": "lost", "double": "doubled", "peek": "foreign bodies"}
CALM = Beginning(seed=5, mailboxes=2)
SHORT = (900.0,)


@pytest.mark.parametrize("name", ["oracle.py", "diary.py"])
def test_the_oracle_shares_no_code_with_the_product(name: str) -> None:
    """What judges imports the standard library and the diary, so that a wrong rule of the product is not its own."""
    tree = ast.parse((HERE / name).read_text(encoding="utf-8"))
    imported = {
        alias
        for node in ast.walk(tree)
        for alias in (
            [node.module or ""] if isinstance(node, ast.ImportFrom)
            else [each.name for each in node.names] if isinstance(node, ast.Import)
            else []
        )
    }  # fmt: skip
    assert not {
        module for module in imported if module.partition(".")[0] in {"shared", "functions", "sandbox"}
    }
    assert {module for module in imported if module.startswith("tests")} <= {"tests.worlds.diary"}


async def an_exchange(director: Director) -> None:
    """Contacts answer what the CRM wrote, and write privately."""
    world = director.world
    await director.pass_time(300.0)
    for person in world.diary.people:
        await people.contact_answers(world, person)
        await people.private_mail(world, person)


@pytest.mark.parametrize("name", sorted(FOUND_AS))
def test_a_broken_product_is_noticed(name: str) -> None:
    """A product that loses, doubles or reads what is foreign is told as that."""
    result = run(CALM, an_exchange, rest=SHORT, wrap=SABOTAGES[name])
    assert result.verdict.faults[FOUND_AS[name]], result.tale


def test_a_seed_gives_the_same_world() -> None:
    """The same seed has the same tale, to the millisecond of its end, and nothing is lost in an ordinary exchange."""
    first, second = (run(CALM, an_exchange, rest=SHORT) for _ in range(2))
    assert first.tale == second.tale
    assert first.days == second.days
    assert not first.verdict.all()


def test_every_move_is_told_in_words() -> None:
    """What the worlds did is printed in words: each move has some."""
    names = {act.__name__ for act, _ in (*MOVES, *LONG_MOVES, *TROUBLES)}
    assert names <= set(WORDS)
    assert in_words({"crm_writes": 2}).startswith("2 threads begun by a CRM, 0 replies")


def test_a_run_outlasts_its_processes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Processes end after some worlds, and others go on with the rest (cpython issue 115634: they did not)."""
    monkeypatch.setattr(program, "WORLDS_A_PROCESS", 2)
    monkeypatch.setattr(program, "run_seed", nothing_happens)
    assert program.main(["--seeds", "5", "--moves", "1", "--processes", "1"]) == 0
    assert "5 worlds of 5 days" in capsys.readouterr().out
