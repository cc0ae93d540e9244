"""Which exemplars of a target are new."""

from __future__ import annotations

from collections.abc import Iterable

from promscout.model.histogram import Exemplar
from promscout.model.series import ExemplarBatch, SeriesTable


class LatestExemplars:
    """The newest exemplar of each series of one target: targets expose them until there are others.

    Source: prometheus v3.x tsdb/exemplar.go CircularExemplarStorage.validateExemplar; tsdb/agent/db.go AppendExemplar.
    """

    __slots__ = ("_latest",)

    def __init__(self) -> None:
        self._latest: dict[bytes, Exemplar] = {}

    def news(self, stream: int, found: Iterable[tuple[bytes, Exemplar]]) -> ExemplarBatch | None:
        """Those of ``found``, encoded label sets and exemplars with time stamps, that were not there before.

        Of one series they come in the order of their time stamps; one that is older than what was appended is left out.
        """
        latest: dict[bytes, Exemplar] = {}  # of these
        labels, exemplars = [], []
        for series, exemplar in sorted(found, key=_time):
            before = latest.get(series) or self._latest.get(series)
            if before is not None and (_is_same(before, exemplar) or _time_of(exemplar) < _time_of(before)):
                continue
            latest[series] = exemplar
            labels.append(series)
            exemplars.append(exemplar)
        return ExemplarBatch(SeriesTable(stream, labels), tuple(exemplars)) if exemplars else None

    def accept(self, batch: ExemplarBatch) -> None:
        """``batch`` was appended."""
        self._latest.update(zip(batch.series.encoded_label_sets(), batch.exemplars, strict=True))

    def forget(self, series: SeriesTable) -> None:
        """These series are gone."""
        if self._latest:
            for labels in series.encoded_label_sets():
                self._latest.pop(labels, None)


def _time_of(exemplar: Exemplar) -> int:
    return exemplar.timestamp or 0


def _time(found: tuple[bytes, Exemplar]) -> int:
    return _time_of(found[1])


def _is_same(one: Exemplar, other: Exemplar) -> bool:
    # The time is not compared: where the target gives none, it is that of the scrape.
    return one.labels == other.labels and one.value == other.value
