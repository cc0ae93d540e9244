"""Options and sections of Prometheus that are read and checked but change nothing here.

Loading names them in a warning, so that nobody waits for an effect. This is the one list of them.
"""

from __future__ import annotations

from typing import Any, Final

from promscout.config.values import GlobalConfig
from promscout.httpclient.config import HTTPClientConfig
from promscout.scrape.config import ScrapeConfig
from promscout.write.config import RemoteWriteConfig

_HTTP2: Final[dict[str, Any]] = {"enable_http2": frozenset({True, False})}  # obeyed, unlike elsewhere

_OPTIONS: Final[dict[type[Any], dict[str, Any]]] = {
    ScrapeConfig: _HTTP2,
    GlobalConfig: {"query_log_file": ""},
    RemoteWriteConfig: _HTTP2,
    HTTPClientConfig: {"enable_http2": False},
}
"""Struct → option → the value, or the set of values, that needs no warning: it asks for what is done anyway."""

SECTIONS: Final = frozenset({"rule_files", "alerting", "storage", "remote_read", "tracing", "otlp", "runtime"})
"""Sections of Prometheus about things that are not done here."""


def has_no_effect(struct: type[Any], option: str, value: object) -> bool:
    """Whether the user wrote an option in vain."""
    for kind, options in _OPTIONS.items():
        if issubclass(struct, kind) and option in options:
            harmless = options[option]
            return value not in harmless if isinstance(harmless, frozenset) else value != harmless
    return False
