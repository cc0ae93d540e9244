"""The metrics of a status that is made by hand: each fact under its name."""

import pytest
from prometheus_client import CollectorRegistry

from promscout.write.metrics import RemoteWriteMetrics
from promscout.write.status import KindStatus, RemoteWriteStatus
from unit.write.statuses import buffer_status, queue_status

LABELS = {"remote_name": "r", "url": "http://127.0.0.1:9/write"}


def exposed(*queues):
    """Sample name, or name and value of the third label, → value; for the one queue that has ``LABELS``."""
    registry = CollectorRegistry()
    RemoteWriteMetrics(registry).read_from(lambda: RemoteWriteStatus(queues=queues))
    return {
        (sample.name, *(value for name, value in sample.labels.items() if name not in LABELS)): sample.value
        for family in registry.collect()
        for sample in family.samples
        if LABELS.items() <= sample.labels.items()
    }


@pytest.mark.parametrize("kind", ["histograms", "exemplars"])
def test_histograms_and_exemplars_have_the_names_of_prometheus(kind):
    status = KindStatus(pending=1, attempted=2, sent=3, failed=4, retried=5, dropped={"too_old": 6})
    name = f"prometheus_remote_storage_{kind}"
    found = exposed(queue_status(**{kind: status}))
    assert {key: value for key, value in found.items() if key[0].startswith(name)} == {
        (f"{name}_total",): 2,
        (f"{name}_failed_total",): 4,
        (f"{name}_retried_total",): 5,
        (f"{name}_pending",): 1,
        (f"{name}_dropped_total", "too_old"): 6,
    }


def test_metadata_is_counted_and_neither_waits_nor_is_dropped():
    status = KindStatus(attempted=2, failed=4, retried=5)
    found = exposed(queue_status(metadata=status, metadata_bytes_sent=7))
    assert {key: value for key, value in found.items() if "_metadata_" in key[0]} == {
        ("prometheus_remote_storage_metadata_total",): 2,
        ("prometheus_remote_storage_metadata_failed_total",): 4,
        ("prometheus_remote_storage_metadata_retried_total",): 5,
        ("prometheus_remote_storage_metadata_bytes_total",): 7,
    }


def test_what_is_on_disk_has_names_of_our_own():
    disk = buffer_status(
        samples=1,
        histograms=2,
        exemplars=3,
        bytes=4,
        max_bytes=5,
        segments=6,
        skipped_bytes=7,
        error="No space left on device",
    )
    found = exposed(
        queue_status(
            pending_bytes=9,
            max_pending_bytes=10,
            oldest_pending_age=8.5,
            failing_for=11.5,
            protobuf_message="io.prometheus.write.v2.Request",
            buffer=disk,
        )
    )
    assert {key: value for key, value in found.items() if key[0].startswith("promscout_")} == {
        ("promscout_remote_write_pending_bytes",): 9,
        ("promscout_remote_write_pending_bytes_max",): 10,
        ("promscout_remote_write_oldest_pending_age_seconds",): 8.5,
        ("promscout_remote_write_failing_seconds",): 11.5,
        ("promscout_remote_write_protobuf_message", "io.prometheus.write.v2.Request"): 1,
        ("promscout_remote_write_buffer_samples",): 1,
        ("promscout_remote_write_buffer_histograms",): 2,
        ("promscout_remote_write_buffer_exemplars",): 3,
        ("promscout_remote_write_buffer_bytes",): 4,
        ("promscout_remote_write_buffer_bytes_max",): 5,
        ("promscout_remote_write_buffer_segments",): 6,
        ("promscout_remote_write_buffer_skipped_bytes_total",): 7,
        ("promscout_remote_write_buffer_error",): 1,
    }


def test_a_buffer_without_an_error_says_zero():
    assert exposed(queue_status(buffer=buffer_status()))["promscout_remote_write_buffer_error",] == 0


def test_a_queue_without_a_buffer_has_no_metrics_about_one():
    found = exposed(queue_status(oldest_pending_age=1.5))
    assert [name for name, *_ in found if "buffer" in name] == []
    assert found["promscout_remote_write_oldest_pending_age_seconds",] == 1.5


@pytest.mark.parametrize(("pending", "desired"), [(0, 50), (1999, 50), (2000, 51), (10_000_000, 51)])
def test_more_shards_than_allowed_are_desired_while_full_requests_wait(pending, desired):
    found = exposed(queue_status(shards=50, max_shards=50, pending_samples=pending))
    assert found["prometheus_remote_storage_shards_desired",] == desired
    assert found["prometheus_remote_storage_shards_max",] == 50
