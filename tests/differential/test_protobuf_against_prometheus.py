"""Protobuf bodies and native histograms, scraped by a real Prometheus or sent to it, and read back."""

from __future__ import annotations

import math
import time
from collections import Counter
from contextlib import asynccontextmanager
from random import Random

import cramjam
import pytest
from aiohttp import ClientSession, web

from e2e.promscout_process import Promscout, until
from harness.messages import (
    COUNTER,
    GAUGE,
    GAUGE_HISTOGRAM,
    HISTOGRAM,
    SUMMARY,
    UNTYPED,
    delimited,
    family,
)
from peers import Prometheus
from promscout.errors import ExpositionError, InvalidValueError
from promscout.exposition.negotiation import Format
from promscout.exposition.parse import parse
from promscout.model.buckets import counts
from promscout.model.histogram import CUSTOM_BUCKETS_SCHEMA, Exemplar, Histogram, Span
from promscout.model.series import encode_label_set
from promscout.relabel.engine import Relabeler
from promscout.scrape.config import ScrapeConfig
from promscout.scrape.histograms import HistogramLimits
from promscout.scrape.sample_labels import SampleLabels
from promscout.write.histograms import encode_exemplar_series, encode_histogram_series

FLAGS = ("--enable-feature=native-histograms,exemplar-storage",)
REPORTS = ("up", "scrape_")
TYPES = {
    Format.PROTOBUF: "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
}
TYPES |= {Format.TEXT: "text/plain; version=0.0.4", Format.OPENMETRICS: "application/openmetrics-text; version=1.0.0"}

CLASSIC = {
    "sample_count": 9,
    "sample_sum": 12.5,
    "bucket": [
        {"cumulative_count": 2, "upper_bound": 0.25},
        {"cumulative_count": 2, "upper_bound": 1},
        {"cumulative_count": 7, "upper_bound": 1e6},
    ],
}
FLOAT_CLASSIC = {
    "sample_count_float": 2.5,
    "sample_sum": -1.0,
    "bucket": [{"cumulative_count_float": 1.5, "upper_bound": 3.0}],
}


def random_native(random):
    """A valid native histogram; its zero bucket is apart from all others."""
    histogram = {"schema": random.randint(-2, 6), "sample_sum": random.uniform(-50, 50), "zero_threshold": 1e-200}
    is_float, total = random.random() < 0.3, 0
    for side in ("positive", "negative"):
        spans = [
            (random.randint(-9, 5) if not number else random.randint(0, 6), random.randint(0, 5))
            for number in range(random.randint(0, 4))
        ]
        found = [random.choice((0, 0, 1, 2, 3, 50)) for _ in range(sum(length for _, length in spans))]
        total += sum(found)
        histogram[f"{side}_span"] = [{"offset": offset, "length": length} for offset, length in spans]
        if is_float:
            histogram[f"{side}_count"] = [one * 1.5 for one in found]
        else:
            histogram[f"{side}_delta"] = [after - before for before, after in zip([0, *found], found, strict=False)]
    zero = random.randint(0, 3)
    if is_float:
        return histogram | {"zero_count_float": zero * 1.5, "sample_count_float": (total + zero) * 1.5 + 1e-9}
    return histogram | {"zero_count": zero, "sample_count": total + zero}


def everything():
    random = Random(31)
    natives = [{"label": {"n": str(number)}, "histogram": random_native(random)} for number in range(60)]
    return delimited(
        family("requests_total", COUNTER, {"label": {"b": "2", "a": "ü"}, "counter": {"value": 1.5}}, {}, help="r"),
        family("temperature", GAUGE, {"gauge": {"value": -math.inf}}, {"label": {"x.y": ""}, "gauge": {"value": 1e9}}),
        family("anything", UNTYPED, {"untyped": {"value": math.nan}}),
        family(
            "rpc",
            SUMMARY,
            {"summary": {"sample_count": 3, "quantile": [{"quantile": 0.5, "value": 1}, {"quantile": 1, "value": 2}]}},
            {"label": {"zone": "1", "A": "2"}, "summary": {"sample_sum": 1.5}},
        ),
        family("natives", HISTOGRAM, *natives[:40]),
        family("gauges", GAUGE_HISTOGRAM, *natives[40:]),
        family("classic", HISTOGRAM, {"label": {"a": "1"}, "histogram": CLASSIC}, {"histogram": FLOAT_CLASSIC}),
        family("both", HISTOGRAM, {"histogram": CLASSIC | random_native(random)}),
        family("idle", HISTOGRAM, {"histogram": {"positive_span": [{"offset": 0, "length": 0}]}}),
    )


