"""The whole pipeline over time: what queries answer for a moment is the same as with Prometheus alone."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import pytest

from peers import Prometheus, VictoriaMetrics

from .pipeline_pages import PAGES, PHASES
from .pipeline_scene import all_phases

ALL = '{job!=""}'
EXEMPLARS = -1
"""In the place of a phase: the exemplars of all phases."""

Labels = frozenset[tuple[str, str]]
Stored = dict[Labels, Any]


@dataclass(frozen=True)
class Known:
    """A difference that is meant to be: of series with these labels, in which phases, and why."""

    reason: str
    labels: dict[str, str]
    phases: frozenset[int]

    def covers(self, phase: int, labels: Labels) -> bool:
        return phase in self.phases and self.labels.items() <= labels


def failing(job: str) -> frozenset[int]:
    """The phases in which a job's targets are down."""
    return frozenset(phase for phase in range(PHASES) if not PAGES[job].answer(phase, 0).works)


KNOWN = (
    *(
        Known(
            "all series turn stale when a scrape fails, also those that stand before what is wrong or too much",
            {"job": job, "__name__": name},
            failing(job),
        )
        for job, name in {"broken_within": "before", "limited": "one", "labelled": "few"}.items()
    ),
    Known(
        "nothing of a body with an error counts as relabelled",
        {"job": "broken_within", "__name__": "scrape_samples_post_metric_relabeling"},
        failing("broken_within"),
    ),
    Known(
        "histograms of one family have exemplars each; Prometheus begins those of one where those before ended",
        {"job": "protobuf", "__name__": "native_seconds", "part": "comes and goes"},
        frozenset({EXEMPLARS}),
    ),
    Known(
        "a series does not turn stale while it is exposed, even if its samples are too early to be stored",
        {"job": "stamped_tracked", "__name__": "back"},
        frozenset({1, 3, 5}),
    ),
)
"""Differences from Prometheus that docs/compatibility.md lists."""

DECIMALS = 1e-13
"""VictoriaMetrics stores decimals of some 14 digits."""

MOVING = frozenset({"scrape_duration_seconds"})
"""Names whose values are compared with nothing."""


@pytest.fixture
async def played(peers_dir, tmp_path, node_exporter, victoria_metrics, free_port):
    async with all_phases(peers_dir, tmp_path, node_exporter.address, victoria_metrics, free_port) as played:
        yield played


def plain(text: str) -> Any:
    """A value that compares with itself."""
    value = float(text)
    return "NaN" if math.isnan(value) else value


async def stored(peer: Prometheus | VictoriaMetrics, moment: float) -> Stored:
    """The value of each series that is there at a moment; native histograms as text."""
    rows = await peer.query(ALL, moment)
    found = {
        frozenset(one["metric"].items()): plain(one["value"][1])
        if "value" in one
        else json.dumps(one["histogram"][1], sort_keys=True)
        for one in rows
    }
    assert len(found) == len(rows)
    return found


async def own_samples(peer: Prometheus | VictoriaMetrics, moment: float) -> Stored:
    """All samples of the series with time stamps of their own, in milliseconds."""
    rows = await peer.query('{own="yes",job!="stamped_ignored"}[10m]', moment)
    return {
        frozenset(one["metric"].items()): [
            # The staleness markers that VictoriaMetrics shows say NaN.
            (round(at * 1000), float(text))
            for at, text in one["values"]
            if not math.isnan(float(text))
        ]
        for one in rows
    }


async def exemplars(peer: Prometheus, moments: list[float]) -> dict[Labels, set[tuple[Any, ...]]]:
    """Labels, value and milliseconds of each exemplar, by series; None for those that have the time of a scrape."""
    window = {"start": f"{moments[0] - 60:.3f}", "end": f"{moments[-1]:.3f}"}
    answer = await peer.get_json("/api/v1/query_exemplars", query=ALL, **window)
    return {
        frozenset(series["seriesLabels"].items()): {
            (
                *sorted(one["labels"].items()),
                float(one["value"]),
                None if "phase" in one["labels"] else round(one["timestamp"] * 1000),
            )
            for one in series["exemplars"]
        }
        for series in answer["data"]
    }


def is_moving(labels: Labels) -> bool:
    """Whether the value is another one at each moment."""
    texts = dict(labels)
    name = texts["__name__"]
    if texts["job"] == "node" and not name.startswith(("up", "scrape_samples", "scrape_series")):
        return not name.endswith(("_info", "_MemTotal_bytes", "scrape_timeout_seconds", "scrape_sample_limit"))
    return name in MOVING


def comparable(phase: int, found: Stored) -> Stored:
    """What two databases must have in common."""
    return {
        labels: None if is_moving(labels) else value
        for labels, value in found.items()
        if not any(one.covers(phase, labels) for one in KNOWN)
    }


