"""Remote write on the web: the answer below /api/v1, and the page."""

from __future__ import annotations

from typing import Any

import pytest

from promscout.httpclient.secret import URL
from promscout.web.receivers import DeliveryState, delivery_state
from promscout.write.config import RemoteWriteConfig
from promscout.write.status import KindStatus, QueueStatus, RemoteWriteStatus
from unit.web.agent_view import Site
from unit.write.statuses import buffer_status, queue_status

pytestmark = pytest.mark.real_time


def show(site: Site, monkeypatch: pytest.MonkeyPatch, *queues: QueueStatus, **facts: int) -> None:
    """Make ``queues`` those of the agent."""
    status = RemoteWriteStatus(queues=queues, **facts)
    monkeypatch.setattr(site.view.remote_write, "status", lambda: status)


async def test_an_agent_without_receivers_answers_with_no_queues(site: Site) -> None:
    none = {"pending": 0, "attempted": 0, "sent": 0, "failed": 0, "retried": 0, "dropped": {}}
    assert await site.data("/api/v1/status/remote_write") == {
        "samplesIn": 0,
        "histogramsIn": 0,
        "exemplarsIn": 0,
        "highestTimestamp": 0,
        "queues": [],
        "totals": {
            "pendingSamples": 0,
            "inFlightSamples": 0,
            "pendingBytes": 0,
            "attempted": 0,
            "sent": 0,
            "failed": 0,
            "retried": 0,
            "dropped": {},
            "bytesSent": 0,
            "bufferedSamples": 0,
            "bufferBytes": 0,
            "histograms": none,
            "exemplars": none,
            "metadata": none,
        },
    }


async def test_a_queue_of_the_agent_is_answered_without_its_password(site: Site) -> None:
    section = RemoteWriteConfig(url=URL.parse("http://user:hunter2@127.0.0.1:9/write"), name="r")
    site.view.remote_write.apply_config([section], {})
    text = await site.text("/api/v1/status/remote_write")
    assert "hunter2" not in text
    (answered,) = (await site.data("/api/v1/status/remote_write"))["queues"]
    assert (answered["name"], answered["url"]) == ("r", "http://user:xxxxx@127.0.0.1:9/write")
    assert (answered["state"], answered["buffer"]) == ("idle", None)


async def test_every_fact_of_a_queue_is_in_the_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = KindStatus(pending=1, attempted=2, sent=3, failed=4, retried=5, dropped={"too_old": 6})
    facts = {
        "name": "one",
        "url": "http://127.0.0.1:9/write",
        "pending_samples": 1,
        "pending_bytes": 2,
        "max_pending_bytes": 3,
        "oldest_pending_age": 4.5,
        "in_flight_samples": 5,
        "requests": 6,
        "shards": 7,
        "min_shards": 8,
        "max_shards": 9,
        "max_samples_per_send": 10,
        "attempted": 11,
        "sent": 12,
        "failed": 13,
        "retried": 14,
        "dropped": {"too_old": 15, "queue_full": 16},
        "bytes_sent": 17,
        "highest_timestamp": 18,
        "highest_sent_timestamp": 19,
        "last_error": "status 503: busy",
        "protobuf_message": "prometheus.WriteRequest",
        "metadata_bytes_sent": 20,
        "batch_send_deadline": 21.5,
        "failing_for": 22.5,
        "next_attempt_in": 23.5,
    }
    disk = buffer_status(
        samples=1,
        histograms=2,
        exemplars=3,
        bytes=4,
        max_bytes=5,
        max_age=6.5,
        segments=7,
        skipped_bytes=8,
        error="No space left on device",
        oldest_age=9.5,
    )
    show(site, monkeypatch, queue_status(**facts, histograms=kind, exemplars=kind, metadata=kind, buffer=disk))
    (answered,) = (await site.data("/api/v1/status/remote_write"))["queues"]
    of_kind = {"pending": 1, "attempted": 2, "sent": 3, "failed": 4, "retried": 5, "dropped": {"too_old": 6}}
    assert answered == {
        "name": "one",
        "url": "http://127.0.0.1:9/write",
        "state": "failing",
        "pendingSamples": 1,
        "pendingBytes": 2,
        "maxPendingBytes": 3,
        "oldestPendingAge": 4.5,
        "inFlightSamples": 5,
        "requests": 6,
        "shards": 7,
        "minShards": 8,
        "maxShards": 9,
        "maxSamplesPerSend": 10,
        "attempted": 11,
        "sent": 12,
        "failed": 13,
        "retried": 14,
        "dropped": {"too_old": 15, "queue_full": 16},
        "histograms": of_kind,
        "exemplars": of_kind,
        "metadata": of_kind,
        "bytesSent": 17,
        "highestTimestamp": 18,
        "highestSentTimestamp": 19,
        "lastError": "status 503: busy",
        "protobufMessage": "prometheus.WriteRequest",
        "metadataBytesSent": 20,
        "batchSendDeadline": 21.5,
        "failingFor": 22.5,
        "nextAttemptIn": 23.5,
        "buffer": {
            "path": "/data/remote-write/r",
            "samples": 1,
            "histograms": 2,
            "exemplars": 3,
            "bytes": 4,
            "maxBytes": 5,
            "maxAge": 6.5,
            "segments": 7,
            "skippedBytes": 8,
            "error": "No space left on device",
            "oldestAge": 9.5,
        },
    }


