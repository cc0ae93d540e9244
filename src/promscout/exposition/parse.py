"""Bodies of any format."""

from __future__ import annotations

from typing import Final

from promscout.errors import ExpositionError
from promscout.exposition.negotiation import Format
from promscout.exposition.samples import Exposition
from promscout.exposition.text import parse_text

MAX_LINES: Final = 5_000_000
"""Lines that a text body may have: what keeps the memory for reading one bounded, at about a gigabyte."""


def parse(
    body: bytes,
    body_format: Format,
    *,
    classic_too: bool = False,
    keep_native: bool = False,
    convert_classic: bool = False,
) -> Exposition:
    """What ``body`` exposes. An empty body exposes nothing, in any format.

    ``keep_native`` says whether native histograms are read; where a histogram has classic buckets as well, these are
    read only with ``classic_too`` or without ``keep_native``. With ``convert_classic``, classic histograms become
    native ones with custom buckets; their series stay only with ``classic_too``. Parsers other than that of text are
    imported when a body needs them.

    Raises:
        ExpositionError: Prometheus would fail the scrape because of this body; or it has more than ``MAX_LINES``.

    Source: prometheus v3.x model/textparse/interface.go New; scrape/scrape.go append.
    """
    if body_format is Format.PROTOBUF and body:
        from promscout.exposition.protobuf import parse_protobuf  # noqa: PLC0415 - few targets send it

        return parse_protobuf(body, classic_too=classic_too, keep_native=keep_native, convert_classic=convert_classic)
    exposition = _parse_text(body, body_format)
    if convert_classic:
        from promscout.exposition.nhcb import convert_classic_histograms  # noqa: PLC0415 - few jobs want it

        return convert_classic_histograms(exposition, keep_classic=classic_too)
    return exposition


def _parse_text(body: bytes, body_format: Format) -> Exposition:
    if len(body) > MAX_LINES and body.count(b"\n") > MAX_LINES:
        raise ExpositionError(f"more than {MAX_LINES} lines", MAX_LINES + 1)
    if body_format is not Format.OPENMETRICS or not body:
        return parse_text(body)
    from promscout.exposition.openmetrics import parse_openmetrics  # noqa: PLC0415 - few targets send it

    return parse_openmetrics(body)
