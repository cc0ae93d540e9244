"""From scraped batches to what is sent: external labels and write relabelling, once per series table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from promscout.model.histogram import Exemplar, Histogram
from promscout.model.labels import label_set
from promscout.model.series import (
    ExemplarBatch,
    HistogramBatch,
    SampleBatch,
    SeriesTable,
    decode_label_set,
    encode_label_set,
    end_of_label,
)
from promscout.relabel.config import RelabelConfig
from promscout.relabel.engine import Relabeler
from promscout.write.portion import Items, Portion, SeriesTemplate
from promscout.write.status import Kind


class _Derived(NamedTuple):
    template: SeriesTemplate
    kept: NDArray[np.intp] | None
    """Which series of the table are sent; None for all."""


class Templates:
    """The templates of one set of external labels and write relabel rules.

    A table's template is made when its first batch comes and forgotten with the table and the last portion of it.
    An external label is added where a series has no label of that name; then the rules run; a series that they drop,
    or leave without labels, is not sent.

    Source: prometheus v3.x storage/remote/queue_manager.go QueueManager.StoreSeries, processExternalLabels.
    """

    def __init__(self, external_labels: Mapping[str, str], relabel_configs: Sequence[RelabelConfig]) -> None:
        # One whose environment variable is empty is no label.
        self._external_labels = dict(label_set(external_labels))
        self._relabeler = Relabeler(relabel_configs)
        self._derived: WeakKeyDictionary[SeriesTable, _Derived] = WeakKeyDictionary()

    def portion(self, batch: SampleBatch) -> Portion:
        """The samples of ``batch`` that are to be sent; refers to its arrays, or has copies when series are dropped."""
        template, kept = self._of(batch.series)
        if kept is None:
            return Portion(template, 0, batch.values, batch.timestamps)
        stamps = batch.timestamps
        return Portion(template, 0, batch.values[kept], stamps if isinstance(stamps, int) else stamps[kept])

    def histograms(self, batch: HistogramBatch) -> Items:
        """The histograms of ``batch`` that are to be sent."""
        stamps = batch.timestamps
        times = (stamps,) * len(batch) if isinstance(stamps, int) else tuple(stamps.tolist())
        return self._items(Kind.HISTOGRAMS, batch.series, batch.histograms, times)

    def exemplars(self, batch: ExemplarBatch) -> Items:
        """The exemplars of ``batch`` that are to be sent."""
        times = tuple(exemplar.timestamp or 0 for exemplar in batch.exemplars)
        return self._items(Kind.EXEMPLARS, batch.series, batch.exemplars, times)

    def _items(
        self, kind: Kind, table: SeriesTable, items: tuple[Histogram | Exemplar, ...], times: tuple[int, ...]
    ) -> Items:
        template, kept = self._of(table)
        series = tuple(range(len(template)))
        if kept is None:
            return Items(kind, template, series, items, times)
        indices = kept.tolist()
        return Items(kind, template, series, tuple(items[i] for i in indices), tuple(times[i] for i in indices))

    def _of(self, table: SeriesTable) -> _Derived:
        derived = self._derived.get(table)
        if derived is None:
            derived = self._derived[table] = self._derive(table)
        return derived

    def _derive(self, series: SeriesTable) -> _Derived:
        if not self._external_labels and not self._relabeler.configs:
            # The table's own bytes, but not the table, which would then never be forgotten.
            return _Derived(SeriesTemplate(series.stream, series.encoded, series.offsets, series.families), None)
        kept, encoded = [], []
        labels_of = _LabelCodec()
        for index in range(len(series)):
            labels = self._external_labels | labels_of.decode(series.encoded_labels(index))
            if self._relabeler.apply(labels) and labels:
                kept.append(index)
                encoded.append(labels_of.encode(labels))
        sent = SeriesTable(series.stream, encoded)
        template = SeriesTemplate(sent.stream, sent.encoded, sent.offsets, series.families)
        return _Derived(template, None if len(kept) == len(series) else np.array(kept, dtype=np.intp))


class _LabelCodec:
    """Decodes and encodes label sets, each distinct label once: most labels of a table are in most of its series."""

    def __init__(self) -> None:
        self._pairs: dict[bytes, tuple[str, str]] = {}
        self._labels: dict[tuple[str, str], bytes] = {}

    def decode(self, encoded: bytes) -> dict[str, str]:
        pairs, at, known = [], 0, self._pairs
        while at < len(encoded):
            size = encoded[at + 1]
            end = at + 2 + size if size < 0x80 else end_of_label(encoded, at)
            label = encoded[at:end]
            pair = known.get(label)
            if pair is None:
                pair = known[label] = _decode_label(label)
                self._labels[pair] = label
            pairs.append(pair)
            at = end
        return dict(pairs)

    def encode(self, labels: Mapping[str, str]) -> bytes:
        pieces, known = [], self._labels
        for pair in label_set(labels):
            label = known.get(pair)
            if label is None:
                label = known[pair] = encode_label_set((pair,))
            pieces.append(label)
        return b"".join(pieces)


def _decode_label(label: bytes) -> tuple[str, str]:
    if label[1] >= 0x80:
        return decode_label_set(label)[0]
    # All sizes in it are single bytes: tag, size, tag, size of the name, the name, tag, size of the value, the value.
    end = 4 + label[3]
    return label[4:end].decode(), label[end + 2 :].decode()
