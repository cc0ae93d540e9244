"""Labels as people paste them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promscout.errors import InvalidValueError
from promscout.web.pages.label_text import MOST_LABELS, label_text, parse_label_text


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ('a="1"\nb="2"', {"a": "1", "b": "2"}),
        ('a="1", b="2" c = "3",', {"a": "1", "b": "2", "c": "3"}),
        ("a=1\nb: 2\nc: '3'\nd: \"4\"", {"a": "1", "b": "2", "c": "3", "d": "4"}),
        ("# a comment\n\n  a=1  \n", {"a": "1"}),
        (
            "prometheus.io/scrape: true\nurl: http://x:1/a?b=c",
            {"prometheus.io/scrape": "true", "url": "http://x:1/a?b=c"},
        ),
        (r'a="x\"y\\z\n"', {"a": 'x"y\\z\n'}),
        ('up{job="a b",instance="c:1"}', {"__name__": "up", "job": "a b", "instance": "c:1"}),
        ('{a="1",}', {"a": "1"}),
        ('up{job="a"} 1 1700000000000', {"__name__": "up", "job": "a"}),
        ('{"a.b"="1"}', {"a.b": "1"}),
        ('"a b"="1"', {"a b": "1"}),
        ("127.0.0.1:9100", {"__address__": "127.0.0.1:9100"}),
        ("[::1]:9100", {"__address__": "[::1]:9100"}),
        (
            "https://user:secret@127.0.0.1:9100/probe?target=x&target=y&m=",
            {
                "__scheme__": "https",
                "__address__": "127.0.0.1:9100",
                "__metrics_path__": "/probe",
                "__param_target": "x",
            },
        ),
        ("http://127.0.0.1:9100/", {"__scheme__": "http", "__address__": "127.0.0.1:9100"}),
        ('{"a": "1", "b": 2, "c": true, "d": null}', {"a": "1", "b": "2", "c": "true"}),
        ('[{"targets": ["h:1", "h:2"], "labels": {"a": "1"}}]', {"a": "1", "__address__": "h:1"}),
        ('{"targets": [], "labels": {"a": "1"}}', {"a": "1"}),
        ('{\n  "a": "1"\n}', {"a": "1"}),
        ("a=1\na=2", {"a": "2"}),
        ("a=\nb=1", {"b": "1"}),
        ("", {}),
    ],
)
def test_labels_are_read_in_many_forms(text: str, labels: dict[str, str]) -> None:
    assert parse_label_text(text) == labels


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a=1\nwhat is this", 'line 2: "what is this" is no label'),
        ('{"a": {"b": 1}}', "a value is a list or an object"),
        ('{"a": ', "not valid JSON"),
        ("[]", "the JSON is no object of labels"),
        ("\n".join(f"a{number}=1" for number in range(MOST_LABELS + 1)), "more than 1000 labels"),
        ("http://[", "is no URL"),
        ("a=\ud800", "not valid UTF-8"),
        ("[{" + '"a":[' * 5000, "not valid JSON"),
    ],
)
def test_what_is_no_label_is_told(text: str, words: str) -> None:
    with pytest.raises(InvalidValueError, match=words.replace("[", r"\[")):
        parse_label_text(text)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1)


@given(st.dictionaries(TEXTS, TEXTS, max_size=5))
@settings(max_examples=300, deadline=None)
def test_what_is_written_is_read_as_the_same_labels(labels: dict[str, str]) -> None:
    assert parse_label_text(label_text(labels.items())) == labels


@given(st.text(alphabet=st.sampled_from('ab{}[]"\\=:, \n\t#/h1.%'), max_size=60))
@settings(max_examples=500, deadline=None)
def test_any_text_is_labels_or_is_refused(text: str) -> None:
    try:
        labels = parse_label_text(text)
    except InvalidValueError:
        return
    assert all(name and value for name, value in labels.items())
