"""Bodies in the delimited protobuf format."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, NoReturn, TypeAlias

import numpy as np
from google.protobuf.message import DecodeError

from promscout.errors import ExpositionError, InvalidValueError
from promscout.exposition.classic import ClassicHistogram
from promscout.exposition.client_model import MetricFamily
from promscout.exposition.columns import canonical, timestamp_column
from promscout.exposition.lexer import Metadata, is_utf8
from promscout.exposition.native import is_native, read_exemplar, read_native, read_sum
from promscout.exposition.numbers import format_open_metrics_float
from promscout.exposition.samples import ExposedHistograms, Exposition
from promscout.exposition.series import finish_labels
from promscout.model.histogram import Exemplar, Histogram
from promscout.model.series import decode_label_set, encode_label_set

_COUNTER, _GAUGE, _SUMMARY, _UNTYPED, _HISTOGRAM, _GAUGE_HISTOGRAM = range(6)
_TYPES: Final = (b"counter", b"gauge", b"summary", b"untyped", b"histogram", b"gaugehistogram")
_SCALARS: Final = {_COUNTER: "counter", _GAUGE: "gauge", _UNTYPED: "untyped"}

_NAME: Final = b"__name__"
_LONGEST_LENGTH: Final = 5  # bytes of the varint in front of a message, as Prometheus has it

_Pair: TypeAlias = tuple[bytes, bytes]


def parse_protobuf(body: bytes, *, classic_too: bool, keep_native: bool, convert_classic: bool = False) -> Exposition:
    """The samples and native histograms of ``body``: length-delimited ``MetricFamily`` messages.

    A key is the label set as :func:`~promscout.model.series.encode_label_set` has it, sorted by name. A summary is
    its ``_count``, its ``_sum`` and its quantiles; a classic histogram its ``_count``, its ``_sum`` and its buckets,
    up to the first that is infinite, which is added where there is none. A histogram with buckets of both kinds is
    read as a native one, with ``classic_too`` as both, and without ``keep_native`` as a classic one. With
    ``convert_classic``, one that is read as classic becomes a native one with custom buckets; its series stay only
    with ``classic_too``. Native histograms have no empty buckets (converted ones few), and are not validated further
    than that their spans fit the buckets. A time stamp of 0 is none. Every NaN has the bits of ``NORMAL_NAN_BITS``.

    Raises:
        ExpositionError: Prometheus would fail the scrape because of this body. The place is the number of a message
            and the byte where it begins.

    Source: prometheus v3.x model/textparse/protobufparse.go ProtobufParser.
    """
    reader = _Reader(classic_too=classic_too, keep_native=keep_native, convert_classic=convert_classic)
    for number, at, message in _messages(body):
        try:
            reader.read(MetricFamily.FromString(message))
        except DecodeError:
            _refuse("not a MetricFamily message", number, at)
        except InvalidValueError as error:
            _refuse(str(error), number, at)
    return reader.exposition()


def decode_series(key: bytes, metric_type: str = "untyped") -> tuple[tuple[str, str], ...]:  # noqa: ARG001 - LabelsOf
    """The labels of a key of this format, as ``parse_series`` gives those of a series text."""
    return finish_labels(list(decode_label_set(key)), "untyped")  # numbers are in their normal form already


def _messages(body: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Each message with its number and its place, both counted from 1."""
    at = number = 0
    while at < len(body):
        number += 1
        start, size, shift = at, 0, 0
        while True:
            if at == len(body) or at - start == _LONGEST_LENGTH:
                _refuse("invalid length of a message", number, start + 1)
            byte = body[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if size > len(body) - at:
            _refuse(f"the message has {size} bytes, the body only {len(body) - at} more", number, start + 1)
        yield number, start + 1, body[at : at + size]
        at += size


def _refuse(message: str, number: int, at: int) -> NoReturn:
    raise ExpositionError(message, number, at, places=("message", "byte")) from None


class _EncodedLabels(dict[_Pair, bytes]):
    """Labels encoded, each once: most of them come with many series."""

    def __missing__(self, pair: _Pair) -> bytes:
        name, value = pair
        try:
            encoded = encode_label_set([(name.decode(), value.decode())])
        except UnicodeDecodeError:
            raise InvalidValueError("a label is not valid UTF-8") from None
        self[pair] = encoded
        return encoded


@lru_cache(4096)  # targets of a kind have the same buckets and quantiles
def _number_label(name: str, number: float) -> bytes:
    return encode_label_set([(name, format_open_metrics_float(number))])


class _Reader:
    """Takes families and collects what they expose.

    Every method that reads raises InvalidValueError, with the name of the family, where Prometheus would refuse.
    """

    def __init__(self, *, classic_too: bool, keep_native: bool, convert_classic: bool) -> None:
        self._classic_too = classic_too
        self._keep_native = keep_native
        self._convert_classic = convert_classic
        self._labels = _EncodedLabels()
        self._metadata: list[tuple[int, Metadata]] = []
        self._keys: list[bytes] = []
        self._values: list[float] = []
        self._timestamps: dict[int, int] = {}
        self._exemplars: list[tuple[int, Exemplar]] = []
        self._native_keys: list[bytes] = []
        self._native: list[Histogram] = []
        self._native_timestamps: dict[int, int] = {}
        self._native_exemplars: list[tuple[int, Exemplar]] = []

    def exposition(self) -> Exposition:
        """All that was read."""
        histograms = None
        if self._native:
            stamps = timestamp_column(self._native_timestamps, len(self._native))
            histograms = ExposedHistograms(
                self._native_keys, self._native, stamps, self._native_exemplars, decode_series
            )
        return Exposition(
            self._keys,
            canonical(np.array(self._values, dtype=np.float64)),
            timestamp_column(self._timestamps, len(self._keys)),
            self._metadata,
            exemplars=self._exemplars,
            histograms=histograms,
            labels_of=decode_series,
            help_text=str,
        )

    def read(self, family: Any) -> None:  # noqa: ANN401 - a MetricFamily
        """Add a family. One without metrics says nothing."""
        if not family.metric:
            return
        name = family.name
        try:
            self._read(family)
        except InvalidValueError as error:
            raise InvalidValueError(f'metric "{name.decode(errors="replace")}": {error}') from None

    def _read(self, family: Any) -> None:  # noqa: ANN401
        kind = family.type
        if not family.name or not is_utf8(family.name):
            raise InvalidValueError("invalid metric name")
        if not is_utf8(family.help):
            raise InvalidValueError("the help text is not valid UTF-8")
        if not 0 <= kind < len(_TYPES):
            raise InvalidValueError(f"unknown metric type {kind}")
        self._read_metadata(family)
        if kind in _SCALARS:
            self._read_scalars(family, _SCALARS[kind])
        elif kind == _SUMMARY:
            self._read_summaries(family)
        else:
            for metric in family.metric:
                self._read_histogram(family.name, metric, is_gauge=kind == _GAUGE_HISTOGRAM)

    def _read_metadata(self, family: Any) -> None:  # noqa: ANN401
        at = len(self._keys)
        self._metadata.append((at, Metadata(b"HELP", family.name, family.help)))
        if family.unit:
            self._metadata.append((at, Metadata(b"UNIT", family.name, family.unit)))
        self._metadata.append((at, Metadata(b"TYPE", family.name, _TYPES[family.type])))

    def _read_scalars(self, family: Any, field: str) -> None:  # noqa: ANN401
        name, labels, keys, values = (_NAME, family.name), self._labels, self._keys, self._values
        is_counter = field == "counter"
        for metric in family.metric:
            pairs = [(label.name, label.value) for label in metric.label]
            pairs.append(name)
            pairs.sort()
            keys.append(b"".join([labels[pair] for pair in pairs]))
            scalar = getattr(metric, field)
            values.append(scalar.value)
            if metric.timestamp_ms:
                self._timestamps[len(keys) - 1] = metric.timestamp_ms
            if is_counter and scalar.HasField("exemplar"):
                self._add_exemplar(scalar.exemplar)

    def _read_summaries(self, family: Any) -> None:  # noqa: ANN401
        for metric in family.metric:
            summary, series = metric.summary, _SeriesOf(self._labels, metric.label, b"quantile")
            stamp = metric.timestamp_ms
            self._add(series.key(family.name + b"_count"), float(summary.sample_count), stamp)
            self._add(series.key(family.name + b"_sum"), summary.sample_sum, stamp)
            start, end = series.around(family.name)
            for one in summary.quantile:
                self._add(start + _number_label("quantile", one.quantile) + end, one.value, stamp)

    def _read_histogram(self, name: bytes, metric: Any, *, is_gauge: bool) -> None:  # noqa: ANN401
        histogram, series = metric.histogram, _SeriesOf(self._labels, metric.label, b"le")
        if self._keep_native and is_native(histogram):
            self._add_native(series.key(name), read_native(histogram, is_gauge=is_gauge), metric)
            if self._classic_too and histogram.bucket:
                self._read_buckets(name, series, histogram, metric.timestamp_ms)
            return
        if not self._convert_classic or self._classic_too:
            self._read_buckets(name, series, histogram, metric.timestamp_ms)
        if self._convert_classic:
            self._add_native(series.key(name), _converted(histogram, is_gauge=is_gauge), metric)

    def _read_buckets(self, name: bytes, series: _SeriesOf, histogram: Any, stamp: int) -> None:  # noqa: ANN401
        count = histogram.sample_count_float or float(histogram.sample_count)
        self._add(series.key(name + b"_count"), count, stamp)
        self._add(series.key(name + b"_sum"), histogram.sample_sum, stamp)
        start, end = series.around(name + b"_bucket")
        for bucket in histogram.bucket:
            bound = bucket.upper_bound
            value = bucket.cumulative_count_float or float(bucket.cumulative_count)
            self._add(start + _number_label("le", bound) + end, value, stamp)
            if bucket.HasField("exemplar"):
                self._add_exemplar(bucket.exemplar)
            if bound == math.inf:
                return
        self._add(start + _number_label("le", math.inf) + end, count, stamp)

    def _add(self, key: bytes, value: float, stamp: int) -> None:
        if stamp:
            self._timestamps[len(self._keys)] = stamp
        self._keys.append(key)
        self._values.append(value)

    def _add_exemplar(self, message: Any) -> None:  # noqa: ANN401
        exemplar = read_exemplar(message)
        if exemplar is not None:
            self._exemplars.append((len(self._keys) - 1, exemplar))

    def _add_native(self, key: bytes, histogram: Histogram, metric: Any) -> None:  # noqa: ANN401
        at, message = len(self._native), metric.histogram
        self._native_keys.append(key)
        self._native.append(histogram)
        if metric.timestamp_ms:
            self._native_timestamps[at] = metric.timestamp_ms
        found = message.exemplars or [one.exemplar for one in message.bucket if one.HasField("exemplar")]
        for one in found:
            # Prometheus drops those without a time stamp, but for classic buckets.
            if one.HasField("timestamp") and (exemplar := read_exemplar(one)) is not None:
                self._native_exemplars.append((at, exemplar))


class _SeriesOf:
    """Makes the keys of the series that one summary or histogram consists of.

    ``number`` is the name of the label that some of them have besides those of the metric.
    """

    __slots__ = ("_after", "_before", "_between", "_labels")

    def __init__(self, labels: _EncodedLabels, of_metric: Any, number: bytes) -> None:  # noqa: ANN401
        pairs = sorted([(label.name, label.value) for label in of_metric])
        self._labels = labels
        self._before = b"".join([labels[pair] for pair in pairs if pair[0] < _NAME])
        self._between = b"".join([labels[pair] for pair in pairs if _NAME <= pair[0] < number])
        self._after = b"".join([labels[pair] for pair in pairs if pair[0] >= number])

    def key(self, name: bytes) -> bytes:
        """The series called ``name``."""
        return b"".join([*self.around(name)])

    def around(self, name: bytes) -> tuple[bytes, bytes]:
        """The key of the series called ``name``, before the number and after it."""
        return self._before + self._labels[_NAME, name] + self._between, self._after


def _converted(histogram: Any, *, is_gauge: bool) -> Histogram:  # noqa: ANN401
    collected = ClassicHistogram()
    collected.set_count(histogram.sample_count_float or float(histogram.sample_count))
    collected.set_sum(read_sum(histogram))
    for bucket in histogram.bucket:
        if math.isnan(bucket.upper_bound):
            raise InvalidValueError("bucket boundary must not be NaN")
        collected.add_bucket(bucket.upper_bound, bucket.cumulative_count_float or float(bucket.cumulative_count))
    return collected.convert(is_gauge=is_gauge)
