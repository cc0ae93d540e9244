"""Remote write on the web: the answer below /api/v1, and the page."""

from __future__ import annotations

from typing import Any

import pytest

from promscout.httpclient.secret import URL
from promscout.web.pages.rendering import amount, lasting
from promscout.web.receivers import DeliveryState, delivery_state
from promscout.write.config import RemoteWriteConfig
from promscout.write.status import KindStatus, QueueStatus, RemoteWriteStatus
from unit.web.agent_view import NOW_MS, Site
from unit.web.test_web_pages import EVIL, SCRIPTS, Page
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
        ({"attempted": 0, "oldest_pending_age": 3600.0}, "behind"),
        ({"last_error": "status 400: no"}, "rejecting"),
        ({"last_error": "status 400: no", "oldest_pending_age": 3600.0}, "rejecting"),
        (FAILING, "failing"),
        ({**FAILING, "attempted": 1, "sent": 0, "oldest_pending_age": 3600.0}, "failing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_state_says_whether_samples_arrive(facts: dict[str, Any], state: str) -> None:
    assert delivery_state(queue_status(**facts)) is DeliveryState(state)


async def shown(site: Site) -> Page:
    return Page(await site.text("/remote-write"))


async def test_the_page_is_in_the_navigation(site: Site) -> None:
    for path in ("/targets", "/config", "/remote-write"):
        page = Page(await site.text(path))
        current = [attributes.get("href") for tag, attributes in page.tags if attributes.get("aria-current") == "page"]
        assert current == [path]
        assert "/remote-write" in page.links()


async def test_without_receivers_the_page_says_where_samples_go(site: Site) -> None:
    text = (await shown(site)).text
    assert "No remote_write is configured" in text
    assert "local store" in text
    assert "promscout query" in text


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"attempted": 0, "sent": 0}, "r idle http://127.0.0.1:9/write Nothing was to be delivered yet."),
        ({}, "r delivering http://127.0.0.1:9/write Samples arrive."),
        ({"oldest_pending_age": 130.0}, "r behind http://127.0.0.1:9/write Samples arrive, behind by 2 min 10 s."),
        (
            {"last_error": "status 400: out of order"},
            "The receiver rejected the last request, and what was in it is lost: status 400: out of order.",
        ),
        (
            {**FAILING, "failing_for": 200.0, "next_attempt_in": 4.0},
            "The receiver answers with status 503: busy. It has been so for 3 min 20 s; the next attempt is in 4 s.",
        ),
        (
            {"failing_for": 0.2, "last_error": "connection refused"},
            "Sending fails: connection refused. It has been so for less than 1 s; an attempt is under way.",
        ),
        (
            {"buffer": buffer_status(error="No space left on device")},
            "Nothing can be written to disk: No space left on device. What waits is in memory only.",
        ),
        (
            {"buffer": buffer_status(bytes=14 << 20, max_bytes=4 << 30, max_age=86400.0)},
            "Disk 14 MiB of 4 GiB , kept 1 d",
        ),
        ({"buffer": buffer_status(skipped_bytes=4096)}, "Damaged 4 KiB skipped"),
        ({}, "Disk not used"),
        ({"pending_bytes": 1 << 20}, "Memory 1 MiB of 64 MiB"),
        ({"requests": 3, "shards": 4}, "Requests 3 under way, 4 allowed at present"),
        ({"bytes_sent": 2048, "metadata_bytes_sent": 2048}, "Bytes sent 4 KiB , compressed"),
        ({"protobuf_message": "io.prometheus.write.v2.Request"}, "Message io.prometheus.write.v2.Request"),
        ({"highest_sent_timestamp": NOW_MS - 5000}, "Newest delivered 5 s ago"),
        ({"highest_sent_timestamp": 0}, "Newest delivered none yet"),
        ({}, "Longest waiting none waits"),
        ({"oldest_pending_age": 3720.0}, "Longest waiting 1 h 2 min"),
    ],
    ids=str,
)
async def test_a_receiver_is_described_in_words(
    site: Site, monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], words: str
) -> None:
    show(site, monkeypatch, queue_status(**facts))
    assert words in (await shown(site)).text


