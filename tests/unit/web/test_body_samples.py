"""The samples of a body, in pages."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.virtual_time import VirtualTimeLoop
from promscout.exposition.text import parse_text
from promscout.web.pages.body_samples import PAGE_SAMPLES, ShownSample, samples_of, shown_sample


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"up 1", ShownSample("up", (), "1")),
        (b'a{b="c d",e="}"} NaN', ShownSample("a", (("b", "c d"), ("e", "}")), "NaN")),
        (b'a{b="x 1} 5"} +Inf 17', ShownSample("a", (("b", "x 1} 5"),), "+Inf", "17")),
        (b'{"a.b",c="d"} 2e-2', ShownSample("a.b", (("c", "d"),), "2e-2")),
        (
            b'a_total{b="c"} 1 17.5 # {trace="x"} 0.5 1',
            ShownSample("a_total", (("b", "c"),), "1", "17.5", '{trace="x"} 0.5 1'),
        ),
        (b"not { a body", ShownSample("not { a body")),
        (b"<html>", ShownSample("<html>")),
        (b"up one", ShownSample("up one")),
        (b"up 1 2 3", ShownSample("up 1 2 3")),
        (b"\xff 1", ShownSample("\ufffd 1")),
        (b'a{b="\xff"} 1', ShownSample('a{b="\ufffd"} 1')),
        (b"x" * 5000, ShownSample("x" * 4096 + "\u2026")),
    ],
)
def test_a_line_is_shown_as_its_parts_or_as_it_is(line: bytes, shown: ShownSample) -> None:
    assert shown_sample(line) == shown


@pytest.mark.parametrize("number", [1, 2, 30, 99])
async def test_pages_of_a_large_body_are_cut_at_line_ends(number: int) -> None:
    lines = [f'metric_{place}{{filler="{"x" * (place % 300)}"}} {place}' for place in range(2950)]
    body = ("# HELP metric_0 x\n\n" + "\n".join(lines)).encode()
    samples = await samples_of(body, "", number)
    last = min(number, 30)
    assert (samples.total, samples.page.found, samples.page.number, samples.page.pages) == (2950, 2950, last, 30)
    start = (last - 1) * PAGE_SAMPLES
    assert [one.value for one in samples.page.items] == [str(place) for place in range(2950)][start : start + 100]


async def test_all_words_must_occur_in_a_line() -> None:
    body = b'Aa{x="One Two"} 1\naa{x="one"} 2\n# aa one two\nbb{x="one two"} 3\n'
    assert [one.value for one in (await samples_of(body, 'AA x="one two', 1)).page.items] == ["1"]
    assert (await samples_of(b"", "", 1)).page.items == ()


NAMES = st.from_regex(r"[a-z_]{1,5}", fullmatch=True)
VALUES = st.text(st.characters(codec="utf-8"), max_size=8)
SERIES = st.tuples(NAMES, st.dictionaries(NAMES, VALUES, max_size=3), st.sampled_from(("1", "NaN", "-1.5e3")))


def pairs(labels: dict[str, str]) -> list[str]:
    def escaped(text: str) -> str:
        return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

    return [f'{label}="{escaped(value)}"' for label, value in labels.items()]


@given(st.lists(SERIES, min_size=1, max_size=20), st.sampled_from(("", " 1700000000000")))
@settings(max_examples=200, deadline=None)
def test_whatever_can_be_read_is_shown_with_the_same_labels(series: list[tuple], stamp: str) -> None:
    body = "".join(f"{name}{{{','.join(pairs(labels))}}} {value}{stamp}\n" for name, labels, value in series).encode()
    exposition = parse_text(body)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        shown = runner.run(samples_of(body, "", 1)).page.items
    assert [tuple(sorted([("__name__", one.name), *one.labels])) for one in shown] == [
        tuple(sorted(exposition.series(place))) for place in range(len(exposition))
    ]
    assert [one.value for one in shown] == [value for _, _, value in series]
