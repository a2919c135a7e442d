"""host.json and the app settings that replace its values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sandbox.devhost.hostjson import HostJsonError, QueueRules, load_host_json
from sandbox.devhost.timespan import parse_timespan


def host_json(**sections: Any) -> dict[str, Any]:
    return {"version": "2.0", **sections}


def queues(**values: Any) -> dict[str, Any]:
    return host_json(extensions={"queues": values})


def test_defaults() -> None:
    """An empty host.json leaves the host's own defaults."""
    config = load_host_json(host_json(), {})
    assert config.queues == QueueRules(16, 8, 60.0, 0.0, 5, base64=True)
    assert config.http.route_prefix == "api"
    assert (config.http.max_concurrent, config.http.max_outstanding) == (None, None)
    assert config.timeout_seconds == 1800
    assert config.warnings == ()


def test_everything_said() -> None:
    """Every value of host.json that this host acts on is read, whatever the case of its key."""
    config = load_host_json(
        host_json(
            functionTimeout="00:05:00",
            extensions={
                "http": {"routePrefix": "", "maxConcurrentRequests": 3, "maxOutstandingRequests": 5},
                "Queues": {
                    "BatchSize": 1,
                    "newBatchThreshold": 0,
                    "maxPollingInterval": "00:00:02",
                    "visibilityTimeout": "00:00:30",
                    "maxDequeueCount": 3,
                    "messageEncoding": "none",
                },
            },
        ),
        {},
    )
    assert config.queues == QueueRules(1, 0, 2.0, 30.0, 3, base64=False)
    assert (config.http.route_prefix, config.http.max_concurrent, config.http.max_outstanding) == ("", 3, 5)
    assert config.timeout_seconds == 300


def test_the_threshold_follows_the_batch() -> None:
    """Without its own value newBatchThreshold is half the batch size."""
    assert load_host_json(queues(batchSize=4), {}).queues.new_batch_threshold == 2


def test_an_app_setting_replaces_a_value() -> None:
    """An app setting `AzureFunctionsJobHost__…` goes before host.json."""
    setting = {"AzureFunctionsJobHost__extensions__queues__batchSize": "4"}
    assert load_host_json(queues(batchSize=16), setting).queues.batch_size == 4


def test_no_timeout() -> None:
    """A functionTimeout of -1 is no limit."""
    assert load_host_json(host_json(functionTimeout="-1"), {}).timeout_seconds is None


@pytest.mark.parametrize("document", [{}, {"version": 2.0}, {"version": "1.0"}])
def test_the_version_must_be_2(document: dict[str, Any]) -> None:
    """The host refuses to start when host.json does not say version "2.0"."""
    with pytest.raises(HostJsonError, match=r'"2\.0"'):
        load_host_json(document, {})


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"batchSize": 33}, "batchSize"),
        ({"batchSize": 0}, "batchSize"),
        ({"batchSize": True}, "batchSize"),
        ({"newBatchThreshold": -1}, "newBatchThreshold"),
        ({"maxPollingInterval": "00:00:00.05"}, "maxPollingInterval"),
        ({"visibilityTimeout": "soon"}, "visibilityTimeout"),
        ({"maxDequeueCount": 0}, "maxDequeueCount"),
        ({"messageEncoding": "utf-7"}, "messageEncoding"),
    ],
)
def test_impossible_values_are_refused(values: dict[str, Any], named: str) -> None:
    """A value of host.json that is out of its bounds stops the host and is named."""
    with pytest.raises(HostJsonError, match=named):
        load_host_json(queues(**values), {})


def test_all_faults_are_named_at_once() -> None:
    """All faults of host.json are named in one message."""
    with pytest.raises(HostJsonError, match=r"batchSize.*maxDequeueCount"):
        load_host_json(queues(batchSize=99, maxDequeueCount=0), {})


def test_unknown_keys_are_only_warned_of() -> None:
    """An unknown or misplaced key of host.json is warned of and has no effect."""
    config = load_host_json(host_json(bogus=1, queues={}, extensions={"http": {"prefix": "x"}}), {})
    assert sorted(config.warnings) == [
        'host.json: "bogus" is not known and has no effect',
        'host.json: "extensions.http.prefix" is not known and has no effect',
        'host.json: "queues" has no effect here, it belongs under "extensions"',
    ]


def test_adaptive_concurrency_is_not_imitated() -> None:
    """A host.json that asks for dynamic concurrency is warned that the fixed numbers hold."""
    document = {"version": "2.0", "concurrency": {"dynamicConcurrencyEnabled": True}}
    assert ["dynamicConcurrencyEnabled" in warning for warning in load_host_json(document, {}).warnings] == [
        True
    ]
    document["concurrency"] = {"dynamicConcurrencyEnabled": False}
    assert load_host_json(document, {}).warnings == ()


def test_a_missing_or_broken_file(tmp_path: Path) -> None:
    """A missing host.json and one that is not JSON are told apart."""
    with pytest.raises(HostJsonError, match=r"no host\.json"):
        load_host_json(tmp_path / "host.json", {})
    (tmp_path / "host.json").write_text("{")
    with pytest.raises(HostJsonError, match="not JSON"):
        load_host_json(tmp_path / "host.json", {})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:00:30", 30), ("01:02", 3720), ("1.02:00:00", 93600), ("00:00:00.1", 0.1), ("-00:00:01", -1)],
)
def test_timespans(text: str, seconds: float) -> None:
    """Durations of host.json are read as .NET writes them."""
    assert parse_timespan(text) == pytest.approx(seconds)
