"""The host in several processes: they share nothing but storage, and none outlives its parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from sandbox.azurite import Azurite
from sandbox.clock import OffsetClock
from sandbox.kills.killing import children_of
from sandbox.processes import ROOT, free_ports

pytestmark = pytest.mark.processes
PATIENCE_SECONDS = 40.0  # a busy machine starts three processes slowly

APP = """
import asyncio
import os
import azure.functions as func
import helping

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
STORY = os.environ["STORY"]

def tell(word):
    with open(STORY, "a") as story:
        story.write(f"{word} {os.getpid()} {os.environ.get('HOOKED', '')}\\n")

@app.route(route="enqueue", methods=["POST"])
@app.queue_output(arg_name="out", queue_name="jobs-%STAMP%", connection="DataStorage")
async def enqueue(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
    tell("enqueue")
    out.set(req.params.get("text", "job"))
    return func.HttpResponse(helping.GREETING)

@app.queue_trigger(arg_name="msg", queue_name="jobs-%STAMP%", connection="DataStorage")
async def work(msg: func.QueueMessage) -> None:
    text = msg.get_body().decode()
    if text.startswith("slow"):
        tell("began")
        await asyncio.sleep(float(text[4:]))
    tell("work")

@app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")
async def tick(timer: func.TimerRequest) -> None:
    tell("tick")

@app.route(route="die")
async def die(req: func.HttpRequest) -> func.HttpResponse:
    os._exit(3)
"""
HELPING = 'GREETING = "hello"\n'
HOOK = "import os\ndef install(context):\n    os.environ['HOOKED'] = f'{context.group}:{context.clock.now():%Y}'\n"


@dataclass
class Running:
    process: subprocess.Popen[str]
    folder: Path
    address: str

    def told(self) -> list[list[str]]:
        path = self.folder / "story"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def words(self) -> list[str]:
        return [words[0] for words in self.told()]

    def enqueue(self, text: str = "job") -> str:
        return httpx.post(f"{self.address}/api/enqueue?text={text}", timeout=5).raise_for_status().text

    def terminate(self, group: str) -> None:
        """Tell the process of a group to end, as Azure does when it takes an instance away."""
        (pid,) = (pid for pid, name in children_of(self.process.pid).items() if name == group)
        os.kill(pid, signal.SIGTERM)

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def children(self) -> list[int]:
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [pid for pid in pids if parent(pid) == self.process.pid]


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except FileNotFoundError:
        return 0


def eventually(check: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until, "never happened"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def write_app(folder: Path) -> None:
    (folder / "function_app.py").write_text(APP)
    (folder / "helping.py").write_text(HELPING)
    (folder / "hook.py").write_text(HOOK)
    config = {"version": "2.0", "extensions": {"queues": {"maxPollingInterval": "00:00:00.2"}}}
    (folder / "host.json").write_text(json.dumps(config))
    (folder / "clock").write_text("0")


@contextmanager
def started(folder: Path, azurite: Azurite, *arguments: str) -> Iterator[Running]:
    write_app(folder)
    storage = azurite.connection_string
    environ = os.environ | {
        "AzureWebJobsStorage": storage,
        "DataStorage": storage,
        "STORY": str(folder / "story"),
        "STAMP": folder.name.strip("_").replace("_", "-").lower(),
        "PYTHONPATH": str(folder),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "sandbox.devhost", "--app-dir", str(folder), "--port", "0"]
    command += ["--clock-file", str(folder / "clock"), "--bootstrap", "hook:install", *arguments]
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=log, stderr=log, text=True, start_new_session=True
    )
    try:
        yield Running(process, folder, address_of(folder, process))
    finally:
        log.close()
        if process.poll() is None:
            process.terminate()
        process.wait(10)


def address_of(folder: Path, process: subprocess.Popen[str]) -> str:
    def line() -> str:
        assert process.poll() is None, (folder / "log").read_text()
        text = (folder / "log").read_text()
        return next((line.split()[-1] for line in text.splitlines() if line.startswith("Functions at")), "")

    eventually(line)
    return line().replace("localhost", "127.0.0.1")


def test_each_group_in_its_own_process(tmp_path: Path, azurite: Azurite) -> None:
    """HTTP, queue and timer functions run in three processes, each after the hook, and a stop leaves none behind."""
    with started(tmp_path, azurite) as running:
        assert running.enqueue() == "hello"
        eventually(lambda: "work" in running.words())
        clock = OffsetClock(tmp_path / "clock")
        # Again and again: a timer whose process looks at the clock for the first time after a jump has missed nothing.
        eventually(lambda: "tick" in running.words() or not clock.advance(3600))
        told = {words[0]: words[1:] for words in running.told()}
        assert len({pid for pid, _ in told.values()}) == 3
        assert [told[word][1].partition(":")[0] for word in ("enqueue", "work", "tick")] == [
            "http",
            "work",
            "tick",
        ]
        children = running.children()
        assert len(children) == 3
        running.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert running.process.wait(10) == 0
        assert time.monotonic() - began < 5
        assert not any(alive(pid) for pid in children)


def test_children_die_with_their_parent(tmp_path: Path, azurite: Azurite) -> None:
    """When the supervisor is killed without warning, its children end by themselves."""
    with started(tmp_path, azurite) as running:
        children = running.children()
        assert len(children) >= 1
        running.process.kill()
        eventually(lambda: not any(alive(pid) for pid in children))


def test_a_dead_child_is_started_again(tmp_path: Path, azurite: Azurite) -> None:
    """A process that dies is replaced on the same port."""
    with started(tmp_path, azurite) as running:
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{running.address}/api/die", timeout=5)
        eventually(lambda: _answers(running.address))
        assert "ended with 3" in (tmp_path / "log").read_text()


def test_a_process_that_is_told_to_end_finishes_its_work(tmp_path: Path, azurite: Azurite) -> None:
    """After SIGTERM a process takes no more work, ends what it is at, and another takes its place."""
    with started(tmp_path, azurite, "--grace-seconds", "20") as running:
        running.enqueue("slow1.5")
        eventually(lambda: "began" in running.words())
        running.terminate("work")
        running.enqueue("slow0")
        eventually(lambda: running.words().count("work") == 2)
        eventually(lambda: "the process of 'work' ended with 0" in running.log())
        finished = {words[1]: words[0] for words in running.told() if words[0] in {"began", "work"}}
        assert len(finished) == 2, "the second message was for the next process"
        assert running.words().count("began") == 2


def test_a_process_ends_under_work_that_takes_too_long(tmp_path: Path, azurite: Azurite) -> None:
    """Work that outlives the grace is not told: its process ends, and its message comes again when its hiding ends."""
    with started(tmp_path, azurite, "--grace-seconds", "0.3") as running:
        running.enqueue("slow30")
        eventually(lambda: "began" in running.words())
        running.terminate("work")
        eventually(lambda: "the process of 'work' ended with 1" in running.log())
        assert "functions still run after 0.3 s" in running.log()
        assert "work" not in running.words()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/admin/host/ping", timeout=5).is_success
    except httpx.HTTPError:
        return False


def test_reload(tmp_path: Path, azurite: Azurite) -> None:
    """With --reload a changed file starts the app again, even after one that could not be imported."""
    with started(tmp_path, azurite, "--reload", "--group", "all-in-one") as running:
        assert running.enqueue() == "hello"
        good = (tmp_path / "function_app.py").read_text()
        (tmp_path / "function_app.py").write_text("this is no Python")
        eventually(lambda: "could not start" in (tmp_path / "log").read_text())
        (tmp_path / "function_app.py").write_text(good.replace("helping.GREETING", "'changed'"))
        eventually(lambda: _answers(running.address))
        assert running.enqueue() == "changed"


def test_all_in_one(tmp_path: Path, azurite: Azurite) -> None:
    """With `--group all-in-one` one process serves everything, and Ctrl-C ends it."""
    with started(tmp_path, azurite, "--group", "all-in-one") as running:
        running.enqueue()
        eventually(lambda: "work" in running.words())
        assert {words[1] for words in running.told()} == {str(running.process.pid)}
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(10) == 0


def test_an_app_that_cannot_be_indexed(tmp_path: Path) -> None:
    """An app that cannot be indexed ends the host with an error."""
    write_app(tmp_path)
    (tmp_path / "function_app.py").write_text("app = None\n")
    command = [sys.executable, "-m", "sandbox.devhost", "--app-dir", str(tmp_path), "--port", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "Could not find top level function app instances" in done.stderr


def test_no_port_is_given_twice() -> None:
    """Ports chosen one after another differ, and no connection of this machine gets them as its own."""
    given = [port for _ in range(20) for port in free_ports(5)]
    assert len(set(given)) == 100
    assert max(given) < 32_768
