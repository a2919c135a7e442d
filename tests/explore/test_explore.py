"""The explorer itself: its time, its repeatability, and that it finds a product that is broken on purpose."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.explore.__main__ import main
from tests.explore.case import Case, Outcome
from tests.explore.faults import Fault, Kind
from tests.explore.report import Report
from tests.explore.sites import ROOT, sites_of_source, uncrossed

SCRIPT = """
import os, sys, tempfile
from pathlib import Path
from sandbox.sabotage import SABOTAGES
from tests.explore.case import Case
from tests.explore.forking import play_here, prepared
case = Case.read(sys.argv[1])
outcome = play_here(prepared(case.flow, Path(sys.argv[3]), SABOTAGES.get(sys.argv[2])), case)
print(outcome.found, outcome.hit, hash(tuple(outcome.made)), flush=True)
os._exit(0)
"""


def _play(folder: Path, case: str, sabotage: str = "") -> str:
    command = [sys.executable, "-c", SCRIPT, case, sabotage, str(folder)]
    environ = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=100, check=False
    )
    return done.stdout or done.stderr


@pytest.mark.parametrize(
    ("sabotage", "flow", "kind"),
    [("double", "first_send", "doubled"), ("lose", "inbound", "lost"), ("peek", "inbound", "foreign")],
)
def test_a_broken_product_is_found(tmp_path: Path, sabotage: str, flow: str, kind: str) -> None:
    """A product that sends twice, keeps an event back or reads foreign mail does not pass."""
    assert f"'{kind}'" in _play(tmp_path, f"{flow}/1/", sabotage)


def test_a_case_is_repeated_exactly(tmp_path: Path) -> None:
    """Two runs of one case make the same calls in the same order, and a planned death is met."""
    use_case = "shared.sync.outbound.accept_outbound.accept_outbound"
    case = f"first_send/3/table.query@shared.state.ledger.Ledger.mailbox<{use_case}"
    first, second = _play(tmp_path, f"{case}#1:die_before"), _play(tmp_path, f"{case}#1:die_before")
    assert first == second
    assert first.startswith("{} 1 ")


def test_a_case_is_a_text() -> None:
    """The text by which a case is replayed says all of it."""
    case = Case("send", 7, (Fault("graph.send@a.b<c.d", 2, Kind.LATE), Fault("", 11, Kind.DIE_AFTER)))
    assert Case.read(str(case)) == case


def _command(*words: str) -> subprocess.CompletedProcess[str]:
    """What `make explore` calls."""
    command = [sys.executable, "-m", "tests.explore", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def test_the_case_of_the_readme_is_one() -> None:
    """It is played as it stands there, and its fault is met."""
    [case] = re.findall("CASE='(.+)'", Path(__file__).with_name("README.md").read_text())
    done = _command("--case", case)
    assert "met 1 of 1 faults; all is as it must be" in done.stdout, done.stderr
    assert done.returncode == 0


def test_a_case_that_is_never_met_fails() -> None:
    """One whose fault no call meets says so: it is of other code, or was copied in part."""
    done = _command("--case", "connect/1/a.b@c#1:die_after")
    assert "never met: a.b@c#1:die_after" in done.stdout, done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("case", "said"),
    [("conect/1/", "conect is no flow"), ("connect/1/a.b@c#1:die", "'die'"), ("connect", "is no case")],
)
def test_a_misspelt_case_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], case: str, said: str
) -> None:
    """What is no case ends in a sentence that says why."""
    monkeypatch.setattr("sys.argv", ["explore", "--case", case])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_run_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """While it runs: how many cases of the flow and of all were played; at its end what each flow had."""
    report = Report()
    report.expect(3, "of 2 flows")
    report.begin("send", 2)
    report.add(Case("send", 1, (Fault("a.b@c", 1, Kind.LATE),)), Outcome("", {"lost": ["a mail"]}, hit=1))
    report.skip(1)
    said = capsys.readouterr().out
    assert "1 of 2 cases of send; 1 of 3 cases of 2 flows" in said
    assert report.close(whole=False) == 1
    assert re.search(r"send +1 cases  lost 1", capsys.readouterr().out)


def test_sites_of_the_source_are_known() -> None:
    """Calls of stores, Graph and the CRM are found in the source, and are not crossed until a case does."""
    site = "graph.send@shared.graph.provider.GraphMail.send"
    assert site in sites_of_source()
    assert "crm.deliver@shared.crm.generic.GenericCrm._deliver" in uncrossed(set())
    assert site not in uncrossed({f"{site}<shared.sync.outbound.send_message.submit"})


def test_time_moves_when_nobody_can_run() -> None:
    """An hour of sleep takes no time, a thread is waited for, and what a dead process would do is not done."""
    script = """
import asyncio, os
from sandbox.clock import VirtualClock
from tests.concurrency.loop import VirtualLoop
from tests.explore.processes import Process, lives
clock = VirtualClock()
begun, done = clock.now(), []
def blocked():
    return asyncio.run_coroutine_threadsafe(asyncio.sleep(3600, 'slept'), loop).result()
async def work():
    done.append(await asyncio.to_thread(blocked))
async def lingers():
    try:
        await asyncio.sleep(10)
    finally:
        done.append('finally')
async def main():
    process = Process('p', None, None, web=False)
    process.start(lingers())
    await asyncio.sleep(1)
    process.start(process.die())
    await work()
loop = VirtualLoop(clock, lives)
loop.run_until_complete(main())
print(done, int((clock.now() - begun).total_seconds()), flush=True)
os._exit(0)
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "['slept'] 3601\n", done.stderr


def test_the_loop_ends_where_nothing_will_happen() -> None:
    """Waiting for what nobody will ever do is an error, not a standstill."""
    script = """
import asyncio
from sandbox.clock import VirtualClock
from tests.concurrency.loop import NothingLeft, VirtualLoop
loop = VirtualLoop(VirtualClock(), lambda _: True)
try:
    loop.run_until_complete(asyncio.Event().wait())
except NothingLeft:
    print('nothing left')
"""
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert "nothing left" in done.stdout, done.stderr
