"""The journal against a plain model of it, and against crashes at any byte."""

import struct
from collections import Counter
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from promscout.model.histogram import CounterReset, Exemplar, Histogram, Span
from promscout.model.metadata import KnownFamilies, MetricMetadata
from promscout.model.series import STALE_NAN_BITS, SeriesTable
from promscout.write.journal import Journal
from promscout.write.portion import Items, Portion, SeriesTemplate
from promscout.write.record import Record
from promscout.write.status import Kind
from unit.write.journal_cases import NOW, everything, facts, numbers, records

int64 = st.integers(-(1 << 63), (1 << 63) - 1)
whole = st.integers(0, (1 << 64) - 1)
floats = st.integers(0, (1 << 64) - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
labels = st.dictionaries(texts.filter(bool), texts.filter(bool), max_size=3).map(lambda one: tuple(sorted(one.items())))
metadata = st.builds(MetricMetadata, texts, texts, texts)
spans = st.lists(st.builds(Span, st.integers(-(1 << 31), (1 << 31) - 1), st.integers(0, (1 << 32) - 1)), max_size=2)
counts = st.lists(int64, max_size=3) | st.lists(floats, max_size=3)
histograms = st.builds(
    Histogram,
    schema=st.integers(-53, 8),
    is_float=st.booleans(),
    count=whole | floats,
    sum=floats,
    zero_threshold=floats,
    zero_count=whole | floats,
    positive_spans=spans.map(tuple),
    positive_buckets=counts.map(tuple),
    negative_spans=spans.map(tuple),
    negative_buckets=counts.map(tuple),
    custom_values=st.lists(floats, max_size=2).map(tuple),
    counter_reset=st.sampled_from(CounterReset),
)
exemplars = st.builds(Exemplar, labels, floats, st.none() | int64)


@st.composite
def templates(draw):
    sets = draw(st.lists(labels, min_size=1, max_size=6))
    families = KnownFamilies(draw(st.dictionaries(texts, metadata, max_size=2)))
    table = SeriesTable.from_label_sets(draw(whole), sets)
    return SeriesTemplate(table.stream, table.encoded, table.offsets, families)


@st.composite
def portions(draw, template):
    kind = draw(st.sampled_from(Kind))
    if kind is not Kind.SAMPLES:
        items = draw(st.lists(histograms if kind is Kind.HISTOGRAMS else exemplars, min_size=1, max_size=3))
        series = draw(st.lists(st.integers(0, len(template) - 1), min_size=len(items), max_size=len(items)))
        times = draw(st.lists(int64, min_size=len(items), max_size=len(items)))
        return Items(kind, template, tuple(series), tuple(items), tuple(times))
    first = draw(st.integers(0, len(template) - 1))
    size = draw(st.integers(1, len(template) - first))
    bits = st.sampled_from([0, STALE_NAN_BITS, 0x7FF8000000000001]) | whole
    values = np.array(draw(st.lists(bits, min_size=size, max_size=size)), dtype=np.uint64).view(np.float64)
    each = st.lists(int64, min_size=size, max_size=size).map(lambda one: np.array(one, dtype=np.int64))
    return Portion(template, first, values, draw(int64 | each))


@st.composite
def appends(draw):
    """Lists of records, each to be appended at once."""
    known = draw(st.lists(templates(), min_size=1, max_size=3, unique_by=lambda one: one.stream))
    number, found = 0, []
    for size in draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)):
        found.append([])
        for _ in range(size):
            number += draw(st.integers(1, 5) | st.just(1 << 40))
            portion = draw(st.sampled_from(known).flatmap(portions))
            found[-1].append(Record(number, draw(st.integers(0, 1 << 50)), portion))
    return found


def bits_of(record):
    """What a record says, with numbers as bits: a NaN has many, and -0.0 equals 0.0."""
    if isinstance(record.portion, Portion):
        return facts(record)
    return *facts(record)[:-2], [_with_bits(item) for item in record.portion.items], record.portion.timestamps


def _with_bits(value):
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, tuple):
        return tuple(map(_with_bits, value))
    if isinstance(value, Histogram | Exemplar | Span):
        return tuple(_with_bits(getattr(value, field)) for field in value.__struct_fields__)
    return type(value), value


@settings(deadline=None)
@given(appends(), st.sampled_from([1, 1 << 20]))
def test_everything_that_was_appended_is_read_as_it_was(appended, segment_bytes):
    written = [record for records in appended for record in records]
    with TemporaryDirectory() as directory, closing(Journal(Path(directory), segment_bytes=segment_bytes)) as journal:
        journal.open()
        for records in appended:
            journal.append(records)
        assert list(map(bits_of, everything(journal))) == list(map(bits_of, written))
        with closing(Journal(Path(directory))) as following:
            backlog, damage = following.open()
            assert list(map(bits_of, everything(following))) == list(map(bits_of, written))
        assert (damage, backlog.records, backlog.next_number) == ([], len(written), written[-1].number + 1)
        assert sum(backlog.kinds.values()) == sum(len(record.portion) for record in written)


