"""Numbers as Go reads and writes them."""

import math

import pytest

from promscout.exposition.numbers import format_open_metrics_float, parse_go_float


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("+1.5", 1.5), ("1.", 1), (".5", 0.5), ("-0", 0), ("1E+3", 1000), ("1e-400", 0), ("iNf", math.inf)],
)
def test_a_number_is_read(text, number):
    assert parse_go_float(text.encode()) == number


@pytest.mark.parametrize(
    "text", ["", ".", "e1", "1e", "+nan", "0x1", "1_0", " 1", "1 ", "1\r", "infinit", "1e400", "-1e400", "\u0661"]
)
def test_what_go_does_not_read_is_no_number(text):
    with pytest.raises(ValueError):
        parse_go_float(text.encode())


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "1.0"),
        (0, "0.0"),
        (-0.0, "0.0"),
        (-1, "-1.0"),
        (0.25, "0.25"),
        (2.5, "2.5"),
        (100, "100.0"),
        (123456, "123456.0"),
        (1e6, "1e+06"),
        (1234567, "1.234567e+06"),
        (1e21, "1e+21"),
        (1e100, "1e+100"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (-0.000012, "-1.2e-05"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_a_bucket_limit_is_written_as_open_metrics_has_it(number, text):
    assert format_open_metrics_float(number) == text
