"""Planned faults of requests: by operation, a number of times or at random."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import random

Kind = Literal["status", "drop_before", "drop_after", "delay", "commit_late", "nonsense"]
KINDS = ("status", "drop_before", "drop_after", "delay", "commit_late", "nonsense")
Sleep = Callable[[float], Awaitable[None]]

_CODES = {
    400: "BadRequest", 401: "InvalidAuthenticationToken", 403: "ErrorAccessDenied", 404: "ErrorItemNotFound",
    409: "ErrorIrresolvableConflict", 412: "ErrorIrresolvableConflict", 429: "ApplicationThrottled",
    500: "ErrorInternalServerTransientError", 502: "BadGateway", 503: "ServiceUnavailable", 504: "UnknownError",
}  # fmt: skip

# What stands in an answer that is none of Graph's: by the `body` of a fault.
NONSENSE = {
    "page": ("text/html", "<html><body>The service is being maintained.</body></html>"),
    "empty": ("application/json", ""),
    "cut": (
        "application/json",
        '{"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users", "val',
    ),
    "null": ("application/json", "null"),
    "error": ("application/json", '{"error": {"code": "generalException", "message": "Try again."}}'),
    "nulls": ("application/json", '{"id": null, "value": [null]}'),
}


@dataclass(slots=True)
class Fault:
    """`operation` may hold `*`. `count` limits how often it happens, `probability` makes it random per request.

    status: answered with `status` and `code`, and the operation is not executed. drop_before / drop_after: the
    connection is cut before / after the operation. delay: `seconds` pass first, of real time or of a virtual clock's
    where everything runs in one process. commit_late: answered with `status` (default 504) at once; the operation is
    executed `seconds` of simulated time later. nonsense: answered with 200, or with `status`, and the NONSENSE
    that `body` names, as proxies and broken servers do; the operation is not executed. `of_bodies`: it strikes only
    where a message's body is asked for.
    """

    fault_id: int
    operation: str
    kind: Kind
    method: str | None = None
    count: int | None = None
    probability: float | None = None
    status: int | None = None
    code: str | None = None
    retry_after: str | None = None
    seconds: float = 0.0
    address: str | None = None
    body: str = "page"
    of_bodies: bool = False
    hits: int = 0

    def error_code(self) -> str:
        """`error.code` of the answer."""
        return self.code or _CODES.get(self.status or 500, "UnknownError")


@dataclass(slots=True)
class Faults:
    """The faults in force."""

    random: random.Random
    plan: list[Fault] = field(default_factory=list)
    _count: int = 0

    def add(self, **members: Any) -> Fault:
        """Add a fault; without count and probability it happens once."""
        self._count += 1
        if members.get("count") is None and members.get("probability") is None:
            members["count"] = 1
        fault = Fault(self._count, **members)
        self.plan.append(fault)
        return fault

    def hit(self, operation: str, method: str, address: str | None, *, of_body: bool = False) -> Fault | None:
        """Find the fault for this request and count it; None when there is none. `of_body`: it asks for a body."""
        for fault in self.plan:
            if fault.of_bodies and not of_body:
                continue
            if self._matches(fault, operation, method, address):
                fault.hits += 1
                return fault
        return None

    def _matches(self, fault: Fault, operation: str, method: str, address: str | None) -> bool:
        return (
            fnmatchcase(operation, fault.operation)
            and fault.method in {None, method}
            and (fault.address is None or fault.address.lower() == (address or "").lower())
            and (fault.count is None or fault.hits < fault.count)
            and (fault.probability is None or self.random.random() < fault.probability)
        )

    def listing(self) -> list[dict[str, Any]]:
        """The faults as JSON."""
        return [asdict(fault) for fault in self.plan]

    def clear(self) -> None:
        """Delete all faults."""
        self.plan.clear()
