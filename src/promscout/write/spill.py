"""What waits for a receiver, in memory and on disk, as a state machine without I/O."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Final

import msgspec

from promscout.write.portion import AnyPortion
from promscout.write.queue import Pending, Shipment, StreamQueue, arrival, by_kind
from promscout.write.status import Kind

MOST_MEMORY: Final = 256 << 20
"""Bytes of pending samples a queue holds at most.

Without a disk, a receiver that is down for a minute must lose nothing: 200,000 samples a second for 60 s are 12 million
samples, which take about 100 MB as batches of 1,000 with one time stamp each, 195 MB with a time stamp per sample, and
150 MB as batches of 100. A queue refers to the batches' own arrays, so several queues do not take several times that.
"""

SPILL_MEMORY: Final = 64 << 20
"""Bytes of pending samples from which on what comes waits on disk only."""

READ_AHEAD: Final = 8 << 20
"""Bytes of samples read back from disk before they can be sent: one to two seconds' worth."""


class Disk(Enum):
    """What a queue can expect of its disk."""

    ABSENT = "absent"
    """There is none."""
    OPENING = "opening"
    """What is on it is not known yet."""
    WORKING = "working"
    FAILING = "failing"
    """Nothing can be written at present."""


class Stored(msgspec.Struct, frozen=True):
    """A portion on disk: ``record`` is its number there, ``since`` when it came."""

    record: int
    since: float
    portion: AnyPortion


