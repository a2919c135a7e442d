"""Twins of the stores in memory: the same rules, limits and refusals, an injected clock, and room for faults."""

from shared.storage.memory.blobs import MemoryBlobs
from shared.storage.memory.calls import Call, Hook
from shared.storage.memory.queues import MemoryQueues
from shared.storage.memory.tables import MemoryTables

__all__ = ["Call", "Hook", "MemoryBlobs", "MemoryQueues", "MemoryTables"]
