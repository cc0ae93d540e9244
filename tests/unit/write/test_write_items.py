import asyncio
from contextlib import asynccontextmanager

import cramjam
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from harness.messages import REMOTE_WRITE
from promscout.httpclient.secret import URL
from promscout.model.duration import Duration
from promscout.model.histogram import CUSTOM_BUCKETS_SCHEMA, Exemplar, Histogram, Span
from promscout.model.series import ExemplarBatch, HistogramBatch, SampleBatch, SeriesTable
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.regex import Regex
from promscout.write.config import QueueConfig, RemoteWriteConfig
from promscout.write.metrics import RemoteWriteMetrics
from promscout.write.remote import RemoteWriteManager
from promscout.write.sender import Reject, Retry, Sent

NOW = 1_790_000_000_000
DROP_B = RelabelConfig(source_labels=("__name__",), regex=Regex.parse("b"), action=Action.DROP)
CUSTOM = Histogram(schema=CUSTOM_BUCKETS_SCHEMA, count=1, custom_values=(1.0,))


class Receiver:
    """A ``Sender`` that keeps what it took: (metric, kind, time stamp, other labels)."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None

    async def send(self, request, attempt):
        body = request.body
        request = REMOTE_WRITE["WriteRequest"].FromString(bytes(cramjam.snappy.decompress_raw(body)))
        self.requests.append([_taken(series) for series in request.timeseries])
        return self.answers.pop(0) if self.answers else Sent()


def _taken(series):
    labels = {label.name: label.value for label in series.labels}
    found = [("sample", one) for one in series.samples]
    found += [("histogram", one) for one in series.histograms] + [("exemplar", one) for one in series.exemplars]
    ((kind, one),) = found
    return labels.pop("__name__"), kind, one.timestamp, labels


def histogram(count):
    return Histogram(schema=3, count=count, sum=1.0, positive_spans=(Span(0, 1),), positive_buckets=(count,))


def table(*names, stream=1):
    return SeriesTable.from_label_sets(stream, [(("__name__", name),) for name in names])


def histograms(*names, timestamps=NOW, stream=1, of=None):
    return HistogramBatch(table(*names, stream=stream), (of or histogram(2),) * len(names), timestamps)


def exemplars(*names, timestamp=NOW):
    return ExemplarBatch(table(*names), (Exemplar((("trace_id", "x"),), 1.5, timestamp),) * len(names))


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def started(clock, registry):
    @asynccontextmanager
    async def start(receiver, external_labels=None, *, relabel=(), stop_within=60, queue=None, **options):
        config = RemoteWriteConfig(
            url=URL.parse("http://127.0.0.1/write"),
            name="r",
            write_relabel_configs=relabel,
            queue_config=queue or QueueConfig(min_backoff=Duration(1)),
            **({"send_native_histograms": True, "send_exemplars": True} | options),
        )
        manager = RemoteWriteManager(RemoteWriteMetrics(registry), clock, lambda _: receiver)
        manager.apply_config([config], external_labels or {})
        task = asyncio.create_task(manager.run())
        try:
            yield manager
        finally:
            await manager.stop(stop_within)
            await task

    return start


def metric(registry, name, **labels):
    url = {"remote_name": "r", "url": "http://127.0.0.1/write"} if not name.endswith("_in_total") else {}
    return registry.get_sample_value(f"prometheus_remote_storage_{name}", url | labels)


async def test_samples_histograms_and_exemplars_of_a_stream_are_sent_in_the_order_they_came(started):
    receiver = Receiver()
    async with started(receiver, {"zone": "z"}) as manager:
        for time in (NOW, NOW + 1):
            manager.append(SampleBatch(table("s"), np.ones(1), time))
            manager.append_histograms(histograms("h", timestamps=time))
            manager.append_exemplars(exemplars("s", timestamp=time))
    zone = {"zone": "z"}
    assert receiver.requests == [
        [
            (name, kind, time, zone)
            for time in (NOW, NOW + 1)
            for name, kind in (("s", "sample"), ("h", "histogram"), ("s", "exemplar"))
        ]
    ]


async def test_each_histogram_has_its_own_time_stamp(started):
    receiver = Receiver()
    async with started(receiver) as manager:
        manager.append_histograms(histograms("a", "b", timestamps=np.array([NOW, NOW + 7])))
    assert receiver.requests == [[("a", "histogram", NOW, {}), ("b", "histogram", NOW + 7, {})]]


async def test_what_relabelling_drops_is_not_sent_and_counted_by_kind(started, registry):
    receiver = Receiver()
    async with started(receiver, relabel=(DROP_B,)) as manager:
        manager.append_histograms(histograms("a", "b", "c", timestamps=np.array([NOW, NOW + 1, NOW + 2])))
        manager.append_exemplars(exemplars("b", "b", "c"))
    assert [(name, kind, time) for name, kind, time, _ in receiver.requests[0]] == [
        ("a", "histogram", NOW),
        ("c", "histogram", NOW + 2),
        ("c", "exemplar", NOW),
    ]
    assert metric(registry, "histograms_dropped_total", reason="dropped_series") == 1
    assert metric(registry, "exemplars_dropped_total", reason="dropped_series") == 2
    assert metric(registry, "samples_dropped_total", reason="dropped_series") is None


@pytest.mark.parametrize("option", ["send_native_histograms", "send_exemplars"])
async def test_a_section_gets_only_what_it_asks_for(started, registry, option):
    receiver = Receiver()
    async with started(receiver, **{option: False}) as manager:
        manager.append_histograms(histograms("h"))
        manager.append_exemplars(exemplars("s"))
    kinds = [kind for _, kind, _, _ in receiver.requests[0]]
    assert kinds == [{"send_native_histograms": "exemplar", "send_exemplars": "histogram"}[option]]
    assert metric(registry, "histograms_in_total") == metric(registry, "exemplars_in_total") == 1


async def test_histograms_with_custom_buckets_are_dropped_and_counted(started, registry):
    receiver = Receiver()
    batch = HistogramBatch(table("a", "b", "c"), (CUSTOM, histogram(1), CUSTOM), NOW)
    async with started(receiver, relabel=(DROP_B,)) as manager:
        manager.append_histograms(batch)
        manager.append_histograms(HistogramBatch(table("b", "c"), (CUSTOM, histogram(1)), NOW + 1))
    assert receiver.requests == [[("c", "histogram", NOW + 1, {})]]
    assert metric(registry, "histograms_dropped_total", reason="nhcb_in_rw1_not_supported") == 3
    assert metric(registry, "histograms_dropped_total", reason="dropped_series") == 1


async def test_attempts_retries_and_rejections_are_counted_by_kind(started, registry):
    receiver = Receiver(Retry("down"), Reject("no"))
    async with started(receiver) as manager:
        manager.append_histograms(histograms("a", "b", "c"))
        manager.append_exemplars(exemplars("s"))
        assert (metric(registry, "histograms_pending"), metric(registry, "exemplars_pending")) == (3, 1)
        assert metric(registry, "samples_pending") == 0
    assert len(receiver.requests) == 2
    for kind, number in (("histograms", 3), ("exemplars", 1), ("samples", 0)):
        figures = {fact: metric(registry, f"{kind}_{fact}") for fact in ("total", "failed_total", "retried_total")}
        assert figures == {"total": 2 * number, "failed_total": number, "retried_total": number}
        assert metric(registry, f"{kind}_pending") == 0


async def test_histograms_that_are_too_old_are_left_out(started, registry, clock):
    receiver, now = Receiver(), clock.now_ms()
    async with started(receiver, queue=QueueConfig(sample_age_limit=Duration(60))) as manager:
        manager.append_histograms(histograms("a", "b", timestamps=np.array([now, now - 100_000])))
        manager.append_exemplars(exemplars("s", timestamp=now - 100_000))
    assert receiver.requests == [[("a", "histogram", now, {})]]
    assert metric(registry, "histograms_dropped_total", reason="too_old") == 1
    assert metric(registry, "exemplars_dropped_total", reason="too_old") == 1


async def test_what_could_not_be_delivered_is_counted_by_kind(started, registry):
    async with started(Receiver(*[Retry("down")] * 100), stop_within=1) as manager:
        manager.append_histograms(histograms("a", "b"))
        manager.append_exemplars(exemplars("s"))
        manager.append(SampleBatch(table("s"), np.ones(1), NOW))
    manager.append_histograms(histograms("a"))
    manager.append_exemplars(exemplars("s"))
    assert [metric(registry, f"{kind}_dropped_total", reason="shutdown") for kind in ("samples", "histograms")] == [
        1,
        3,
    ]
    assert metric(registry, "exemplars_dropped_total", reason="shutdown") == 2


async def test_more_histograms_than_a_request_holds_are_divided(started):
    receiver = Receiver()
    async with started(receiver, queue=QueueConfig(max_samples_per_send=2)) as manager:
        manager.append_histograms(histograms("a", "b", "c", "d", "e"))
    assert [[name for name, _, _, _ in request] for request in receiver.requests] == [["a", "b"], ["c", "d"], ["e"]]


async def test_the_oldest_histograms_are_dropped_when_memory_is_full(started, registry):
    many = Histogram(schema=3, count=1, positive_spans=(Span(0, 160),), positive_buckets=(0,) * 160)
    async with started(Receiver(*[Retry("down")] * 100), stop_within=0) as manager:
        manager._queues[0]._queue.most_memory = 100_000
        for number in range(20):
            manager.append_histograms(histograms("a", stream=number, of=many))
        dropped = metric(registry, "histograms_dropped_total", reason="queue_full")
        assert 20 - dropped == metric(registry, "histograms_pending") == 13
        assert metric(registry, "samples_dropped_total", reason="queue_full") is None
