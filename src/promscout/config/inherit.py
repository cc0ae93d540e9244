"""What a job takes over from the ``global`` section."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from promscout.config.values import GlobalConfig
from promscout.errors import InvalidValueError
from promscout.exposition.negotiation import NameEscaping
from promscout.model.names import NameValidation
from promscout.scrape.config import DEFAULT_PROTOCOLS, PROTO_FIRST_PROTOCOLS, ScrapeConfig

_PLAIN: Final = (
    "body_size_limit",
    "sample_limit",
    "target_limit",
    "label_limit",
    "label_name_length_limit",
    "label_value_length_limit",
    "keep_dropped_targets",
    "scrape_failure_log_file",
)
_SWITCHES: Final = (
    "scrape_native_histograms",
    "convert_classic_histograms_to_nhcb",
    "always_scrape_classic_histograms",
    "extra_scrape_metrics",
)


def name_validation(job: ScrapeConfig, defaults: GlobalConfig) -> NameValidation:
    """Which names the job may use."""
    return job.metric_name_validation_scheme or defaults.metric_name_validation_scheme


def inherit(job: ScrapeConfig, defaults: GlobalConfig) -> ScrapeConfig:
    """The job with everything filled in that it leaves to ``global``.

    Source: prometheus v3.x config/config.go ScrapeConfig.Validate.

    Raises:
        InvalidValueError: what the job says does not go with what it inherits.
    """
    interval = job.scrape_interval or defaults.scrape_interval
    if job.scrape_timeout > interval:
        raise InvalidValueError(
            f'scrape timeout greater than scrape interval for scrape config with job name "{job.job_name}"',
            key="scrape_timeout",
        )
    changes: dict[str, Any] = {
        "scrape_interval": interval,
        "scrape_timeout": job.scrape_timeout or min(defaults.scrape_timeout, interval),
        "metric_name_validation_scheme": name_validation(job, defaults),
        "metric_name_escaping_scheme": _escaping(job, defaults),
    }
    changes |= {name: getattr(job, name) or getattr(defaults, name) for name in _PLAIN}
    for name in _SWITCHES:
        own = getattr(job, name)
        changes[name] = bool(getattr(defaults, name)) if own is None else own
    usual = PROTO_FIRST_PROTOCOLS if changes["scrape_native_histograms"] else DEFAULT_PROTOCOLS
    changes["scrape_protocols"] = job.scrape_protocols or defaults.scrape_protocols or usual
    return msgspec.structs.replace(job, **changes)


def _escaping(job: ScrapeConfig, defaults: GlobalConfig) -> NameEscaping:
    own = job.metric_name_validation_scheme
    escaping = job.metric_name_escaping_scheme
    if escaping is None and own is None:
        escaping = defaults.metric_name_escaping_scheme
    scheme = name_validation(job, defaults)
    if escaping is None:
        return NameEscaping.UNDERSCORES if scheme is NameValidation.LEGACY else NameEscaping.ALLOW_UTF8
    if escaping is NameEscaping.ALLOW_UTF8 and scheme is not NameValidation.UTF8:
        raise InvalidValueError(
            "utf8 metric names requested but validation scheme is not set to UTF8", key="metric_name_escaping_scheme"
        )
    return escaping
