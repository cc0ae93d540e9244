"""The agent's own metrics as JSON, in the shape that protobuf's JSON mapping gives to Prometheus's ``MetricFamily``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from prometheus_client.core import Metric
from prometheus_client.samples import Sample

Number: TypeAlias = float | Literal["NaN", "Infinity", "-Infinity"]
Count: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9]+$")]
"""64 bits, which JSON's numbers would not hold."""

_OF_SERIES: Final = {"le": "_bucket", "quantile": ""}
"""Labels that are no labels of the metric, and how the names end of the samples that have them."""


class LabelAnswer(msgspec.Struct, frozen=True):
    """A label."""

    name: str
    value: str


class ValueAnswer(msgspec.Struct, frozen=True):
    """A counter, a gauge, or what is said to be neither."""

    value: Number


class BucketAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """How many observations there were up to a bound; infinity has no bucket of its own."""

    cumulative_count: Count
    upper_bound: Number


class QuantileAnswer(msgspec.Struct, frozen=True):
    """The value of a quantile."""

    quantile: Number
    value: Number


class SummaryAnswer(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Observations and their sum."""

    sample_count: Count
    sample_sum: Number
    quantile: tuple[QuantileAnswer, ...] = ()


class HistogramAnswer(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Observations, their sum, and how they are distributed."""

    sample_count: Count
    sample_sum: Number
    bucket: tuple[BucketAnswer, ...] = ()


class MetricAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The values that one set of labels has; one of the fields after the labels is there."""

    label: tuple[LabelAnswer, ...] = ()
    counter: ValueAnswer | None = None
    gauge: ValueAnswer | None = None
    untyped: ValueAnswer | None = None
    summary: SummaryAnswer | None = None
    histogram: HistogramAnswer | None = None


class FamilyAnswer(msgspec.Struct, frozen=True):
    """A metric family. Source: prometheus/client_model MetricFamily."""

    name: str
    help: str
    type: Literal["COUNTER", "GAUGE", "SUMMARY", "UNTYPED", "HISTOGRAM"]
    metric: list[MetricAnswer]


_KINDS: Final[dict[str, Literal["COUNTER", "GAUGE", "SUMMARY", "UNTYPED", "HISTOGRAM"]]] = {
    "counter": "COUNTER",
    "gauge": "GAUGE",
    "summary": "SUMMARY",
    "histogram": "HISTOGRAM",
}


def families(collected: Iterable[Metric]) -> Iterator[FamilyAnswer]:
    """What is collected, sorted by name; those without series are left out. Each is made when it is asked for."""
    for family in sorted(collected, key=_name):
        if family.samples:
            kind = _KINDS.get(family.type, "UNTYPED")
            metrics = [_metric(kind, *one) for one in _grouped(family)]
            yield FamilyAnswer(_name(family), family.documentation, kind, metrics)


def _name(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def _grouped(family: Metric) -> Iterator[tuple[tuple[LabelAnswer, ...], list[Sample]]]:
    groups: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for sample in family.samples:
        own = ((name, value) for name, value in sample.labels.items() if not _is_of_series(family, sample, name))
        groups.setdefault(tuple(sorted(own)), []).append(sample)
    for labels in sorted(groups):
        yield tuple(LabelAnswer(*pair) for pair in labels), groups[labels]


def _is_of_series(family: Metric, sample: Sample, label: str) -> bool:
    has_parts = family.type in ("histogram", "summary")
    return has_parts and label in _OF_SERIES and sample.name == family.name + _OF_SERIES[label]


def _metric(kind: str, labels: tuple[LabelAnswer, ...], samples: list[Sample]) -> MetricAnswer:
    if kind in ("HISTOGRAM", "SUMMARY"):
        named = {sample.name.rpartition("_")[2]: sample.value for sample in samples}
        count, total = str(int(named.get("count", 0))), _number(named.get("sum", 0.0))
        if kind == "SUMMARY":
            return MetricAnswer(label=labels, summary=SummaryAnswer(count, total, tuple(_quantiles(samples))))
        return MetricAnswer(label=labels, histogram=HistogramAnswer(count, total, tuple(_buckets(samples))))
    value = ValueAnswer(_number(samples[0].value))
    if kind == "COUNTER":
        return MetricAnswer(label=labels, counter=value)
    return MetricAnswer(label=labels, gauge=value) if kind == "GAUGE" else MetricAnswer(label=labels, untyped=value)


def _buckets(samples: Iterable[Sample]) -> Iterator[BucketAnswer]:
    for sample in samples:
        bound = float(sample.labels.get("le", "inf"))
        if sample.name.endswith("_bucket") and bound != math.inf:
            yield BucketAnswer(str(int(sample.value)), bound)


def _quantiles(samples: Iterable[Sample]) -> Iterator[QuantileAnswer]:
    for sample in samples:
        if "quantile" in sample.labels:
            yield QuantileAnswer(_number(float(sample.labels["quantile"])), _number(sample.value))


def _number(value: float) -> Number:
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
