import asyncio
from contextlib import asynccontextmanager

import cramjam
import pytest

from harness.messages import REMOTE_WRITE
from promscout.exposition.lexer import Metadata
from promscout.exposition.samples import MetadataLines
from promscout.httpclient.secret import URL
from promscout.model.duration import Duration
from promscout.model.metadata import KnownFamilies, MetricMetadata
from promscout.write.config import MetadataConfig, ProtobufMessage, QueueConfig, RemoteWriteConfig
from promscout.write.metadata import MetadataSender
from promscout.write.sender import Reject, Retry, Sent, Unsupported
from promscout.write.status import KindStatus

COUNTER = MetricMetadata("counter", "How many é.", "seconds")


class Receiver:
    """Keeps what it took: the time, the attempt, and the entries of each request."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    async def send(self, request, attempt):
        assert request.message is ProtobufMessage.V1
        message = REMOTE_WRITE["WriteRequest"].FromString(bytes(cramjam.snappy.decompress_raw(request.body)))
        assert not message.timeseries
        entries = [(one.metric_family_name, one.type, one.help, one.unit) for one in message.metadata]
        self.requests.append((asyncio.get_running_loop().time(), attempt, entries))
        return self.answers.pop(0) if self.answers else Sent()

    @property
    def entries(self):
        return [entries for _, _, entries in self.requests]


class Targets:
    """What some targets say."""

    def __init__(self, *families):
        self.families = [KnownFamilies(one) for one in families]

    def __call__(self):
        return iter(self.families)


@asynccontextmanager
async def sending(targets, receiver, *, message=ProtobufMessage.V1, queue=None, **options):
    config = RemoteWriteConfig(
        url=URL.parse("http://receiver/write"),
        metadata_config=MetadataConfig(**options),
        queue_config=queue or QueueConfig(min_backoff=Duration(1), max_backoff=Duration(4)),
    )
    sender = MetadataSender("name", config, targets, lambda: message)
    task = asyncio.create_task(sender.run(receiver))
    try:
        yield sender
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_all_families_are_sent_every_interval_each_with_the_same_metadata_once():
    other = MetricMetadata("gauge", "", "")
    targets = Targets({"a": COUNTER, "b": other}, {"a": COUNTER}, {"a": other})
    receiver = Receiver()
    async with sending(targets, receiver, send_interval=Duration(30)) as sender:
        await asyncio.sleep(59)
        assert [time for time, _, _ in receiver.requests] == [30.0]
        assert receiver.entries == [[("a", 1, "How many é.", "seconds"), ("b", 2, "", ""), ("a", 2, "", "")]]
        await asyncio.sleep(2)
        assert receiver.entries[1] == receiver.entries[0]
        assert sender.status() == KindStatus(attempted=6, sent=6)
        assert sender.bytes_sent > 0


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("counter", 1),
        ("gauge", 2),
        ("histogram", 3),
        ("gaugehistogram", 4),
        ("summary", 5),
        ("info", 6),
        ("stateset", 7),
        ("unknown", 0),
        ("untyped", 0),
        ("strange", 0),
    ],
)
async def test_types_are_told_by_their_numbers(kind, number):
    receiver = Receiver()
    async with sending(Targets({"a": MetricMetadata(kind, "h", "u")}), receiver):
        await asyncio.sleep(61)
    assert receiver.entries == [[("a", number, "h", "u")]]


async def test_what_targets_have_ceased_to_say_is_not_sent_any_more():
    targets, receiver = Targets({"a": COUNTER}), Receiver()
    async with sending(targets, receiver):
        await asyncio.sleep(61)
        targets.families = [KnownFamilies({"b": COUNTER})]
        await asyncio.sleep(60)
        targets.families = []
        await asyncio.sleep(60)
    assert [[entry[0] for entry in entries] for entries in receiver.entries] == [["a"], ["b"]]


async def test_a_request_has_no_more_entries_than_configured():
    receiver = Receiver()
    targets = Targets({f"m{index}": COUNTER for index in range(7)})
    async with sending(targets, receiver, max_samples_per_send=3):
        await asyncio.sleep(61)
    assert list(map(len, receiver.entries)) == [3, 3, 1]


async def test_a_failed_request_is_sent_again_before_the_next_with_growing_pauses_or_those_asked_for():
    receiver = Receiver(Retry("busy"), Retry("busy", after=20.0), Retry("busy"), Sent(), Sent())
    targets = Targets({"a": COUNTER, "b": COUNTER})
    async with sending(targets, receiver, max_samples_per_send=1) as sender:
        await asyncio.sleep(119)
        assert sender.status() == KindStatus(attempted=2, sent=2, retried=3)
    times = [time - 60 for time, _, _ in receiver.requests]
    assert [attempt for _, attempt, _ in receiver.requests] == [0, 1, 2, 3, 0]
    assert [entries[0][0] for entries in receiver.entries] == ["a"] * 4 + ["b"]
    assert 0.5 <= times[1] <= 1
    assert times[2] == pytest.approx(times[1] + 20)
    assert 2 <= times[3] - times[2] <= 4


async def test_an_interval_that_passed_during_attempts_is_not_made_up_for():
    receiver = Receiver(Retry("away", after=200.0))
    async with sending(Targets({"a": COUNTER}), receiver):
        await asyncio.sleep(300)
    assert [time for time, _, _ in receiver.requests] == [60.0, 260.0, 260.0]


@pytest.mark.parametrize("answer", [Reject("no"), Unsupported("no")])
async def test_what_the_receiver_rejects_is_counted_and_told_and_comes_again_with_the_next_interval(answer, caplog):
    receiver = Receiver(answer)
    async with sending(Targets({"a": COUNTER}), receiver) as sender:
        await asyncio.sleep(61)
        assert sender.status() == KindStatus(failed=1)
        await asyncio.sleep(60)
        assert sender.status() == KindStatus(attempted=1, sent=1, failed=1)
    (record,) = caplog.records
    assert record.message == "the receiver rejected metadata"
    assert record.facts["reason"] == "no"


async def test_nothing_is_sent_where_the_section_does_not_ask_for_it_or_the_receiver_gets_2_0():
    receiver = Receiver()
    async with sending(Targets({"a": COUNTER}), receiver, send=False):
        await asyncio.sleep(200)
    async with sending(Targets({"a": COUNTER}), receiver, message=ProtobufMessage.V2):
        await asyncio.sleep(200)
    assert not receiver.requests


class CountedFamilies(KnownFamilies):
    """Counts how often they are read."""

    reads = 0

    def by_family(self):
        type(self).reads += 1
        return super().by_family()


async def test_targets_that_say_the_same_are_read_once_and_those_known_from_before_not_again():
    CountedFamilies.reads = 0
    targets = Targets()
    targets.families = [CountedFamilies({"a": COUNTER}) for _ in range(1000)]
    receiver = Receiver()
    async with sending(targets, receiver):
        await asyncio.sleep(181)
    assert receiver.entries == [[("a", 1, "How many é.", "seconds")]] * 3
    assert CountedFamilies.reads == 1


@pytest.mark.real_time
async def test_others_get_their_turn_while_many_different_targets_are_read():
    read = 0

    def families():
        nonlocal read
        for target in range(2000):
            read = target + 1
            yield KnownFamilies({f"m{target}_{index}": COUNTER for index in range(50)})

    receiver, seen = Receiver(), set()
    async with sending(families, receiver, send_interval=Duration(0.01), max_samples_per_send=10**6):
        while not receiver.requests:
            await asyncio.sleep(0)
            seen.add(read)
    assert len(seen - {0, 2000}) > 5


def test_equal_lines_have_the_same_fingerprint_and_others_have_another():
    def lines(*texts, help_text=str):
        return MetadataLines([(index, Metadata(*text)) for index, text in enumerate(texts)], help_text).fingerprint

    one = (b"HELP", b"a", b"text")
    assert lines(one) == MetadataLines([(7, Metadata(*one))], str).fingerprint
    different = [lines(one), lines(), lines(one, one), lines((b"HELP", b"at", b"ext")), lines(one, help_text=repr)]
    assert len(set(different)) == len(different)