def shown_by_victoria_metrics(found: Stored, theirs: Stored) -> Stored:
    """Without native histograms, which it does not have, and NaN, in whose place it shows the value before."""
    return {labels: value for labels, value in found.items() if not isinstance(theirs.get(labels), str)}


def same(mine: Any, other: Any, tolerance: float) -> bool:
    if isinstance(mine, float) and isinstance(other, float):
        return math.isclose(mine, other, rel_tol=tolerance, abs_tol=0)
    if isinstance(mine, list) and isinstance(other, list) and len(mine) == len(other):
        return all(at == when and same(one, two, tolerance) for (at, one), (when, two) in zip(mine, other, strict=True))
    return bool(mine == other)


def differences(what: str, ours: dict[Labels, Any], theirs: dict[Labels, Any], tolerance: float = 0):
    for labels in ours.keys() | theirs.keys():
        mine, other = ours.get(labels, "absent"), theirs.get(labels, "absent")
        if not same(mine, other, tolerance):
            yield f"{what} {sorted(labels)}: {mine}, in Prometheus {other}"


def counters_out_of_place(theirs: list[Stored], ours: list[Stored]):
    """Counters of node_exporter that are not between those of the moments before and after."""
    for phase in range(1, PHASES - 1):
        for labels, value in ours[phase].items():
            texts = dict(labels)
            if texts["job"] == "node" and texts["__name__"].endswith("_total"):
                before, after = (found.get(labels) for found in (theirs[phase - 1], theirs[phase + 1]))
                if before is not None and after is not None and not before <= value <= after:
                    yield f"phase {phase}, {sorted(labels)}: {value}, in Prometheus {before} before, {after} after"


async def turned_stale(database: VictoriaMetrics, theirs: list[Stored]) -> dict[Labels, bool]:
    """Whether a series ever did, of those that are there in each phase, on targets that were up all the time."""
    rows = await database.export(ALL)
    down = {
        (row["metric"]["job"], row["metric"]["instance"])
        for row in rows
        if row["metric"]["__name__"] == "up" and 0 in row["values"]
    }
    steady = {labels for labels in theirs[0] if all(isinstance(found.get(labels), float) for found in theirs)}
    stale: dict[Labels, bool] = {}
    for row in rows:  # of which a series has several
        labels = frozenset(row["metric"].items())
        if labels in steady and (row["metric"]["job"], row["metric"]["instance"]) not in down:
            stale[labels] = stale.get(labels, False) or None in row["values"]
    return stale


async def test_queries_at_the_same_moments_answer_the_same(played):
    theirs, ours, database = [
        [await stored(peer, moment) for moment in played.moments]
        for peer in (played.theirs, played.receiver, played.database)
    ]
    wrong = list(counters_out_of_place(theirs, ours))
    for phase in range(PHASES):
        expected, received = comparable(phase, theirs[phase]), comparable(phase, ours[phase])
        wrong += differences(f"phase {phase}, receiver,", received, expected)
        wrong += differences(
            f"phase {phase}, VictoriaMetrics,",
            shown_by_victoria_metrics(comparable(phase, database[phase]), expected),
            shown_by_victoria_metrics(expected, expected),
            DECIMALS,
        )
    own = [await own_samples(peer, played.moments[-1]) for peer in (played.theirs, played.receiver, played.database)]
    wrong += differences("own times, receiver,", own[1], own[0])
    wrong += differences("own times, VictoriaMetrics,", own[2], own[0], DECIMALS)
    marked = [await exemplars(peer, played.moments) for peer in (played.theirs, played.receiver)]
    wrong += differences("exemplars,", comparable(EXEMPLARS, marked[1]), comparable(EXEMPLARS, marked[0]))
    stale = await turned_stale(played.database, theirs)
    wrong += [f"{sorted(labels)} turned stale" for labels, did in stale.items() if did]
    assert not wrong, f"{len(wrong)} differences:\n" + "\n".join(sorted(wrong)[:200])

    # There was something to compare, and what is known to differ does.
    assert all(len(found) > 1500 for found in theirs), [len(found) for found in theirs]
    assert len(stale) > 1000
    assert sum(isinstance(value, str) and value != "NaN" for found in theirs for value in found.values()) > 4 * PHASES
    assert sum(map(len, own[0].values())) > 10 * PHASES
    assert sum(map(len, marked[0].values())) > 10 * PHASES
    for one in KNOWN:
        pairs = [*enumerate(zip(theirs, ours, strict=True)), (EXEMPLARS, marked)]
        covered = [
            [{labels: value for labels, value in found.items() if one.covers(phase, labels)} for found in both]
            for phase, both in pairs
        ]
        assert any(mine != other for mine, other in covered), one.reason
