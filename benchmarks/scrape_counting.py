"""What remote write 1.0 requests hold: samples counted series by series, without an object for each.

Source: prometheus v3.x prompb/remote.proto WriteRequest, prompb/types.proto TimeSeries, Sample.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

# The sample at the end of most TimeSeries messages: field 2, its size; value: field 1; timestamp: field 2, 6 bytes.
SAMPLE_HEAD: Final = b"\x12\x10\x09"
SAMPLE_SIZE: Final = 18
_VALUE_AT: Final = -15  # counted from the end
TIMESTAMP_AT: Final = -6

_BYTES: Final = 2  # the wire type of fields with a size
_WIDTHS: Final = {1: 8, 5: 4}  # the fixed ones


class Series:
    """What was counted: of a report, one series, every sample with its time stamp as it is encoded; of a target's
    exposed series, which share one object, time stamp → samples.
    """

    __slots__ = ("exposed", "name", "reports", "stamps", "target")

    def __init__(self, name: str, target: str, *, exposed: bool) -> None:
        self.name = name
        self.target = target
        self.exposed = exposed
        self.stamps: Counter[bytes] = Counter()
        self.reports: list[tuple[bytes, float]] = []


class Counting:
    """Counts requests: every series with its samples. Exact: what is not one sample after labels is taken apart.

    Names of exposed series start with ``prefix``; all others are reports.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._known: dict[bytes, Series] = {}
        self._exposed: dict[str, Series] = {}

    def reports(self) -> Iterator[Series]:
        """All reports that were counted."""
        return (one for one in self._known.values() if not one.exposed)

    def exposed(self) -> Iterable[Series]:
        """For each target its exposed series."""
        return self._exposed.values()

    def add(self, message: bytes) -> int:
        """Count an uncompressed ``WriteRequest``; how many samples it has."""
        known, at, end, samples = self._known, 0, len(message), 0
        while at < end:
            tag = message[at]
            size, start = varint(message, at + 1)
            at = start + size
            if tag != 0x0A:  # not a time series: metadata
                continue
            labels = message[start : at - SAMPLE_SIZE]
            series = known.get(labels)
            if series is None or not message.startswith(SAMPLE_HEAD, at - SAMPLE_SIZE):
                samples += self._take_apart(message[start:at])
                continue
            samples += 1
            stamp = message[at + TIMESTAMP_AT : at]
            if series.exposed:
                series.stamps[stamp] += 1
            else:
                series.reports.append((stamp, struct.unpack_from("<d", message, at + _VALUE_AT)[0]))
        return samples

    def _take_apart(self, message: bytes) -> int:
        """Count a ``TimeSeries`` field by field, and know its labels from now on."""
        labels: list[bytes] = []
        samples: list[bytes] = []
        size = 0
        for number, start, end in fields(message):
            if number == 1:
                labels.append(message[start:end])
                size = end
            elif number == 2:
                samples.append(message[start:end])
        encoded = message[:size]
        series = self._known.get(encoded)
        if series is None:
            series = self._known[encoded] = self._counted(dict(map(_label, labels)))
        for sample in samples:
            found = {number: sample[start:end] for number, start, end in fields(sample)}
            if series.exposed:
                series.stamps[found[2]] += 1
            else:
                series.reports.append((found[2], struct.unpack("<d", found.get(1, bytes(8)))[0]))
        return len(samples)

    def _counted(self, labels: dict[str, str]) -> Series:
        """Where samples of the series with ``labels`` are counted."""
        name, target = labels["__name__"], labels.get("instance", "")
        if not name.startswith(self._prefix):
            return Series(name, target, exposed=False)
        found = self._exposed.get(target)
        if found is None:
            found = self._exposed[target] = Series(self._prefix, target, exposed=True)
        return found


def timestamp(encoded: bytes) -> int:
    """Milliseconds since the epoch."""
    return varint(encoded, 0)[0]


def _label(message: bytes) -> tuple[str, str]:
    found = {number: message[start:end].decode() for number, start, end in fields(message)}
    return found[1], found.get(2, "")


def varint(message: bytes, at: int) -> tuple[int, int]:
    """The number that starts at ``at``, and where it ends."""
    value = message[at]
    if value < 0x80:
        return value, at + 1
    value &= 0x7F
    shift = 0
    while True:
        at += 1
        shift += 7
        value |= (message[at] & 0x7F) << shift
        if message[at] < 0x80:
            return value, at + 1


def fields(message: bytes) -> Iterator[tuple[int, int, int]]:
    """Each field: its number, where its content starts and ends."""
    at = 0
    while at < len(message):
        tag, start = varint(message, at)
        if tag & 7 == _BYTES:
            size, start = varint(message, start)
            at = start + size
        elif tag & 7 in _WIDTHS:
            at = start + _WIDTHS[tag & 7]
        else:
            at = varint(message, start)[1]
        yield tag >> 3, start, at
