"""Which formats are asked for, and which one a response is taken for."""

import pytest

from promscout.exposition.negotiation import Format, NameEscaping, ScrapeProtocol, accept_header, format_of

FALLBACK = ScrapeProtocol.PROMETHEUS_TEXT_0_0_4


def test_the_formats_are_asked_for_in_order_of_preference():
    assert accept_header() == (
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.4"
    )
    assert accept_header([FALLBACK]) == "text/plain;version=0.0.4;q=0.6,*/*;q=0.5"


@pytest.mark.parametrize("escaping", NameEscaping)
def test_the_escaping_is_asked_for_where_the_format_knows_it(escaping):
    assert accept_header(escaping=escaping) == (
        f"text/plain;version=1.0.0;escaping={escaping};q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.4"
    )
    assert accept_header([FALLBACK], escaping) == "text/plain;version=0.0.4;q=0.6,*/*;q=0.5"


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


@pytest.mark.parametrize(
    "content_type", ["application/openmetrics-text; version=1.0.0", "application/vnd.google.protobuf"]
)
def test_a_format_that_is_no_text_is_refused_in_spite_of_a_fallback(content_type):
    assert format_of(content_type, FALLBACK).format is None


def test_a_fallback_that_cannot_be_read_fails_the_scrape_and_is_named():
    refused = format_of("text/html", ScrapeProtocol.PROMETHEUS_PROTO)
    assert refused.format is None
    assert refused.problem.endswith(', and what fallback_scrape_protocol says, "PrometheusProto", cannot be read')
