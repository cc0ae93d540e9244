from collections import defaultdict
from itertools import count

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from promscout.model.histogram import Exemplar
from promscout.model.series import ExemplarBatch, SampleBatch, SeriesTable
from promscout.write.queue import Pending, StreamQueue
from promscout.write.status import Kind
from promscout.write.templates import Templates

TEMPLATES = Templates({}, ())
TABLES = {}
NUMBERS = count(1)


def portion(stream, values):
    """A portion of ``stream`` with these values, one series each."""
    key = stream, len(values)
    if key not in TABLES:
        TABLES[key] = SeriesTable.from_label_sets(stream, [(("__name__", f"m{i}"),) for i in range(len(values))])
    return TEMPLATES.portion(SampleBatch(TABLES[key], np.array(values, dtype=np.float64), 1_790_000_000_000))


def put(queue, one, since=0.0):
    """Append a portion as the newest of all."""
    queue.append(Pending(next(NUMBERS), since, one))


def contents(shipment):
    return [(entry.portion.stream, entry.portion.values.tolist()) for entry in shipment.entries]


def test_an_empty_queue_gives_nothing():
    queue = StreamQueue()
    assert queue.take(10) is None
    assert queue.oldest is None
    assert queue.oldest_ready is None


def test_whole_portions_are_taken_oldest_first_up_to_the_limit():
    queue = StreamQueue()
    for stream, values in ((1, [1, 2]), (2, [3]), (1, [4, 5]), (3, [6])):
        put(queue, portion(stream, values), 0.0)
    assert contents(queue.take(5)) == [(1, [1, 2]), (2, [3]), (1, [4, 5])]
    assert contents(queue.take(5)) == [(3, [6])]


def test_parts_of_a_portion_with_time_stamps_of_its_own_are_never_in_flight_together():
    queue = StreamQueue()
    whole = portion(1, range(4))
    stamps = np.arange(4) + 1_790_000_000_000
    put(queue, TEMPLATES.portion(SampleBatch(TABLES[1, 4], whole.values, stamps)), 0.0)
    first = queue.take(3)
    assert contents(first) == [(1, [0, 1, 2])]
    assert queue.take(3) is None
    queue.done(first)
    assert contents(queue.take(3)) == [(1, [3])]


def test_a_shipment_is_filled_with_a_part_that_is_packed_as_one():
    queue = StreamQueue()
    put(queue, portion(1, range(1000)), 0.0)
    put(queue, portion(2, range(1000)), 0.0)
    put(queue, portion(2, [7]), 0.0)
    first, second = queue.take(1800), queue.take(1800)
    assert [(entry.portion.stream, entry.portion.first, len(entry.portion)) for entry in first.entries] == [
        (1, 0, 1000),
        (2, 0, 750),
    ]
    assert [(entry.portion.stream, entry.portion.first, len(entry.portion)) for entry in second.entries] == [
        (2, 750, 250)
    ]
    assert queue.take(1800) is None
    queue.done(first)
    assert queue.take(1800) is None
    queue.done(second)
    assert contents(queue.take(1800)) == [(2, [7])]


def test_a_stream_in_flight_waits_and_others_pass():
    queue = StreamQueue()
    put(queue, portion(1, [1, 2]), 0.0)
    first = queue.take(2)
    put(queue, portion(1, [3]), 1.0)
    put(queue, portion(2, [4]), 2.0)
    assert (queue.oldest, queue.oldest_ready, queue.samples, queue.ready_samples) == (1.0, 2.0, 2, 1)
    assert contents(queue.take(9)) == [(2, [4])]
    assert queue.take(9) is None
    queue.done(first)
    assert queue.oldest_ready == 1.0
    assert contents(queue.take(9)) == [(1, [3])]


