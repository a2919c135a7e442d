"""Where a world lives: its folder and its ports."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.processes import free_ports, is_free
from sandbox.world.options import WorldOptions

PREFERRED = {"app": 7071, "sim_http": 7444, "sim_https": 7443, "crm": 7080}
EMPTIED = ("azurite", "crm", "keys", "logs", "tls", "clock", "crm.json", "environment")
"""What of a folder used before belongs to the world that was: the simulator forgets, so everything must."""


@dataclass(frozen=True, slots=True)
class Ports:
    """One for each server a person or a program speaks to."""

    app: int
    sim_http: int
    sim_https: int
    crm: int


@dataclass(frozen=True, slots=True)
class Place:
    """A world's folder and ports."""

    folder: Path
    ports: Ports

    @property
    def logs(self) -> Path:
        """One file for each process."""
        return self.folder / "logs"

    @property
    def clock_file(self) -> Path:
        """The world's clock."""
        return self.folder / "clock"

    @property
    def tls(self) -> Path:
        """The simulator's certificates."""
        return self.folder / "tls"

    @property
    def environment_file(self) -> Path:
        """The product's settings, for commands run by hand."""
        return self.folder / "environment"

    @property
    def keys(self) -> Path:
        """Secret files of the product and of the dev host."""
        return self.folder / "keys"


@contextmanager
def prepared(options: WorldOptions) -> Iterator[Place]:
    """An empty folder and free ports; nobody else uses the folder meanwhile."""
    with _folder(options) as folder, _well_known_ports(options) as preferred:
        for name in ("logs", "keys", "tls"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "clock").write_text("0", encoding="ascii")
        yield Place(folder, choose_ports(options.told, preferred=preferred))


@contextmanager
def _folder(options: WorldOptions) -> Iterator[Path]:
    if options.data_dir is not None:
        options.data_dir.mkdir(parents=True, exist_ok=True)
        with (options.data_dir / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                options.told(f"another world lives in {options.data_dir}: taking a temporary folder")
            else:
                _empty(options.data_dir)
                yield options.data_dir
                return
    folder = Path(tempfile.mkdtemp(prefix="world-"))
    try:
        yield folder
    finally:
        if options.keep_data:
            options.told(f"left behind: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _well_known_ports(options: WorldOptions) -> Iterator[bool]:
    """Whether this world may take the well-known ports: of two that start at once, both would find them free."""
    if not options.preferred_ports:
        yield False
        return
    with (Path(tempfile.gettempdir()) / f"postbraid-ports-{os.getuid()}").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            options.told("another world has the well-known ports: taking others")
            mine = False
        else:
            mine = True
        yield mine


def _empty(folder: Path) -> None:
    for name in EMPTIED:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def choose_ports(told: Callable[[str], None], *, preferred: bool) -> Ports:
    """The well-known ports where wanted and free, else free ones."""
    chosen = dict(zip(PREFERRED, free_ports(len(PREFERRED)), strict=True))
    for name, port in PREFERRED.items() if preferred else ():
        if is_free(port):
            chosen[name] = port
        else:
            told(f"port {port} is taken: {name} listens on {chosen[name]}")
    return Ports(**chosen)