TEXT = b"""# TYPE h histogram
h_bucket{a="1",le="0.5"} 3
h_bucket{a="1",le="1"} 5
h_bucket{a="1",le="+Inf"} 7
h_sum{a="1"} 2.5
h_count{a="1"} 7
h_bucket{le="1"} 1.5
h_count 2.5
# TYPE other histogram
g_count 3
# TYPE broken histogram
broken_bucket{le="1"} 5
broken_bucket{le="+Inf"} 2
# TYPE lone histogram
lone_count 4
"""
OPENMETRICS = b"""# TYPE h histogram
h_bucket{le="1.0"} 1
h_bucket{le="2.0"} 1
h_bucket{le="3.0"} 1
h_bucket{le="4.0"} 1
h_bucket{le="+Inf"} 2
h_count 2
h_sum 6.0
# TYPE c counter
c_total 1
# EOF
"""
WIDE = {"sample_count": 12, "positive_span": [{"offset": -30, "length": 12}], "positive_delta": [1] + [0] * 11}
"""Twelve buckets next to each other."""
FAR = {
    "sample_count": 3,
    "positive_span": [{"offset": 0, "length": 1}, {"offset": 90, "length": 1}],
    "positive_delta": [1, 1],
    "negative_span": [{"offset": 0, "length": 0}],
    "schema": -4,
}

LIMITED = delimited(
    family("h", HISTOGRAM, {"histogram": WIDE | {"schema": 6}}, {"label": {"a": "b"}, "histogram": WIDE}),
)

JOBS = {
    "all": (Format.PROTOBUF, everything(), {}),
    "all-with-classic": (Format.PROTOBUF, everything(), {"always_scrape_classic_histograms": True}),
    "factor": (Format.PROTOBUF, everything(), {"native_histogram_min_bucket_factor": 1.5}),
    "limit": (Format.PROTOBUF, LIMITED, {"native_histogram_bucket_limit": 4}),
    "limit-hit": (
        Format.PROTOBUF,
        delimited(family("h", HISTOGRAM, {"histogram": FAR})),
        {"native_histogram_bucket_limit": 1},
    ),
    "limit-and-factor": (
        Format.PROTOBUF,
        LIMITED,
        {"native_histogram_bucket_limit": 3, "native_histogram_min_bucket_factor": 1.1},
    ),
    "convert": (Format.PROTOBUF, everything(), {"convert_classic_histograms_to_nhcb": True}),
    "convert-text": (Format.TEXT, TEXT, {"convert_classic_histograms_to_nhcb": True}),
    "convert-text-with-classic": (
        Format.TEXT,
        TEXT,
        {"convert_classic_histograms_to_nhcb": True, "always_scrape_classic_histograms": True},
    ),
    "convert-openmetrics": (Format.OPENMETRICS, OPENMETRICS, {"convert_classic_histograms_to_nhcb": True}),
    "convert-limited": (
        Format.TEXT,
        TEXT,
        {"convert_classic_histograms_to_nhcb": True, "native_histogram_bucket_limit": 2},
    ),
    **{
        f"bad-{number}": (Format.PROTOBUF, body, {})
        for number, body in enumerate(
            [
                delimited(family("", GAUGE, {})),
                delimited(family("m", GAUGE, {"label": {"": "x"}})),
                delimited(family("m", GAUGE, {"label": {"__name__": "x"}})),
                delimited(family("h", HISTOGRAM, {"label": {"le": "x"}, "histogram": CLASSIC})),
                delimited(b"\x0a\x01m\x18\x01\x22\x05\x0a\x03\x0a\x01\xff"),
                delimited(b"\x0a\x01m\x12\x01\xff\x18\x01\x22\x00"),
                delimited(family("m", 6, {})),
                delimited(family("m", GAUGE, {}))[:-1],
                b"\x0a",
                b"\xff\xff\xff\xff\xff\x01",
                b"m 1\n",
                delimited(family("h", HISTOGRAM, {"histogram": WIDE | {"sample_count": 11}})),
                delimited(family("h", HISTOGRAM, {"histogram": WIDE | {"positive_delta": [-1] + [0] * 11}})),
            ]
        )
    },
}  # fmt: skip


def plain(value):
    """Comparable, unlike NaN."""
    return "NaN" if math.isnan(value) else float(value)


def bound(index, schema):
    try:
        return 2.0 ** (index * 2.0**-schema)
    except OverflowError:
        return math.inf


