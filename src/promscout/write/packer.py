"""From what is to be sent to requests: in the message that the receiver knows, without what it cannot carry."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from promscout.model.clock import Clock
from promscout.model.histogram import Histogram
from promscout.write.config import ProtobufMessage, RemoteWriteConfig
from promscout.write.encoding import RequestEncoder
from promscout.write.encoding_v2 import RequestEncoderV2
from promscout.write.portion import AnyPortion, Items
from promscout.write.queue import Pending, by_kind
from promscout.write.sender import Request
from promscout.write.status import Counters


class Packer:
    """Makes the requests of one queue.

    ``message`` is what it makes: that of the section, but 1.0 between ``fall_back`` and ``restore``. What is left out
    is counted as dropped.
    """

    def __init__(self, config: RemoteWriteConfig, counters: Counters, clock: Clock) -> None:
        self.message = config.protobuf_message
        self._wanted = config.protobuf_message
        self._age_limit = config.queue_config.sample_age_limit.milliseconds
        self._counters = counters
        self._clock = clock
        self._encoder = _encoder_of(self.message)

    def fitting(self, entries: Sequence[Pending]) -> tuple[Pending, ...]:
        """What of ``entries`` may be sent now: not too old, and nothing that the message cannot carry.

        The same entries, as a tuple, where that is all of them.
        """
        found = tuple(entries)
        if self._age_limit:
            oldest = self._clock.now_ms() - self._age_limit
            found = self._only(found, lambda portion: portion.since(oldest), "too_old")
        if self.message is ProtobufMessage.V1:
            found = self._only(found, _without_custom_buckets, "nhcb_in_rw1_not_supported")
        return found

    def request(self, entries: Sequence[Pending]) -> Request:
        """A request with ``entries``."""
        return Request(self._encoder.encode([entry.portion for entry in entries]), self.message)

    def fall_back(self) -> None:
        """Make requests of remote write 1.0 from now on."""
        if self.message is not ProtobufMessage.V1:
            self.message, self._encoder = ProtobufMessage.V1, RequestEncoder()

    def restore(self) -> None:
        """Make requests as the section asks for again."""
        if self.message is not self._wanted:
            self.message, self._encoder = self._wanted, _encoder_of(self._wanted)

    def _only(
        self, entries: tuple[Pending, ...], keep: Callable[[AnyPortion], tuple[AnyPortion, ...]], reason: str
    ) -> tuple[Pending, ...]:
        kept = [keep(entry.portion) for entry in entries]
        if all(parts == (entry.portion,) for parts, entry in zip(kept, entries, strict=True)):
            return entries
        found = tuple(
            Pending(entry.number, entry.since, part)
            for entry, parts in zip(entries, kept, strict=True)
            for part in parts
        )
        left = by_kind(found)
        for kind, number in by_kind(entries).items():
            self._counters.of(kind).drop(reason, number - left.get(kind, 0))
        return found


def _encoder_of(message: ProtobufMessage) -> RequestEncoder | RequestEncoderV2:
    return RequestEncoder() if message is ProtobufMessage.V1 else RequestEncoderV2()


def _without_custom_buckets(portion: AnyPortion) -> tuple[AnyPortion, ...]:
    """Remote write 1.0 has none.

    Source: prometheus v3.x storage/remote/queue_manager.go QueueManager.AppendHistograms.
    """
    if not isinstance(portion, Items):
        return (portion,)
    kept = [
        index
        for index, item in enumerate(portion.items)
        if not (isinstance(item, Histogram) and item.has_custom_buckets)
    ]
    if len(kept) == len(portion):
        return (portion,)
    return (portion.only(kept),) if kept else ()
