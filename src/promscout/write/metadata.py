"""Metric metadata for receivers of remote write 1.0, in requests of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import count
from random import uniform
from typing import Final

import cramjam

from promscout.logs import EventLog
from promscout.model.metadata import Families, MetricMetadata
from promscout.model.series import encode_varint
from promscout.write.config import ProtobufMessage, RemoteWriteConfig
from promscout.write.families import METRIC_TYPES
from promscout.write.limited_log import LimitedLog
from promscout.write.sender import Request, Retry, Sender, Sent
from promscout.write.status import KindStatus

_LEAST_BACKOFF: Final = 0.01  # seconds; a configured 0 must not become a busy loop
_SLICE: Final = 0.005  # seconds of work before others get their turn

_log = EventLog(__name__)


class MetadataSender:
    """Sends what targets say about their metric families, every ``metadata_config.send_interval``.

    Each family with the same metadata is sent once an interval, whatever the number of targets, with at most
    ``metadata_config.max_samples_per_send`` in a request, one request after the other. One that fails is sent again
    after a pause, until the receiver has decided about it; the next interval then begins later. Targets that say the
    same cost next to nothing, others are read a few at a time.

    ``families`` gives those of each target when asked. Nothing is sent where ``message``, what the receiver gets at
    present, is not that of 1.0.

    Source: prometheus v3.x storage/remote/metadata_watcher.go MetadataWatcher; queue_manager.go
    QueueManager.AppendWatcherMetadata.
    """

    def __init__(
        self,
        name: str,
        config: RemoteWriteConfig,
        families: Callable[[], Iterable[Families]],
        message: Callable[[], ProtobufMessage],
    ) -> None:
        self._options = config.metadata_config
        self._queue_options = config.queue_config
        self._families = families
        self._message = message
        self._known: dict[Hashable, tuple[bytes, ...]] = {}
        self._warn = LimitedLog(_log.bind(remote_name=name, url=str(config.url)))
        self._sent = self._failed = self._retried = 0
        self.bytes_sent = 0
        """Bytes of requests that the receiver has taken, compressed."""

    def status(self) -> KindStatus:
        """The entries at this moment. As in Prometheus only those count as attempted that the receiver has taken."""
        return KindStatus(attempted=self._sent, sent=self._sent, failed=self._failed, retried=self._retried)

    async def run(self, sender: Sender) -> None:
        """Send until cancelled; nothing at all if the section does not ask for it."""
        if not self._options.send:
            return
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            # An interval that was missed because the receiver was away is not made up for.
            due = max(due + self._options.send_interval, loop.time())
            await asyncio.sleep(due - loop.time())
            if self._message() is ProtobufMessage.V1:
                await self._send_all(sender, await self._collect())

    async def _collect(self) -> list[bytes]:
        """The ``metadata`` fields of all targets, each once."""
        fields: dict[bytes, bytes] = {}
        before, self._known = self._known, {}
        loop = asyncio.get_running_loop()
        pause_at = loop.time() + _SLICE
        for one in self._families():
            if loop.time() >= pause_at:
                await asyncio.sleep(0)
                pause_at = loop.time() + _SLICE
            key = one.fingerprint
            if key not in self._known:
                own = before.get(key) or [encode_metadata(*pair) for pair in one.by_family().items()]
                # Equal fields are one object, however many targets have them among others.
                self._known[key] = tuple([fields.setdefault(field, field) for field in own])
        return list(fields)

    async def _send_all(self, sender: Sender, fields: Sequence[bytes]) -> None:
        most = self._options.max_samples_per_send
        for start in range(0, len(fields), most):
            some = fields[start : start + most]
            await self._send(sender, Request(bytes(cramjam.snappy.compress_raw(b"".join(some)))), len(some))

    async def _send(self, sender: Sender, request: Request, entries: int) -> None:
        longest = max(float(self._queue_options.max_backoff), _LEAST_BACKOFF)
        pause = max(float(self._queue_options.min_backoff), _LEAST_BACKOFF)
        for attempt in count():
            outcome = await sender.send(request, attempt)
            if isinstance(outcome, Sent):
                self._sent += entries
                self.bytes_sent += len(request.body)
                return
            if not isinstance(outcome, Retry):
                self._failed += entries
                self._warn("the receiver rejected metadata", reason=outcome.reason, metadata=entries)
                return
            self._warn("sending metadata failed and will be tried again", reason=outcome.reason, attempt=attempt)
            await asyncio.sleep(uniform(0.5, 1.0) * pause if outcome.after is None else outcome.after)  # noqa: S311 - no secret
            pause = min(2 * pause, longest)
            self._retried += entries


def encode_metadata(family: str, one: MetricMetadata) -> bytes:
    """A ``metadata`` field of a ``WriteRequest``.

    Source: prometheus v3.x prompb/types.proto MetricMetadata.
    """
    kind = METRIC_TYPES.get(one.type, 0)
    parts = [b"\x08%c" % kind] if kind else []
    for tag, text in ((b"\x12", family), (b"\x22", one.help), (b"\x2a", one.unit)):
        if text:
            raw = text.encode()
            parts += (tag, encode_varint(len(raw)), raw)
    body = b"".join(parts)
    return b"\x1a" + encode_varint(len(body)) + body
