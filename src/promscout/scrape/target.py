"""Targets: from a group's labels to something that can be scraped."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Final, TypeAlias
from urllib.parse import quote, urlencode

from promscout.errors import InvalidValueError
from promscout.model import labels as names
from promscout.model.duration import Duration
from promscout.model.group import TargetGroup
from promscout.model.labels import LabelSet
from promscout.relabel.engine import Relabeler
from promscout.scrape.config import ScrapeConfig


@dataclass(frozen=True, slots=True)
class Target:
    """Something to scrape: all labels that relabelling left, meta labels excepted, and the URL they make.

    Equality is identity: targets with equal labels and URL are one target, wherever they were found. ``interval`` is
    the time between two scrapes and ``timeout`` the longest that one may take, as the labels say.
    """

    all_labels: LabelSet
    url: str
    interval: Duration = field(compare=False)
    timeout: Duration = field(compare=False)

    @property
    def labels(self) -> LabelSet:
        """The labels that its samples carry: those that do not start with ``__``."""
        # They are sorted: those with the prefix stand together, and "_`" is the first name that could follow them.
        first, after = bisect_left(self.all_labels, ("__",)), bisect_left(self.all_labels, ("_`",))
        return self.all_labels[:first] + self.all_labels[after:]

    @property
    def digest(self) -> int:
        """64 bits that are the same for the same identity in every process."""
        text = "\xff".join(chain.from_iterable(self.all_labels))
        return int.from_bytes(hashlib.blake2b(f"{text}\xff{self.url}".encode(), digest_size=8).digest())


@dataclass(frozen=True, slots=True)
class Refused:
    """A target that survived relabelling but cannot be scraped, and why."""

    reason: str


Built: TypeAlias = Target | Refused | None
"""What becomes of one target of a group; None when relabelling dropped it."""

PAIRS_REMEMBERED: Final = 20_000
"""Label pairs of a job that are kept to be shared, about 2 MB; then sharing starts anew."""

_META_LENGTH: Final = len(names.META_PREFIX)
_DURATIONS: Final = ((names.SCRAPE_INTERVAL, "scrape interval"), (names.SCRAPE_TIMEOUT, "scrape timeout"))


class TargetBuilder:
    """Builds the targets of one job's groups.

    Source: prometheus v3.x scrape/target.go PopulateDiscoveredLabels, PopulateLabels, Target.URL.
    """

    def __init__(self, config: ScrapeConfig) -> None:
        self._relabeler = Relabeler(config.relabel_configs)
        self._pairs: dict[tuple[str, str], tuple[str, str]] = {}
        self._params = config.params
        self._defaults = {
            names.JOB: config.job_name,
            names.SCRAPE_INTERVAL: str(config.scrape_interval),
            names.SCRAPE_TIMEOUT: str(config.scrape_timeout),
            names.METRICS_PATH: config.metrics_path,
            names.SCHEME: config.scheme,
        } | {names.PARAM_PREFIX + name: values[0] for name, values in config.params.items() if values}

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
        for position in range(len(group.targets)):
            if position in same:
                yield built_before[position]
            else:
                labels = self.discovered_labels(group, position)
                yield self._finish(labels) if self._relabeler.apply(labels) else None

    def _finish(self, labels: dict[str, str]) -> Target | Refused:
        address = labels.get(names.ADDRESS, "")
        if reason := _address_fault(address):
            return Refused(reason)
        try:
            interval, timeout = _interval_and_timeout(labels)
        except InvalidValueError as error:
            return Refused(str(error))
        if not labels.get(names.INSTANCE):
            labels[names.INSTANCE] = address
        # Slices, not startswith: this runs over every label of every target.
        one = self._shared_pairs()
        kept = [one(pair, pair) for pair in labels.items() if pair[1] and pair[0][:_META_LENGTH] != names.META_PREFIX]
        kept.sort()
        return Target(tuple(kept), self._url(kept, labels, address), interval, timeout)

    def _shared_pairs(self) -> Callable[[tuple[str, str], tuple[str, str]], tuple[str, str]]:
        """Gives for a pair the equal one seen first: most labels of a job's targets are the same few pairs."""
        if len(self._pairs) > PAIRS_REMEMBERED:
            self._pairs = {}
        return self._pairs.setdefault

    def _url(self, kept: list[tuple[str, str]], labels: dict[str, str], address: str) -> str:
        query = ""
        first = bisect_left(kept, (names.PARAM_PREFIX, ""))
        if self._params or (first < len(kept) and kept[first][0].startswith(names.PARAM_PREFIX)):
            params = {name: list(values) for name, values in self._params.items()}
            for label, value in kept[first:]:
                if not label.startswith(names.PARAM_PREFIX):
                    break
                name = label[len(names.PARAM_PREFIX) :]
                params[name] = [value, *params.get(name, [])[1:]]
            encoded = urlencode(sorted(params.items()), doseq=True)
            query = f"?{encoded}" if encoded else ""
        return f"{labels.get(names.SCHEME, '')}://{address}{_path(labels.get(names.METRICS_PATH, ''))}{query}"


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


@lru_cache(maxsize=1024)
def _path(path: str) -> str:
    """A metrics path as it stands in a URL; clusters have few."""
    quoted = quote(path, safe="/:@!$&'()*+,;=~")
    return quoted if quoted.startswith("/") or not quoted else "/" + quoted


def _address_fault(address: str) -> str:
    if not address:
        return "no address"
    if "/" in address:
        return f'"{address}" is not a valid hostname'
    return ""


def _interval_and_timeout(labels: dict[str, str]) -> tuple[Duration, Duration]:
    """A target's own interval and timeout.

    Raises:
        InvalidValueError: one of them is no positive duration, or they do not go together.
    """
    parsed = []
    for label, what in _DURATIONS:
        try:
            parsed.append(Duration.parse(labels.get(label, "")))
        except InvalidValueError as error:
            raise InvalidValueError(f"error parsing {what}: {error}") from None
        if not parsed[-1]:
            raise InvalidValueError(f"{what} cannot be 0")
    interval, timeout = parsed
    if timeout > interval:
        raise InvalidValueError(f'scrape timeout cannot be greater than scrape interval ("{timeout}" > "{interval}")')
    return interval, timeout
