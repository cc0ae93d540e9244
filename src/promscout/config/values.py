"""What a loaded configuration is."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import msgspec
from msgspec.structs import force_setattr

from promscout.discovery.config import SDConfig
from promscout.errors import InvalidValueError
from promscout.exposition.negotiation import NameEscaping
from promscout.httpclient.tls import join_directory
from promscout.model.byte_size import ByteSize
from promscout.model.duration import Duration
from promscout.model.frozendict import FrozenDict
from promscout.model.names import NameValidation
from promscout.scrape.config import Count, ScrapeConfig, ScrapeProtocols, check_protocols
from promscout.write.config import RemoteWriteConfig

_DEFAULT_TIMEOUT = Duration(10)


class GlobalConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The ``global`` section: what jobs inherit, and the labels of everything sent away.

    Source: prometheus v3.x config/config.go GlobalConfig, DefaultGlobalConfig.

    Raises:
        InvalidValueError: options that exclude each other.
    """

    # Time between two scrapes of a target; 0 is the default as well.
    scrape_interval: Duration = Duration(60)
    # Time for one scrape; 0: ten seconds, or the interval where that is shorter.
    scrape_timeout: Duration = Duration(0)
    # Empty: each job's own default.
    scrape_protocols: ScrapeProtocols = ()
    # Added to every sample sent by remote write that has no such label. $NAME and ${NAME} are environment variables.
    external_labels: FrozenDict[str, str] = FrozenDict()
    scrape_failure_log_file: str = ""
    # Limits as in ScrapeConfig; 0: none.
    body_size_limit: ByteSize = ByteSize(0)
    sample_limit: Count = 0
    target_limit: Count = 0
    label_limit: Count = 0
    label_name_length_limit: Count = 0
    label_value_length_limit: Count = 0
    keep_dropped_targets: Count = 0
    metric_name_validation_scheme: NameValidation = NameValidation.UTF8
    metric_name_escaping_scheme: NameEscaping | None = None
    scrape_native_histograms: bool | None = None
    convert_classic_histograms_to_nhcb: bool = False
    always_scrape_classic_histograms: bool = False
    extra_scrape_metrics: bool | None = None
    # Of rules and queries, which this program does not have.
    evaluation_interval: Duration = Duration(60)
    rule_query_offset: Duration = Duration(0)
    query_log_file: str = ""

    def __post_init__(self) -> None:
        force_setattr(self, "scrape_interval", self.scrape_interval or Duration(60))
        if self.scrape_timeout > self.scrape_interval:
            raise InvalidValueError("global scrape timeout greater than scrape interval", key="scrape_timeout")
        if not self.scrape_timeout:
            force_setattr(self, "scrape_timeout", min(_DEFAULT_TIMEOUT, self.scrape_interval))
        check_protocols(self.scrape_protocols)
        for name in self.external_labels:
            if not self.metric_name_validation_scheme.is_label_name(name):
                raise InvalidValueError(f'"{name}" is not a valid label name', key="external_labels")

    def with_directory(self, directory: Path) -> Self:
        """The same options with relative file names taken from ``directory``."""
        return msgspec.structs.replace(
            self, scrape_failure_log_file=join_directory(directory, self.scrape_failure_log_file)
        )


class JobConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One job: how to scrape, and what finds its targets."""

    scrape: ScrapeConfig
    discovery: tuple[SDConfig, ...] = ()

    @property
    def name(self) -> str:
        """The job's name, unique in its configuration."""
        return self.scrape.job_name


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """A whole configuration, checked and complete: nothing is left to inherit, file names are joined."""

    global_config: GlobalConfig = GlobalConfig()
    jobs: tuple[JobConfig, ...] = ()
    remote_write: tuple[RemoteWriteConfig, ...] = ()
    # What the user should know although the configuration can be used.
    warnings: tuple[str, ...] = ()
    # Every file that was read, the main one first.
    files: tuple[str, ...] = ()
    # The main file for display: secrets hidden, comments and sections without effect left out.
    text: str = ""
