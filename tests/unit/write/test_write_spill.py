from collections import defaultdict
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from promscout.write.queue import by_kind
from promscout.write.spill import MOST_MEMORY, Disk, SpillQueue, Stored
from promscout.write.status import Kind
from unit.write.test_write_queue import contents, portion


def take(queue, samples=9):
    return queue.take(samples, lambda since: True)


def opened(**options):
    queue = SpillQueue(disk=Disk.OPENING, **options)
    queue.opened({}, {}, 0)
    return queue


def write(queue, first_record, before=1e9):
    entries = queue.to_write(before, 1 << 30)
    queue.written(entries, first_record)
    return entries


def values(entries):
    return [value for entry in entries for value in entry.portion.values.tolist()]


MEMORY = portion(1, [0]).memory  # of a portion with one sample


def test_sixty_seconds_at_200_000_samples_a_second_fit_into_the_memory_without_a_disk():
    per_batch = portion(1, [0.0] * 1000)
    assert 60 * 200 * per_batch.memory < MOST_MEMORY / 2
    assert 60 * 2000 * portion(1, [0.0] * 100).memory < MOST_MEMORY


def test_beyond_its_memory_the_oldest_portions_are_dropped_where_there_is_no_disk():
    dropped = []
    queue = SpillQueue(dropped.append, spill_memory=0, most_memory=3 * MEMORY)
    assert [queue.append(portion(stream, [stream]), float(stream)) for stream in range(1, 6)] == [0, 0, 0, 1, 1]
    assert contents(take(queue)) == [(3, [3]), (4, [4]), (5, [5])]
    assert [len(one) for one in dropped] == [1, 1]


def test_a_portion_larger_than_the_memory_is_dropped_itself():
    queue = SpillQueue(spill_memory=0, most_memory=100)
    assert queue.append(portion(1, [1, 2]), 0.0) == 2
    assert (queue.samples, queue.memory, queue.oldest, queue.is_empty) == (0, 0, None, True)


def test_adopted_entries_come_before_what_was_pending():
    old, new = SpillQueue(), SpillQueue()
    old.append(portion(1, [1]), 0.0)
    old.append(portion(2, [2]), 1.0)
    new.append(portion(1, [3]), 5.0)
    assert new.prepend(old.drain()) == 0
    assert new.oldest == 0.0
    assert contents(take(new)) == [(1, [1]), (2, [2]), (1, [3])]
    assert (take(old), old.samples, old.memory) == (None, 0, 0)


def test_what_is_not_due_and_fills_no_shipment_is_not_taken():
    queue = SpillQueue()
    queue.append(portion(1, [1, 2]), 5.0)
    assert queue.take(3, lambda since: since <= 4.0) is None
    assert contents(queue.take(3, lambda since: since <= 5.0)) == [(1, [1, 2])]
    queue.append(portion(2, [1, 2, 3]), 9.0)
    assert contents(queue.take(3, lambda since: False)) == [(2, [1, 2, 3])]


def test_what_is_sent_before_it_is_to_be_written_never_goes_to_disk():
    queue = opened()
    queue.append(portion(1, [1]), 0.0)
    queue.append(portion(2, [2]), 2.0)
    assert values(queue.to_write(1.0, 1 << 30)) == [1]
    queue.done(take(queue))
    assert queue.to_write(9.0, 1 << 30) == []
    assert queue.settled() == []


def test_what_was_written_and_is_sent_then_is_settled_once_all_parts_are():
    queue = opened()
    queue.append(portion(1, [1, 2, 3]), 0.0)
    assert values(write(queue, 7)) == [1, 2, 3]
    assert queue.in_memory() == {7}
    first, second = take(queue, 2), take(queue, 2)
    queue.done(second)
    assert queue.settled() == []
    queue.done(first)
    assert queue.settled() == [7]
    assert (queue.in_memory(), queue.settled(), queue.to_write(9.0, 1 << 30)) == (set(), [], [])


def test_what_is_sent_while_it_is_being_written_is_settled():
    queue = opened()
    queue.append(portion(1, [1]), 0.0)
    entries = queue.to_write(9.0, 1 << 30)
    queue.done(take(queue))
    queue.written(entries, 3)
    assert (queue.settled(), queue.in_memory()) == ([3], set())


def test_a_write_is_bounded_and_goes_on_where_it_ended():
    queue = opened()
    for value in range(5):
        queue.append(portion(1, [value]), 0.0)
    batches = []
    while entries := queue.to_write(9.0, 2 * MEMORY):
        queue.written(entries, 2 * len(batches))
        batches.append(values(entries))
    assert batches == [[0, 1], [2, 3], [4]]


