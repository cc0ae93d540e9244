"""Bodies that prometheus_client's parsers and promscout's read the same, and where they differ on purpose."""

import math

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from promscout.errors import ExpositionError
from promscout.exposition.openmetrics import parse_openmetrics
from promscout.exposition.samples import NO_TIMESTAMP
from promscout.exposition.text import parse_text


def by_reference(families):
    """Series → value, time stamp in milliseconds and exemplar, as prometheus_client's parsers have them."""
    found = {}
    for family in families:
        for sample in family.samples:
            labels = {"__name__": sample.name, **sample.labels}
            if family.type in {"histogram", "summary"}:
                labels |= {name: repr(float(labels[name])) for name in ("quantile", "le") if name in labels}
            labels = {name: text.replace("inf", "+Inf") if name == "le" else text for name, text in labels.items()}
            exemplar = sample.exemplar and (
                sample.exemplar.labels,
                sample.exemplar.value,
                sample.exemplar.timestamp and int(float(sample.exemplar.timestamp) * 1000),
            )
            stamp = None if sample.timestamp is None else int(float(sample.timestamp) * 1000)
            found[tuple(sorted(labels.items()))] = (seen(sample.value), stamp, exemplar)
    return found


def by_promscout(exposition):
    found = {}
    exemplars = dict(exposition.exemplars)
    for index, key in enumerate(exposition.keys):
        stamp = NO_TIMESTAMP if exposition.timestamps is None else exposition.timestamps[index]
        exemplar = exemplars.get(index)
        found[exposition.labels_of(key, exposition.type_at(index))] = (
            seen(exposition.values[index]),
            None if stamp == NO_TIMESTAMP else stamp,
            exemplar and (dict(exemplar.labels), exemplar.value, exemplar.timestamp),
        )
    return found


def seen(value):
    """Comparable, unlike NaN."""
    return "NaN" if math.isnan(value) else float(value)


AGREED = {
    "counter": '# TYPE a counter\n# HELP a x\\ny\na_total{b="c"} 1 # {t="1"} 0.5 12.25\na_created{b="c"} 3\n# EOF\n',
    "gauge": '# TYPE a_b gauge\n# UNIT a_b b\na_b{c="\\"\\\\\\n"} -1e-3 12.25\na_b{c="}"} 0\n# EOF\n',
    "histogram": '# TYPE a histogram\na_bucket{le="1"} 1 # {t="1"} 0.5\na_bucket{le="+Inf"} 2 # {} 7 1\na_count 2\n'
    "a_sum 3\n# EOF\n",
    "gauge histogram": '# TYPE a gaugehistogram\na_bucket{le="1.0"} 1\na_bucket{le="+Inf"} 2\na_gcount 2\n'
    "a_gsum 3\n# EOF\n",
    "summary": '# TYPE a summary\na{quantile="0.50"} 1\na{quantile="1"} 2\na_count 2\na_sum 3\n# EOF\n',
    "info": '# TYPE a info\na_info{version="1"} 1\n# EOF\n',
    "state set": '# TYPE a stateset\na{a="on"} 1\na{a="off"} 0\n# EOF\n',
    "unknown": "# TYPE a unknown\na 1\nb +Inf\n# EOF\n",
    "quoted names": '# TYPE "a.b" gauge\n{"a.b","c.d"="e"} 1\n# EOF\n',
    "empty": "# EOF\n",
}


@pytest.mark.parametrize("name", AGREED)
def test_what_prometheus_client_reads_is_read_the_same(name):
    body = AGREED[name]
    expected = by_reference(text_string_to_metric_families(body))
    assert by_promscout(parse_openmetrics(body.encode())) == expected
    assert name == "empty" or expected


REFUSED_BY_BOTH = [
    "a 1\n",
    "# EOF\na 1\n",
    "a\n# EOF\n",
    "a 1\n\n# EOF\n",
    "a  1\n# EOF\n",
    "a 1 x\n# EOF\n",
    'a{b="c" 1\n# EOF\n',
    'a{b=c"} 1\n# EOF\n',
    "# TYPE a thing\n# EOF\n",
    "# UNIT a_seconds bytes\n# EOF\n",
    "a 0x1p3\n# EOF\n",
    "a 1_0\n# EOF\n",
    "a 1 NaN\n# EOF\n",
]


@pytest.mark.parametrize("body", REFUSED_BY_BOTH)
def test_what_prometheus_client_refuses_for_its_grammar_is_refused(body):
    with pytest.raises(ValueError):
        list(text_string_to_metric_families(body))
    with pytest.raises(ExpositionError):
        by_promscout(parse_openmetrics(body.encode()))


ACCEPTED_ALL_THE_SAME = {
    "a counter without _total": "# TYPE a counter\na 1\n# EOF\n",
    "a negative counter": "# TYPE a counter\na_total -1\n# EOF\n",
    "families in pieces": "# TYPE a gauge\na 1\nb 1\na 2\n# EOF\n",
    "a type after samples": "a 1\n# TYPE a gauge\n# EOF\n",
    "a state that is neither 0 nor 1": '# TYPE a stateset\na{a="on"} 2\n# EOF\n',
    "buckets without +Inf": '# TYPE a histogram\na_bucket{le="1"} 1\n# EOF\n',
    "an exemplar of a gauge": '# TYPE a gauge\na 1 # {b="c"} 1\n# EOF\n',
    "time stamps that go back": "# TYPE a gauge\na 1 2\na 1 1\n# EOF\n",
}


@pytest.mark.parametrize("name", ACCEPTED_ALL_THE_SAME)
def test_rules_that_prometheus_does_not_enforce_are_not_enforced(name):
    body = ACCEPTED_ALL_THE_SAME[name]
    with pytest.raises(ValueError):
        list(text_string_to_metric_families(body))
    assert parse_openmetrics(body.encode()).keys


AGREED_TEXT = {
    "all types": "# HELP a_total x\\ny\n# TYPE a_total counter\na_total 1\n"
    "# TYPE b gauge\nb NaN\n# TYPE c untyped\nc 1 5\n",
    "histogram": '# TYPE a histogram\na_bucket{le="1"} 1\na_bucket{le="+Inf"} 2\na_count 2\na_sum 3\n',
    "summary": '# TYPE a summary\na{quantile="0.5"} 1\na_count 2\n',
    "blanks": 'a { b = "c" , d = "e" , }  1  2 \n\n# comment\nf\t3\n',
    "escapes": 'a{b="\\"\\\\\\n\\x"} -Inf\n',
}


@pytest.mark.parametrize("name", AGREED_TEXT)
def test_text_that_prometheus_client_reads_is_read_the_same(name):
    body = AGREED_TEXT[name]
    found, expected = by_promscout(parse_text(body.encode())), by_reference(text_families(body))
    assert found == expected
