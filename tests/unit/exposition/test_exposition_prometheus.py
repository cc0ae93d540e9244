"""Odd bodies, and what Prometheus 3.5.3 made of each when it scraped them.

``prometheus_3_5_3.json`` was recorded from the real program: one job per body, Content-Type
``text/plain; version=1.0.0``; ``samples`` are the series it stored, without the labels of the target. Bodies are
Latin-1 text for their bytes, ``@NOW@`` stands for the time of the scrape.
"""

import json
import math
from pathlib import Path

import pytest

from promscout.errors import ExpositionError
from promscout.exposition.series import parse_series
from promscout.exposition.text import parse_exactly, parse_text

CASES = json.loads((Path(__file__).parent / "prometheus_3_5_3.json").read_text())


def samples(parse, body):
    """Series and value of each, the first of a series counting, as a scrape does."""
    exposition = parse(body)
    found = {}
    for index, (key, value) in enumerate(zip(exposition.keys, exposition.values, strict=True)):
        labels = parse_series(key, exposition.type_at(index))
        found.setdefault(tuple(pair for pair in labels if pair[1]), value)
    return found


def same(one, other):
    return one.keys() == other.keys() and all(
        value == other[series] or (math.isnan(value) and math.isnan(other[series])) for series, value in one.items()
    )


@pytest.mark.parametrize("parse", [parse_text, parse_exactly])
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_body_is_read_as_prometheus_reads_it(case, parse):
    body = case["body"].encode("latin-1").replace(b"@NOW@", b"1700000000000")
    if not case["accepted"]:
        with pytest.raises(ExpositionError):
            samples(parse, body)
        return
    expected = {tuple(sorted(labels.items())): float(value) for labels, value in case["samples"]}
    assert same(samples(parse, body), expected)
