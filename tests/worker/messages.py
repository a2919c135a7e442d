"""Just enough of the host's messages for Azure's worker library, which takes them by shape.

The library is handed a namespace of message classes and builds its answers from them; names follow
Azure/azure-functions-language-worker-protobuf, `FunctionRpc.proto`.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any


class Message:
    """Any message: the fields it was made with; a field that was never set is None."""

    Success, Failure, Lax, Strict, ExplicitNone = 1, 0, "Lax", "Strict", "ExplicitNone"

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        if (
            name.startswith("__") or not name.islower()
        ):  # fields are lower case; whoever looks for a class here must not find one
            raise AttributeError(name)
        return None

    def WhichOneof(self, _: str) -> str | None:  # noqa: N802 - protobuf's name
        """The field that is set."""
        return next(iter(self.__dict__), None)


class Protos:
    """Gives a message class for every name asked for."""

    def __getattr__(self, name: str) -> type[Message]:
        made = type(name, (Message,), {})
        nested = type(f"{name}Nested", (Message,), {"None": "None"})
        made.SameSite = nested  # type: ignore[attr-defined]  # only RpcHttpCookie has it
        for number, direction in enumerate(("in", "out", "inout")):
            setattr(made, direction, number)
        made.undefined = 0  # type: ignore[attr-defined]  # these four are BindingInfo's
        setattr(self, name, made)
        return made


PROTOS = Protos()


def envelope(**request: Any) -> SimpleNamespace:
    """A request as the worker hands it to the library."""
    return SimpleNamespace(
        request=SimpleNamespace(**request), properties={"protos": PROTOS, "host": "127.0.0.1"}
    )


def http(
    method: str, url: str, *, body: bytes = b"", query: dict[str, str], params: dict[str, str]
) -> Message:
    """An HTTP request as typed data."""
    request = Message(
        method=method,
        url=url,
        headers={},
        body=Message(bytes=body),
        query=query,
        params=params,
        identities=[],
    )
    return Message(http=request)


def queued(body: str) -> tuple[Message, dict[str, Message]]:
    """A queue message as typed data, and the metadata that the host sends with it."""
    at = '"2026-03-02T09:00:00+00:00"'
    metadata = {
        "QueueTrigger": Message(string=body), "Id": Message(string="message-1"), "DequeueCount": Message(json="1"),
        "InsertionTime": Message(json=at), "ExpirationTime": Message(json=at), "NextVisibleTime": Message(json=at),
        "PopReceipt": Message(string="receipt-1"),
    }  # fmt: skip
    return Message(string=body), metadata


def timed(*, past_due: bool) -> Message:
    """A timer's turn as typed data."""
    said = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": past_due}
    return Message(json=json.dumps(said))


def invocation(
    function_id: str, metadata: dict[str, Message] | None = None, **inputs: Message
) -> SimpleNamespace:
    """A call of a function."""
    data = [
        SimpleNamespace(name=name, data=value, WhichOneof=lambda _: "data") for name, value in inputs.items()
    ]
    return envelope(
        invocation_request=SimpleNamespace(
            invocation_id="00000000-0000-0000-0000-000000000001",
            function_id=function_id,
            input_data=data,
            trigger_metadata=metadata or {},
            trace_context=Message(attributes={}),
            retry_context=Message(),
        )
    )
