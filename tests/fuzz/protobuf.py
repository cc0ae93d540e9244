"""Feeds bodies that a coverage-guided fuzzer makes up to the protobuf parser and to what takes its histograms.

    make fuzz-protobuf ARGS='-atheris_runs=5000000 corpus'

The first byte of an input chooses how the body is read, the rest is the body, or one message of it. An input is a
finding when anything but an ExpositionError or a refused histogram comes of it; it is written to a file ``crash-…``,
which given as the only argument repeats it. Flags are libFuzzer's.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["promscout"]):
    from promscout.errors import ExpositionError, InvalidValueError
    from promscout.exposition.negotiation import Format
    from promscout.exposition.parse import parse
    from promscout.exposition.samples import Exposition
    from promscout.model.series import encode_varint
    from promscout.scrape.histograms import HistogramLimits
    from promscout.write.histograms import encode_exemplar_series, encode_histogram_series

LIMITS = HistogramLimits(bucket_limit=10, max_schema=4)


def read(data: bytes) -> Exposition:
    """The exposition that an input stands for."""
    flags, body = data[0], data[1:]
    if flags & 8:
        return parse(body, Format.TEXT, convert_classic=True, classic_too=bool(flags & 1))
    if flags & 16:
        body = encode_varint(len(body)) + body
    return parse(
        body,
        Format.PROTOBUF,
        classic_too=bool(flags & 1),
        keep_native=bool(flags & 2),
        convert_classic=bool(flags & 4),
    )


def everything_is_read_or_refused(data: bytes) -> None:
    """Raises where it is not."""
    if not data:
        return
    try:
        exposition = read(data)
        for index in range(len(exposition)):
            exposition.series(index)
        exposed = exposition.histograms
        if exposed is None:
            return
        for index, exemplar in exposed.exemplars:
            encode_exemplar_series(exposed.keys[index], exemplar)
        for index, histogram in enumerate(exposed.histograms):
            exposed.series(index)
            encode_histogram_series(exposed.keys[index], LIMITS.admit(histogram), 1)
    except (ExpositionError, InvalidValueError):
        return


if __name__ == "__main__":
    atheris.Setup(sys.argv, everything_is_read_or_refused)
    atheris.Fuzz()