def buckets_of(histogram):
    """The buckets as the API shows them: which bounds belong to them, the bounds, the count."""
    negative = counts(histogram, histogram.negative_spans, histogram.negative_buckets)
    positive = counts(histogram, histogram.positive_spans, histogram.positive_buckets)
    schema, custom = histogram.schema, (-math.inf, *histogram.custom_values, math.inf)
    if histogram.has_custom_buckets:
        return [(0 if index else 3, custom[index], custom[index + 1], count) for index, count in positive if count]
    zero = [(3, -histogram.zero_threshold, histogram.zero_threshold, histogram.zero_count)]
    return [
        *((1, -bound(index, schema), -bound(index - 1, schema), count) for index, count in negative[::-1] if count),
        *(zero if histogram.zero_count else ()),
        *((0, bound(index - 1, schema), bound(index, schema), count) for index, count in positive if count),
    ]


def same_histogram(ours, shown):
    numbers = [float(shown["count"]), plain(float(shown["sum"]))]
    theirs = [(rule, *map(float, texts)) for rule, *texts in shown.get("buckets", ())]
    return numbers == [ours.count, plain(ours.sum)] and len(theirs) == len(buckets_of(ours)) and all(
        one[0] == other[0] and one[1:] == pytest.approx(other[1:], rel=1e-12)
        for one, other in zip(theirs, buckets_of(ours), strict=True)
    )  # fmt: skip


def read(job, instance):
    """Values and histograms by labels, or what the scrape fails with."""
    body_format, body, options = JOBS[job]
    config = ScrapeConfig(job_name=job, **options)
    limits = HistogramLimits.of(config)
    finisher = SampleLabels((("instance", instance), ("job", job)), Relabeler(()), honor_labels=False)
    try:
        exposition = parse(
            body,
            body_format,
            classic_too=config.always_scrape_classic_histograms or False,
            keep_native=True,
            convert_classic=config.convert_classic_histograms_to_nhcb or False,
        )
        found = {}
        for index, key in enumerate(exposition.keys):
            # Of samples of one series, the first counts.
            labels = finisher.finish(exposition.labels_of(key, exposition.type_at(index)))
            found.setdefault(labels, plain(exposition.values[index]))
        exposed = exposition.histograms
        for key, histogram in zip(exposed.keys, exposed.histograms, strict=True) if exposed else ():
            found[finisher.finish(exposition.labels_of(key, "histogram"))] = limits.admit(histogram)
    except (ExpositionError, InvalidValueError) as error:
        return str(error)
    return found


