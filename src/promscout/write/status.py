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
    """Never sent, by reason: ``dropped_series`` (by relabelling), ``too_old``, ``queue_full`` (memory), ``shutdown``.

    Of what was on disk ``buffer_full``, ``buffer_age``, ``damaged``.
    Of histograms also ``nhcb_in_rw1_not_supported``: remote write 1.0 has no custom buckets.
    """

    def drop(self, reason: str, number: int) -> None:
        """Count ``number`` as dropped."""
        if number:
            self.dropped[reason] = self.dropped.get(reason, 0) + number


class KindStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The histograms, exemplars or metadata of a queue at one moment. Counters mean what those of ``Tally`` mean."""

    pending: int = 0
    """Waiting, in memory or on disk, or in flight."""
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
    failing_since: float | None = None
    """When the first of the attempts began that have failed without one that worked or was decided about."""
    next_attempt: float = 0.0
    """When the first of the requests that failed is sent again; of no meaning once that is past."""

    def will_retry(self, now: float, pause: float) -> None:
        """A request that failed is sent again ``pause`` seconds after ``now``."""
        again = now + pause
        self.next_attempt = min(self.next_attempt, again) if self.next_attempt > now else again

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


class BufferStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
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


class QueueStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A queue at one moment. The counters mean what those of ``Counters`` mean."""

    name: str
    url: str
    """Without its password."""
    pending_samples: int
    """Waiting, in memory or on disk; those in flight not counted."""
    pending_bytes: int
    """Of memory."""
    max_pending_bytes: int
    oldest_pending_age: float
    """Seconds since the oldest came of what waits in memory, which has the oldest of each stream; 0: nothing does."""
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
    metadata: KindStatus = KindStatus()
    """Entries in requests of their own, as remote write 1.0 has them."""
    metadata_bytes_sent: int = 0
    """Bytes of settled requests with metadata, compressed; ``bytes_sent`` does not have them."""
    batch_send_deadline: float = 5.0
    """Seconds that samples wait for their request to fill while all is well."""
    failing_for: float = 0.0
    """Seconds since the first of the attempts that have failed without one that worked; 0 when the last worked.

    Requests that are rejected do not count: the receiver has decided about them.
    """
    next_attempt_in: float = 0.0
    """Seconds until the first of the requests that failed is sent again; 0 when none waits."""


class RemoteWriteStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Remote write as a whole at one moment."""

    samples_in: int = 0
    """Appended samples."""
    histograms_in: int = 0
    exemplars_in: int = 0
    highest_timestamp: int = 0
    """Newest appended, in milliseconds."""
    queues: tuple[QueueStatus, ...] = ()
