"""What becomes of a queue message, on queues in memory under a clock that stands still."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import azure.functions as func
import pytest

from sandbox.clock import VirtualClock
from sandbox.devhost import processor
from sandbox.devhost.inprocess import Host, MemoryQueues, build_host
from sandbox.devhost.processor import INVISIBLE_SECONDS, Hold, poison_queue
from tests.devhost.apps import anonymous_app


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@dataclass
class Bench:
    """A host with one queue function over queues in memory."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    seen: list[Any] = field(default_factory=list)
    queues: MemoryQueues = field(init=False)
    host: Host = field(init=False)

    def __post_init__(self) -> None:
        self.queues = MemoryQueues(self.clock)
        self.queues.create("jobs")

    def with_worker(
        self, work: Callable[[func.QueueMessage], Any] | None = None, queue: str = "jobs", **rules: Any
    ) -> Bench:
        app = anonymous_app()
        seen = self.seen

        @app.queue_trigger(arg_name="msg", queue_name=queue, connection="X")
        async def worker(msg: func.QueueMessage) -> Any:
            seen.append(msg)
            return work(msg) if work else None

        config = {"version": "2.0", "extensions": {"queues": rules}}
        self.host = build_host(
            app, host_json=config, queues=self.queues, clock=self.clock, environ={"NAME": "jobs"}
        )
        return self

    async def put(self, text: str = "job", *, raw: bool = False, queue: str = "jobs") -> None:
        await self.queues.put(queue, text if raw else encoded(text))

    async def pump(self, advance_seconds: float = 0.0) -> int:
        self.clock.advance(advance_seconds)
        return await self.host.pump_queues()


def fail(msg: func.QueueMessage) -> None:
    raise ValueError(msg.id)


async def test_a_message_is_worked_once_and_deleted() -> None:
    """A message arrives decoded with its metadata, is worked once and deleted."""
    bench = Bench().with_worker()
    await bench.put('{"v": 1}')
    assert (await bench.pump(), await bench.pump()) == (1, 0)
    (message,) = bench.seen
    assert isinstance(message, func.QueueMessage)
    assert (message.get_json(), message.dequeue_count) == ({"v": 1}, 1)
    assert message.insertion_time == bench.clock.now()
    assert message.expiration_time == bench.clock.now() + timedelta(days=7)
    assert message.time_next_visible == bench.clock.now() + timedelta(seconds=INVISIBLE_SECONDS)
    assert (message.id, message.pop_receipt) == ("message-0", "receipt-1")
    assert bench.queues.texts("jobs") == []


async def test_failures_end_in_poison() -> None:
    """A failing message is worked maxDequeueCount times and then moved to the poison queue."""
    bench = Bench().with_worker(fail, maxDequeueCount=3)
    await bench.put("bad")
    assert [await bench.pump() for _ in range(4)] == [1, 1, 1, 0]
    assert [message.dequeue_count for message in bench.seen] == [1, 2, 3]
    assert bench.queues.texts("jobs") == []
    assert bench.queues.texts("jobs-poison") == [encoded("bad")]


async def test_a_failed_message_waits() -> None:
    """A failed message waits for the `visibilityTimeout`."""
    bench = Bench().with_worker(fail, visibilityTimeout="00:00:30")
    await bench.put()
    assert [await bench.pump(), await bench.pump(29), await bench.pump(1)] == [1, 0, 1]


async def test_a_worn_out_message_is_not_run() -> None:
    """A message that was received too often already goes to poison without running."""
    bench = Bench().with_worker(maxDequeueCount=2)
    await bench.put()
    for _ in range(2):
        await bench.queues.receive("jobs", 1, 0)
    assert await bench.pump() == 1
    assert bench.seen == []
    assert bench.queues.texts("jobs-poison") == [encoded("job")]


async def test_text_that_is_not_base64() -> None:
    """A message that is not base64 goes to poison as it is without running."""
    bench = Bench().with_worker()
    await bench.put("plain, not base64!", raw=True)
    await bench.pump()
    assert (bench.seen, bench.queues.texts("jobs-poison")) == ([], ["plain, not base64!"])


async def test_plain_texts_where_host_json_says_so() -> None:
    """With messageEncoding none, messages travel as plain text."""
    bench = Bench().with_worker(messageEncoding="none")
    await bench.put("plain", raw=True)
    await bench.pump()
    assert [message.get_body() for message in bench.seen] == [b"plain"]


async def test_no_poison_for_poison() -> None:
    """A failing message of a poison queue stays hidden for the rest of its ten minutes."""
    bench = Bench()
    bench.queues.create("jobs-poison")
    bench.with_worker(fail, queue="jobs-poison", maxDequeueCount=1)
    await bench.put(queue="jobs-poison")
    assert [await bench.pump(), await bench.pump(599), await bench.pump(1)] == [1, 0, 1]
    assert "jobs-poison-poison" not in bench.queues.queues


def test_a_poison_name_too_long() -> None:
    """A queue whose poison name would exceed 63 characters has none."""
    assert poison_queue("q" * 56) == "q" * 56 + "-poison"
    assert poison_queue("q" * 57) is None


async def test_returning_something_is_a_failure() -> None:
    """A queue function that returns a value without a `$return` binding fails."""
    bench = Bench().with_worker(lambda _: "surprise", maxDequeueCount=1)
    await bench.put()
    await bench.pump()
    assert bench.queues.texts("jobs-poison") == [encoded("job")]


