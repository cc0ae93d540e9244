"""What targets expose phase by phase, to be scraped by promscout and by Prometheus for a while."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from harness.messages import COUNTER, GAUGE, GAUGE_HISTOGRAM, HISTOGRAM, SUMMARY, delimited, family

PHASES: Final = 7
TEXT: Final = "text/plain; version=0.0.4"
UTF8_TEXT: Final = "text/plain; version=1.0.0; escaping=allow-utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0"
PROTOBUF: Final = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=allow-utf-8"
)


@dataclass(frozen=True)
class Answer:
    """What a target says to every scrape within a phase; ``works`` is whether it is up then."""

    body: str | bytes = ""
    content_type: str = TEXT
    status: int = 200
    works: bool = True
    hangs: bool = False
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """``answer(phase, ms)``, of the phase that began at ``ms``, and the options of the page's job."""

    answer: Callable[[int, int], Answer]
    options: dict[str, Any] = field(default_factory=dict)


def _kinds(phase: int, ms: int) -> Answer:
    return Answer(f"""# HELP requests_total Requests with a \\\\ and a \\n in their help.
# TYPE requests_total counter
requests_total{{code="200",path="/a\\"b\\\\c\\n"}} {phase * 1000.1}
requests_total{{code="500",path="/ünï→"}} {phase * 3}
# TYPE temperature gauge
temperature{{place="inf"}} +Inf
temperature{{place="minus inf"}} -Inf
temperature{{place="nan"}} {"NaN" if phase % 2 else phase}
temperature{{place="always nan"}} NaN
temperature{{place="tiny"}} {phase}.5e-300
temperature{{place="exact"}} 0.1234567890123456{phase}
temperature{{place="minus zero"}} -0
# TYPE latency_seconds histogram
latency_seconds_bucket{{le="0.5"}} {phase}
latency_seconds_bucket{{le="1"}} {phase * 2}
latency_seconds_bucket{{le="1e3"}} {phase * 3}
latency_seconds_bucket{{le="+Inf"}} {phase * 4}
latency_seconds_sum {phase * 2.5}
latency_seconds_count {phase * 4}
# TYPE rpc_seconds summary
rpc_seconds{{quantile="0.50"}} {phase}
rpc_seconds{{quantile="1"}} NaN
rpc_seconds_sum {phase}
rpc_seconds_count {phase}
not_a_histogram{{le="1",quantile="2"}} {phase}
untyped{{empty="",}} {phase}
""")


def _wide(phase: int, ms: int) -> Answer:
    lines = [
        f'wide{{number="{number}",zone="z{number % 7}",long="{"välue" * (number % 40)}",a="1",b="2",c="3"}} '
        f"{phase if number % 2 else number}"
        for number in range(300)
    ]
    body = gzip.compress("\n".join([*lines, ""]).encode())
    return Answer(body, headers={"Content-Encoding": "gzip"})


def _openmetrics(phase: int, ms: int) -> Answer:
    now = f"{ms / 1000:.3f}"
    return Answer(
        f"""# TYPE work_seconds counter
# UNIT work_seconds seconds
work_seconds_total{{part="a"}} {phase} # {{trace_id="t{phase}"}} {phase}.5 {now}
work_seconds_created{{part="a"}} 1.6e9
work_seconds_total{{part="b"}} {phase * 2} # {{trace_id="without a time",phase="{phase}"}} {phase}
# TYPE size_bytes histogram
# UNIT size_bytes bytes
size_bytes_bucket{{le="1"}} {phase} # {{span="{phase}"}} 0.5 {now}
size_bytes_bucket{{le="10.0"}} {phase * 2} # {{span="ten{phase}"}} 5 {now}
size_bytes_bucket{{le="+Inf"}} {phase * 3}
size_bytes_count {phase * 3}
size_bytes_sum {phase}.25
# TYPE waiting gaugehistogram
waiting_bucket{{le="1"}} {phase}
waiting_bucket{{le="+Inf"}} {phase + 1}
waiting_gcount {phase + 1}
waiting_gsum {phase}
# TYPE build info
build_info{{version="1.{phase}"}} 1
# TYPE switch stateset
switch{{switch="on"}} {phase % 2}
switch{{switch="off"}} {1 - phase % 2}
# TYPE stamped gauge
stamped{{own="yes"}} {phase} {now}
# EOF
""",
        OPENMETRICS,
    )


