"""Storage of a timer's last and next firing, and the lease by which only one process at a time runs the timer.

Facts: azure-webjobs-sdk-extensions, `StorageScheduleMonitor.cs`; WebJobs SDK, `SingletonListener.cs`. The names of
container and blobs are theirs; the lease is shorter here (15 s instead of 60 s), so that the timers of a killed host
go on soon after the next start.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob.aio import BlobClient, BlobLeaseClient, BlobServiceClient

from sandbox.devhost.connections import close_service

log = logging.getLogger("devhost.timers")

CONTAINER = "azure-webjobs-hosts"
LEASE_SECONDS = 15
NEVER = datetime.min.replace(tzinfo=UTC)
"""The default of .NET's DateTime, which the host writes for a firing that has not happened."""


@dataclass(frozen=True, slots=True)
class Status:
    """When a timer last fired, when it fires next, and when this was written."""

    last: datetime
    next: datetime
    updated: datetime

    def document(self) -> dict[str, str]:
        """The JSON in the blob and in the function's `TimerRequest`."""
        return {"Last": _text(self.last), "Next": _text(self.next), "LastUpdated": _text(self.updated)}

    @classmethod
    def read(cls, document: dict[str, Any]) -> Status:
        """The status in a document; raises KeyError or ValueError when it is malformed."""
        return cls(_time(document["Last"]), _time(document["Next"]), _time(document["LastUpdated"]))


def _text(moment: datetime) -> str:
    return "0001-01-01T00:00:00" if moment == NEVER else moment.isoformat()


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class TimerStore(Protocol):
    """Where a timer keeps its status and its lease."""

    async def read(self, function: str) -> Status | None:
        """The status last written, if any."""
        ...

    async def write(self, function: str, status: Status) -> None:
        """Replace the status."""
        ...

    async def hold(self, function: str) -> bool:
        """Acquire the timer's lease, or renew it when this process has it; False while another process has it."""
        ...

    async def release(self, function: str) -> None:
        """Release the lease."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


@dataclass(slots=True)
class MemoryTimers:
    """A `TimerStore` in memory, for one process."""

    statuses: dict[str, Status] = field(default_factory=dict)

    async def read(self, function: str) -> Status | None:
        """The status last written, if any."""
        return self.statuses.get(function)

    async def write(self, function: str, status: Status) -> None:
        """Replace the status."""
        self.statuses[function] = status

    async def hold(self, function: str) -> bool:
        """Always succeed: no other process competes."""
        return bool(function)

    async def release(self, function: str) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""


@dataclass(slots=True)
class BlobTimers:
    """A `TimerStore` in blobs of the host's storage account."""

    service: BlobServiceClient
    host_id: str
    _leases: dict[str, BlobLeaseClient] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read(self, function: str) -> Status | None:
        """The status last written; None also when it is malformed."""
        try:
            stream = await self._status_blob(function).download_blob()
            return Status.read(json.loads(await stream.readall()))
        except ResourceNotFoundError:
            return None
        except (ValueError, KeyError):
            log.warning("the status of timer '%s' is malformed and starts anew", function)
            return None

    async def write(self, function: str, status: Status) -> None:
        """Replace the status."""
        await self._put(self._status_blob(function), json.dumps(status.document()).encode())

    async def hold(self, function: str) -> bool:
        """Acquire the timer's lease or renew it; False while another process has it."""
        async with self._lock:
            try:
                if lease := self._leases.get(function):
                    await lease.renew()
                else:
                    self._leases[function] = await self._acquire(self._lock_blob(function))
            except HttpResponseError as error:
                # 409: another process holds the lease, perhaps because ours has expired.
                self._leases.pop(function, None)
                if error.status_code != 409:
                    raise
                return False
            return True

    async def release(self, function: str) -> None:
        """Release the lease if this process still has it; a failure is only logged."""
        if lease := self._leases.pop(function, None):
            try:
                await lease.release()
            except HttpResponseError as error:
                log.info("the lease of timer '%s' could not be released: %s", function, error.reason)

    async def close(self) -> None:
        """Close the connections."""
        await close_service(self.service)

    async def _acquire(self, blob: BlobClient) -> BlobLeaseClient:
        try:
            return await blob.acquire_lease(lease_duration=LEASE_SECONDS)
        except ResourceNotFoundError:
            await self._put(blob, b"", overwrite=False)
            return await blob.acquire_lease(lease_duration=LEASE_SECONDS)

    async def _put(self, blob: BlobClient, data: bytes, *, overwrite: bool = True) -> None:
        try:
            await blob.upload_blob(data, overwrite=overwrite)
        except ResourceExistsError:
            return
        except ResourceNotFoundError:
            try:
                await self.service.create_container(CONTAINER)
            except ResourceExistsError:
                log.debug("another process has made the container just now")
            await blob.upload_blob(data, overwrite=True)

    def _status_blob(self, function: str) -> BlobClient:
        return self.service.get_blob_client(
            CONTAINER, f"timers/{self.host_id}/Host.Functions.{function}/status"
        )

    def _lock_blob(self, function: str) -> BlobClient:
        return self.service.get_blob_client(
            CONTAINER, f"locks/{self.host_id}/Host.Functions.{function}.Listener"
        )
