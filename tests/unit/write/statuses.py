"""Statuses of queues, made by hand."""

from __future__ import annotations

from typing import Any

from promscout.write.status import BufferStatus, QueueStatus


def queue_status(**facts: Any) -> QueueStatus:
    """A queue that has delivered something, with some of its facts changed."""
    given: dict[str, Any] = {
        "name": "r",
        "url": "http://127.0.0.1:9/write",
        "pending_samples": 0,
        "pending_bytes": 0,
        "max_pending_bytes": 64 << 20,
        "oldest_pending_age": 0.0,
        "in_flight_samples": 0,
        "requests": 0,
        "shards": 1,
        "min_shards": 1,
        "max_shards": 50,
        "max_samples_per_send": 2000,
        "attempted": 100,
        "sent": 100,
        "failed": 0,
        "retried": 0,
        "dropped": {},
        "bytes_sent": 1000,
        "highest_timestamp": 1_700_000_000_000,
        "highest_sent_timestamp": 1_700_000_000_000,
        "last_error": "",
    }
    return QueueStatus(**given | facts)


def buffer_status(**facts: Any) -> BufferStatus:
    """An empty buffer, with some of its facts changed."""
    return BufferStatus(**{"path": "/data/remote-write/r"} | facts)
