"""Which formats a scrape asks for, and which one a response is in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, StrEnum
from typing import Final, Self

import msgspec

from promscout.errors import InvalidValueError


class Format(Enum):
    """A format of a response body."""

    TEXT = "text/plain"


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
    def is_readable(self) -> bool:
        """Whether there is a parser for it here."""
        return self in _HEADERS


class NameEscaping(StrEnum):
    """How a target is asked to write names that are not valid in the legacy scheme.

    Source: prometheus/common model/metric.go EscapingScheme.
    """

    ALLOW_UTF8 = "allow-utf-8"
    UNDERSCORES = "underscores"
    DOTS = "dots"
    VALUES = "values"


_HEADERS: Final = {
    ScrapeProtocol.PROMETHEUS_TEXT_1_0_0: "text/plain;version=1.0.0",
    ScrapeProtocol.PROMETHEUS_TEXT_0_0_4: "text/plain;version=0.0.4",
}
READABLE_PROTOCOLS: Final = tuple(_HEADERS)
"""What can be read here, in the order in which Prometheus prefers it."""

_ESCAPABLE: Final = frozenset({ScrapeProtocol.PROMETHEUS_TEXT_1_0_0, ScrapeProtocol.OPENMETRICS_TEXT_1_0_0})
"""The formats that have names beyond the legacy scheme, and so a parameter for them."""

_FIRST_WEIGHT: Final = 6  # one more than the protocols that Prometheus knows, so that the header is the same

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


def accept_header(
    protocols: Sequence[ScrapeProtocol] = READABLE_PROTOCOLS, escaping: NameEscaping = NameEscaping.ALLOW_UTF8
) -> str:
    """The Accept header that asks for those of ``protocols`` that can be read, the first one preferred.

    Where none of them can, it asks for all that can be read: a target may have those as well. ``escaping`` is asked for
    where the format knows it. Whatever a target does about it, names are stored as it writes them.

    Source: prometheus v3.x scrape/scrape.go acceptHeader.
    """
    readable = [protocol for protocol in protocols if protocol.is_readable] or READABLE_PROTOCOLS
    parameter = f";escaping={escaping}"
    wanted = [_HEADERS[protocol] + (parameter if protocol in _ESCAPABLE else "") for protocol in readable]
    return ",".join(f"{header};q=0.{_FIRST_WEIGHT - index}" for index, header in enumerate((*wanted, "*/*")))


def format_of(content_type: str, fallback: ScrapeProtocol | None = None) -> Negotiated:
    """The format of a response with the header Content-Type ``content_type`` (empty where there is none).

    A missing, broken or unknown type means ``fallback``, and without one that the scrape fails. OpenMetrics and
    protobuf are refused whatever the fallback, since their bodies do not parse as text.

    Source: prometheus v3.x model/textparse/interface.go extractMediaType.
    """
    if not content_type:
        return _fall_back("non-compliant scrape target sending blank Content-Type", fallback)
    media_type = _media_type(content_type)
    if media_type is None:
        return _fall_back(f'cannot parse Content-Type "{content_type}"', fallback)
    if media_type == Format.TEXT.value:
        return Negotiated(Format.TEXT)
    problem = f'received unsupported Content-Type "{content_type}"'
    if media_type in {"application/openmetrics-text", "application/vnd.google.protobuf"}:
        return Negotiated(None, problem)
    return _fall_back(problem, fallback)


def _fall_back(problem: str, fallback: ScrapeProtocol | None) -> Negotiated:
    if fallback is None:
        return Negotiated(None, f"{problem} and no fallback_scrape_protocol specified for target")
    if not fallback.is_readable:
        return Negotiated(None, f'{problem}, and what fallback_scrape_protocol says, "{fallback}", cannot be read')
    return Negotiated(Format.TEXT, f'{problem}, using fallback_scrape_protocol "{fallback}"')


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