class JournalMachine(RuleBasedStateMachine):
    """A journal in which every append is a segment, next to lists of the numbers in it.

    Crashes happen anywhere: between two calls, and in the middle of a write, with the file cut at any byte.
    """

    @initialize()
    def start(self):
        self.place = TemporaryDirectory()
        self.directory = Path(self.place.name)
        self.journal = Journal(self.directory, segment_bytes=1)
        self.journal.open()
        self.last = 0
        self.segments = []
        self.settled, self.committed = set(), set()
        self.is_written = False
        """Whether the last segment is the one that is written."""

    def teardown(self):
        self.journal.close()
        self.place.cleanup()

    @property
    def waiting(self):
        return [number for segment in self.segments for number in segment if number not in self.settled]

    @rule(gaps=st.lists(st.integers(1, 3), min_size=1, max_size=4))
    def append(self, gaps):
        self._append(gaps)
        self.is_written = True

    @rule(gaps=st.lists(st.integers(1, 3), min_size=1, max_size=4), fraction=st.floats(0, 1))
    def crash_while_appending(self, gaps, fraction):
        self._append(gaps)
        path = max(self.directory.glob("*.segment"))
        content = path.read_bytes()
        kept = int(fraction * len(content))
        self.journal.close()
        path.write_bytes(content[:kept])
        is_torn = kept < len(content)
        if is_torn:
            self.segments.pop()
        self.reopen()
        assert self.damage == kept * is_torn

    @rule(data=st.data())
    @precondition(lambda self: self.segments)
    def settle(self, data):
        known = [number for segment in self.segments for number in segment]
        chosen = data.draw(st.lists(st.sampled_from(known) | st.integers(0, self.last + 3)))
        self.journal.settle(chosen)
        self.settled |= set(chosen) & set(known)

    @rule()
    def settle_everything(self):
        self.journal.settle(self.waiting)
        self.settled |= set(self.waiting)

    @rule()
    def commit(self):
        self.journal.commit()
        self._forget_spent()
        self.committed = set(self.settled)

    @rule(fraction=st.floats(0, 1))
    def crash_while_committing(self, fraction):
        path = self.directory / "settled"
        before = path.read_bytes() if path.exists() else None
        self.journal.commit()
        self._forget_spent()
        content = path.read_bytes()
        self.journal.close()
        path.with_suffix(".new").write_bytes(content[: int(fraction * len(content))])
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)
        self.reopen()

    @rule(data=st.data())
    def trim(self, data):
        held = data.draw(st.sets(st.sampled_from(self.waiting))) if self.waiting else set()
        oldest = NOW + data.draw(st.integers(0, self.last + 1))
        size = self.journal.bytes
        lost = self.journal.trim(data.draw(st.integers(0, size)) if size else 0, oldest, held)
        left = self.journal.segments
        gone, self.segments = self.segments[: len(self.segments) - left], self.segments[len(self.segments) - left :]
        self.is_written &= left > 0
        expected = [n for segment in gone for n in segment if n not in self.settled and n not in held]
        assert lost.streams == Counter(number % 2 for number in expected)
        assert all(NOW + segment[-1] >= oldest for segment in self.segments)
        assert not gone or not self.segments or NOW + gone[-1][-1] < oldest or size > self.journal.bytes

    @rule()
    def rotate(self):
        self.journal.rotate()
        self.is_written = False

    @rule()
    def reopen(self):
        self.journal.close()
        self.settled &= self.committed
        self.is_written = False
        self.journal = Journal(self.directory, segment_bytes=1)
        backlog, damage = self.journal.open()
        self.damage = sum(extent.stop - extent.start for extent in damage)
        waiting = self.waiting
        assert backlog.records == len(waiting)
        assert backlog.oldest_ms == (NOW + waiting[0] if waiting else None)
        assert backlog.streams == Counter(number % 2 for number in waiting)
        assert all(number < backlog.next_number for segment in self.segments for number in segment)

    @rule(data=st.data(), room=st.integers(1, 2000))
    def read_in_steps(self, data, room):
        after = data.draw(st.integers(0, self.last + 1))
        held = data.draw(st.sets(st.integers(0, self.last + 1)))
        expected = [number for number in self.waiting if number > after and number not in held]
        found = []
        for _ in range(len(expected) + 1):
            some, after = self.journal.read(after, held, room)
            found += numbers(some)
            assert sum(record.portion.memory for record in some[:-1]) < room
            assert all(record.number <= after for record in some)
        assert some == []
        assert found == expected

    @invariant()
    def what_waits_is_read_in_order(self):
        if hasattr(self, "journal"):
            assert numbers(everything(self.journal)) == self.waiting
            assert self.journal.damage()[0] == []

    @invariant()
    def files_are_those_of_the_segments(self):
        if hasattr(self, "journal"):
            sizes = [path.stat().st_size for path in self.directory.glob("*.segment")]
            assert (self.journal.segments, self.journal.bytes) == (len(sizes), sum(sizes))
            assert len(sizes) == len(self.segments)

    def _append(self, gaps):
        new = []
        for gap in gaps:
            self.last += gap
            new.append(self.last)
        self.journal.append([records(number, stream=number % 2)[0] for number in new])
        self.segments.append(new)

    def _forget_spent(self):
        spent = [segment for segment in self.segments if self.settled.issuperset(segment)]
        if self.is_written and len(spent) < len(self.segments):
            spent = [segment for segment in spent if segment is not self.segments[-1]]
        self.segments = [segment for segment in self.segments if segment not in spent]
        self.is_written &= bool(self.segments)


JournalMachine.TestCase.settings = settings(max_examples=50, stateful_step_count=25, deadline=None)
test_a_journal_has_what_its_model_has_after_any_calls_and_crashes = JournalMachine.TestCase