async def test_every_kind_has_a_row_that_says_what_became_of_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = {
        "sent": 1_234_567,
        "pending_samples": 1_201_000,
        "in_flight_samples": 1,
        "retried": 2,
        "failed": 3,
        "dropped": {"too_old": 4, "something_new": 5},
    }
    show(
        site,
        monkeypatch,
        queue_status(
            **samples,
            histograms=KindStatus(pending=20, sent=7, retried=8, failed=9, dropped={"dropped_series": 10}),
            exemplars=KindStatus(pending=15),
            metadata=KindStatus(sent=11, retried=12, failed=13),
            buffer=buffer_status(samples=1_200_000, histograms=14, exemplars=15),
        ),
    )
    page = await shown(site)
    assert (
        "Samples 1.23 M 1,001 1.2 M 2 3 4 older than sample_age_limit, 5 something_new "
        "Histograms 7 6 14 8 9 10 by relabelling "
        "Exemplars 0 0 15 0 0 none "
        "Metadata 11 12 13 none"
    ) in page.text
    titles = [attributes["title"] for tag, attributes in page.tags if tag == "span" and "title" in attributes]
    assert titles[:4] == ["1,234,567", "1,001", "1,200,000", "2"]


async def test_a_queue_with_samples_only_has_one_row(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    show(site, monkeypatch, queue_status(buffer=buffer_status()))
    rows = [attributes for tag, attributes in (await shown(site)).tags if tag == "th" and attributes["scope"] == "row"]
    assert len(rows) == 1


async def test_several_receivers_come_in_order_below_their_sum(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    show(
        site,
        monkeypatch,
        queue_status(name="first", pending_samples=4),
        queue_status(name="second", in_flight_samples=2, buffer=buffer_status(samples=3)),
    )
    text = (await shown(site)).text
    assert "2 receivers: 200 samples delivered, 6 waiting, 3 of them on disk." in text
    assert text.index("first delivering") < text.index("second delivering")


async def test_what_others_say_is_escaped_on_the_page(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = queue_status(
        name=EVIL,
        url=f"http://127.0.0.1/{EVIL}",
        last_error=f"status 400: {EVIL}",
        protobuf_message=EVIL,
        dropped={EVIL: 1},
        buffer=buffer_status(path=EVIL, error=EVIL),
    )
    show(site, monkeypatch, bad, queue_status(name="2", last_error=EVIL, failing_for=1.0))
    text = await site.text("/remote-write")
    assert text.count("alert(1)") == 9
    assert "<script>" not in text
    scripts = [attributes for tag, attributes in Page(text).tags if tag == "script"]
    assert scripts == SCRIPTS


async def test_the_page_works_without_scripts_and_for_screen_readers(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(site, monkeypatch, queue_status(), queue_status(name="s", **FAILING, buffer=buffer_status(error="full")))
    page = await shown(site)
    for tag, attributes in page.tags:
        assert tag != "style"
        assert not {"style", "onclick", "onload"} & attributes.keys()
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    sections = [attributes["aria-labelledby"] for tag, attributes in page.tags if tag == "section"]
    assert sections == ["receiver-1", "receiver-2"]
    assert set(sections) <= set(identifiers)
    assert [tag for tag, _ in page.tags if tag in ("table", "caption")] == ["table", "caption"] * 2
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    assert [attributes["id"] for tag, attributes in page.tags if attributes.get("id") == "live"] == ["live"]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (99_999, "99,999"),
        (100_000, "100 k"),
        (1_234_567, "1.23 M"),
        (999_600_000, "1 G"),
        (12_345_678_901, "12.3 G"),
        (5_000_000_000_000, "5 T"),
    ],
)
def test_a_large_number_has_three_digits(count: int, text: str) -> None:
    assert amount(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "less than 1 s"),
        (1.0, "1 s"),
        (59.6, "1 min"),
        (130.0, "2 min 10 s"),
        (3600.0, "1 h"),
        (3605.0, "1 h"),
        (3720.0, "1 h 2 min"),
        (90_000.0, "1 d 1 h"),
        (1_000_000.0, "11 d 13 h"),
    ],
)
def test_a_duration_is_told_in_two_units(seconds: float, text: str) -> None:
    assert lasting(seconds) == text