def _protobuf(phase: int, ms: int) -> Answer:
    exemplar = {
        "label": [{"name": "trace_id", "value": f"p{phase}"}],
        "value": phase,
        "timestamp": {"seconds": ms // 1000, "nanos": ms % 1000 * 1_000_000},
    }
    native = {
        "schema": 3,
        "sample_count": 6 + phase,
        "sample_sum": 1.5 * phase,
        "zero_threshold": 0.001,
        "zero_count": phase,
        "positive_span": [{"offset": -2, "length": 2}, {"offset": 4, "length": 1}],
        "positive_delta": [1, 1, 0],
        "negative_span": [{"offset": 0, "length": 1}],
        "negative_delta": [1],
        "exemplars": [exemplar],
    }
    floats = {
        "schema": -1,
        "sample_count_float": 2.5 + phase,
        "sample_sum": -phase,
        "zero_count_float": phase,
        "positive_span": [{"offset": 1, "length": 1}],
        "positive_count": [2.5],
    }
    classic = {"sample_count": phase, "sample_sum": 1, "bucket": [{"cumulative_count": phase, "upper_bound": 2}]}
    came = [{"label": {"part": "comes and goes"}, "histogram": native}] if phase % 2 else []
    body = delimited(
        family("jobs_total", COUNTER, {"label": {"a": "ü"}, "counter": {"value": phase, "exemplar": exemplar}}),
        family("http.depth", GAUGE, {"label": {"x.y": "1"}, "gauge": {"value": phase}}),
        family("native_seconds", HISTOGRAM, {"histogram": native}, *came),
        family("floats", GAUGE_HISTOGRAM, {"histogram": floats}),
        family("classic", HISTOGRAM, {"histogram": classic}),
        family("rpc", SUMMARY, {"summary": {"sample_count": phase, "quantile": [{"quantile": 0.5, "value": 1}]}}),
        family("stamped", GAUGE, {"label": {"own": "yes"}, "gauge": {"value": phase}, "timestamp_ms": ms}),
    )
    return Answer(body, PROTOBUF)


def _stamped(phase: int, ms: int) -> Answer:
    """Time stamps as those of cadvisor: a sample is there again until there is a newer one; some series have none."""
    gone = "" if 2 <= phase <= 3 else f'gone{{own="yes"}} {phase} {ms}\n'
    at_times = f"at_times {phase} {ms}\n" if phase % 2 else f"at_times {phase}\n"
    every_other = ms if phase % 2 == 0 else ms - 60_000  # older than what is stored of it
    return Answer(f"""cpu_seconds_total{{own="yes",container="a"}} {phase * 1.25} {ms}
cpu_seconds_total{{own="yes",container="b"}} {phase * 2.25} {ms - 1000}
{gone}{at_times}back{{own="yes"}} {phase} {every_other}
plain {phase}
""")


def _coming(phase: int, ms: int) -> Answer:
    parts = "".join(f'part{{n="{n}"}} {phase}\n' for n in range(9) if (phase * 5 + n) % 3)
    histogram = 'h_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n' if phase in {1, 2, 5} else ""
    return Answer(f"{parts}# TYPE h histogram\n{histogram}stays {phase}\n")


_FAILURES: Final = {
    1: Answer("good 1\n", status=500, works=False),
    2: Answer("<garbage>\n", works=False),
    3: Answer(hangs=True, works=False),
    4: Answer(""),
    6: Answer("good 6\n", content_type="text/html", works=False),
}


def _failing(phase: int, ms: int) -> Answer:
    return _FAILURES.get(phase) or Answer(f'good {phase}\nother{{a="b"}} 1\n')


_OTHER_FAILURES: Final = {
    0: Answer("good 0\n", status=404, works=False),
    1: Answer("good 1\n", headers={"Content-Encoding": "gzip"}, works=False),
    3: Answer('good{a="1",a="2"} 3\n', works=False),
    5: Answer("# TYPE good gauge\n", OPENMETRICS, works=False),
}


def _failing_in_other_ways(phase: int, ms: int) -> Answer:
    return _OTHER_FAILURES.get(phase) or Answer(f"good {phase}\n")


def _broken_within(phase: int, ms: int) -> Answer:
    """In some phases there is an error behind a good sample."""
    if phase in {2, 5}:
        return Answer(f"before {phase}\nbroken {{\nafter {phase}\n", works=False)
    return Answer(f"before {phase}\nafter {phase}\n")


def _limited(phase: int, ms: int) -> Answer:
    count = (3, 6, 5, 9, 1, 5, 7)[phase]
    body = "".join(f'one{{n="{n}"}} {phase}\n' for n in range(count)) + "dropped 1\n"
    return Answer(body, works=count <= 5)


def _labelled(phase: int, ms: int) -> Answer:
    labels = ",".join(f'l{number}="{phase}"' for number in range(1 + 2 * (phase % 2)))
    return Answer(f"few 1\nlabels{{{labels}}} {phase}\n", works=not phase % 2)


def _sized(phase: int, ms: int) -> Answer:
    return Answer("a 1\n" * (1 if phase % 3 else 100), works=bool(phase % 3))


def _twice(phase: int, ms: int) -> Answer:
    return Answer(f'a {phase}\nb{{x="1",y="2"}} 1\na {phase + 1}\nb{{y="2",x="1"}} {phase}\nb{{ x = "1" , y="2" }} 3\n')


def _clash(phase: int, ms: int) -> Answer:
    return Answer(
        f'm{{job="x",instance="y",exported_job="z",own="{phase}"}} 1\nn{{exported_instance="i",team=""}} {phase}\n'
        f'o{{exported_exported_job="1",job="2",team="t"}} {phase}\n'
    )


def _ruled(phase: int, ms: int) -> Answer:
    return Answer("".join(f'{name}{{a="{name[0]}",tmp_x="{phase}"}} {phase}\n' for name in ("alpha", "beta", "gamma")))


RULES: Final = [
    {"source_labels": ["__name__"], "regex": "alpha", "action": "drop"},
    {"source_labels": ["__name__"], "regex": "(b)eta", "target_label": "__name__", "replacement": "${1}_renamed"},
    {"regex": "tmp_(.+)", "action": "labelmap"},
    {"regex": "tmp_.*", "action": "labeldrop"},
    {"source_labels": ["a", "x"], "separator": "/", "target_label": "path"},
    {"source_labels": ["path"], "action": "hashmod", "modulus": 5, "target_label": "shard"},
    {"source_labels": ["x"], "regex": "[246]", "target_label": "even", "replacement": "yes"},
]


def _named(phase: int, ms: int) -> Answer:
    return Answer(
        f'{{"http.requests","path.to"="x","ü"="{phase}"}} {phase}\n{{"温度"}} {phase}\nlegacy{{"a b"="c"}} {phase}\n',
        UTF8_TEXT,
    )


def _moved(phase: int, ms: int) -> Answer:
    return Answer(status=302, headers={"Location": "/kinds"})


PAGES: Final = {
    "kinds": Page(_kinds),
    "wide": Page(_wide),
    "openmetrics": Page(_openmetrics),
    "protobuf": Page(_protobuf, {"scrape_native_histograms": True}),
    "stamped": Page(_stamped),
    "stamped_tracked": Page(_stamped, {"track_timestamps_staleness": True}),
    "stamped_ignored": Page(_stamped, {"honor_timestamps": False}),
    "coming": Page(_coming),
    "failing": Page(_failing, {"scrape_timeout": "500ms"}),
    "failing_in_other_ways": Page(_failing_in_other_ways),
    "broken_within": Page(_broken_within),
    "limited": Page(
        _limited,
        {
            "sample_limit": 5,
            "metric_relabel_configs": [{"source_labels": ["__name__"], "regex": "dropped", "action": "drop"}],
        },
    ),
    "labelled": Page(_labelled, {"label_limit": 5, "label_value_length_limit": 40}),
    "sized": Page(_sized, {"body_size_limit": "300B"}),
    "twice": Page(_twice),
    "clash": Page(_clash),
    "clash_honoured": Page(_clash, {"honor_labels": True}),
    "ruled": Page(_ruled, {"metric_relabel_configs": RULES}),
    "named": Page(_named),
    "moved": Page(_moved),
}
"""Jobs by name, each of two targets."""
