"""In-memory stores: the service's rules, limits and refusals, an injected clock, and hooks by which calls fail."""

from shared.storage.testing.blobs import MemoryBlobs
from shared.storage.testing.calls import Call, Hook
from shared.storage.testing.queues import MemoryQueues
from shared.storage.testing.tables import MemoryTables

__all__ = ["Call", "Hook", "MemoryBlobs", "MemoryQueues", "MemoryTables"]
