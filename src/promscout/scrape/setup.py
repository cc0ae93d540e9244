"""What a pool makes of its configuration, and what of it goes on under another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from promscout.httpclient.config import HTTPClientConfig
from promscout.relabel.engine import Relabeler
from promscout.scrape.config import ScrapeConfig
from promscout.scrape.options import Readers, ScrapeOptions
from promscout.scrape.target_builder import TargetBuilder
from promscout.scrape.transport import Transport

FOR_TARGETS: Final = frozenset(
    {"relabel_configs", "params", "scrape_interval", "scrape_timeout", "metrics_path", "scheme"}
)
"""Options that decide what targets there are, and about nothing else."""

FOR_FETCHING: Final = frozenset(
    {
        *HTTPClientConfig.__struct_fields__,
        "enable_compression",
        "scrape_protocols",
        "body_size_limit",
        "metric_name_escaping_scheme",
    }
)
"""Options that decide how a target is asked, and about nothing else."""

FOR_SERIES: Final = frozenset(
    {
        "honor_labels",
        "honor_timestamps",
        "track_timestamps_staleness",
        "metric_relabel_configs",
        "metric_name_validation_scheme",
        "label_limit",
        "label_name_length_limit",
        "label_value_length_limit",
        "scrape_native_histograms",
        "always_scrape_classic_histograms",
        "convert_classic_histograms_to_nhcb",
    }
)
"""Options that decide which series samples become, and about nothing else."""

FOR_ONE_SCRAPE: Final = frozenset(
    {
        "fallback_scrape_protocol",
        "sample_limit",
        "native_histogram_bucket_limit",
        "native_histogram_min_bucket_factor",
        "target_limit",
        "keep_dropped_targets",
        "extra_scrape_metrics",
        "scrape_failure_log_file",
    }
)
"""Options that are looked at each time they are needed."""


@dataclass(frozen=True, slots=True)
class PoolSetup:
    """Everything made from one configuration. ``transport`` does not run yet when it is new.

    ``builder`` makes the targets; ``options`` are what the loops share.
    """

    config: ScrapeConfig
    builder: TargetBuilder
    options: ScrapeOptions

    @classmethod
    def of(cls, config: ScrapeConfig, connect: Callable[[ScrapeConfig], Transport]) -> PoolSetup:
        """A new one; ``connect`` makes the transport."""
        options = ScrapeOptions(config, connect(config), Relabeler(config.metric_relabel_configs), Readers(config))
        return cls(config, TargetBuilder(config), options)

    def changed_to(self, config: ScrapeConfig, connect: Callable[[ScrapeConfig], Transport]) -> PoolSetup:
        """One for another configuration of the same job. What the differences do not concern is the same object.

        An option that no list above has concerns everything.

        Source: prometheus v3.x scrape/scrape.go reusableCache.
        """
        changed = {
            name for name in config.__struct_fields__ if getattr(config, name) != getattr(self.config, name)
        } - FOR_ONE_SCRAPE
        same_builder = changed <= FOR_FETCHING | FOR_SERIES
        same_transport = changed <= FOR_TARGETS | FOR_SERIES
        same_series = changed <= FOR_TARGETS | FOR_FETCHING
        before = self.options
        options = ScrapeOptions(
            config,
            before.transport if same_transport else connect(config),
            before.metric_relabeler if same_series else Relabeler(config.metric_relabel_configs),
            before.readers if same_series else Readers(config),
            before.target_limit,
            before.health,
        )
        return PoolSetup(config, self.builder if same_builder else TargetBuilder(config), options)
