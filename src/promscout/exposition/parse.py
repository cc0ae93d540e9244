"""Bodies of any format."""

from __future__ import annotations

from promscout.exposition.negotiation import Format
from promscout.exposition.samples import Exposition
from promscout.exposition.text import parse_text


def parse(body: bytes, body_format: Format, *, classic_too: bool = False, keep_native: bool = False) -> Exposition:
    """What ``body`` exposes. An empty body exposes nothing, in any format.

    ``keep_native`` says whether native histograms are read; where a histogram has classic buckets as well, these are
    read only with ``classic_too`` or without ``keep_native``. Parsers other than that of text are imported when
    a body needs them.

    Raises:
        ExpositionError: Prometheus would fail the scrape because of this body.

    Source: prometheus v3.x model/textparse/interface.go New; scrape/scrape.go append.
    """
    if body_format is Format.TEXT or not body:
        return parse_text(body)
    if body_format is Format.OPENMETRICS:
        from promscout.exposition.openmetrics import parse_openmetrics  # noqa: PLC0415 - few targets send it

        return parse_openmetrics(body)
    from promscout.exposition.protobuf import parse_protobuf  # noqa: PLC0415 - few targets send it

    return parse_protobuf(body, classic_too=classic_too, keep_native=keep_native)
