"""The simulator as a program: its certificates, its server."""

from __future__ import annotations

import ssl
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from sandbox.certificates import make_certificates
from sandbox.clock import OffsetClock
from sandbox.processes import free_ports
from tests.graphsim.conftest import CLIENT, REDIRECT, SECRET

ROOT = Path(__file__).parents[2]


def test_certificates(tmp_path: Path) -> None:
    """The certificate authority is made once and kept, and key files are their owner's alone."""
    made = make_certificates(tmp_path / "tls")
    authority = (tmp_path / "tls" / "ca.pem").read_bytes()
    first = made.leaf.read_bytes()
    assert make_certificates(tmp_path / "tls") == made
    assert (tmp_path / "tls" / "ca.pem").read_bytes() == authority
    assert made.leaf.read_bytes() != first
    for name in ("leaf.pem", "leaf-key.pem", "ca-key.pem"):
        assert stat.S_IMODE((tmp_path / "tls" / name).stat().st_mode) == 0o600


@pytest.mark.processes
def test_it_serves_on_both_ports(tmp_path: Path) -> None:
    """The program serves one world in plain http and TLS, and ends at a signal."""
    plain, secure = free_ports(2)
    command = [
        sys.executable,
        "-m",
        "sandbox.graphsim",
        "--http-port",
        str(plain),
        "--https-port",
        str(secure),
    ]
    command += ["--tls-dir", str(tmp_path / "tls"), "--clock-file", str(tmp_path / "clock")]
    command += ["--knob", "retry_after=absent"]
    clock = OffsetClock(tmp_path / "clock")
    clock.advance((datetime(2031, 6, 1, tzinfo=UTC) - clock.now()).total_seconds())
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            assert "simulator ready" in running.stdout.readline()
            drive(
                f"http://localhost:{plain}", f"https://localhost:{secure}", str(tmp_path / "tls" / "ca.pem")
            )
            began = time.monotonic()
            running.terminate()
            assert running.wait(10) == 0
            assert time.monotonic() - began < 8
        finally:
            running.kill()


def drive(plain: str, secure: str, authority: str) -> None:
    """What is made known on one port is known on the other; answers carry the world's time.

    Who does not trust the authority is turned away.
    """
    registered = {"client_id": CLIENT, "client_secret": SECRET, "redirect_uris": [REDIRECT]}
    httpx.post(f"{plain}/__control/applications", json=registered).raise_for_status()
    httpx.post(f"{plain}/__control/users", json={"address": "ann@northwind.example"}).raise_for_status()
    knobs = httpx.get(f"{plain}/__control/knobs").json()["knobs"]
    assert knobs["retry_after"] == "absent"
    context = ssl.create_default_context(cafile=authority)
    found = httpx.get(f"{secure}/common/v2.0/.well-known/openid-configuration", verify=context).json()
    assert found["token_endpoint"] == f"{secure}/common/oauth2/v2.0/token"
    assert found["authorization_endpoint"].startswith(plain)
    answer = httpx.get(f"{secure}/v1.0/me", verify=context)
    assert answer.status_code == 401
    assert [parsedate_to_datetime(date).year for date in answer.headers.get_list("date")] == [2031]
    assert "ann@northwind.example" in httpx.get(f"{plain}/outlook").text
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{secure}/v1.0/me")
