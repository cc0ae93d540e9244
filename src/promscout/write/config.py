"""The ``remote_write`` section."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

import msgspec

from promscout.errors import InvalidValueError
from promscout.httpclient.config import RESERVED_HEADERS, HTTPClientConfig
from promscout.httpclient.secret import URL, Secret
from promscout.model.duration import Duration
from promscout.model.frozendict import FrozenDict
from promscout.relabel.config import RelabelConfig


class ProtobufMessage(StrEnum):
    """The message that is asked for: of remote write 1.0 or 2.0."""

    V1 = "prometheus.WriteRequest"
    V2 = "io.prometheus.write.v2.Request"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The message of that name; the empty text is the default.

        Raises:
            InvalidValueError: no such message.
        """
        try:
            return cls(text or cls.V1)
        except ValueError:
            raise InvalidValueError(
                f"unknown type for remote write protobuf message {text}, supported: {', '.join(cls)}"
            ) from None


class QueueConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How samples wait for delivery and how many senders there are.

    Source: prometheus v3.x config/config.go QueueConfig, DefaultQueueConfig.
    """

    # Samples waiting per shard; five batches' worth, so that a shard never waits for its next batch.
    capacity: int = 10_000
    # Concurrent senders. 50 of them move a million samples a second at 100 ms a request.
    max_shards: int = 50
    min_shards: int = 1
    # Samples in one request.
    max_samples_per_send: int = 2_000
    # How long a sample waits for its batch to fill.
    batch_send_deadline: Duration = Duration(5)
    # Pause before a failed request is sent again, doubled at every failure up to max_backoff.
    min_backoff: Duration = Duration(0.03)
    max_backoff: Duration = Duration(5)
    # Whether a 429 answer is a reason to try again; otherwise such samples are dropped.
    retry_on_http_429: bool = False
    # Samples older than this are dropped instead of sent; 0: none are.
    sample_age_limit: Duration = Duration(0)

    def __post_init__(self) -> None:
        for key in ("max_shards", "min_shards", "max_samples_per_send", "capacity"):
            if getattr(self, key) <= 0:
                raise InvalidValueError(f"remote write queue {key} must be positive", key=key)
        if self.min_shards > self.max_shards:
            raise InvalidValueError(
                "remote write queue min_shards must not be greater than max_shards", key="min_shards"
            )
        if self.max_backoff < self.min_backoff:
            raise InvalidValueError(
                "remote write queue max_backoff must not be less than min_backoff", key="max_backoff"
            )


class MetadataConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Whether and how often metric metadata (type, help, unit) is sent to a receiver of remote write 1.0.

    In requests of 2.0 it goes with every series.
    """

    send: bool = True
    send_interval: Duration = Duration(60)
    # Metadata entries in one request.
    max_samples_per_send: int = 2_000

    def __post_init__(self) -> None:
        for key in ("send_interval", "max_samples_per_send"):
            if getattr(self, key) <= 0:
                raise InvalidValueError(f"remote write metadata {key} must be positive", key=key)


class RemoteWriteConfig(HTTPClientConfig, frozen=True, kw_only=True):
    """One receiver of samples.

    Source: prometheus v3.x config/config.go RemoteWriteConfig.

    Raises:
        InvalidValueError: options that are missing, exclude each other or are not supported.
    """

    url: URL = URL()
    # For one request, from connecting to the end of the answer.
    remote_timeout: Duration = Duration(30)
    # Further headers of every request; some receivers take a key this way, so the values are not shown.
    headers: FrozenDict[str, Secret] = FrozenDict()
    write_relabel_configs: tuple[RelabelConfig, ...] = ()
    # Names the queue in metrics and logs; unique if given.
    name: str = ""
    send_exemplars: bool = False
    send_native_histograms: bool = False
    round_robin_dns: bool = False
    failed_request_logging: bool = False
    protobuf_message: ProtobufMessage = ProtobufMessage.V1
    queue_config: QueueConfig = QueueConfig()
    metadata_config: MetadataConfig = MetadataConfig()
    # Source: prometheus v3.x config/config.go DefaultRemoteWriteHTTPClientConfig.
    enable_http2: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.url:
            raise InvalidValueError("url for remote_write is empty", key="url")
        if self.remote_timeout <= 0:
            raise InvalidValueError("remote_timeout must be positive", key="remote_timeout")
        for header in self.headers:
            name = header.lower()
            if name == "authorization":
                raise InvalidValueError(
                    "authorization header must be changed via the basic_auth, authorization or oauth2 parameter",
                    key="headers",
                )
            if name in RESERVED_HEADERS:
                raise InvalidValueError(f"{header} is a reserved header. It must not be changed", key="headers")
