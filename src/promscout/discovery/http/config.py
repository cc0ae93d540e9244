"""The ``http_sd_configs`` section."""

from __future__ import annotations

from typing import ClassVar

from promscout.discovery.config import check_refresh_interval
from promscout.errors import InvalidValueError
from promscout.httpclient.config import HTTPClientConfig
from promscout.httpclient.secret import URL
from promscout.model.duration import Duration


class HTTPSDConfig(HTTPClientConfig, frozen=True, kw_only=True):
    """A URL that answers with a list of target groups.

    Source: prometheus v3.x discovery/http/http.go SDConfig, UnmarshalYAML.

    Raises:
        InvalidValueError: no URL, or HTTP client options that exclude each other.
    """

    mechanism: ClassVar[str] = "http"

    url: URL = URL()
    # Time between two requests, and for one of them.
    refresh_interval: Duration = Duration(60)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.url:
            raise InvalidValueError("URL is missing", key="url")
        check_refresh_interval(self.refresh_interval)
