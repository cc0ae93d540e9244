"""Bodies of all text formats, good and bad, to be scraped by promscout and by Prometheus.

``@NOW@`` stands for the time of the run, in the format's own unit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TEXT: Final = "text/plain; version=1.0.0"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0"


@dataclass(frozen=True)
class Case:
    """What a target answers: ``first`` to its first scrape, ``then`` to all others."""

    content_type: str
    first: bytes
    then: bytes
    fallback: str | None = None

    def served(self, now_ms: int) -> Case:
        """The same with the time in its place."""
        now = str(now_ms).encode() if self.content_type == TEXT else f"{now_ms / 1000:.3f}".encode()
        return Case(
            self.content_type, self.first.replace(b"@NOW@", now), self.then.replace(b"@NOW@", now), self.fallback
        )


def _steady(content_type: str, body: bytes, fallback: str | None = None) -> Case:
    return Case(content_type, body, body, fallback)


_ODD_TEXTS: Final = [
    *(
        one["body"].encode("latin-1")
        for one in json.loads((Path(__file__).parents[1] / "unit/exposition/prometheus_3_5_3.json").read_text())
    ),
    b'a{b="c"\0} 1\n',
    b'a{b="c"\0\0,d="e"} 1\n',
    b'a{b="c\\\0n"} 1\n',
    b'# HELP a b\\\\n\\n\\"c\n# TYPE a counter\na 1\n',
    b'# TYPE "a.\\"b" gauge\n# HELP "a.\\"b" c\n{"a.\\"b"} 1\n',
    b'# TYPE a histogram\na_bucket{le="1e3"} 1\na_bucket{le="0.00001"} 1\na_bucket{le="+Inf"} 1\n',
    "# HELP aÜz\na 1\n".encode(),
]

_ODD_OPENMETRICS: Final = [
    b"# EOF",
    b"# EOF\n",
    b"# EOF\n\n",
    b"# EOF\0\n\0",
    b"# EO\0F",
    b"# EOF ",
    b"# EOF\na 1\n",
    b"a 1\n",
    b"a 1",
    b"a 1\n# EOF",
    b"a 1\n\n# EOF\n",
    b"\na 1\n# EOF\n",
    b"a 1\n# comment\n# EOF\n",
    b"a 1\r\n# EOF\n",
    b"a 1 \n# EOF\n",
    b"a 1\t\n# EOF\n",
    b"a 1 #\n# EOF\n",
    b"a 1 # x\n# EOF\n",
    b"a 1 # {\n# EOF\n",
    b"a 1 @NOW@\n# EOF\n",
    b"a 1 @NOW@9\n# EOF\n",
    b"a 1 NaN\n# EOF\n",
    b"a 1 +Inf\n# EOF\n",
    b"a 1 1_0\n# EOF\n",
    b"a 1 1e999\n# EOF\n",
    b"a 1 @NOW@ 2\n# EOF\n",
    b"a +Inf\nb -Inf\nc NaN\nd 0x1p3\n# EOF\n",
    b"a 0x1p3\n# EOF\n",
    b"a 1_0\n# EOF\n",
    b"a 1e-400\n# EOF\n",
    b'a{b="c",} 1\n# EOF\n',
    b'a{b="c",,} 1\n# EOF\n',
    b'a{b="c"d="e"} 1\n# EOF\n',
    b'a{,b="c"} 1\n# EOF\n',
    b'a{ b="c"} 1\n# EOF\n',
    b'a{b ="c"} 1\n# EOF\n',
    b'a{b= "c"} 1\n# EOF\n',
    b'a {b="c"} 1\n# EOF\n',
    b"a{} 1\n# EOF\n",
    b"{} 1\n# EOF\n",
    b'{"a"} 1\n# EOF\n',
    b'{b="c","a"} 1\n# EOF\n',
    b'{"a","b"} 1\n# EOF\n',
    b'{"a\nb"} 1\n# EOF\n',
    b'{"a\\nb","c\\"d"="e"} 1\n# EOF\n',
    b'a{b="c\nd"} 1\n# EOF\n',
    b'a{b="c\0d"} 1\n# EOF\n',
    b'a{b="c"\0} 1\n# EOF\n',
    b'a{b="c"\0\0,d="e"} 1\n# EOF\n',
    b'a{b=\0"c"} 1\n# EOF\n',
    b'a{b="c\\\0n"} 1\n# EOF\n',
    b'a{b="\xff"} 1\n# EOF\n',
    b'{"\xff"} 1\n# EOF\n',
    b'{"a","\xff"="b"} 1\n# EOF\n',
    b"a\0 1\n# EOF\n",
    b"a 1\0\n# EOF\n",
    b"a 1 @NOW@\0\n# EOF\n",
    *(b"# TYPE a " + kind + b"\na 1\n# EOF\n" for kind in (b"gauge", b"untyped", b"GAUGE", b"", b" gauge", b"gauge ")),
    b"# TYPE a\na 1\n# EOF\n",
    b"#  TYPE a gauge\na 1\n# EOF\n",
    b"#\tTYPE a gauge\na 1\n# EOF\n",
    b"# TYPE a gauge\0\na 1\n# EOF\n",
    b"# TYPE a gauge\n\0a 1\n# EOF\n",
    b"# T\0YPE a gauge\na 1\n# EOF\n",
    b"# \0TYPE a gauge\na 1\n# EOF\n",
    b"# TYPE \0a gauge\na 1\n# EOF\n",
    b"# TYPE a\0 gauge\na 1\n# EOF\n",
    b'# TYPE "a.\\"b" gauge\n# HELP "a.\\"b" c\n{"a.\\"b"} 1\n# EOF\n',
    b"# HELP a\na 1\n# EOF\n",
    b"# HELP a \na 1\n# EOF\n",
    b'# HELP a b\\\\n\\n\\"c \\x\na 1\n# EOF\n',
    b"# HELP a b\r\na 1\n# EOF\n",
    b"# HELP a \xff\na 1\n# EOF\n",
    b"# HELP a b\n\0\0a 1\n# EOF\n",
    b"# HELP a b",
    b"# UNIT a_seconds seconds\na_seconds 1\n# EOF\n",
    b"# UNIT a_seconds \na_seconds 1\n# EOF\n",
    b"# UNIT a_seconds bytes\n# EOF\n",
    b"# UNIT seconds seconds\n# EOF\n",
    b"# UNIT aseconds seconds\n# EOF\n",
    b'# UNIT "a.b_seconds" seconds\n{"a.b_seconds"} 1\n# EOF\n',
    b"# TYPE a info\n# TYPE a gauge\n# HELP a b\n# HELP a c\na_info 1\n# EOF\n",
    b'# TYPE a counter\na_total{b="c"} 1\na_created{b="c"} 1700000000.5\n# EOF\n',
    b'# TYPE a histogram\na_bucket{le="1"} 1\na_bucket{le="10"} 2\na_bucket{le="+Inf"} 2\na_count 2\na_sum 3\n# EOF\n',
    b'# TYPE a gaugehistogram\na_bucket{le="1"} 1\na_bucket{le="+Inf"} 2\na_gcount 2\na_gsum 3\n# EOF\n',
    b'# TYPE a summary\na{quantile="0.50"} 1\na{quantile="1"} 2\na{quantile="x"} 2\na_count 2\na_sum 3\n# EOF\n',
    b'# TYPE a info\na_info{version="1"} 1\n# EOF\n',
    b'# TYPE a stateset\na{a="on"} 1\na{a="off"} 0\n# EOF\n',
    b"# TYPE a unknown\na 1\n# EOF\n",
    b"a 1\na 1\n# EOF\n",
    b"a 1\na 2\nb 1\n# EOF\n",
    b'a 1 # {b="c"} 0.5\n# EOF\n',
    b'a{b="c"} 1 # {d="e"} 0.5 @NOW@\n# EOF\n',
    b'a 1 @NOW@ # {d="e",f="g",} -1e3 @NOW@\n# EOF\n',
    b'a 1 # {d=" # {"} 0.5 @NOW@\n# EOF\n',
    b'a{b=" # {d="} 1\n# EOF\n',
    b'a{b=" # {"} 1\nc{b=" # {"} 1 # {} 1 @NOW@\n# EOF\n',
    b"a 1 # {} 1 @NOW@\n# EOF\n",
    b'a 1 # {d="\\"\\n\\\\"} 1 @NOW@\n# EOF\n',
    b'a 1 # {d="",e="f"} 1 @NOW@\n# EOF\n',
    b'a 1 # {"d.e"="f"} 1 @NOW@\n# EOF\n',
    b'a 1 # {"d"} 1 @NOW@\n# EOF\n',
    b'a 1 # {d="\xff"} 1 @NOW@\n# EOF\n',
    b'a 1 # {d="\0"} 1 @NOW@\n# EOF\n',
    b'a 1 # {d="' + b"x" * 127 + b'"} 1 @NOW@\n# EOF\n',
    b'a 1 # {d="' + b"x" * 128 + b'"} 1 @NOW@\n# EOF\n',
    b"a 1 # {} 1 1 1\n# EOF\n",
    b"a 1 # {} 1 Inf\n# EOF\n",
    b"a 1 # {} x\n# EOF\n",
    b"a 1 # {}\n# EOF\n",
    b'a 1 # {d="e" } 1\n# EOF\n',
    b'a 1 #  {d="e"} 1\n# EOF\n',
    b'a 1  # {d="e"} 1\n# EOF\n',
    b'a 1 # {d="e"} 1',
    b'a 1 # {d="e"} 1 @NOW@\nb 1\n# EOF\n',
]

_VANISHING: Final = [
    Case(TEXT, b'a 1\nb{c="d"} 2\n', b"a 2\n"),
    Case(TEXT, b"a 1\nb 2\n", b"a 2\nb x\n"),
    Case(TEXT, b'a{b="1"} 1\n', b'a{b="1",} 2\n'),
    Case(TEXT, b"a 1 @NOW@\nb 1\n", b""),
    Case(OPENMETRICS, b'a 1\nb{c="d"} 2\n# EOF\n', b"a 2\n# EOF\n"),
    Case(OPENMETRICS, b"a 1\nb 2\n# EOF\n", b"a 2\n"),
    Case(OPENMETRICS, b"a 1 @NOW@\nb 1\n# EOF\n", b"# EOF\n"),
    Case(OPENMETRICS, b'a 1 # {b="c"} 1 @NOW@\n# EOF\n', b"# EOF\n"),
    Case(
        OPENMETRICS,
        b'# TYPE a histogram\na_bucket{le="1"} 1\na_bucket{le="+Inf"} 1\n# EOF\n',
        b'# TYPE a histogram\na_bucket{le="1.0"} 2\na_bucket{le="+Inf"} 2\n# EOF\n',
    ),
]

_ONLY_TEXT: Final = b"\na 1\n"
_ONLY_OPENMETRICS: Final = b"# TYPE a info\na 1\n# EOF\n"
_CONTENT_TYPES: Final = [
    "",
    ";",
    "text/plain",
    "Text/Plain; Version=0.0.4",
    "text/plain; charset",
    "text/plain; a=b; a=c",
    "text/html",
    "application/json",
    "application/openmetrics-text",
    "application/openmetrics-text; version=0.0.1; charset=utf-8",
    'Application/OpenMetrics-Text; version="9"',
    "application/openmetrics-text;",
    "application/openmetrics-text version=1.0.0",
]
_NEGOTIATED: Final = [
    _steady(content_type, body, fallback)
    for content_type in _CONTENT_TYPES
    for fallback in (None, "PrometheusText0.0.4", "OpenMetricsText0.0.1")
    for body in (_ONLY_TEXT, _ONLY_OPENMETRICS)
] + [_steady("text/html", b""), _steady(OPENMETRICS, b"")]

CASES: Final = [
    *(_steady(TEXT, body) for body in _ODD_TEXTS),
    *(_steady(OPENMETRICS, body) for body in _ODD_OPENMETRICS),
    *(_steady(OPENMETRICS, body.removesuffix(b"\n") + b"\n# EOF\n") for body in _ODD_TEXTS),
    *_VANISHING,
    *_NEGOTIATED,
]
"""All that are scraped; a case's number is its job's."""
