"""Scraped bytes to samples: the text format, its series, and which format a response is in. Pure."""

from promscout.exposition.negotiation import Format, Negotiated, ScrapeProtocol, accept_header, format_of
from promscout.exposition.series import parse_series
from promscout.exposition.text import NO_TIMESTAMP, Exposition, MetricMetadata, parse_text

__all__ = [
    "NO_TIMESTAMP",
    "Exposition",
    "Format",
    "MetricMetadata",
    "Negotiated",
    "ScrapeProtocol",
    "accept_header",
    "format_of",
    "parse_series",
    "parse_text",
]
