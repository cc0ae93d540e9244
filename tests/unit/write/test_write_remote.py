import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from promscout.httpclient.secret import URL
from promscout.model.duration import Duration
from promscout.write.buffers import Buffers
from promscout.write.config import QueueConfig, RemoteWriteConfig
from promscout.write.metrics import RemoteWriteMetrics
from promscout.write.remote import FLUSH_TIMEOUT, RemoteWriteManager
from promscout.write.sender import Reject, Retry, Sent
from unit.write.fake_receiver import FakeReceiver, Target


def section(number=1, **options):
    return RemoteWriteConfig(
        url=URL.parse(f"http://user:hunter2@127.0.0.{number}/write"),
        queue_config=QueueConfig(max_samples_per_send=10, min_backoff=Duration(1)),
        **options,
    )


class Receivers(dict):
    """URL's host → receiver; also what connects to them."""

    def __init__(self, **receivers):
        super().__init__(receivers)
        self.connected = []

    def connect(self, config):
        self.connected.append(config)
        return self[f"r{config.url.parts.hostname.rpartition('.')[2]}"]


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def manager_for(clock, registry):
    return lambda receivers: RemoteWriteManager(RemoteWriteMetrics(registry), clock, receivers.connect)


@asynccontextmanager
async def running(manager, stop_within=5.0):
    task = asyncio.create_task(manager.run())
    try:
        yield
    finally:
        await manager.stop(stop_within)
        await task


async def test_every_receiver_gets_every_sample_and_waits_for_no_other(manager_for, clock):
    receivers = Receivers(r1=FakeReceiver(*[Retry("down")] * 1000), r2=FakeReceiver())
    manager = manager_for(receivers)
    manager.apply_config([section(1), section(2)], {})
    async with running(manager):
        target = Target(1, 10)
        for _ in range(5):
            manager.append(target.batch(clock.now_ms()))
            await asyncio.sleep(1)
        assert receivers["r2"].count == 50
        assert [queue.pending_samples + queue.in_flight_samples for queue in manager.status().queues] == [50, 0]
    assert [queue.dropped for queue in manager.status().queues] == [{"shutdown": 50}, {}]


async def test_external_labels_are_sent(manager_for, clock):
    receivers = Receivers(r1=FakeReceiver())
    manager = manager_for(receivers)
    manager.apply_config([section(1)], {"cluster": "c1"})
    async with running(manager):
        manager.append(Target(1).batch(clock.now_ms()))
    assert receivers["r1"].values(cluster="c1", stream="1") == [1.0]


async def test_a_reload_with_an_equal_section_keeps_the_queue_and_its_connection(manager_for, clock):
    receivers = Receivers(r1=FakeReceiver())
    manager = manager_for(receivers)
    manager.apply_config([section(1)], {"a": "1"})
    async with running(manager):
        manager.append(Target(1).batch(clock.now_ms()))
        await asyncio.sleep(1)
        manager.apply_config([section(1)], {"a": "1"})
        assert manager.status().queues[0].pending_samples == 1
        await asyncio.sleep(10)
        assert manager.status().queues[0].sent == 1
    assert len(receivers.connected) == 1


async def test_a_changed_section_of_the_same_url_takes_over_what_is_pending(manager_for, clock):
    receivers = Receivers(r1=FakeReceiver(*[Retry("down")] * 8))
    manager, target = manager_for(receivers), Target(1, 10)
    manager.apply_config([section(1)], {"zone": "old"})
    async with running(manager, stop_within=100):
        for _ in range(3):
            manager.append(target.batch(clock.now_ms()))
            await asyncio.sleep(1)
        manager.apply_config([section(1)], {"zone": "new"})
        manager.append(target.batch(clock.now_ms()))
        await asyncio.sleep(1)
        assert manager.status().queues[0].in_flight_samples == 10
    assert len(receivers.connected) == 2
    assert receivers["r1"].values(n="0", zone="old") == [1.0, 2.0, 3.0]
    assert receivers["r1"].values(n="0", zone="new") == [4.0]
    assert manager.status().queues[0].dropped == {}


async def test_a_new_queue_begins_after_the_requests_of_the_old_one_have_ended(manager_for, clock):
    receivers = Receivers(r1=FakeReceiver(latency=10.0))
    manager, target = manager_for(receivers), Target(1, 10)
    manager.apply_config([section(1)], {})
    async with running(manager, stop_within=100):
        manager.append(target.batch(clock.now_ms()))
        await asyncio.sleep(1)
        for name in ("b", "c"):
            manager.apply_config([section(1, name=name)], {})
            manager.append(target.batch(clock.now_ms()))
    assert [time for time, _, _ in receivers["r1"].requests] == [0.0, 10.0, 20.0]
    assert receivers["r1"].most_at_once == 1
    assert receivers["r1"].values(n="0") == [1.0, 2.0, 3.0]


