"""The answers of ``/api/v1/targets/metadata`` and ``/api/v1/metadata``."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from typing import Final, Self

import msgspec

from promscout.errors import InvalidValueError
from promscout.model.labels import LabelSet
from promscout.model.metadata import MetricMetadata
from promscout.scrape.loop import ScrapeLoop
from promscout.scrape.manager import ScrapeManager
from promscout.web.selector import Selector

_TARGETS_PER_TURN: Final = 50  # some milliseconds of work
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


class MetadataAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What is said about a metric family."""

    type: str
    unit: str
    help: str


class TargetMetadataAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a target says about a metric family, which is left out where it was asked for by name."""

    target: dict[str, str]
    metric: str = ""
    type: str
    help: str
    unit: str


class MetadataFilter(msgspec.Struct, frozen=True):
    """Which metadata are asked for. An empty metric is any; limits below zero are none.

    Source: prometheus v3.x web/api/v1/api.go targetMetadata, metricMetadata.
    """

    metric: str = ""
    targets: Selector | None = None
    limit: int = -1
    limit_per_metric: int = -1

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """What the URL's parameters ask for; an empty one is as good as none.

        Raises:
            InvalidValueError: a limit is no number, or ``match_target`` no selector.
        """
        limit, limit_per_metric = (_number(query, name) for name in ("limit", "limit_per_metric"))
        wanted = query.get("match_target", "")
        try:
            targets = Selector.parse(wanted) if wanted else None
        except InvalidValueError as error:
            raise InvalidValueError(f'invalid parameter "match_target": {error}') from error
        return cls(query.get("metric", ""), targets, limit, limit_per_metric)

    def of(self, loop: ScrapeLoop) -> Mapping[str, MetricMetadata]:
        """What a target says about the metric that is asked for, or about all."""
        known = loop.metadata()
        if not self.metric:
            return known
        one = known.get(self.metric)
        return {} if one is None else {self.metric: one}


def encode_target_metadata(scrape: ScrapeManager, wanted: MetadataFilter) -> Iterator[bytes]:
    """The whole answer about single targets, in pieces of a few targets each.

    As in Prometheus, a target comes with all of its metrics or not at all: ``limit`` is the number of entries from
    which on no target is added.
    """
    encoder = msgspec.json.Encoder()
    yield b'{"status":"success","data":['
    found = 0
    for batch in _batches(scrape):
        piece: list[bytes] = []
        for loop in batch:
            if 0 <= wanted.limit <= found + len(piece):
                break
            labels = loop.target.labels
            if wanted.targets is None or wanted.targets.accepts(labels):
                piece += map(encoder.encode, _entries(labels, wanted.of(loop), named=not wanted.metric))
        if piece:
            yield (b"," if found else b"") + b",".join(piece)
            found += len(piece)
    yield b"]}"


async def metric_metadata(scrape: ScrapeManager, wanted: MetadataFilter) -> dict[str, list[MetadataAnswer]]:
    """Metric family → what targets say about it, each saying once. Others get their turn meanwhile."""
    found: dict[str, dict[MetricMetadata, None]] = {}
    for batch in _batches(scrape):
        for loop in batch:
            for name, one in wanted.of(loop).items():
                known = found.get(name)
                if known is None:
                    known = found[name] = {}
                if wanted.limit_per_metric <= 0 or len(known) < wanted.limit_per_metric:
                    known[one] = None
        await asyncio.sleep(0)
    names = sorted(found)
    if wanted.limit >= 0:
        names = names[: wanted.limit]
    return {
        name: [MetadataAnswer(type=_type(one), unit=one.unit, help=one.help) for one in found[name]] for name in names
    }


def _batches(scrape: ScrapeManager) -> Iterator[list[ScrapeLoop]]:
    """The loops of all active targets, pools in the order of their names. A batch is as of when it is asked for."""
    for job in sorted(scrape.pools):
        targets = list(scrape.pools[job].active.values())
        for start in range(0, len(targets), _TARGETS_PER_TURN):
            yield [active.loop for active in targets[start : start + _TARGETS_PER_TURN] if active.places]


def _entries(
    labels: LabelSet, metadata: Mapping[str, MetricMetadata], *, named: bool
) -> Iterator[TargetMetadataAnswer]:
    target = dict(labels)
    for name, one in metadata.items():
        yield TargetMetadataAnswer(
            target=target, metric=name if named else "", type=_type(one), help=one.help, unit=one.unit
        )


def _type(one: MetricMetadata) -> str:
    """The metric's type by the name that Prometheus's API has for it."""
    return "unknown" if one.type == "untyped" else one.type


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    if not text:
        return -1
    if _NUMBER.fullmatch(text) is None:
        raise InvalidValueError(f"{name} must be a number")
    return int(text)
