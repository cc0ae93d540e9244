"""Which formats a scrape asks for, and which one a response is in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, StrEnum
from functools import lru_cache
from typing import Final, Self

import msgspec

from promscout.errors import InvalidValueError


class Format(Enum):
    """A format of a response body, by its media type."""

    TEXT = "text/plain"
    OPENMETRICS = "application/openmetrics-text"
    PROTOBUF = "application/vnd.google.protobuf"


class ScrapeProtocol(StrEnum):
    """A format that a scrape may ask for, by its name in ``scrape_protocols`` and ``fallback_scrape_protocol``."""

    PROMETHEUS_PROTO = "PrometheusProto"
    OPENMETRICS_TEXT_0_0_1 = "OpenMetricsText0.0.1"
    OPENMETRICS_TEXT_1_0_0 = "OpenMetricsText1.0.0"
    PROMETHEUS_TEXT_0_0_4 = "PrometheusText0.0.4"
    PROMETHEUS_TEXT_1_0_0 = "PrometheusText1.0.0"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The protocol of that name.

        Raises:
            InvalidValueError: no such protocol.
        """
        try:
            return cls(text)
        except ValueError:
            known = " ".join(sorted(cls))
            raise InvalidValueError(f"unknown scrape protocol {text}, supported: [{known}]") from None

    @property
    def body_format(self) -> Format:
        """What bodies are in that answer to it."""
        return Format(_HEADERS[self].partition(";")[0])


class NameEscaping(StrEnum):
    """How a target is asked to write names that are not valid in the legacy scheme.

    Source: prometheus/common model/metric.go EscapingScheme.
    """

    ALLOW_UTF8 = "allow-utf-8"
    UNDERSCORES = "underscores"
    DOTS = "dots"
    VALUES = "values"


_HEADERS: Final = {
    ScrapeProtocol.PROMETHEUS_PROTO: (
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
    ),
    ScrapeProtocol.PROMETHEUS_TEXT_0_0_4: "text/plain;version=0.0.4",
    ScrapeProtocol.PROMETHEUS_TEXT_1_0_0: "text/plain;version=1.0.0",
    ScrapeProtocol.OPENMETRICS_TEXT_0_0_1: "application/openmetrics-text;version=0.0.1",
    ScrapeProtocol.OPENMETRICS_TEXT_1_0_0: "application/openmetrics-text;version=1.0.0",
}
"""Source: prometheus v3.x config/config.go ScrapeProtocolsHeaders."""

_ESCAPABLE: Final = frozenset({ScrapeProtocol.PROMETHEUS_TEXT_1_0_0, ScrapeProtocol.OPENMETRICS_TEXT_1_0_0})
"""The formats that have names beyond the legacy scheme, and so a parameter for them."""

_FIRST_WEIGHT: Final = len(_HEADERS) + 1
_MEDIA_TYPES: Final = {known.value: known for known in Format}

_WORD: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED: Final = r'"(?:[^"\\\r\n]|\\[^\r\n])*"'
_MEDIA_TYPE: Final = re.compile(rf"{_WORD}(?:/{_WORD})?")
_PARAMETER: Final = re.compile(rf"\s*;\s*(?P<name>{_WORD})\s*=\s*(?P<value>{_WORD}|{_QUOTED})")
_TRAILING: Final = re.compile(r"\s*;?\s*")


class Negotiated(msgspec.Struct, frozen=True):
    """How to read a response.

    ``format`` is None when the scrape has to fail; ``problem`` says what is wrong with the Content-Type, or is empty.
    A problem beside a format is worth a debug message and nothing else: the fallback is in use.
    """

    format: Format | None
    problem: str = ""


def accept_header(protocols: Sequence[ScrapeProtocol], escaping: NameEscaping = NameEscaping.ALLOW_UTF8) -> str:
    """The Accept header that asks for ``protocols``, the first one preferred, and for anything else after them.

    ``escaping`` is asked for where the format knows it. Whatever a target does about it, names are stored as it writes
    them.

    Source: prometheus v3.x scrape/scrape.go acceptHeader.
    """
    parameter = f";escaping={escaping}"
    wanted = [_HEADERS[protocol] + (parameter if protocol in _ESCAPABLE else "") for protocol in protocols]
    return ",".join(f"{header};q=0.{_FIRST_WEIGHT - index}" for index, header in enumerate((*wanted, "*/*")))


@lru_cache(128)  # the same headers come with every scrape
def format_of(content_type: str, fallback: ScrapeProtocol | None = None) -> Negotiated:
    """The format of a response with the header Content-Type ``content_type`` (empty where there is none).

    Its parameters do not matter. A missing, broken or unknown type means ``fallback``, and without one that the scrape
    fails, unless its body is empty.

    Source: prometheus v3.x model/textparse/interface.go extractMediaType.
    """
    if not content_type:
        return _fall_back("non-compliant scrape target sending blank Content-Type", fallback)
    media_type = _media_type(content_type)
    if media_type is None:
        return _fall_back(f'cannot parse Content-Type "{content_type}"', fallback)
    if media_type in _MEDIA_TYPES:
        return Negotiated(_MEDIA_TYPES[media_type])
    return _fall_back(f'received unsupported Content-Type "{content_type}"', fallback)


def _fall_back(problem: str, fallback: ScrapeProtocol | None) -> Negotiated:
    if fallback is None:
        return Negotiated(None, f"{problem} and no fallback_scrape_protocol specified for target")
    return Negotiated(fallback.body_format, f'{problem}, using fallback_scrape_protocol "{fallback}"')


def _media_type(content_type: str) -> str | None:
    """The media type in lower case, or None where the header is not well-formed.

    Source: Go's mime.ParseMediaType.
    """
    base, _, _ = content_type.partition(";")
    media_type = base.strip().lower()
    if _MEDIA_TYPE.fullmatch(media_type) is None:
        return None
    at, names = len(base), set()
    while parameter := _PARAMETER.match(content_type, at):
        name = parameter["name"].lower()
        if name in names:
            return None
        names.add(name)
        at = parameter.end()
    return media_type if _TRAILING.fullmatch(content_type, at) else None
