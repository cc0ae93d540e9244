"""Which samples to send next: pending portions by stream, as a state machine without I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from heapq import heappop, heappush
from typing import Final, TypeAlias

import msgspec

from promscout.write.portion import AnyPortion
from promscout.write.status import Kind

_FEW: Final = 100


class Pending(msgspec.Struct, frozen=True):
    """A portion in its place: ``number`` counts all portions in order of arrival, ``since`` is when it came."""

    number: int
    since: float
    portion: AnyPortion


class Shipment(msgspec.Struct, frozen=True, eq=False):
    """What goes into one request; never empty."""

    entries: tuple[Pending, ...]
    streams: frozenset[int]

    def __len__(self) -> int:
        return sum(len(entry.portion) for entry in self.entries)


class _Stream:
    """The pending portions of one stream, oldest first."""

    __slots__ = ("divided", "in_flight", "pending", "samples")

    def __init__(self) -> None:
        self.pending: deque[Pending] = deque()
        self.samples = 0
        self.in_flight = 0
        """Shipments with samples of the stream."""
        self.divided = False
        """Whether the oldest portion is the rest of one whose parts may be under way at once."""

    @property
    def ready(self) -> int:
        """Samples that may be taken now: none may overtake others of its series that are in flight."""
        if not self.in_flight:
            return self.samples
        return len(self.pending[0].portion) if self.divided else 0


_Turn: TypeAlias = tuple[int, int]
"""Number of a stream's oldest portion, and the stream."""