def test_parts_of_a_portion_larger_than_a_shipment_are_in_flight_at_once_and_the_next_portion_waits():
    queue = StreamQueue()
    put(queue, portion(1, [1, 2, 3, 4, 5]), 0.0)
    put(queue, portion(1, [6, 7, 8, 9, 10]), 1.0)
    put(queue, portion(2, [11]), 2.0)
    parts = [queue.take(2), queue.take(2), queue.take(2)]
    assert [contents(part) for part in parts] == [[(1, [1, 2])], [(1, [3, 4])], [(1, [5]), (2, [11])]]
    assert (queue.take(2), queue.samples, queue.ready_samples) == (None, 5, 0)
    for part in parts[1:]:
        queue.done(part)
        assert queue.take(2) is None
    queue.done(parts[0])
    assert queue.ready_samples == 5
    assert contents(queue.take(9)) == [(1, [6, 7, 8, 9, 10])]


def test_the_rest_of_a_portion_waits_for_what_is_in_flight_from_before_it():
    queue = StreamQueue()
    for scrape in range(2):
        put(queue, portion(1, [float(scrape)] * 1000))
    first = queue.take(1500)
    assert [len(entry.portion) for entry in first.entries] == [1000, 500]
    assert queue.take(1500) is None, "its series are in flight with the scrape before"
    assert queue.ready_samples == 0
    queue.done(first)
    assert contents(queue.take(1500)) == [(1, [1.0] * 500)]


def test_the_rest_of_a_rest_waits_for_it():
    queue = StreamQueue()
    for scrape in range(2):
        put(queue, portion(1, [float(scrape)] * 1000))
    queue.done(queue.take(500))
    first = queue.take(1000)
    assert [len(entry.portion) for entry in first.entries] == [500, 500]
    assert queue.take(1000) is None
    queue.done(first)
    assert contents(queue.take(1000)) == [(1, [1.0] * 500)]


def test_the_rest_of_a_divided_portion_can_be_dropped():
    queue = StreamQueue()
    put(queue, portion(1, [1, 2, 3]))
    part = queue.take(1)
    put(queue, portion(1, [4, 5, 6]))
    assert queue.drop_oldest().portion.values.tolist() == [2, 3]
    assert queue.take(9) is None
    queue.done(part)
    assert contents(queue.take(9)) == [(1, [4, 5, 6])]


def test_a_portion_that_does_not_fit_any_more_is_left_whole():
    queue = StreamQueue()
    put(queue, portion(1, [1]), 0.0)
    put(queue, portion(2, [2, 3]), 0.0)
    assert contents(queue.take(2)) == [(1, [1])]
    assert contents(queue.take(2)) == [(2, [2, 3])]


def test_the_oldest_is_dropped_even_when_its_stream_is_in_flight():
    queue = StreamQueue()
    put(queue, portion(1, [1]))
    shipment = queue.take(9)
    for stream, value in ((1, 2), (2, 3), (1, 4)):
        put(queue, portion(stream, [value]))
    assert queue.drop_oldest().portion.values.tolist() == [2]
    queue.done(shipment)
    assert contents(queue.take(9)) == [(2, [3]), (1, [4])]
    assert queue.drop_oldest() is None


def test_a_stream_is_in_the_queue_while_something_of_it_is_pending_or_in_flight():
    queue = StreamQueue()
    assert 1 not in queue
    put(queue, portion(1, [1]))
    assert 1 in queue
    shipment = queue.take(9)
    assert 1 in queue
    queue.done(shipment)
    assert 1 not in queue


def test_one_that_waits_for_ever_does_not_make_the_queue_grow():
    queue = StreamQueue()
    put(queue, portion(1, [1]))
    stuck = queue.take(9)
    put(queue, portion(1, [2]))
    for _ in range(5000):
        put(queue, portion(2, [3]))
        queue.done(queue.take(9))
    assert len(queue._arrivals) < 200
    assert queue.oldest == 0.0
    queue.done(stuck)
    assert contents(queue.take(9)) == [(1, [2])]


def test_exemplars_come_with_their_samples_beyond_the_limit_too():
    queue = StreamQueue()
    put(queue, portion(1, [1, 2]))
    table = TABLES[1, 2]
    put(queue, TEMPLATES.exemplars(ExemplarBatch(table, (Exemplar((), 1.0, 1), Exemplar((), 2.0, 1)))))
    put(queue, portion(1, [3, 4]))
    first = queue.take(2)
    assert [entry.portion.kind for entry in first.entries] == [Kind.SAMPLES, Kind.EXEMPLARS]
    assert (queue.samples, queue.others[Kind.EXEMPLARS]) == (2, 0)
    queue.done(first)
    assert contents(queue.take(2)) == [(1, [3, 4])]


