"""Which part of a batch a receiver is to get: what its section asks for and can be sent."""

from __future__ import annotations

from collections.abc import Mapping

from promscout.model.histogram import Histogram
from promscout.model.series import ExemplarBatch, HistogramBatch, SampleBatch
from promscout.write.config import ProtobufMessage, RemoteWriteConfig
from promscout.write.portion import AnyPortion
from promscout.write.status import Counters, Kind
from promscout.write.templates import Templates


class Intake:
    """Makes portions of batches and counts what it leaves out. None where nothing is left."""

    def __init__(self, config: RemoteWriteConfig, external_labels: Mapping[str, str], counters: Counters) -> None:
        self._config = config
        self._counters = counters
        self._templates = Templates(external_labels, config.write_relabel_configs)
        self.closed = False
        """Whether everything is left out from now on."""

    def samples(self, batch: SampleBatch) -> AnyPortion | None:
        """The samples that relabelling keeps."""
        if self._refuses(Kind.SAMPLES, len(batch)):
            return None
        return self._kept(self._templates.portion(batch), len(batch))

    def histograms(self, batch: HistogramBatch) -> AnyPortion | None:
        """The histograms that relabelling keeps; for 1.0 without those with custom buckets, which it cannot carry.

        Source: prometheus v3.x storage/remote/queue_manager.go QueueManager.AppendHistograms.
        """
        if not self._config.send_native_histograms or self._refuses(Kind.HISTOGRAMS, len(batch)):
            return None
        portion, custom = self._templates.histograms(batch), 0
        if self._config.protobuf_message is ProtobufMessage.V1:
            custom = sum(one.has_custom_buckets for one in batch.histograms)
        if custom:
            self._counters.histograms.drop("nhcb_in_rw1_not_supported", custom)
            portion = portion.only(
                [i for i, one in enumerate(portion.items) if isinstance(one, Histogram) and not one.has_custom_buckets]
            )
        return self._kept(portion, len(batch) - custom)

    def exemplars(self, batch: ExemplarBatch) -> AnyPortion | None:
        """The exemplars of series that relabelling keeps."""
        if not self._config.send_exemplars or self._refuses(Kind.EXEMPLARS, len(batch)):
            return None
        return self._kept(self._templates.exemplars(batch), len(batch))

    def _refuses(self, kind: Kind, number: int) -> bool:
        if self.closed:
            self._counters.of(kind).drop("shutdown", number)
        return self.closed

    def _kept(self, portion: AnyPortion, offered: int) -> AnyPortion | None:
        kept = len(portion)
        if kept != offered:
            self._counters.of(portion.kind).drop("dropped_series", offered - kept)
        return portion if kept else None