@asynccontextmanager
async def exporter(asked):
    async def answer(request):
        job = request.match_info["job"]
        asked[job] += 1
        body_format, body, _ = JOBS[job]
        return web.Response(body=body, headers={"Content-Type": TYPES[body_format]})

    application = web.Application()
    application.router.add_get("/{job}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def configuration(address):
    protocols = ["PrometheusProto", "OpenMetricsText1.0.0", "PrometheusText0.0.4"]
    return {
        "global": {"scrape_interval": "2s", "scrape_protocols": protocols},
        "scrape_configs": [
            {"job_name": job, "metrics_path": f"/{job}", "static_configs": [{"targets": [address]}], **options}
            for job, (_, _, options) in JOBS.items()
        ],
    }


def differences(ours, stored):
    for labels in ours.keys() | stored.keys():
        mine, theirs = ours.get(labels), stored.get(labels)
        if isinstance(mine, Histogram) and isinstance(theirs, dict):
            if not same_histogram(mine, theirs):
                yield f"{labels}: {mine} with {buckets_of(mine)}, in Prometheus {theirs}"
        elif mine != theirs:
            yield f"{labels}: {mine}, in Prometheus {theirs}"


async def stored_of(peer):
    """What Prometheus has by job: values, or histograms as the API shows them, by labels."""
    found = {}
    for series in await peer.query("{job!=''}"):
        labels = tuple(sorted(series["metric"].items()))
        if not series["metric"]["__name__"].startswith(REPORTS):
            value = series["histogram"][1] if "histogram" in series else plain(float(series["value"][1]))
            found.setdefault(series["metric"]["job"], {})[labels] = value
    return found


async def test_protobuf_bodies_and_histograms_mean_what_they_mean_to_prometheus(peers_dir, tmp_path):
    asked = Counter()
    async with (
        exporter(asked) as address,
        Prometheus(peers_dir, tmp_path, configuration(address), *FLAGS) as peer,
    ):
        await until(lambda: all(asked[job] >= 3 for job in JOBS), 40, "three scrapes of each")
        stored = await stored_of(peer)
        targets = (await peer.targets())["activeTargets"]
        failed = {one["labels"]["job"]: one["lastError"] for one in targets if one["health"] == "down"}
    wrong = {}
    for job in JOBS:
        ours = read(job, address)
        if (job in failed) is isinstance(ours, dict):
            wrong[job] = [f"Prometheus says {failed.get(job)}, promscout {ours if job not in failed else 'nothing'}"]
        elif job not in failed and (found := list(differences(ours, stored.get(job, {})))):
            wrong[job] = found
    assert not wrong, "\n".join(f"{job}: {one}" for job, found in wrong.items() for one in found)
    # The cases are worth their time.
    histograms = [one for job in stored.values() for one in job.values() if isinstance(one, dict)]
    assert len(histograms) > 200
    assert sum(len(one.get("buckets", ())) > 3 for one in histograms) > 100
    assert len(failed) > 10


SENT = {
    "integers": Histogram(
        schema=3, count=21, sum=-7.5, zero_threshold=0.001, zero_count=2,
        positive_spans=(Span(-3, 2), Span(5, 1)), positive_buckets=(4, 3, -6),
        negative_spans=(Span(0, 2),), negative_buckets=(1, 5),
    ),
    "floats": Histogram(
        schema=-4, is_float=True, count=3.25, sum=1.5, zero_count=0.25, positive_spans=(Span(1, 2),),
        positive_buckets=(1.5, 0.5), negative_spans=(Span(-1, 1),), negative_buckets=(1.0,),
    ),
    "custom": Histogram(
        schema=CUSTOM_BUCKETS_SCHEMA, count=3, sum=9.0, positive_spans=(Span(0, 3),), positive_buckets=(1, 0, 0),
        custom_values=(0.5, 10.0),
    ),
    "empty": Histogram(schema=0),
}  # fmt: skip


async def test_prometheus_receives_the_histograms_and_exemplars_that_were_sent(peers_dir, tmp_path):
    now = int(time.time() * 1000)
    body = b"".join(
        encode_histogram_series(encode_label_set([("__name__", name), ("job", "sent")]), histogram, now)
        for name, histogram in SENT.items()
    )
    exemplar = Exemplar((("trace_id", "e4b9"),), 0.25, now)
    body += encode_exemplar_series(encode_label_set([("__name__", "integers"), ("job", "sent")]), exemplar)
    async with Prometheus(peers_dir, tmp_path, {}, *FLAGS) as peer, ClientSession() as session:
        compressed = bytes(cramjam.snappy.compress_raw(body))
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        async with session.post(peer.remote_write_url, data=compressed, headers=headers) as answer:
            assert answer.status == 204, await answer.text()
        stored = await stored_of(peer)
        window = {"start": f"{now / 1000 - 60:.3f}", "end": f"{now / 1000 + 60:.3f}"}
        answer = await peer.get_json("/api/v1/query_exemplars", query="{job!=''}", **window)
    ours = {(("__name__", name), ("job", "sent")): histogram for name, histogram in SENT.items()}
    assert list(differences(ours, stored["sent"])) == []
    assert answer["data"] == [
        {
            "seriesLabels": {"__name__": "integers", "job": "sent"},
            "exemplars": [{"labels": {"trace_id": "e4b9"}, "value": "0.25", "timestamp": now / 1000}],
        }
    ]


async def test_what_is_scraped_from_protobuf_bodies_arrives_at_a_receiver(peers_dir, tmp_path):
    jobs = [job for job in JOBS if not job.startswith("bad") and isinstance(read(job, ""), dict)]
    asked = Counter()
    async with (
        exporter(asked) as address,
        Prometheus(peers_dir, tmp_path, {}, *FLAGS) as receiver,
    ):
        config = configuration(address)
        config["global"]["scrape_native_histograms"] = True
        config["remote_write"] = [{"url": receiver.remote_write_url, "send_native_histograms": True}]
        async with Promscout(tmp_path, config):
            await until(lambda: all(asked[job] >= 2 for job in jobs), 20, "two scrapes of each")

            async def arrived():
                return {one["metric"]["job"] for one in await receiver.query("up == 1")} >= set(jobs)

            await until(arrived, 20, "samples of all jobs")
            stored = await stored_of(receiver)
    wrong = {job: found for job in jobs if (found := list(differences(sent(job, address), stored.get(job, {}))))}
    assert not wrong, "\n".join(f"{job}: {one}" for job, found in wrong.items() for one in found)


def sent(job, instance):
    """What a job exposes, as far as remote write 1.0 has it: not the histograms with custom buckets."""
    return {
        labels: value
        for labels, value in read(job, instance).items()
        if not (isinstance(value, Histogram) and value.has_custom_buckets)
    }
