"""Bodies of any format as text that people can read."""

from __future__ import annotations

from promscout.errors import ExpositionError
from promscout.exposition.negotiation import Format, format_of
from promscout.exposition.parse import parse
from promscout.exposition.samples import NO_TIMESTAMP, Exposition
from promscout.model.labels import METRIC_NAME, LabelSet


def body_text(body: bytes, content_type: str) -> bytes:
    """``body`` in the text format: as it is, or what a body of protobuf says, a sample in a line.

    One that cannot be read is a comment that says why. Takes time: meant for a thread.
    """
    if format_of(content_type).format is not Format.PROTOBUF:
        return body
    try:
        exposition = parse(body, Format.PROTOBUF, classic_too=True, keep_native=True)
        return "\n".join([*_samples(exposition), *_histograms(exposition), ""]).encode()
    except ExpositionError as error:
        return f"# This protobuf cannot be read: {error}\n".encode()


def _samples(exposition: Exposition) -> list[str]:
    stamps = exposition.timestamps
    lines = []
    for place, value in enumerate(exposition.values.tolist()):
        stamp = "" if stamps is None or stamps[place] == NO_TIMESTAMP else f" {stamps[place]}"
        lines.append(f"{_series(exposition.series(place))} {value!r}{stamp}")
    return lines


def _histograms(exposition: Exposition) -> list[str]:
    """Native histograms by their counts, with the rest as an exemplar would stand there."""
    exposed = exposition.histograms
    if exposed is None:
        return []
    return [
        f"{_series(exposed.series(place))} {histogram.count} # {{native histogram, sum {histogram.sum!r}}}"
        for place, histogram in enumerate(exposed.histograms)
    ]


def _series(labels: LabelSet) -> str:
    name = dict(labels).get(METRIC_NAME, "")
    others = ",".join(f"{label}={_quoted(value)}" for label, value in labels if label != METRIC_NAME)
    return f"{name}{{{others}}}" if others else name


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") + '"'