async def test_payload_keys_replace_metadata() -> None:
    """Top-level properties of a JSON payload replace the metadata of the same name, whatever the case."""
    bench = Bench().with_worker()
    await bench.put(json.dumps({"ID": "mine", "dequeueCount": 7, "popReceipt": None, "insertionTime": ["x"]}))
    await bench.pump()
    (message,) = bench.seen
    assert (message.id, message.dequeue_count, message.pop_receipt) == ("mine", 7, "receipt-1")
    assert message.insertion_time == bench.clock.now()


async def test_a_payload_key_can_make_a_message_unreadable() -> None:
    """A payload whose `insertionTime` is no time fails before the function runs."""
    bench = Bench().with_worker(maxDequeueCount=1)
    await bench.put(json.dumps({"insertionTime": "yesterday"}))
    await bench.pump()
    assert (bench.seen, len(bench.queues.texts("jobs-poison"))) == ([], 1)


async def test_a_setting_names_the_queue() -> None:
    """`%NAME%` in a queue's name is replaced by the app setting."""
    bench = Bench().with_worker(queue="%NAME%")
    await bench.put()
    assert await bench.pump() == 1


async def test_a_missing_queue_is_not_created() -> None:
    """A trigger never creates its queue."""
    bench = Bench().with_worker(queue="elsewhere")
    assert await bench.pump() == 0
    assert "elsewhere" not in bench.queues.queues


async def test_messages_put_meanwhile_wait_for_the_next_pump() -> None:
    """One pump works only what was visible when it began."""
    bench = Bench()
    app = anonymous_app()

    @app.queue_trigger(arg_name="msg", queue_name="jobs", connection="X")
    @app.queue_output(arg_name="out", queue_name="jobs", connection="X")
    async def again(msg: func.QueueMessage, out: func.Out[str]) -> None:
        out.set(msg.get_body().decode() + "!")

    bench.host = build_host(app, queues=bench.queues, clock=bench.clock, environ={})
    await bench.put("job")
    assert (await bench.pump(), await bench.pump()) == (1, 1)
    assert bench.queues.texts("jobs") == [encoded("job!!")]


async def test_somebody_elses_message_is_left_alone() -> None:
    """A message that another host has received meanwhile is not deleted."""
    bench = Bench()
    await bench.put()
    (message,) = await bench.queues.receive("jobs", 1, 0)
    hold = Hold(bench.queues, "jobs", message, message.receipt)
    await bench.queues.receive("jobs", 1, 60)
    await hold.delete()
    assert len(bench.queues.texts("jobs")) == 1


async def test_renewal_keeps_the_newest_receipt() -> None:
    """A message whose hiding was renewed can still be deleted."""
    bench = Bench()
    await bench.put()
    (message,) = await bench.queues.receive("jobs", 1, 60)
    hold = Hold(bench.queues, "jobs", message, message.receipt)
    await hold.extend(600)
    await hold.delete()
    assert bench.queues.texts("jobs") == []


@pytest.mark.parametrize("kind", [str, bytes])
async def test_plain_parameter_types(kind: type) -> None:
    """A parameter typed `str` or `bytes` gets the message's text alone."""
    bench = Bench()
    app = anonymous_app()

    async def work(msg: Any) -> None:
        bench.seen.append(msg)

    work.__annotations__["msg"] = kind
    app.queue_trigger(arg_name="msg", queue_name="jobs", connection="X")(work)
    bench.host = build_host(app, queues=bench.queues, clock=bench.clock, environ={})
    await bench.put("job")
    await bench.pump()
    assert bench.seen == ["job"]


async def test_a_long_run_stays_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a function runs its message is hidden anew, so that nobody else gets it."""
    monkeypatch.setattr(processor, "RENEW_EVERY_SECONDS", 0.01)
    bench = Bench()
    app = anonymous_app()
    seen_by_others: list[int] = []

    @app.queue_trigger(arg_name="msg", queue_name="jobs", connection="X")
    async def work(msg: func.QueueMessage) -> None:
        for _ in range(3):
            bench.clock.advance(INVISIBLE_SECONDS - 1)
            await asyncio.sleep(0.03)
            seen_by_others.append(len(await bench.queues.receive("jobs", 1, 60)))

    bench.host = build_host(app, queues=bench.queues, clock=bench.clock, environ={})
    await bench.put()
    await bench.pump()
    assert seen_by_others == [0, 0, 0]
    assert bench.queues.texts("jobs") == []


async def test_half_of_ten_minutes() -> None:
    """A received message is hidden for ten minutes, renewed every five."""
    assert (INVISIBLE_SECONDS, processor.RENEW_EVERY_SECONDS) == (600, 300)


async def test_an_output_that_fails_is_a_failure() -> None:
    """When an output of a queue function cannot be written, the message comes again."""
    bench = Bench()
    app = anonymous_app()

    @app.queue_trigger(arg_name="msg", queue_name="jobs", connection="X")
    @app.queue_output(arg_name="out", queue_name="next", connection="X")
    async def work(msg: func.QueueMessage, out: func.Out[str]) -> None:
        bench.seen.append(msg.dequeue_count)
        out.set("x" * 70_000 if msg.dequeue_count == 1 else "small")

    bench.host = build_host(app, queues=bench.queues, clock=bench.clock, environ={})
    await bench.put()
    await bench.pump()
    assert bench.queues.texts("jobs") != []
    await bench.pump()
    assert bench.seen == [1, 2]
    assert bench.queues.texts("jobs") == []
    assert len(bench.queues.texts("next")) == 1
