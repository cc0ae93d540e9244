"""What targets answer: counters in the text format, compressed before anybody asks."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from typing import Final

PREFIX: Final = "bench_"
"""What the names of all exposed samples start with."""

SERIES_PER_COUNTER: Final = 20
_CODES: Final = ("200", "404")
_LEVEL: Final = 6  # gzip's default, and Go's


def answers(samples: int, versions: int) -> Iterator[bytes]:
    """Whole HTTP answers for one scrape after the other: between two, half of the counters rise.

    All targets can share them, since a target's own labels come from its scraper. Values have four to nine digits,
    so now and then a line changes its length.
    """
    chance = random.Random(samples)
    values = [chance.randrange(10 ** chance.randint(3, 8)) + 1000 for _ in range(samples)]
    heads, names = _texts(samples)
    for version in range(versions):
        if version:
            for index in chance.sample(range(samples), samples // 2):
                values[index] += chance.randint(1, 999)
        lines = map("%s%s %d\n".__mod__, zip(heads, names, values, strict=True))
        body = gzip.compress("".join(lines).encode(), _LEVEL)
        yield _head(len(body)) + body


def series_labels(samples: int) -> Iterator[dict[str, str]]:
    """The labels of each series as a target exposes it, its name among them."""
    for index in range(samples):
        counter, series = divmod(index, SERIES_PER_COUNTER)
        handler, code = divmod(series, len(_CODES))
        yield {
            "__name__": f"{PREFIX}http_requests_{counter:02}_total",
            "handler": f"/api/v1/items/{handler:02}",
            "method": "get",
            "code": _CODES[code],
        }


def _texts(samples: int) -> tuple[list[str], list[str]]:
    """What stands before each sample, metadata for every counter's first; and each series as it is exposed."""
    heads, names = [], []
    for index, labels in enumerate(series_labels(samples)):
        counter, series = divmod(index, SERIES_PER_COUNTER)
        name = labels.pop("__name__")
        metadata = f"# HELP {name} Requests that handler group {counter} has answered.\n# TYPE {name} counter\n"
        heads.append("" if series else metadata)
        names.append("{}{{{}}}".format(name, ",".join(f'{label}="{value}"' for label, value in labels.items())))
    return heads, names


def _head(size: int) -> bytes:
    return (
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
        f"Content-Encoding: gzip\r\nContent-Length: {size}\r\n\r\n"
    ).encode()
