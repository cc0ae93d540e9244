"""Which formats are asked for, and which one a response is taken for."""

import pytest

from promscout.exposition.negotiation import (
    Format,
    NameEscaping,
    Negotiated,
    ScrapeProtocol,
    accept_header,
    format_of,
)
from promscout.scrape.config import DEFAULT_PROTOCOLS, PROTO_FIRST_PROTOCOLS

FALLBACK = ScrapeProtocol.PROMETHEUS_TEXT_0_0_4


def test_the_default_formats_are_asked_for_in_order_of_preference():
    assert accept_header(DEFAULT_PROTOCOLS) == (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,"
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
        "text/plain;version=0.0.4;q=0.3,"
        "*/*;q=0.2"
    )


def test_native_histograms_need_protobuf_first():
    assert accept_header(PROTO_FIRST_PROTOCOLS) == (
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
        "application/openmetrics-text;version=0.0.1;q=0.4,"
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
        "text/plain;version=0.0.4;q=0.2,"
        "*/*;q=0.1"
    )


@pytest.mark.parametrize("escaping", NameEscaping)
def test_the_escaping_is_asked_for_where_the_format_knows_it(escaping):
    assert accept_header([ScrapeProtocol.PROMETHEUS_TEXT_1_0_0, ScrapeProtocol.OPENMETRICS_TEXT_1_0_0], escaping) == (
        f"text/plain;version=1.0.0;escaping={escaping};q=0.6,"
        f"application/openmetrics-text;version=1.0.0;escaping={escaping};q=0.5,*/*;q=0.4"
    )
    assert accept_header([FALLBACK], escaping) == "text/plain;version=0.0.4;q=0.6,*/*;q=0.5"


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", Format.OPENMETRICS),
        ("application/openmetrics-text", Format.OPENMETRICS),
        ("Application/OpenMetrics-Text;version=9", Format.OPENMETRICS),
        (
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
            Format.PROTOBUF,
        ),
        ("application/vnd.google.protobuf", Format.PROTOBUF),
    ],
)
def test_a_format_is_known_by_its_media_type_whatever_the_fallback(content_type, expected):
    for fallback in (None, *ScrapeProtocol):
        negotiated = format_of(content_type, fallback)
        assert (negotiated.format, negotiated.problem) == (expected, "")


@pytest.mark.parametrize(
    ("fallback", "expected"),
    [
        (ScrapeProtocol.PROMETHEUS_PROTO, Format.PROTOBUF),
        (ScrapeProtocol.OPENMETRICS_TEXT_0_0_1, Format.OPENMETRICS),
        (ScrapeProtocol.OPENMETRICS_TEXT_1_0_0, Format.OPENMETRICS),
        (ScrapeProtocol.PROMETHEUS_TEXT_0_0_4, Format.TEXT),
        (ScrapeProtocol.PROMETHEUS_TEXT_1_0_0, Format.TEXT),
    ],
)
def test_every_protocol_can_be_the_fallback(fallback, expected):
    assert format_of("", fallback) == Negotiated(
        expected,
        f'non-compliant scrape target sending blank Content-Type, using fallback_scrape_protocol "{fallback}"',
    )


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/plain; version=0.0.4; charset=utf-8",
        "text/plain;version=1.0.0;escaping=allow-utf-8",
        " Text/Plain ;",
        'text/plain; charset="utf-8" ; x=""',
    ],
)
def test_plain_text_is_read_as_text_whatever_its_parameters(content_type):
    negotiated = format_of(content_type)
    assert (negotiated.format, negotiated.problem) == (Format.TEXT, "")


@pytest.mark.parametrize(
    ("content_type", "problem"),
    [
        ("", "non-compliant scrape target sending blank Content-Type"),
        ("text/html", 'received unsupported Content-Type "text/html"'),
        ("application/json; charset=utf-8", "received unsupported Content-Type"),
        ("text/plain; charset", 'cannot parse Content-Type "text/plain; charset"'),
        ("text/plain; a=b; A=c", "cannot parse Content-Type"),
        ("text/plain/x", "cannot parse Content-Type"),
        (";", "cannot parse Content-Type"),
        ("text/ plain", "cannot parse Content-Type"),
    ],
)
def test_other_content_types_need_a_fallback(content_type, problem):
    refused = format_of(content_type)
    assert refused.format is None
    assert refused.problem.startswith(problem)
    assert refused.problem.endswith(" and no fallback_scrape_protocol specified for target")
    fallen_back = format_of(content_type, FALLBACK)
    assert fallen_back.format is Format.TEXT
    assert fallen_back.problem.endswith(', using fallback_scrape_protocol "PrometheusText0.0.4"')