def test_when_memory_is_full_what_comes_leaves_it_for_the_disk_and_comes_back_in_order():
    queue = opened(spill_memory=2 * MEMORY)
    for value in range(6):
        queue.append(portion(1, [value]), 0.0)
    entries = write(queue, 0)
    assert values(entries) == [0, 1, 2, 3, 4, 5]
    assert (queue.memory, queue.samples, queue.on_disk[Kind.SAMPLES]) == (2 * MEMORY, 6, 4)
    assert not queue.wants_read
    queue.append(portion(1, [6]), 0.0)
    assert queue.in_memory() == {0, 1}
    sent = take(queue)
    assert contents(sent) == [(1, [0]), (1, [1])]
    queue.done(sent)
    assert queue.settled() == [0, 1]
    assert queue.wants_read
    queue.read([Stored(number, 0.0, entries[number].portion) for number in range(2, 6)])
    assert not queue.wants_read
    back = take(queue)
    assert contents(back) == [(1, [2]), (1, [3]), (1, [4]), (1, [5])]
    queue.done(back)
    assert contents(take(queue)) == [(1, [6])]


def test_streams_without_backlog_are_not_held_up_by_those_with_one():
    queue = SpillQueue(disk=Disk.OPENING)
    queue.append(portion(1, [10]), 5.0)
    queue.append(portion(2, [20]), 5.0)
    assert take(queue) is None
    queue.opened({1: 3}, {Kind.SAMPLES: 3}, 3)
    assert contents(take(queue)) == [(2, [20])]
    assert take(queue) is None
    queue.read([Stored(number, 0.0, portion(1, [number])) for number in range(2)])
    queue.append(portion(3, [30]), 6.0)
    turns = [contents(take(queue, 1)) for _ in range(2)]
    assert sorted(turns) == [[(1, [0])], [(3, [30])]]
    queue.append(portion(1, [11]), 7.0)
    queue.read([Stored(2, 0.0, portion(1, [2]))])
    queue.release()
    assert values(write(queue, 3)) == [10, 20, 30, 11]


def test_requests_are_taken_from_the_backlog_and_from_the_rest_in_turn():
    queue = SpillQueue(disk=Disk.OPENING)
    queue.opened(dict.fromkeys(range(10), 1), {Kind.SAMPLES: 10}, 10)
    queue.read([Stored(stream, 0.0, portion(stream, [0])) for stream in range(10)])
    for stream in range(10, 20):
        queue.append(portion(stream, [1]), 9.0)
    kinds = [contents(take(queue, 1))[0][1][0] for _ in range(20)]
    assert all(one != other for one, other in pairwise(kinds))


def test_with_a_disk_that_fails_memory_takes_what_it_can_and_the_oldest_is_dropped_then():
    queue = opened(spill_memory=2 * MEMORY, most_memory=4 * MEMORY)
    queue.disk = Disk.FAILING
    queue.release()
    dropped = [queue.append(portion(1, [value]), float(value)) for value in range(6)]
    assert dropped == [0, 0, 0, 0, 1, 1]
    assert contents(take(queue)) == [(1, [2]), (1, [3]), (1, [4]), (1, [5])]


def test_what_a_disk_turns_out_not_to_have_holds_nobody_up():
    queue = SpillQueue(disk=Disk.OPENING)
    queue.opened({1: 2, 2: 1}, {Kind.SAMPLES: 3, Kind.EXEMPLARS: 2}, 5)
    queue.append(portion(1, [1]), 0.0)
    queue.append(portion(2, [2]), 0.0)
    queue.lost({2: 1}, {Kind.SAMPLES: 1})
    queue.release()
    assert contents(take(queue)) == [(2, [2])]
    assert queue.nothing_on_disk() == {Kind.SAMPLES: 2, Kind.EXEMPLARS: 2}
    queue.release()
    assert contents(take(queue)) == [(1, [1])]
    assert queue.on_disk.total() == 0


def test_only_what_was_on_disk_at_the_start_may_be_repeated():
    queue = SpillQueue(disk=Disk.OPENING)
    queue.opened({1: 1}, {Kind.SAMPLES: 1}, 8)
    queue.read([Stored(7, 0.0, portion(1, [1]))])
    queue.append(portion(2, [2]), 0.0)
    write(queue, 8)
    assert queue.may_be_repeated(take(queue, 1).entries) is not queue.may_be_repeated(take(queue, 1).entries)


def test_leftover_is_what_is_neither_sent_nor_on_disk():
    queue = opened()
    for value in range(4):
        queue.append(portion(value, [value]), float(value))
    write(queue, 0, before=1.0)
    queue.done(take(queue, 3))
    assert queue.has_unwritten
    assert values(queue.leftover()) == [3]
    assert queue.leftover() == []


