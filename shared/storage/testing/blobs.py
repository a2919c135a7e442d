"""`BlobStore` in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.errors import BlobExists, UpstreamSurprise
from shared.ports import Clock
from shared.storage.api import Blob, BlobInfo
from shared.storage.testing.calls import MemoryStore


@dataclass(slots=True)
class MemoryBlobs(MemoryStore):
    """Bytes in dicts, dated by the clock."""

    clock: Clock
    _containers: dict[str, dict[str, tuple[Blob, datetime]]] = field(default_factory=dict)

    async def ensure(self, containers: Sequence[str]) -> None:
        """Create the containers that are missing."""
        for container in containers:
            async with self.called("blob", "create", container, writes=True):
                self._containers.setdefault(container, {})

    async def put(
        self, container: str, name: str, data: bytes, content_type: str, *, overwrite: bool = False
    ) -> None:
        """Store a blob."""
        async with self.called("blob", "put", container, name, writes=True):
            blobs = self._container(container)
            if name in blobs and not overwrite:
                raise BlobExists
            blobs[name] = (Blob(bytes(data), content_type), self.clock.now())

    async def get(self, container: str, name: str) -> Blob | None:
        """A whole blob, or None."""
        async with self.called("blob", "get", container, name, writes=False):
            found = self._container(container).get(name)
            return found and found[0]

    async def delete(self, container: str, name: str) -> None:
        """Take a blob away; a missing one is fine."""
        async with self.called("blob", "delete", container, name, writes=True):
            self._container(container).pop(name, None)

    async def list(self, container: str, prefix: str = "") -> list[BlobInfo]:
        """The blobs whose names begin with `prefix`, by name; times in whole seconds, as the service says them."""
        async with self.called("blob", "list", container, prefix, writes=False):
            return [
                BlobInfo(name, len(blob.data), modified_at.replace(microsecond=0))
                for name, (blob, modified_at) in sorted(self._container(container).items())
                if name.startswith(prefix)
            ]

    def _container(self, container: str) -> dict[str, tuple[Blob, datetime]]:
        if container not in self._containers:
            raise UpstreamSurprise("A container is missing in the storage account.")
        return self._containers[container]
