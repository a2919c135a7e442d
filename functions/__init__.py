"""Triggers: parse, call one use case, answer. The only package that imports azure.functions."""

from __future__ import annotations

from functions import (
    connections,
    crm_api,
    disconnecting,
    documents,
    graph_webhooks,
    health,
    replays,
    results,
    schedules,
    threads,
    workers,
)

BLUEPRINTS = (
    connections.bp,
    disconnecting.bp,
    results.bp,
    crm_api.bp,
    threads.bp,
    replays.bp,
    graph_webhooks.bp,
    documents.bp,
    health.bp,
    workers.bp,
    schedules.bp,
)
