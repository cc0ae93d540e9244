"""From a group's labels to targets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, TypeAlias
from urllib.parse import quote, urlencode

from promscout.errors import InvalidValueError
from promscout.model import labels as names
from promscout.model.duration import Duration
from promscout.model.group import NO_LABELS, TargetGroup
from promscout.model.labels import shared_names
from promscout.relabel.engine import Relabeler
from promscout.relabel.plan import Outcome, Plan, compile_plan
from promscout.scrape.config import ScrapeConfig
from promscout.scrape.target import Built, Refused, Target

_Layout: TypeAlias = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""The names of a target's labels: its group's, its base's, its own."""

PLANNED_AFTER: Final = 16
"""Targets of one layout that are built by the plain rules, before a plan pays: making one costs as much as 30."""

_REMEMBERED: Final = 512
"""Layouts and shapes that a job remembers. Few jobs meet as many; then it forgets all and starts anew."""

_WIDEST: Final = 1000  # labels of a layout that is worth a plan


def _is_kept(name: str) -> bool:
    return not name.startswith(names.META_PREFIX)


class TargetBuilder:
    """Builds the targets of one job's groups.

    Source: prometheus v3.x scrape/target.go PopulateDiscoveredLabels, PopulateLabels, Target.URL.
    """

    def __init__(self, config: ScrapeConfig) -> None:
        self._relabeler = Relabeler(config.relabel_configs)
        self._params = config.params
        self._defaults = {
            names.JOB: config.job_name,
            names.SCRAPE_INTERVAL: str(config.scrape_interval),
            names.SCRAPE_TIMEOUT: str(config.scrape_timeout),
            names.METRICS_PATH: config.metrics_path,
            names.SCHEME: config.scheme,
        } | {names.PARAM_PREFIX + name: values[0] for name, values in config.params.items() if values}
        self._outcome = Outcome(self._defaults, (names.INSTANCE, names.ADDRESS), _is_kept, (names.ADDRESS,))
        self._plans: dict[_Layout, _Planned | int] = {}
        self._shapes: dict[tuple[str, ...], _Shape] = {}

    def discovered_labels(self, group: TargetGroup, position: int) -> dict[str, str]:
        """The labels of one target of ``group`` before relabelling. A new dict; values may be empty."""
        labels = group.labels_of(position)
        for name, value in self._defaults.items():
            if not labels.get(name):
                labels[name] = value
        return labels

    def build(
        self, group: TargetGroup, before: TargetGroup | None = None, built_before: Sequence[Built] = ()
    ) -> Iterator[Built]:
        """What becomes of each target of ``group``, in its order.

        Targets that this builder built before, as ``built_before`` from the group ``before``, are not relabelled again
        where they stand at the same position with the same labels: one pod's change costs one pod's targets, however
        many share its endpoint slice.
        """
        same = _positions_unchanged(before, group) if before is not None else frozenset()
        labels, bases, plans = group.labels, group.bases, self._plans
        for position, row in enumerate(group.targets):
            if position in same:
                yield built_before[position]
                continue
            base = bases[position] if bases else NO_LABELS
            layout = (labels.names, base.names, row.names)
            plan = plans.get(layout)
            if isinstance(plan, _Planned):
                values = plan.run(labels.values, base.values, row.values)
                yield None if values is None else plan.finish(values)
            else:
                self._count(layout, plan)
                yield self.build_plainly(group, position)

    def build_plainly(self, group: TargetGroup, position: int) -> Built:
        """The same for one target, by the plain rules and without a plan."""
        labels = self.discovered_labels(group, position)
        if not self._relabeler.apply(labels):
            return None
        if not labels.get(names.INSTANCE):
            labels[names.INSTANCE] = labels.get(names.ADDRESS, "")
        kept = sorted(name for name, value in labels.items() if value and _is_kept(name))
        return self._shape(shared_names(tuple(kept))).finish(tuple([labels[name] for name in kept]))

    def _count(self, layout: _Layout, seen: int | None) -> None:
        """Note that a target of ``layout`` was met for which there is no plan; make one if there are many."""
        if len(self._plans) > _REMEMBERED:
            self._plans.clear()
        self._plans[layout] = seen = (seen or 0) + 1
        if seen == PLANNED_AFTER and sum(map(len, layout)) <= _WIDEST:
            plan = compile_plan(self._relabeler.configs, layout, self._outcome)
            if plan is not None:
                self._plans[layout] = _Planned(plan, self._shape)

    def _shape(self, kept: tuple[str, ...]) -> _Shape:
        shape = self._shapes.get(kept)
        if shape is None:
            if len(self._shapes) > _REMEMBERED:
                self._shapes.clear()
            shape = self._shapes[kept] = _Shape(kept, self._params)
        return shape