class SpillQueue:
    """Pending portions, each of which waits in memory, on disk, or both.

    Guarantees: portions of one stream are taken in the order in which they were appended, wherever they wait. A
    portion leaves memory before it is sent only when it is on disk. Streams with nothing on disk are not held up by
    those that have: requests are taken from both in turn.

    Memory holds the oldest portions of each stream. Once they take ``SPILL_MEMORY``, and for streams with older
    portions that are on disk only, what comes is held back: it leaves memory as soon as it is ``written``. Where the
    disk does not take it, memory grows to ``MOST_MEMORY``; then the oldest portions are dropped.

    Whoever does the I/O asks ``to_write`` and tells ``written``, takes ``settled`` records off the disk, reads when
    ``wants_read`` and hands over what it found to ``read``, and says how the disk does in ``disk``. Times are any
    clock's seconds.
    """

    def __init__(
        self,
        on_drop: Callable[[AnyPortion], None] = lambda _: None,
        *,
        disk: Disk = Disk.ABSENT,
        spill_memory: int = SPILL_MEMORY,
        most_memory: int = MOST_MEMORY,
    ) -> None:
        self.disk = disk
        self.most_memory = max(most_memory, spill_memory)
        self._spill_memory = spill_memory
        self._on_drop = on_drop
        self._number = 0
        # Each stream is in one of the two: in ``_late`` if it came from disk.
        self._fresh = StreamQueue()
        self._late = StreamQueue()
        self._late_turn = False
        self._origins: dict[Shipment, StreamQueue] = {}
        self._held: deque[Pending] = deque()
        self._held_streams: Counter[int] = Counter()
        self._held_memory = self._held_samples = 0
        self._on_disk: dict[int, int] = {}  # stream → its records that are on disk only
        self.on_disk: Counter[Kind] = Counter()
        """What is on disk only."""
        # Of all portions in memory, those in flight included, while there is a disk.
        self._unwritten: deque[Pending] = deque()  # and some that are settled
        self._unsettled: dict[int, int] = {}  # number → samples of it
        self._records: dict[int, int] = {}  # number → record
        self._done: list[int] = []
        self._repeated_below = 0

    @property
    def memory(self) -> int:
        """Bytes that pending portions take in memory."""
        return self._fresh.memory + self._late.memory + self._held_memory

    @property
    def samples(self) -> int:
        """Samples, histograms and exemplars that wait, in memory or on disk; those in flight not counted."""
        return self._fresh.samples + self._late.samples + self._held_samples + self.on_disk.total()

    def pending(self) -> Counter[Kind]:
        """What waits, in memory or on disk; those in flight not counted."""
        found = self.on_disk + Counter(by_kind(self._held))
        for queue in (self._fresh, self._late):
            others = Counter(queue.others)
            others[Kind.SAMPLES] = queue.samples - sum(queue.others.values())
            found += others
        return found

    @property
    def is_empty(self) -> bool:
        """Whether nothing is pending in memory. What is in flight or on disk only does not count."""
        return not (self._fresh.samples or self._late.samples or self._held)

    @property
    def oldest(self) -> float | None:
        """When the oldest portion in memory came."""
        times = [time for time in (self._fresh.oldest, self._late.oldest) if time is not None]
        if self._held:
            times.append(self._held[0].since)
        return min(times, default=None)

    @property
    def oldest_ready(self) -> float | None:
        """When the oldest portion came that ``take`` may take."""
        times = [time for time in (self._fresh.oldest_ready, self._late.oldest_ready) if time is not None]
        return min(times, default=None)

    def has_ready(self, samples: int) -> bool:
        """Whether so many samples can be taken in one shipment."""
        return max(self._fresh.ready_samples, self._late.ready_samples) >= samples

    def append(self, portion: AnyPortion, now: float) -> int:
        """Take one portion; the number of samples dropped to make room for it."""
        if not len(portion):
            return 0
        self._number += 1
        entry = Pending(self._number, now, portion)
        if self.disk is not Disk.ABSENT:
            self._unwritten.append(entry)
            self._unsettled[entry.number] = len(portion)
        self._place(entry)
        return self._shed()

    def may_be_repeated(self, entries: Iterable[Pending]) -> bool:
        """Whether some of ``entries`` are of a process before, which may have sent them."""
        return any(self._records.get(entry.number, self._repeated_below) < self._repeated_below for entry in entries)

    def take(self, max_samples: int, is_due: Callable[[float], bool]) -> Shipment | None:
        """A shipment of at most ``max_samples`` that is full, or whose oldest portion is due; None if there is none.

        Its streams are in flight until ``done``.
        """
        for queue in (self._late, self._fresh) if self._late_turn else (self._fresh, self._late):
            oldest = queue.oldest_ready
            if oldest is None or not (queue.ready_samples >= max_samples or is_due(oldest)):
                continue
            shipment = queue.take(max_samples)
            if shipment is not None:
                self._origins[shipment] = queue
                self._late_turn = queue is self._fresh
                return shipment
        return None

    def done(self, shipment: Shipment) -> None:
        """``shipment`` was delivered or given up: its streams may send again."""
        self._origins.pop(shipment).done(shipment)
        for entry in shipment.entries:
            self._settle(entry)
        if self._held and self._held[0].portion.stream not in self._on_disk and not self._is_full:
            self.release()

    def drain(self) -> list[Pending]:
        """Take everything that is pending in memory out of the queue, in order of arrival."""
        held = self._take_held()
        entries = sorted([*self._fresh.drain(), *self._late.drain(), *held], key=arrival)
        for entry in entries:
            self._settle(entry)
        return entries

    def prepend(self, entries: Iterable[Pending]) -> int:
        """Put ``entries`` of another queue before everything pending in memory; the number of samples dropped.

        Only while nothing is in flight.
        """
        later = self.drain()
        return sum(self.append(entry.portion, entry.since) for entry in (*entries, *later))

    def opened(self, streams: Mapping[int, int], kinds: Mapping[Kind, int], next_record: int) -> None:
        """The disk works, and so many records of each stream, with numbers below ``next_record``, are on it."""
        self.disk = Disk.WORKING
        self._repeated_below = next_record
        for stream, records in streams.items():
            self._on_disk[stream] = self._on_disk.get(stream, 0) + records
        self.on_disk.update(kinds)
        self.release()

    def release(self) -> None:
        """Let go on what is held back and need not be any more."""
        for entry in self._take_held():
            self._place(entry)

    def to_write(self, before: float, max_memory: int) -> list[Pending]:
        """What came at or before that time, is not settled and not on disk, in order of arrival.

        About ``max_memory`` bytes of it, at least one entry.
        """
        while self._unwritten and self._unwritten[0].number not in self._unsettled:
            self._unwritten.popleft()
        found: list[Pending] = []
        memory = 0
        for entry in self._unwritten:
            if entry.since > before or memory >= max_memory:
                break
            if entry.number in self._unsettled:
                found.append(entry)
                memory += entry.portion.memory
        return found

    def written(self, entries: Sequence[Pending], first_record: int) -> None:
        """``entries``, which ``to_write`` gave last, are on disk as records from ``first_record`` on."""
        if not entries:
            return
        last = entries[-1].number
        while self._unwritten and self._unwritten[0].number <= last:
            self._unwritten.popleft()
        for record, entry in enumerate(entries, first_record):
            if entry.number in self._unsettled:
                self._records[entry.number] = record
            else:
                self._done.append(record)
        while self._held and self._held[0].number <= last:
            entry = self._take_first_held()
            stream = entry.portion.stream
            del self._unsettled[entry.number], self._records[entry.number]
            self._on_disk[stream] = self._on_disk.get(stream, 0) + 1
            self.on_disk[entry.portion.kind] += len(entry.portion)

    def in_memory(self) -> frozenset[int]:
        """The records whose portions are in memory, too."""
        return frozenset(self._records.values())

    def settled(self) -> list[int]:
        """The records that were settled since this was asked last."""
        done, self._done = self._done, []
        return done

    @property
    def wants_read(self) -> bool:
        """Whether there is something to read from disk, and room for it."""
        return bool(
            self._on_disk
            and self._late.memory < READ_AHEAD
            and self._fresh.memory + self._late.memory <= self._spill_memory // 2
        )

    def read(self, stored: Iterable[Stored]) -> None:
        """Take what was on disk only, in order."""
        for one in stored:
            stream = one.portion.stream
            self._forget_on_disk(stream, 1)
            self.on_disk[one.portion.kind] -= len(one.portion)
            self._number += 1
            self._unsettled[self._number] = len(one.portion)
            self._records[self._number] = one.record
            queue = self._fresh if stream in self._fresh else self._late
            queue.append(Pending(self._number, one.since, one.portion))

    def lost(self, streams: Mapping[int, int], kinds: Mapping[Kind, int]) -> None:
        """So many records of each stream that were on disk only are gone."""
        for stream, records in streams.items():
            self._forget_on_disk(stream, records)
        self.on_disk.subtract(kinds)

    def nothing_on_disk(self) -> Counter[Kind]:
        """The disk has been read to its end: what was believed to be there and is not."""
        self._on_disk.clear()
        missing, self.on_disk = +self.on_disk, Counter()
        return missing

    @property
    def kept(self) -> int:
        """Samples, histograms and exemplars that are on disk and not settled, in memory, too, or not."""
        return self.on_disk.total() + sum(self._unsettled[number] for number in self._records)

    @property
    def has_unwritten(self) -> bool:
        """Whether there is something neither settled nor on disk, in flight or not."""
        return any(entry.number in self._unsettled for entry in self._unwritten)

    def leftover(self) -> list[Pending]:
        """What is neither settled nor on disk, those in flight included, in order of arrival. Only once."""
        entries = [entry for entry in self._unwritten if entry.number in self._unsettled]
        self._unwritten.clear()
        return entries

    def _place(self, entry: Pending) -> None:
        portion = entry.portion
        stream = portion.stream
        if self._waits(stream):
            self._held.append(entry)
            self._held_streams[stream] += 1
            self._held_memory += portion.memory
            self._held_samples += len(portion)
        else:
            (self._late if stream in self._late else self._fresh).append(entry)

    def _waits(self, stream: int) -> bool:
        """Whether what comes of ``stream`` is held back."""
        if self.disk is Disk.ABSENT:
            return False
        if self.disk is Disk.OPENING or stream in self._on_disk or self._held_streams[stream]:
            return True
        return self.disk is Disk.WORKING and self._is_full

    @property
    def _is_full(self) -> bool:
        return self._fresh.memory + self._late.memory >= self._spill_memory

    def _shed(self) -> int:
        """Drop the oldest portions beyond ``most_memory``."""
        dropped = 0
        while self.memory > self.most_memory:
            entry = self._fresh.drop_oldest() or self._late.drop_oldest()
            if entry is None:
                if not self._held:
                    break
                entry = self._take_first_held()
            self._settle(entry)
            self._on_drop(entry.portion)
            dropped += len(entry.portion)
        return dropped

    def _take_held(self) -> deque[Pending]:
        held, self._held = self._held, deque()
        self._held_streams.clear()
        self._held_memory = self._held_samples = 0
        return held

    def _take_first_held(self) -> Pending:
        entry = self._held.popleft()
        stream = entry.portion.stream
        self._held_memory -= entry.portion.memory
        self._held_samples -= len(entry.portion)
        self._held_streams[stream] -= 1
        if not self._held_streams[stream]:
            del self._held_streams[stream]
        return entry

    def _settle(self, entry: Pending) -> None:
        left = self._unsettled.get(entry.number, 0) - len(entry.portion)
        if left > 0:
            self._unsettled[entry.number] = left
            return
        self._unsettled.pop(entry.number, None)
        record = self._records.pop(entry.number, None)
        if record is not None:
            self._done.append(record)

    def _forget_on_disk(self, stream: int, records: int) -> None:
        left = self._on_disk.get(stream, 0) - records
        if left > 0:
            self._on_disk[stream] = left
        else:
            self._on_disk.pop(stream, None)