class SpillMachine(RuleBasedStateMachine):
    """Appends, takes, settles, writes, reads and restarts in any order, with a disk that may fail, beside a model."""

    def __init__(self):
        super().__init__()
        self.disk = {}  # record → portion
        self.next_record = 0
        self.count = 0
        self.appended = defaultdict(list)
        self.received = defaultdict(list)  # (stream, series) → values, repeated ones included
        self.gone = set()
        self.in_flight = []

    @initialize()
    def start(self):
        self.queue = SpillQueue(
            self.dropped, disk=Disk.OPENING, spill_memory=3 * MEMORY, most_memory=10 * portion(0, [0] * 4).memory
        )
        self.cursor = -1
        self.in_flight = []

    def dropped(self, one):
        self.gone.update(one.values.tolist())

    @rule(stream=st.integers(0, 3), size=st.integers(0, 4))
    def append(self, stream, size):
        new = list(range(self.count, self.count + size))
        self.count += size
        for index, value in enumerate(new):
            self.appended[stream, index].append(value)
        self.queue.append(portion(stream, new), float(self.count))

    @precondition(lambda self: self.queue.disk is Disk.OPENING)
    @rule()
    def open(self):
        streams = defaultdict(int)
        for one in self.disk.values():
            streams[one.stream] += 1
        samples = sum(map(len, self.disk.values()))
        self.queue.opened(dict(streams), {Kind.SAMPLES: samples}, self.next_record)

    @rule(max_samples=st.integers(1, 7))
    def take(self, max_samples):
        shipment = take(self.queue, max_samples)
        if shipment is not None:
            assert 0 < len(shipment) <= max_samples
            self.in_flight.append(shipment)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def done(self, data):
        shipment = self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1)))
        for entry in shipment.entries:
            for series, value in enumerate(entry.portion.values, start=entry.portion.first):
                self.received[entry.portion.stream, series].append(int(value))
        self.queue.done(shipment)

    @precondition(lambda self: self.queue.disk is not Disk.OPENING)
    @rule(works=st.booleans(), age=st.integers(0, 5), memory=st.integers(1, 5))
    def write(self, works, age, memory):
        queue = self.queue
        queue.release()
        entries = queue.to_write(float(self.count - age), memory * MEMORY)
        settled = queue.settled()
        for record in settled:
            del self.disk[record]
        queue.disk = Disk.WORKING if works else Disk.FAILING
        if works:
            self.disk.update(enumerate((entry.portion for entry in entries), self.next_record))
            queue.written(entries, self.next_record)
            self.next_record += len(entries)

    @precondition(lambda self: self.queue.disk is Disk.WORKING and self.queue.wants_read)
    @rule(most=st.integers(1, 4))
    def read(self, most):
        held = self.queue.in_memory()
        for record in self.queue.settled():
            del self.disk[record]
        found = [record for record in sorted(self.disk) if record > self.cursor and record not in held][:most]
        self.cursor = max([self.cursor, *found])
        self.queue.read(Stored(record, 0.0, self.disk[record]) for record in found)
        if not found:
            assert self.queue.nothing_on_disk() == {}

    @rule()
    def crash_and_restart(self):
        on_disk = {value for one in self.disk.values() for value in one.values.tolist()}
        received = {value for values in self.received.values() for value in values}
        self.gone |= set(range(self.count)) - on_disk - received
        self.start()

    @invariant()
    def numbers_agree(self):
        queue = self.queue
        if queue.disk is Disk.OPENING:
            return
        held = queue.in_memory() | set(queue._done)
        waiting = {record: one for record, one in self.disk.items() if record not in held}
        assert queue.on_disk[Kind.SAMPLES] == sum(map(len, waiting.values()))
        assert queue._on_disk == {
            stream: sum(one.stream == stream for one in waiting.values())
            for stream in {one.stream for one in waiting.values()}
        }
        assert queue.memory <= queue.most_memory
        assert sum(by_kind(queue._held).values()) == queue._held_samples

    def teardown(self):
        if self.queue.disk is Disk.OPENING:
            self.open()
        for _ in range(10 * self.count + 10):
            self.write(works=True, age=0, memory=5)
            if self.queue.wants_read:
                self.read(4)
            while shipment := take(self.queue, 3):
                self.in_flight.append(shipment)
            while self.in_flight:
                self.done(_First())
            if not self.disk and self.queue.is_empty:
                break
        assert (self.queue.samples, self.queue.memory, self.disk) == (0, 0, {})
        for series, wanted in self.appended.items():
            values = list(dict.fromkeys(self.received[series]))
            assert values == sorted(values), "no sample overtakes another of its series"
            assert set(wanted) - set(values) <= self.gone


class _First:
    """Draws the first of several."""

    def draw(self, _):
        return 0


TestEverySampleIsDeliveredInOrderOverCrashesUnlessTheDiskNeverHadIt = SpillMachine.TestCase
SpillMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=60, deadline=None)