async def test_totals_are_sums_over_all_queues(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    first = queue_status(
        pending_samples=1,
        in_flight_samples=2,
        pending_bytes=3,
        failed=4,
        retried=5,
        dropped={"too_old": 6, "queue_full": 7},
        buffer=buffer_status(samples=8, bytes=9),
        histograms=KindStatus(pending=1, sent=2, dropped={"too_old": 3}),
    )
    second = queue_status(
        name="s",
        pending_samples=10,
        in_flight_samples=20,
        pending_bytes=30,
        failed=40,
        retried=50,
        dropped={"too_old": 60},
        buffer=buffer_status(samples=80, bytes=90),
        histograms=KindStatus(pending=10, sent=20, dropped={"too_old": 30}),
    )
    show(site, monkeypatch, first, second, queue_status(name="t"), samples_in=5, highest_timestamp=7)
    data = await site.data("/api/v1/status/remote_write")
    assert [one["name"] for one in data["queues"]] == ["r", "s", "t"]
    assert (data["samplesIn"], data["highestTimestamp"]) == (5, 7)
    found = data["totals"]
    assert found.pop("histograms") == {
        "pending": 11,
        "attempted": 0,
        "sent": 22,
        "failed": 0,
        "retried": 0,
        "dropped": {"too_old": 33},
    }
    assert {name: value for name, value in found.items() if not isinstance(value, dict)} == {
        "pendingSamples": 11,
        "inFlightSamples": 22,
        "pendingBytes": 33,
        "attempted": 300,
        "sent": 300,
        "failed": 44,
        "retried": 55,
        "bytesSent": 3000,
        "bufferedSamples": 88,
        "bufferBytes": 99,
    }
    assert found["dropped"] == {"too_old": 66, "queue_full": 7}


FAILING = {"failing_for": 3.0, "last_error": "status 503: busy"}


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({"attempted": 0, "sent": 0}, "idle"),
        ({"attempted": 0, "sent": 0, "oldest_pending_age": 1.0}, "delivering"),
        ({}, "delivering"),
        ({"oldest_pending_age": 20.0}, "delivering"),
        ({"oldest_pending_age": 20.5}, "behind"),
        ({"oldest_pending_age": 20.5, "batch_send_deadline": 60.0}, "delivering"),
        ({"attempted": 0, "buffer": buffer_status(samples=1, oldest_age=3600.0)}, "behind"),
        ({"last_error": "status 400: no"}, "rejecting"),
        ({"last_error": "status 400: no", "oldest_pending_age": 3600.0}, "rejecting"),
        (FAILING, "failing"),
        ({**FAILING, "attempted": 1, "sent": 0, "oldest_pending_age": 3600.0}, "failing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_state_says_whether_samples_arrive(facts: dict[str, Any], state: str) -> None:
    assert delivery_state(queue_status(**facts)) is DeliveryState(state)
