"""Each format has its parser."""

import pytest

from promscout.errors import ExpositionError
from promscout.exposition.negotiation import Format
from promscout.exposition.parse import parse

TEXT_ONLY = b"a 1\n\nb 2"
OPENMETRICS_ONLY = b"# TYPE a info\na_info 1\n# EOF"


def test_a_body_is_read_by_the_parser_of_its_format():
    assert parse(TEXT_ONLY, Format.TEXT).keys == [b"a", b"b"]
    assert parse(OPENMETRICS_ONLY, Format.OPENMETRICS).keys == [b"a_info"]
    with pytest.raises(ExpositionError):
        parse(TEXT_ONLY, Format.OPENMETRICS)
    with pytest.raises(ExpositionError):
        parse(OPENMETRICS_ONLY, Format.TEXT)


@pytest.mark.parametrize("body_format", Format)
def test_an_empty_body_exposes_nothing_in_any_format(body_format):
    assert len(parse(b"", body_format)) == 0


def test_a_body_with_more_lines_than_memory_is_kept_for_is_refused(monkeypatch):
    monkeypatch.setattr("promscout.exposition.parse.MAX_LINES", 3)
    assert len(parse(b"a 1\nb 1\nc 1\n", Format.TEXT)) == 3
    with pytest.raises(ExpositionError, match="more than 3 lines"):
        parse(b"a 1\nb 1\nc 1\n\n", Format.TEXT)
