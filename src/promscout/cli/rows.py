"""Rows of a result, as text in several formats."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from typing import Any, Final, TextIO, TypeAlias

from promscout.cli.outcome import TableFormat
from promscout.terminal import Painter, Style

Pieces: TypeAlias = Iterable[Sequence[tuple[Any, ...]]]
"""Rows, some thousands at a time."""

_WIDEST: Final = 60
"""Characters up to which a column of a table is aligned; longer texts stand out, and are not cut."""


def write_table(stream: TextIO, names: Sequence[str], pieces: Pieces) -> None:
    """Columns below each other, as wide as the rows of the first piece need; numbers to the right."""
    paint = Painter(stream)
    remaining = iter(pieces)
    first = next(remaining, ())
    texts = [[_cell(value) for value in row] for row in first]
    widths = [min(_WIDEST, max([len(name), *(len(row[index]) for row in texts)])) for index, name in enumerate(names)]
    right = [any(isinstance(row[index], int | float | Decimal) for row in first) for index in range(len(names))]

    def line(cells: Sequence[str]) -> str:
        aligned = (
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(cells, widths, right, strict=True)
        )
        return "  ".join(aligned).rstrip()

    if names:
        stream.write(f"{paint(line(names), Style.BOLD)}\n")
    rest = ([_cell(value) for value in row] for piece in remaining for row in piece)
    stream.writelines(f"{line(row)}\n" for row in chain(texts, rest))


def write_csv(stream: TextIO, names: Sequence[str], pieces: Pieces) -> None:
    """RFC 4180 with line feeds; NULL is empty, maps and lists are JSON."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    for piece in pieces:
        writer.writerows([["" if value is None else _cell(value) for value in row] for row in piece])


def write_json(stream: TextIO, names: Sequence[str], pieces: Pieces) -> None:
    """An array of an object for each row."""
    before = "["
    for piece in pieces:
        for row in piece:
            stream.write(f"{before}\n{_json(names, row)}")
            before = ","
    stream.write("[]\n" if before == "[" else "\n]\n")


def write_jsonl(stream: TextIO, names: Sequence[str], pieces: Pieces) -> None:
    """An object for each row, a line each."""
    stream.writelines("".join(f"{_json(names, row)}\n" for row in piece) for piece in pieces)


WRITERS: Final[dict[TableFormat, Callable[[TextIO, Sequence[str], Pieces], None]]] = {
    TableFormat.TABLE: write_table,
    TableFormat.CSV: write_csv,
    TableFormat.JSON: write_json,
    TableFormat.JSONL: write_jsonl,
}


def _cell(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return value if value.isprintable() else json.dumps(value, ensure_ascii=False)
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, dict | list | tuple):
        return json.dumps(_plain(value), ensure_ascii=False)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value)) if value or math.copysign(1, value) > 0 else "-0"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json(names: Sequence[str], row: Sequence[object]) -> str:
    return json.dumps(dict(zip(names, map(_plain, row), strict=True)), ensure_ascii=False)


def _plain(value: object) -> object:
    """``value`` as JSON has it; numbers that it has not are texts, as in Prometheus's API."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return _time(value) if isinstance(value, datetime) else str(value)


def _time(value: datetime) -> str:
    """RFC 3339 to the millisecond, which all time stamps of samples have; more digits where there are more."""
    precision = "milliseconds" if value.microsecond % 1000 == 0 else "microseconds"
    if value.tzinfo is None:
        return value.isoformat(timespec=precision)
    return value.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")