async def test_stopping_in_the_middle_of_a_takeover_counts_what_is_left_once(manager_for, clock):
    receivers = Receivers(r1=FakeReceiver(latency=1000.0))
    manager, target = manager_for(receivers), Target(1, 10)
    manager.apply_config([section(1)], {})
    async with running(manager, stop_within=3):
        manager.append(target.batch(clock.now_ms()))
        await asyncio.sleep(1)
        manager.apply_config([section(1, name="b")], {})
        manager.append(target.batch(clock.now_ms()))
    assert asyncio.get_running_loop().time() == 4.0
    assert manager.status().queues[0].dropped == {"shutdown": 20}


async def test_a_reload_before_it_runs_keeps_pending_samples(manager_for, clock):
    receivers = Receivers(r1=FakeReceiver())
    manager, target = manager_for(receivers), Target(1)
    manager.apply_config([section(1)], {})
    manager.append(target.batch(clock.now_ms()))
    manager.apply_config([section(1, name="b")], {})
    async with running(manager):
        manager.append(target.batch(clock.now_ms()))
    assert receivers["r1"].values() == [1.0, 2.0]


async def test_a_removed_section_has_a_minute_to_deliver_the_rest(manager_for, clock):
    receivers = Receivers(r1=FakeReceiver(), r2=FakeReceiver(*[Retry("down")] * 10_000))
    manager = manager_for(receivers)
    manager.apply_config([section(1), section(2)], {})
    async with running(manager):
        manager.append(Target(1).batch(clock.now_ms()))
        manager.apply_config([], {})
        assert manager.status().queues == ()
        await asyncio.sleep(1)
        assert receivers["r1"].count == 1
        await asyncio.sleep(FLUSH_TIMEOUT + 1)
        assert not manager._retired
        attempts = len(receivers["r2"].requests)
        await asyncio.sleep(60)
        assert len(receivers["r2"].requests) == attempts


async def test_stop_takes_no_longer_than_it_may(manager_for, clock):
    receivers = Receivers(r1=FakeReceiver(latency=1000.0), r2=FakeReceiver(*[Retry("down")] * 1000))
    manager = manager_for(receivers)
    manager.apply_config([section(1), section(2)], {})
    async with running(manager, stop_within=7):
        manager.append(Target(1, 10).batch(clock.now_ms()))
        await asyncio.sleep(1)
        manager.apply_config([section(1)], {})
    assert asyncio.get_running_loop().time() == 8.0
    assert manager.status().queues[0].dropped == {"shutdown": 10}


async def test_cancellation_ends_it_at_once(manager_for, clock):
    manager = manager_for(Receivers(r1=FakeReceiver(latency=1000.0)))
    manager.apply_config([section(1)], {})
    manager.append(Target(1, 10).batch(clock.now_ms()))
    task = asyncio.create_task(manager.run())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.get_running_loop().time() == 1.0


async def test_queues_without_a_name_have_stable_different_ones(manager_for):
    manager = manager_for(Receivers())
    twins = [section(1), section(1, write_relabel_configs=(), remote_timeout=Duration(9)), section(2, name="mine")]
    manager.apply_config(twins, {})
    names = [queue.name for queue in manager.status().queues]
    assert len(set(names)) == 3
    assert names[2] == "mine"
    manager.apply_config(twins[1:], {})
    assert [queue.name for queue in manager.status().queues] == names[1:]
    manager.apply_config([section(1, remote_timeout=Duration(8)), *twins[1:]], {})
    assert len({queue.name for queue in manager.status().queues}) == 3