class StreamQueue:
    """Pending portions, taken oldest first without ever reordering a stream.

    A stream is *ready* while it has pending portions and none in flight, or none but other parts of the portion whose
    rest is pending. ``take`` takes from ready streams only, so any number of shipments may be in flight at once, and
    yet the samples of each series leave in the order in which they came. Every appended sample is in exactly one place:
    pending, in one shipment, or dropped.

    Times are any clock's seconds. Histograms and exemplars are counted as samples, too.
    """

    def __init__(self) -> None:
        self.samples = 0
        """Pending samples."""
        self.others = {Kind.HISTOGRAMS: 0, Kind.EXEMPLARS: 0}
        """How many of them are none."""
        self.ready_samples = 0
        """Pending samples that ``take`` may take now."""
        self.memory = 0
        """Bytes that pending portions take."""
        self._portions = 0  # pending
        self._streams: dict[int, _Stream] = {}
        self._ready: list[_Turn] = []  # heap; exactly the ready streams
        self._arrivals: list[_Turn] = []  # heap; every pending portion, and some that have gone

    def __contains__(self, stream: int) -> bool:
        """Whether something of ``stream`` is pending or in flight."""
        return stream in self._streams

    def append(self, entry: Pending) -> None:
        """Take one entry that is not empty. Its number is higher than all others of its stream."""
        name, portion = entry.portion.stream, entry.portion
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = _Stream()
        ready = stream.ready
        stream.pending.append(entry)
        stream.samples += len(portion)
        self.samples += len(portion)
        if portion.kind is not Kind.SAMPLES:
            self.others[portion.kind] += len(portion)
        self.memory += portion.memory
        self._portions += 1
        if len(self._arrivals) > 2 * self._portions + _FEW:
            # One that waits for long keeps all that came after it and are gone.
            self._arrivals = sorted((one.number, key) for key, each in self._streams.items() for one in each.pending)
        else:
            heappush(self._arrivals, (entry.number, name))
        self._update(name, stream, ready, listed=ready > 0)

    def take(self, max_samples: int) -> Shipment | None:
        """The oldest portions of ready streams, at most ``max_samples`` samples; None when no stream is ready.

        Exemplars that follow their samples come with them, beyond ``max_samples``, too.

        A portion that is larger than what is left of ``max_samples`` is divided by series, where it can be divided. The
        streams are in flight until ``done``.
        """
        entries: list[Pending] = []
        taken: dict[int, int] = {}  # stream → samples that were ready
        again: list[_Turn] = []  # heap; streams that are taken from and have more
        room = max_samples
        while room and (turns := min((heap for heap in (self._ready, again) if heap), default=None)):
            name = turns[0][1]
            stream = self._streams[name]
            size = len(stream.pending[0].portion)
            if size > room and entries:
                room = stream.pending[0].portion.fitting(room)
                if not room:
                    break
            heappop(turns)
            is_second = name in taken
            taken.setdefault(name, stream.ready)
            entries.append(self._take_first(stream, room))
            # The rest would overtake what is taken before the part: that has all of the stream's series.
            stream.divided = stream.divided and not is_second
            room -= min(size, room)
            # Exemplars without a sample of their series in the same request are against the rules of 2.0.
            while stream.pending and stream.pending[0].portion.kind is Kind.EXEMPLARS and not stream.divided:
                entries.append(self._take_first(stream, len(stream.pending[0].portion)))
            if stream.pending and not stream.in_flight:
                heappush(again, (stream.pending[0].number, name))
        for name, ready in taken.items():
            stream = self._streams[name]
            stream.in_flight += 1
            self._update(name, stream, ready, listed=False)
        self._forget_arrivals()
        return Shipment(tuple(entries), frozenset(taken)) if entries else None

    def done(self, shipment: Shipment) -> None:
        """``shipment`` was delivered or given up: its streams may send again."""
        for name in shipment.streams:
            stream = self._streams[name]
            ready = stream.ready
            stream.in_flight -= 1
            self._update(name, stream, ready, listed=ready > 0)

    @property
    def oldest(self) -> float | None:
        """When the oldest pending portion came."""
        return self._streams[self._arrivals[0][1]].pending[0].since if self._arrivals else None

    @property
    def oldest_ready(self) -> float | None:
        """When the oldest portion of a ready stream came."""
        return self._streams[self._ready[0][1]].pending[0].since if self._ready else None

    def drain(self) -> list[Pending]:
        """Take everything that is pending out of the queue, oldest first."""
        entries = sorted((one for stream in self._streams.values() for one in stream.pending), key=arrival)
        self._ready.clear()
        self._arrivals.clear()
        self._streams = {number: stream for number, stream in self._streams.items() if stream.in_flight}
        for stream in self._streams.values():
            stream.pending.clear()
            stream.samples = 0
            stream.divided = False
        self.samples = self.ready_samples = self.memory = self._portions = 0
        self.others = dict.fromkeys(self.others, 0)
        return entries

    def drop_oldest(self) -> Pending | None:
        """Take the oldest pending entry out of the queue, whether it may be sent or not; None when there is none."""
        if not self._arrivals:
            return None
        name = self._arrivals[0][1]
        stream = self._streams[name]
        ready = stream.ready
        if ready:
            heappop(self._ready)  # the oldest of all portions is the oldest of the ready ones
        dropped = self._take_first(stream, len(stream.pending[0].portion))
        self._update(name, stream, ready, listed=False)
        self._forget_arrivals()
        return dropped

    def _take_first(self, stream: _Stream, room: int) -> Pending:
        entry = stream.pending.popleft()
        portion = entry.portion
        self.memory -= portion.memory
        is_divided = len(portion) > room
        stream.divided = is_divided and portion.may_part
        if is_divided:
            rest = portion.part(room, len(portion))
            stream.pending.appendleft(Pending(entry.number, entry.since, rest))
            self.memory += rest.memory
            entry = Pending(entry.number, entry.since, portion.part(0, room))
        else:
            self._portions -= 1
        stream.samples -= len(entry.portion)
        self.samples -= len(entry.portion)
        if portion.kind is not Kind.SAMPLES:
            self.others[portion.kind] -= len(entry.portion)
        return entry

    def _update(self, name: int, stream: _Stream, ready: int, *, listed: bool) -> None:
        """Account for a change of ``stream``, of which ``ready`` samples were ready; ``listed``: in ``_ready``."""
        now_ready = stream.ready
        self.ready_samples += now_ready - ready
        if now_ready and not listed:
            heappush(self._ready, (stream.pending[0].number, name))
        if not stream.pending and not stream.in_flight:
            del self._streams[name]

    def _forget_arrivals(self) -> None:
        """Make the first arrival one that is pending."""
        while self._arrivals:
            number, name = self._arrivals[0]
            stream = self._streams.get(name)
            if stream is not None and stream.pending and stream.pending[0].number <= number:
                return
            heappop(self._arrivals)


def arrival(entry: Pending) -> int:
    """What orders entries of one queue by arrival."""
    return entry.number


def by_kind(entries: Iterable[Pending]) -> dict[Kind, int]:
    """How many samples, histograms and exemplars there are; only what there are any of."""
    numbers: dict[Kind, int] = {}
    for entry in entries:
        kind = entry.portion.kind
        numbers[kind] = numbers.get(kind, 0) + len(entry.portion)
    return numbers


def as_facts(numbers: Mapping[Kind, int]) -> dict[str, int]:
    """``numbers`` for a log line."""
    return {kind.value: number for kind, number in numbers.items()}
