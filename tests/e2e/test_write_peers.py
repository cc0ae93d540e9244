"""Delivery to real receivers: VictoriaMetrics, and Prometheus as a remote write receiver."""

import asyncio
import math
import time
from contextlib import asynccontextmanager

import numpy as np
from prometheus_client import CollectorRegistry

from promscout.httpclient.secret import URL
from promscout.model.clock import SystemClock
from promscout.model.duration import Duration
from promscout.model.series import SampleBatch, SeriesTable, stale_markers
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.regex import Regex
from promscout.write.config import QueueConfig, RemoteWriteConfig
from promscout.write.metrics import RemoteWriteMetrics
from promscout.write.remote import RemoteWriteManager

QUEUE = QueueConfig(batch_send_deadline=Duration(0.2), max_samples_per_send=500)


@asynccontextmanager
async def remote_write(*urls, external_labels=(), refused=0, **options):
    """A running manager; on leaving everything must have been delivered, or refused by the receiver."""
    manager = RemoteWriteManager(RemoteWriteMetrics(CollectorRegistry()), SystemClock())
    configs = [RemoteWriteConfig(url=URL.parse(url), **{"queue_config": QUEUE, **options}) for url in urls]
    manager.apply_config(configs, dict(external_labels))
    task = asyncio.create_task(manager.run())
    try:
        yield manager
    finally:
        await manager.stop(20)
        await task
    for queue in manager.status().queues:
        assert (queue.pending_samples, queue.in_flight_samples, queue.failed) == (0, 0, refused)


def target(stream, series):
    instance = f"127.0.0.1:{9000 + stream}"
    return SeriesTable.from_label_sets(
        stream,
        [
            (("__name__", "up"), ("instance", instance), ("job", "j")),
            *((("__name__", "m"), ("instance", instance), ("n", f"é{index}")) for index in range(series - 1)),
        ],
    )


def now_ms():
    return time.time_ns() // 1_000_000


async def test_victoria_metrics_gets_every_sample_with_its_value_time_and_labels(victoria_metrics):
    rng = np.random.default_rng(1)
    tables = [target(stream, 101) for stream in range(5)]
    begin = now_ms() - 60_000
    expected = {}
    drop = RelabelConfig(source_labels=("n",), regex=Regex.parse("é7"), action=Action.DROP)
    options = {"external_labels": {"cluster": "c1"}.items(), "write_relabel_configs": (drop,)}
    async with remote_write(victoria_metrics.remote_write_url, **options) as manager:
        for scrape in range(6):
            for table in tables:
                values = rng.random(101).round(9)
                stamp = begin + 10_000 * scrape
                stamps = np.full(101, stamp, dtype=np.int64) + np.arange(101) if scrape % 2 else stamp
                manager.append(SampleBatch(table, values, stamps))
                for labels, value, at in zip(table, values, np.broadcast_to(stamps, 101), strict=True):
                    if ("n", "é7") not in labels:
                        expected.setdefault(labels, []).append((int(at), value))
    assert manager.status().queues[0].dropped == {"dropped_series": 30}
    exported = await victoria_metrics.export('{cluster="c1"}')
    found = {}
    for series in exported:
        assert series["metric"].pop("cluster") == "c1"
        samples = sorted(zip(series["timestamps"], series["values"], strict=True))
        found[tuple(sorted(series["metric"].items()))] = samples
    assert found.keys() == expected.keys()
    for labels, samples in expected.items():
        assert [at for at, _ in found[labels]] == [at for at, _ in samples]
        np.testing.assert_allclose([value for _, value in found[labels]], [value for _, value in samples], rtol=1e-9)


async def test_staleness_markers_end_a_series_in_victoria_metrics(victoria_metrics):
    table = target(1, 1)
    stamp = now_ms() - 10_000
    async with remote_write(victoria_metrics.remote_write_url) as manager:
        manager.append(SampleBatch(table, np.array([1.0]), stamp))
        manager.append(stale_markers(table, stamp + 5000))
    (before,) = await victoria_metrics.query("up", time=(stamp + 4000) / 1000)
    assert before["value"][1] == "1"
    assert await victoria_metrics.query("up", time=(stamp + 6000) / 1000) == []


async def test_prometheus_takes_samples_and_staleness_markers(prometheus):
    peer = await prometheus({"global": {"scrape_interval": "1h"}})
    table = target(1, 3)
    stamp = now_ms() - 10_000
    async with remote_write(peer.remote_write_url) as manager:
        manager.append(SampleBatch(table, np.array([1.0, math.inf, 2.5]), stamp))
        manager.append(SampleBatch(table, np.array([1.0, math.nan, 3.5]), stamp + 2000))
        manager.append(stale_markers(table, stamp + 5000))
    at = (stamp + 3000) / 1000
    assert [one["value"][1] for one in await peer.query("up", time=at)] == ["1"]
    assert sorted(one["value"][1] for one in await peer.query("m", time=at)) == ["3.5", "NaN"]
    assert [one["value"][1] for one in await peer.query('m{n="é0"}', time=at - 2)] == ["+Inf"]
    assert await peer.query('{__name__=~".+"}', time=(stamp + 6000) / 1000) == []


async def test_a_backlog_reaches_prometheus_in_order(prometheus):
    peer = await prometheus({"global": {"scrape_interval": "1h"}})
    tables = [target(stream, 50) for stream in range(20)]
    begin = now_ms() - 100_000
    async with remote_write(peer.remote_write_url) as manager:
        for scrape in range(100):
            for table in tables:
                manager.append(SampleBatch(table, np.full(50, float(scrape)), begin + 1000 * scrape))
    assert manager.status().queues[0].sent == 20 * 50 * 100
    (total,) = await peer.query("count(count_over_time(m[200s]) == 100)", time=begin / 1000 + 100)
    assert total["value"][1] == str(20 * 49)


async def test_samples_that_prometheus_refuses_are_counted_with_its_reason(prometheus):
    peer = await prometheus({"global": {"scrape_interval": "1h"}})
    table = target(1, 2)
    async with remote_write(peer.remote_write_url) as manager:
        manager.append(SampleBatch(table, np.array([1.0, 2.0]), now_ms()))
    async with remote_write(peer.remote_write_url, refused=2) as manager:
        manager.append(SampleBatch(table, np.array([1.0, 2.0]), now_ms() - 60_000))
    (queue,) = manager.status().queues
    assert queue.sent == 0
    assert queue.last_error == "status 400: out of order sample"


async def test_nothing_is_lost_while_the_receiver_refuses_connections(victoria_metrics, free_port):
    table = target(1, 10)
    begin = now_ms() - 60_000
    async with remote_write(f"http://127.0.0.1:{free_port}/api/v1/write") as manager:
        for scrape in range(30):
            manager.append(SampleBatch(table, np.full(10, float(scrape)), begin + 1000 * scrape))
        await asyncio.sleep(1.0)
        assert manager.status().queues[0].retried > 0
        server = await forward(free_port, victoria_metrics.port)
        await manager.stop(20)
        server.close()
    exported = await victoria_metrics.export("m")
    assert len(exported) == 9
    for series in exported:
        samples = sorted(zip(series["timestamps"], series["values"], strict=True))
        assert samples == [(begin + 1000 * scrape, scrape) for scrape in range(30)]


async def forward(port, to):
    async def pump(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()

    async def serve(reader, writer):
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", to)
        await asyncio.gather(pump(reader, other_writer), pump(other_reader, writer))

    return await asyncio.start_server(serve, "127.0.0.1", port)
