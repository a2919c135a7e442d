"""The folder and the ports of a world."""

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
EMPTIED = (
    *("azurite", "crm", "keys", "logs", "tls", "clock"),
    *("azd-outputs.json", "azure.json", "commands", "crm.json", "environment", "names.json"),
)
"""What is deleted from a folder used before: the simulator's data does not survive, so nothing else may."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The port of each server."""

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
        """The folder of log files, one for each process."""
        return self.folder / "logs"

    @property
    def clock_file(self) -> Path:
        """The file with the clock's offset."""
        return self.folder / "clock"

    @property
    def tls(self) -> Path:
        """The folder of the simulator's certificates."""
        return self.folder / "tls"

    @property
    def environment_file(self) -> Path:
        """The file with the product's settings, for commands run by hand."""
        return self.folder / "environment"

    @property
    def names_file(self) -> Path:
        """The file with the world's public names, where it has some."""
        return self.folder / "names.json"

    @property
    def azure_file(self) -> Path:
        """The file with the settings of the stand-ins for Azure."""
        return self.folder / "azure.json"

    @property
    def keys(self) -> Path:
        """The folder of secret files of the product and of the development host."""
        return self.folder / "keys"


@contextmanager
def prepared(options: WorldOptions) -> Iterator[Place]:
    """Prepare an empty folder and free ports for the length of a block; the folder is locked meanwhile."""
    with _lock_folder(options) as folder, _lock_well_known_ports(options) as preferred:
        for name in ("logs", "keys", "tls"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "clock").write_text("0", encoding="ascii")
        yield Place(folder, choose_ports(options.told, preferred=preferred))


@contextmanager
def _lock_folder(options: WorldOptions) -> Iterator[Path]:
    if options.data_dir is not None:
        options.data_dir.mkdir(parents=True, exist_ok=True)
        with (options.data_dir / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                options.told(f"another world uses {options.data_dir}: using a temporary folder")
            else:
                _empty(options.data_dir)
                yield options.data_dir
                return
    folder = Path(tempfile.mkdtemp(prefix="world-"))
    try:
        yield folder
    finally:
        if options.keep_data:
            options.told(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _lock_well_known_ports(options: WorldOptions) -> Iterator[bool]:
    """Lock the well-known ports; yield whether this world may use them: two starting worlds may both find them free."""
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
    """Choose the well-known ports if wanted and free, else free ones."""
    chosen = dict(zip(PREFERRED, free_ports(len(PREFERRED)), strict=True))
    for name, port in PREFERRED.items() if preferred else ():
        if is_free(port):
            chosen[name] = port
        else:
            told(f"port {port} is taken: {name} listens on {chosen[name]}")
    return Ports(**chosen)
