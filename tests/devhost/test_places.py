"""Where worlds live: their folders and ports, also when two start at once."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

from sandbox.world.options import WorldOptions
from sandbox.world.places import prepared


def test_two_worlds_at_once_share_nothing(tmp_path: Path) -> None:
    """Of two local worlds started at once, the second takes another folder and other ports, and says so."""
    told: list[str] = []
    options = WorldOptions(preferred_ports=True, data_dir=tmp_path, told=told.append)
    with prepared(options) as first, prepared(options) as second:
        assert first.folder != second.folder
        assert not set(astuple(first.ports)) & set(astuple(second.ports))
    assert "another world has the well-known ports: taking others" in told


def test_a_folder_used_before_is_emptied(tmp_path: Path) -> None:
    """A local world begins without the logs, keys and data of the one before."""
    options = WorldOptions(data_dir=tmp_path, told=lambda _: None)
    with prepared(options) as place:
        (place.keys / "old").write_text("x", encoding="ascii")
    with prepared(options) as place:
        assert place.folder == tmp_path
        assert not list(place.keys.iterdir())
