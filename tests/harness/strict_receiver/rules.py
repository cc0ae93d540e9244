"""What the specifications of remote write 1.0 and 2.0 say about a request: each rule that is broken, as a sentence.

What they only recommend is a rule here, too: promscout is to do it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from email.message import Message
from itertools import pairwise

from harness.strict_receiver.histograms import histogram_problems
from harness.strict_receiver.reading import V1, V2, Exemplar, Pairs, Series

STALE = 0x7FF0000000000002
"""The bits of a staleness marker."""

_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_PRODUCT = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+(?: .*)?")
_VERSIONS = {V1: re.compile(r"0\.1\.0"), V2: re.compile(r"2\.\d+\.\d+")}
_SINGLE = ("Content-Type", "Content-Encoding", "X-Prometheus-Remote-Write-Version", "User-Agent", "Retry-Attempt")
_EXPONENT, _QUIET, _MANTISSA = 0x7FF << 52, 1 << 51, (1 << 52) - 1
_EXEMPLAR_RUNES = 128  # OpenMetrics


def message_of(content_type: str) -> str | None:
    """The full name of the message that a ``Content-Type`` tells; None if it tells none that is known."""
    header = Message()
    header["Content-Type"] = content_type
    parameters = dict(header.get_params(failobj=[])[1:])
    if header.get_content_type() != "application/x-protobuf" or parameters.keys() - {"proto"}:
        return None
    name = parameters.get("proto", V1)
    return name if name in _VERSIONS else None


def header_problems(method: str, headers: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Rules about the method and the headers."""
    if method != "POST":
        yield f"method {method}"
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    for name in _SINGLE:
        if len(found.get(name.lower(), ())) > 1:
            yield f"header {name} is there twice"
    values: Mapping[str, str] = {name: several[0] for name, several in found.items()}
    if values.get("content-encoding") != "snappy":
        yield f"Content-Encoding {values.get('content-encoding')!r}"
    message = message_of(values.get("content-type", ""))
    if message is None:
        yield f"Content-Type {values.get('content-type')!r}"
    version = values.get("x-prometheus-remote-write-version", "")
    if message is not None and not _VERSIONS[message].fullmatch(version):
        yield f"version {version!r} of {message}"
    if not _PRODUCT.fullmatch(values.get("user-agent", "")):
        yield f"User-Agent {values.get('user-agent')!r}"
    attempt = values.get("retry-attempt", "1")
    if not attempt.isdigit() or int(attempt) < 1:
        yield f"Retry-Attempt {attempt!r}"


class SeriesRules:
    """Rules about one series of a request. Label sets that have been looked at are known."""

    def __init__(self, *, utf8_names: bool = False) -> None:
        self._utf8_names = utf8_names
        self._labels: dict[Pairs, tuple[str, ...]] = {}

    def problems(self, series: Series, message: str) -> Iterator[str]:
        """What is wrong with a series of that message."""
        known = self._labels.get(series.labels)
        if known is None:
            known = self._labels[series.labels] = tuple(self._label_problems(series.labels))
        yield from known
        if series.samples and series.histograms:
            yield "samples and histograms in one series"
        # In 1.0 exemplars may stand alone, as they do where Prometheus sends them.
        if not series.samples and not series.histograms and (message == V2 or not series.exemplars):
            yield "series without samples and histograms"
        yield from _sample_problems(series.samples)
        if series.histograms:
            yield from _order_problems("histograms", [one.timestamp for one in series.histograms])
            for histogram in series.histograms:
                yield from histogram_problems(histogram, custom_buckets=message == V2)
        for exemplar in series.exemplars:
            yield from _exemplar_problems(exemplar)

    def _label_problems(self, labels: Pairs) -> Iterator[str]:
        names = [name for name, _ in labels]
        yield from _pair_problems(labels)
        if not dict(labels).get("__name__"):
            yield "series without __name__"
        if self._utf8_names:
            return
        for name, value in labels:
            if name == "__name__" and not _METRIC_NAME.fullmatch(value):
                yield f"metric name {value!r}"
        for name in names:
            if not _LABEL_NAME.fullmatch(name):
                yield f"label name {name!r}"


def _pair_problems(labels: Pairs) -> Iterator[str]:
    names = [name for name, _ in labels]
    if len(set(names)) != len(names):
        yield "a label name is there twice"
    # By bytes, as Go compares strings.
    if names != sorted(names, key=str.encode):
        yield "labels are not sorted"
    if "" in names:
        yield "empty label name"
    if any(not value for _, value in labels):
        yield "empty label value"


def _sample_problems(samples: Sequence[tuple[int, int, int]]) -> Iterator[str]:
    if len(samples) > 1:
        yield from _order_problems("samples", [at for at, _, _ in samples])
    for at, bits, start in samples:
        if bits & _EXPONENT == _EXPONENT and bits & _MANTISSA and not bits & _QUIET and bits != STALE:
            yield f"a NaN with the bits {bits:#018x}"
        if start > at:
            yield "start time stamp after the sample's"


def _order_problems(what: str, stamps: Sequence[int]) -> Iterator[str]:
    if any(later <= earlier for earlier, later in pairwise(stamps)):
        yield f"{what} of one series are not in the order of time"


def _exemplar_problems(exemplar: Exemplar) -> Iterator[str]:
    yield from (f"exemplar: {problem}" for problem in _pair_problems(exemplar.labels))
    if sum(len(name) + len(value) for name, value in exemplar.labels) > _EXEMPLAR_RUNES:
        yield f"exemplar: labels of more than {_EXEMPLAR_RUNES} characters"
    if not exemplar.timestamp:
        yield "exemplar without time stamp"
