"""What remote write queues tell about themselves."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

import msgspec


class Kind(StrEnum):
    """What a portion holds."""

    SAMPLES = "samples"
    HISTOGRAMS = "histograms"
    EXEMPLARS = "exemplars"


class Tally(msgspec.Struct):
    """What became of the samples, histograms or exemplars of a queue since it was made."""

    attempted: int = 0
    """In requests that were sent, every attempt counted."""
    sent: int = 0
    """Taken by the receiver."""
    failed: int = 0
    """Rejected by the receiver."""
    retried: int = 0
    """In requests that were sent again, every time counted."""
    dropped: dict[str, int] = {}
    """Never sent, by reason: ``dropped_series`` (by relabelling), ``too_old``, ``queue_full``, ``shutdown``.

    Of histograms also ``nhcb_in_rw1_not_supported``: remote write 1.0 has no custom buckets.
    """

    def drop(self, reason: str, number: int) -> None:
        """Count ``number`` as dropped."""
        if number:
            self.dropped[reason] = self.dropped.get(reason, 0) + number


class KindStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The histograms or the exemplars of a queue at one moment. The counters mean what those of ``Tally`` mean."""

    pending: int = 0
    """Waiting or in flight."""
    attempted: int = 0
    sent: int = 0
    failed: int = 0
    retried: int = 0
    dropped: dict[str, int] = {}


class Counters(Tally):
    """What a queue has done since it was made. Samples unless stated otherwise."""

    histograms: Tally = msgspec.field(default_factory=Tally)
    exemplars: Tally = msgspec.field(default_factory=Tally)
    bytes_sent: int = 0
    """Bytes of settled requests, compressed."""
    highest_timestamp: int = 0
    """Newest appended, in milliseconds."""
    highest_sent_timestamp: int = 0
    """Newest taken by the receiver, in milliseconds."""
    last_error: str = ""
    """Why the last attempt failed; empty when it did not."""

    def of(self, kind: Kind) -> Tally:
        """The counters of one kind."""
        if kind is Kind.SAMPLES:
            return self
        return self.histograms if kind is Kind.HISTOGRAMS else self.exemplars

    def count(self, fact: Literal["attempted", "sent", "failed", "retried"], numbers: Mapping[Kind, int]) -> None:
        """Add to the counter ``fact`` of each kind."""
        for kind, number in numbers.items():
            tally = self.of(kind)
            setattr(tally, fact, getattr(tally, fact) + number)

    def status_of(self, kind: Kind, pending: int) -> KindStatus:
        """The counters of one kind at this moment."""
        tally = self.of(kind)
        return KindStatus(
            pending=pending,
            attempted=tally.attempted,
            sent=tally.sent,
            failed=tally.failed,
            retried=tally.retried,
            dropped=dict(tally.dropped),
        )


class BufferStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What of a queue is on disk at one moment."""

    path: str
    samples: int = 0
    """Waiting on disk only; histograms and exemplars not counted."""
    histograms: int = 0
    exemplars: int = 0
    bytes: int = 0
    """Of all segments: what waits in memory is there, too, once it has waited for a flush interval."""
    max_bytes: int = 0
    """The oldest segments beyond this are dropped."""
    max_age: float = 0.0
    """Seconds; segments that are older are dropped."""
    segments: int = 0
    skipped_bytes: int = 0
    """Of damaged segments."""
    error: str = ""
    """Why nothing can be written at present; empty when it can."""


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
    histograms: KindStatus = KindStatus()
    exemplars: KindStatus = KindStatus()
    bytes_sent: int
    highest_timestamp: int
    highest_sent_timestamp: int
    last_error: str
    protobuf_message: str = ""
    """What is sent: that of the section, or that of 1.0 where the receiver does not know 2.0."""
    buffer: BufferStatus | None = None
    """None without a data directory."""


class RemoteWriteStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Remote write as a whole at one moment."""

    samples_in: int = 0
    """Appended samples."""
    histograms_in: int = 0
    exemplars_in: int = 0
    highest_timestamp: int = 0
    """Newest appended, in milliseconds."""
    queues: tuple[QueueStatus, ...] = ()
