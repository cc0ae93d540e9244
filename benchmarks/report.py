"""What a benchmark found, as a table and as JSON; and the facts about the machine that belong beside it."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final, Protocol, TypeVar

import msgspec
from programs import Program
from rich.table import Table

OURS: Final = "promscout"
MB: Final = 1_000_000


class Run(Protocol):
    """One run of one program."""

    @property
    def program(self) -> str:
        """Its name."""


R = TypeVar("R", bound=Run)
Row = tuple[str, str, Callable[[R], float | None]]
"""A line of a table: title, unit, and its value for a run, if that was measured."""


def percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile of sorted ``values``: one that was measured."""
    return values[max(0, math.ceil(share * len(values)) - 1)] if values else None


def medians(results: Sequence[R], rows: Sequence[Row[R]]) -> dict[str, dict[str, float]]:
    """Row → program → the median over the program's runs; what was not measured is left out."""
    table: dict[str, dict[str, float]] = {}
    programs = dict.fromkeys(result.program for result in results)
    for title, _, value in rows:
        for program in programs:
            values = [found for result in results if result.program == program and (found := value(result)) is not None]
            if values:
                table.setdefault(title, {})[program] = median(values)
    return table


def as_table(results: Sequence[R], title: str, rows: Sequence[Row[R]]) -> Table:
    """One line per figure: each program's, then ours divided by each other's (below 1: less than theirs)."""
    found = medians(results, rows)
    programs = [one for one in (OURS, "prometheus", "vmagent") if any(one in values for values in found.values())]
    others = [one for one in programs if one != OURS] if OURS in programs else []
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for name in (*programs, *(f"{OURS} / {one}" for one in others)):
        table.add_column(name, justify="right")
    for row, unit, _ in rows:
        values = found.get(row)
        if values is None:
            continue
        figures = [number(values.get(one), f" {unit}") for one in programs]
        ratios = [number(ratio(values.get(OURS), values.get(one)), "") for one in others]
        table.add_row(row, *figures, *ratios)
    return table


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """Ours divided by theirs, if both were measured."""
    return ours / theirs if ours is not None and theirs else None


def number(value: float | None, unit: str) -> str:
    """``value`` in three digits, its unit after it; a dash for what was not measured."""
    if value is None:
        return "-"
    return f"{value:.0f}{unit}" if value >= 100 else f"{value:.3g}{unit}" if value >= 0.001 else f"0{unit}"


def machine_facts(programs: Sequence[Program]) -> dict[str, Any]:
    """What the figures depend on, without names of hosts, people or paths."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ""
    )
    memory = next((int(line.split()[1]) * 1024 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "processor": model,
        "memory_bytes": memory,
        "load_before": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {program.name: program.version() for program in programs},
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()


def write_json(
    path: Path, facts: Mapping[str, Any], options: Mapping[str, Any], results: Sequence[R], rows: Sequence[Row[R]]
) -> None:
    """Every run and the medians, to ``path``."""
    units = {title: unit for title, unit, _ in rows}
    write_document(
        path, {"machine": facts, "options": options, "units": units, "medians": medians(results, rows), "runs": results}
    )


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """``document`` as JSON, to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")