class QueueMachine(RuleBasedStateMachine):
    """Appends, takes, drops and settles in any order, beside a model of where every sample is."""

    def __init__(self):
        super().__init__()
        self.queue = StreamQueue()
        self.count = self.dropped = 0
        self.appended = defaultdict(list)
        self.delivered = defaultdict(list)  # (stream, series) → values
        self.in_flight = []

    @rule(stream=st.integers(0, 3), size=st.integers(0, 5) | st.sampled_from((251, 600)))
    def append(self, stream, size):
        values = list(range(self.count, self.count + size))
        self.count += size
        for index, value in enumerate(values):
            self.appended[stream, index].append(value)
        if values:
            put(self.queue, portion(stream, values), float(self.count))

    @rule(max_samples=st.integers(1, 7) | st.sampled_from((300, 900)))
    def take(self, max_samples):
        shipment = self.queue.take(max_samples)
        if shipment is not None:
            assert 0 < len(shipment) <= max_samples
            self.in_flight.append(shipment)
        else:
            assert self.queue.ready_samples == 0

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def done(self, data):
        self.deliver(data.draw(st.integers(0, len(self.in_flight) - 1)))

    @precondition(lambda self: not self.in_flight)
    @rule()
    def move_everything_out_and_in(self):
        for entry in self.queue.drain():
            self.queue.append(entry)

    @precondition(lambda self: self.count % 3 == 0)
    @rule()
    def drop(self):
        oldest = self.queue.oldest
        entry = self.queue.drop_oldest()
        assert (entry.since if entry else None) == oldest
        self.dropped += len(entry.portion) if entry else 0

    @invariant()
    def counts_are_those_of_the_model(self):
        queue = self.queue
        pending = {name: stream.pending for name, stream in queue._streams.items() if stream.pending}
        ready = {name: list(self.may_go(entries)) for name, entries in pending.items()}
        ready = {name: entries for name, entries in ready.items() if entries}
        assert queue.samples == samples_of(pending)
        assert queue.ready_samples == samples_of(ready)
        assert queue.samples == self.count - self.dropped - sum(map(len, self.delivered.values())) - sum(
            map(len, self.in_flight)
        )
        assert queue.memory == sum(entry.portion.memory for entries in pending.values() for entry in entries)
        assert queue.oldest == min((entries[0].since for entries in pending.values()), default=None)
        assert queue.oldest_ready == min((entries[0].since for entries in ready.values()), default=None)

    def teardown(self):
        while self.in_flight or self.queue.samples:
            if shipment := self.queue.take(3):
                self.in_flight.append(shipment)
            else:
                self.deliver(0)
        assert sum(map(len, self.delivered.values())) + self.dropped == self.count
        assert (self.queue.samples, self.queue.ready_samples, self.queue.memory) == (0, 0, 0)
        assert self.queue._streams == {}
        for series, values in self.delivered.items():
            assert values == sorted(set(values))
            assert set(values) <= set(self.appended[series])
            assert self.dropped or values == self.appended[series]

    def may_go(self, entries):
        """Those of a stream's pending entries whose stream has nothing in flight but parts of the same portion."""
        flying = {
            entry.number
            for shipment in self.in_flight
            for entry in shipment.entries
            if entry.portion.stream == entries[0].portion.stream
        }
        return (entry for entry in entries if flying <= {entry.number})

    def deliver(self, index):
        shipment = self.in_flight.pop(index)
        for entry in shipment.entries:
            for series, value in enumerate(entry.portion.values, start=entry.portion.first):
                self.delivered[entry.portion.stream, series].append(int(value))
        self.queue.done(shipment)


def samples_of(pending):
    return sum(len(entry.portion) for entries in pending.values() for entry in entries)


TestEverySampleIsDeliveredOnceAndInOrderOrDropped = QueueMachine.TestCase
QueueMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
