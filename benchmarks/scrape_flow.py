"""When samples arrived: those from before a moment, and those from after it."""

from __future__ import annotations

from collections import Counter

import msgspec
from scrape_counting import SAMPLE_HEAD, SAMPLE_SIZE, TIMESTAMP_AT, fields, timestamp, varint

_TIME_SERIES = 0x0A


class Arrival(msgspec.Struct, frozen=True):
    """One request: when it came, in seconds of the clock that the sink uses, and how many samples it had from before
    the moment and from after it; ``oldest`` is the lowest time stamp of the latter, 0 without any.
    """

    at: float
    before: int
    after: int
    oldest: int


class Flow:
    """Tells requests apart by the time stamps of their samples, ``moment`` among those after it."""

    def __init__(self, moment: int) -> None:
        self._moment = moment
        self._known: set[bytes] = set()

    def arrival(self, at: float, message: bytes) -> Arrival:
        """What an uncompressed ``WriteRequest`` had that came at ``at``."""
        before = after = oldest = 0
        for encoded, count in self._stamps(message).items():
            stamp = timestamp(encoded)
            if stamp < self._moment:
                before += count
            else:
                after += count
                oldest = min(oldest or stamp, stamp)
        return Arrival(at, before, after, oldest)

    def _stamps(self, message: bytes) -> Counter[bytes]:
        """Encoded time stamp → samples."""
        found: Counter[bytes] = Counter()
        known, at, end = self._known, 0, len(message)
        while at < end:
            tag = message[at]
            size, start = varint(message, at + 1)
            at = start + size
            if tag != _TIME_SERIES:
                continue
            labels = message[start : at - SAMPLE_SIZE]
            if labels in known and message.startswith(SAMPLE_HEAD, at - SAMPLE_SIZE):
                found[message[at + TIMESTAMP_AT : at]] += 1
            else:
                found += self._take_apart(message[start:at])
        return found

    def _take_apart(self, message: bytes) -> Counter[bytes]:
        """The time stamps of a ``TimeSeries``, field by field; its labels are known from now on."""
        found: Counter[bytes] = Counter()
        size = 0
        for number, start, end in fields(message):
            if number == 1:
                size = end
            elif number == 2:
                sample = message[start:end]
                found.update(sample[one:other] for field, one, other in fields(sample) if field == 2)
        self._known.add(message[:size])
        return found
