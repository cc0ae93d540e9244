"""What the local store tells about itself."""

from __future__ import annotations

from pathlib import Path

import msgspec

from promscout.store.order import Usage


class StoreStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The store at one moment. Samples are those with a number, not histograms and exemplars."""

    path: Path
    active: bool
    """Whether it takes what is scraped."""
    samples_in: int = 0
    """Taken since the start."""
    samples_written: int = 0
    """In Parquet since the start."""
    dropped: dict[str, int] = {}
    """Samples, histograms and exemplars that were taken and are in no file, by reason: ``buffer_full``, ``expired``
    (the journal had no room, or no time, for them any more), ``too_old``, ``too_far_in_future``."""
    pending: int = 0
    """Samples, histograms and exemplars that are in memory only."""
    journal_bytes: int = 0
    lag: float = 0.0
    """Seconds since the oldest that is not in Parquet came."""
    usage: Usage = Usage()
    """As of the last fold; nothing before the first."""
    failures: int = 0
    """Attempts to write, to the journal or as Parquet, that failed."""
    error: str = ""
    """Why the last attempt failed; empty when it did not."""
