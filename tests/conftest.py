"""The few fixtures everybody uses."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings
from pytest_socket import disable_socket, enable_socket, socket_allow_hosts

# How long one example takes says how busy the machine is, and nothing of the code.
settings.register_profile("busy", deadline=None)
settings.register_profile("deep", deadline=None, max_examples=2_000)  # `make security`
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "busy"))

LOOPBACK = ["127.0.0.1", "::1", "localhost"]


@pytest.fixture(autouse=True)
def _network(request: pytest.FixtureRequest) -> None:
    """No sockets at all in unit tests (asyncio's own pair excepted), only this machine's elsewhere."""
    enable_socket()
    if "/tests/unit/" in request.path.as_posix():
        disable_socket(allow_unix_socket=True)
    else:
        socket_allow_hosts(LOOPBACK, allow_unix_socket=True)
