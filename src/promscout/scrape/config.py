"""One entry of ``scrape_configs`` without its service discovery."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Self, TypeAlias

import msgspec

from promscout.errors import InvalidValueError
from promscout.exposition.negotiation import NameEscaping, ScrapeProtocol
from promscout.httpclient.config import HTTPClientConfig
from promscout.httpclient.tls import join_directory
from promscout.model.byte_size import ByteSize
from promscout.model.duration import Duration
from promscout.model.frozendict import FrozenDict
from promscout.model.names import NameValidation
from promscout.relabel.config import RelabelConfig

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
"""A limit that cannot be negative."""

ScrapeProtocols: TypeAlias = Annotated[tuple[ScrapeProtocol, ...], msgspec.Meta(min_length=1)]
"""Formats to ask for, wanted most first: not empty where they are given."""

DEFAULT_PROTOCOLS: Final = (
    ScrapeProtocol.OPENMETRICS_TEXT_1_0_0,
    ScrapeProtocol.OPENMETRICS_TEXT_0_0_1,
    ScrapeProtocol.PROMETHEUS_TEXT_1_0_0,
    ScrapeProtocol.PROMETHEUS_TEXT_0_0_4,
)
"""Wanted most first. Source: prometheus v3.x config/config.go DefaultScrapeProtocols."""

PROTO_FIRST_PROTOCOLS: Final = (ScrapeProtocol.PROMETHEUS_PROTO, *DEFAULT_PROTOCOLS)
"""Used when native histograms are scraped, which the text formats do not have."""


def check_protocols(protocols: tuple[ScrapeProtocol, ...]) -> None:
    """Refuse a protocol that is listed twice.

    Raises:
        InvalidValueError: one is; the key is ``scrape_protocols``.
    """
    if len(set(protocols)) < len(protocols):
        raise InvalidValueError(
            f"duplicated protocol in scrape_protocols, got [{' '.join(protocols)}]", key="scrape_protocols"
        )


class ScrapeConfig(HTTPClientConfig, frozen=True, kw_only=True):
    """How the targets of one job are scraped. Equal values make scrape pools that need no restart.

    As a loaded configuration hands it out, nothing is left to inherit: intervals are positive, ``scrape_protocols``
    has entries, and every option that may be None is not.

    Source: prometheus v3.x config/config.go ScrapeConfig, DefaultScrapeConfig.

    Raises:
        InvalidValueError: options that are missing or exclude each other.
    """

    job_name: str = ""
    # Whether a sample's own label wins over a target label of the same name.
    honor_labels: bool = False
    # Whether a sample's own time stamp is used.
    honor_timestamps: bool = True
    # Whether series with time stamps of their own get staleness markers.
    track_timestamps_staleness: bool = False
    metrics_path: str = "/metrics"
    scheme: str = "http"
    # Query parameters.
    params: FrozenDict[str, tuple[str, ...]] = FrozenDict()
    # Format assumed when the answer's Content-Type says none that is known; None: the scrape fails.
    fallback_scrape_protocol: ScrapeProtocol | None = None
    # Whether compressed answers are asked for.
    enable_compression: bool = True
    # Buckets of a native histogram above which buckets are merged; 0: no limit.
    native_histogram_bucket_limit: Count = 0
    # Smallest growth from bucket to bucket; buckets are merged until it is reached; 0: no limit.
    native_histogram_min_bucket_factor: float = 0.0
    # The fields from here to metric_name_escaping_scheme mean "as in global" when they are zero or None.
    # Time between two scrapes of a target.
    scrape_interval: Duration = Duration(0)
    # Time for one scrape, at most the interval.
    scrape_timeout: Duration = Duration(0)
    # Formats to ask for, wanted most first.
    scrape_protocols: ScrapeProtocols = ()
    scrape_native_histograms: bool | None = None
    always_scrape_classic_histograms: bool | None = None
    convert_classic_histograms_to_nhcb: bool | None = None
    # Whether report samples about timeout, sample limit and body size are added.
    extra_scrape_metrics: bool | None = None
    # File that failed scrapes are logged to.
    scrape_failure_log_file: str = ""
    # Uncompressed bytes above which a scrape fails; 0: no limit.
    body_size_limit: ByteSize = ByteSize(0)
    # Samples after metric relabelling above which a scrape fails; 0: no limit.
    sample_limit: Count = 0
    # Active targets above which all scrapes of the job fail; 0: no limit.
    target_limit: Count = 0
    # Labels of a sample, and characters of their names and values, above which a scrape fails; 0: no limit.
    label_limit: Count = 0
    label_name_length_limit: Count = 0
    label_value_length_limit: Count = 0
    # Dropped targets per job that are kept for display; 0: all.
    keep_dropped_targets: Count = 0
    # Which names a scrape and its rules may use; a scrape that exposes others fails.
    metric_name_validation_scheme: NameValidation | None = None
    # How targets are asked to write names that are not legacy ones.
    metric_name_escaping_scheme: NameEscaping | None = None
    relabel_configs: tuple[RelabelConfig, ...] = ()
    metric_relabel_configs: tuple[RelabelConfig, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_protocols(self.scrape_protocols)
        if not self.job_name:
            raise InvalidValueError("job_name is empty", key="job_name")

    def with_directory(self, directory: Path) -> Self:
        """The same options with relative file names taken from ``directory``."""
        return msgspec.structs.replace(
            super().with_directory(directory),
            scrape_failure_log_file=join_directory(directory, self.scrape_failure_log_file),
        )