async def test_metrics_have_prometheus_names_and_no_password(manager_for, clock, registry):
    receivers = Receivers(r1=FakeReceiver(Retry("down"), Reject("no")))
    manager = manager_for(receivers)
    manager.apply_config([section(1, name="r")], {})
    labels = {"remote_name": "r", "url": "http://user:xxxxx@127.0.0.1/write"}
    async with running(manager):
        target = Target(1, 10)
        for _ in range(3):
            manager.append(target.batch(1_790_000_000_500))
        await asyncio.sleep(5)
        manager.append(Target(2).batch(1_790_000_001_500))
        value = {
            (sample.name.removeprefix("prometheus_remote_storage_"), sample.labels.get("reason", "")): sample.value
            for family in registry.collect()
            for sample in family.samples
            if labels.items() <= sample.labels.items() and "le" not in sample.labels
            if sample.name.startswith("prometheus_")
        }
        assert registry.get_sample_value("prometheus_remote_storage_samples_in_total") == 31
        assert registry.get_sample_value("prometheus_remote_storage_highest_timestamp_in_seconds") == 1_790_000_001.5
    assert {name: value[name, ""] for name, reason in value if not reason} | {"bytes_total": 0} == {
        "samples_total": 40,
        "samples_failed_total": 10,
        "samples_retried_total": 10,
        "samples_pending": 1,
        **{
            f"{kind}_{fact}": 0
            for kind in ("histograms", "exemplars")
            for fact in ("total", "failed_total", "retried_total", "pending")
        },
        **{f"metadata_{fact}": 0 for fact in ("total", "failed_total", "retried_total", "bytes_total")},
        "bytes_total": 0,
        "shards": 2,
        "shards_desired": 2,
        "shards_min": 1,
        "shards_max": 50,
        "max_samples_per_send": 10,
        "queue_highest_timestamp_seconds": 1_790_000_001.5,
        "queue_highest_sent_timestamp_seconds": 1_790_000_000.5,
        "sent_batch_duration_seconds_count": 4,
        "sent_batch_duration_seconds_sum": 0.0,
        "sent_batch_duration_seconds_created": value["sent_batch_duration_seconds_created", ""],
    }
    assert value["bytes_total", ""] > 0
    assert b"hunter2" not in generate_latest(registry)
    assert "hunter2" not in msgspec.json.encode(manager.status()).decode()


async def test_a_queue_that_is_gone_has_no_metrics(manager_for, registry):
    manager = manager_for(Receivers(r1=FakeReceiver()))
    manager.apply_config([section(1)], {})
    assert b"127.0.0.1" in generate_latest(registry)
    manager.apply_config([], {})
    assert b"127.0.0.1" not in generate_latest(registry)


async def test_dropped_samples_are_reported_by_reason(manager_for, clock, registry):
    manager = manager_for(Receivers(r1=FakeReceiver()))
    manager.apply_config([section(1, name="r")], {})
    await manager.stop(0)
    manager.append(Target(1, 3).batch(clock.now_ms()))
    labels = {"remote_name": "r", "url": "http://user:xxxxx@127.0.0.1/write", "reason": "shutdown"}
    assert registry.get_sample_value("prometheus_remote_storage_samples_dropped_total", labels) == 3


async def test_what_a_removed_receiver_did_not_take_is_sent_when_its_section_is_back(clock, registry, tmp_path):
    receivers = Receivers(r1=FakeReceiver())
    manager = RemoteWriteManager(RemoteWriteMetrics(registry), clock, receivers.connect, buffers=Buffers(tmp_path))
    receivers["r1"].answer = lambda: Retry("away")
    target = Target(1, 10)
    manager.apply_config([section(1)], {"zone": "old"})
    async with running(manager):
        for _ in range(3):
            manager.append(target.batch(clock.now_ms()))
            await asyncio.sleep(1)
        manager.apply_config([], {})
        await asyncio.sleep(FLUSH_TIMEOUT + 1)
        receivers["r1"].answer = Sent
        manager.apply_config([section(1, name="again")], {"zone": "new"})
        manager.append(target.batch(clock.now_ms()))
        await asyncio.sleep(10)
        assert receivers["r1"].values(n="0", zone="old") == [1.0, 2.0, 3.0]
        assert receivers["r1"].values(n="0", zone="new") == [4.0]
        assert manager.status().queues[0].dropped == {}


async def test_a_section_that_is_back_before_the_old_queue_has_ended_takes_it_over(clock, registry, tmp_path):
    receivers = Receivers(r1=FakeReceiver(latency=5.0))
    manager = RemoteWriteManager(RemoteWriteMetrics(registry), clock, receivers.connect, buffers=Buffers(tmp_path))
    target = Target(1, 10)
    manager.apply_config([section(1)], {})
    async with running(manager, stop_within=60):
        for _ in range(4):
            manager.append(target.batch(clock.now_ms()))
        await asyncio.sleep(1)
        manager.apply_config([], {})
        await asyncio.sleep(1)
        manager.apply_config([section(1, name="again")], {})
        manager.append(target.batch(clock.now_ms()))
        await asyncio.sleep(60)
    assert receivers["r1"].values(n="0") == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert receivers["r1"].most_at_once == 1
    assert len({path.name for path in (tmp_path / "remote-write").iterdir()}) == 1
