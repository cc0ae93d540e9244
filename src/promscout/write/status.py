"""What remote write queues tell about themselves."""

from __future__ import annotations

import msgspec


class Counters(msgspec.Struct):
    """What a queue has done since it was made. Samples unless stated otherwise."""

    attempted: int = 0
    """In requests that were sent, every attempt counted."""
    sent: int = 0
    """Taken by the receiver."""
    failed: int = 0
    """Rejected by the receiver."""
    retried: int = 0
    """In requests that were sent again, every time counted."""
    dropped: dict[str, int] = {}
    """Never sent, by reason: ``dropped_series`` (by relabelling), ``too_old``, ``queue_full``, ``shutdown``."""
    bytes_sent: int = 0
    """Bytes of settled requests, compressed."""
    highest_timestamp: int = 0
    """Newest appended, in milliseconds."""
    highest_sent_timestamp: int = 0
    """Newest taken by the receiver, in milliseconds."""
    last_error: str = ""
    """Why the last attempt failed; empty when it did not."""

    def drop(self, reason: str, samples: int) -> None:
        """Count ``samples`` as dropped."""
        if samples:
            self.dropped[reason] = self.dropped.get(reason, 0) + samples


class QueueStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A queue at one moment. The counters mean what those of ``Counters`` mean."""

    name: str
    url: str
    """Without its password."""
    pending_samples: int
    """Waiting, those in flight not counted."""
    pending_bytes: int
    max_pending_bytes: int
    oldest_pending_age: float
    """Seconds; 0 when nothing is waiting."""
    in_flight_samples: int
    requests: int
    """In flight, those between two attempts included."""
    shards: int
    """How many requests may be in flight at present."""
    min_shards: int
    max_shards: int
    max_samples_per_send: int
    attempted: int
    sent: int
    failed: int
    retried: int
    dropped: dict[str, int]
    bytes_sent: int
    highest_timestamp: int
    highest_sent_timestamp: int
    last_error: str


class RemoteWriteStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Remote write as a whole at one moment."""

    samples_in: int = 0
    """Appended samples."""
    highest_timestamp: int = 0
    """Newest appended, in milliseconds."""
    queues: tuple[QueueStatus, ...] = ()