class _Shape:
    """Finishes targets whose labels have the same names."""

    __slots__ = ("_address", "_durations", "_given", "_names", "_params", "_path", "_scheme")

    def __init__(self, kept: tuple[str, ...], params: Mapping[str, Sequence[str]]) -> None:
        places = {name: position for position, name in enumerate(kept)}
        self._names = kept
        self._address = places.get(names.ADDRESS)
        self._scheme = places.get(names.SCHEME)
        self._path = places.get(names.METRICS_PATH)
        self._durations = places.get(names.SCRAPE_INTERVAL), places.get(names.SCRAPE_TIMEOUT)
        self._params = params
        self._given = [
            (name[len(names.PARAM_PREFIX) :], position)
            for name, position in places.items()
            if name.startswith(names.PARAM_PREFIX)
        ]

    def finish(self, values: tuple[str, ...]) -> Target | Refused:
        """The target with these labels."""
        address = "" if self._address is None else values[self._address]
        if not address or "/" in address:
            return Refused(f'"{address}" is not a valid hostname' if address else "no address")
        interval, timeout = self._durations
        durations = _durations("" if interval is None else values[interval], "" if timeout is None else values[timeout])
        if isinstance(durations, Refused):
            return durations
        scheme = "" if self._scheme is None else values[self._scheme]
        path = "" if self._path is None else _path(values[self._path])
        query = self._query(values) if self._given or self._params else ""
        start = f"{scheme}://" if scheme else "//"
        return Target(self._names, values, f"{start}{_host(address)}{path}{query}", *durations)

    def _query(self, values: tuple[str, ...]) -> str:
        params = {name: list(given) for name, given in self._params.items()}
        for name, position in self._given:
            params[name] = [values[position], *params.get(name, [])[1:]]
        encoded = urlencode(sorted(params.items()), doseq=True)
        return f"?{encoded}" if encoded else ""


class _Planned:
    """A plan for one layout, and how its targets are finished."""

    __slots__ = ("_names", "_shape", "_shape_of", "run")

    def __init__(self, plan: Plan, shape_of: Callable[[tuple[str, ...]], _Shape]) -> None:
        self.run = plan.run
        self._names = shared_names(plan.names)
        self._shape = shape_of(self._names)
        self._shape_of = shape_of

    def finish(self, values: tuple[str, ...]) -> Target | Refused:
        """The target with these labels; some of them may be empty."""
        if "" not in values:
            return self._shape.finish(values)
        kept = [pair for pair in zip(self._names, values, strict=True) if pair[1]]
        shape = self._shape_of(shared_names(tuple([name for name, _ in kept])))
        return shape.finish(tuple([value for _, value in kept]))


def _positions_unchanged(before: TargetGroup, now: TargetGroup) -> frozenset[int]:
    if before.labels != now.labels or bool(before.bases) != bool(now.bases):
        return frozenset()
    positions = range(min(len(before.targets), len(now.targets)))
    return frozenset(
        position
        for position in positions
        if before.targets[position] == now.targets[position]
        and (not now.bases or before.bases[position] == now.bases[position])
    )


_PLAIN_HOST: Final = re.compile(r"[\w.:\[\]-]+", re.ASCII)


def _host(address: str) -> str:
    """An address as it stands in a URL: nothing in it can end the host and begin something else.

    Source: Go net/url URL.String, escape with encodeHost.
    """
    return address if _PLAIN_HOST.fullmatch(address) else quote(address, safe="!$&'()*+,;=:[]<>\"~")


@lru_cache(maxsize=1024)
def _path(path: str) -> str:
    """A metrics path as it stands in a URL; clusters have few."""
    quoted = path if path == "*" else quote(path, safe="/:@$&+,;=~")
    return quoted if quoted.startswith("/") or not quoted else "/" + quoted


@lru_cache(maxsize=256)
def _durations(interval: str, timeout: str) -> tuple[Duration, Duration] | Refused:
    """A target's interval and timeout as its labels say; refused when one is none, or they do not go together."""
    parsed = []
    for text, what in ((interval, "scrape interval"), (timeout, "scrape timeout")):
        try:
            parsed.append(Duration.parse(text))
        except InvalidValueError as error:
            return Refused(f"error parsing {what}: {error}")
        if not parsed[-1]:
            return Refused(f"{what} cannot be 0")
    if parsed[1] > parsed[0]:
        return Refused(f'scrape timeout cannot be greater than scrape interval ("{parsed[1]}" > "{parsed[0]}")')
    return parsed[0], parsed[1]
