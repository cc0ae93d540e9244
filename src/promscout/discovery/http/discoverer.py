"""Discovers what a server lists."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import Final

import aiohttp
from prometheus_client import Counter

from promscout import __version__
from promscout.discovery.discoverer import Publish
from promscout.discovery.http.config import HTTPSDConfig
from promscout.discovery.mechanism import DiscoveryContext
from promscout.discovery.refresh import Refresher, RefreshFailed, RefreshMetrics
from promscout.discovery.target_groups import MAX_SIZE, groups_from_json, numbered_groups
from promscout.errors import InvalidValueError
from promscout.httpclient.client import HTTPClient
from promscout.model.group import TargetGroup

USER_AGENT: Final = f"promscout/{__version__}"
URL_LABEL: Final = "__meta_url"

_JSON_TYPE: Final = re.compile(r"application/json(;\s*charset=(\"utf-8\"|utf-8))?", re.IGNORECASE)


class HTTPFactory:
    """Makes HTTP discoverers that share metrics."""

    def __init__(self, context: DiscoveryContext) -> None:
        self._refresh = context.refresh
        self._failures = Counter(
            "prometheus_sd_http_failures",
            "Number of HTTP service discovery refresh failures.",
            registry=context.registry,
        )

    def __call__(self, config: HTTPSDConfig) -> HTTPDiscoverer:
        """The discoverer of ``config``."""
        return HTTPDiscoverer(config, self._refresh, self._failures)


class HTTPDiscoverer:
    """Asks a server for its list at every refresh, and turns it into groups with the sources ``url:0``, ``url:1``, ….

    Guarantees: an answer is taken as a whole or not at all; whatever is wrong with it or the way to it, the targets
    stay as they are. A server that names its lists by ``ETag`` need not send the same one again.

    Source: prometheus v3.x discovery/http/http.go Discovery.Refresh.
    """

    def __init__(self, config: HTTPSDConfig, metrics: RefreshMetrics, failures: Counter) -> None:
        self._config = config
        self._refresher = Refresher(config.mechanism, config.refresh_interval, metrics)
        self._failures = failures
        self._headers = {
            "Accept": "application/json",
            "X-Prometheus-Refresh-Interval-Seconds": f"{config.refresh_interval:.3f}".rstrip("0").rstrip("."),
        }
        self._etag = ""
        self._groups: tuple[TargetGroup, ...] = ()

    @property
    def last_error(self) -> str:
        """Why the last refresh failed; empty after one that did not."""
        return self._refresher.last_error

    async def run(self, publish: Publish) -> None:
        """Publish groups until cancelled."""
        async with HTTPClient(self._config.http_client_config(), user_agent=USER_AGENT) as client:
            await self._refresher.run(partial(self._refresh, client), publish)

    async def _refresh(self, client: HTTPClient) -> tuple[TargetGroup, ...]:
        try:
            self._groups = await self._ask(client)
        except RefreshFailed:
            self._failures.inc()
            raise
        return self._groups

    async def _ask(self, client: HTTPClient) -> tuple[TargetGroup, ...]:
        headers = self._headers | ({"If-None-Match": self._etag} if self._etag else {})
        limit = float(self._config.refresh_interval)
        try:
            async with client.request("GET", self._config.url, headers=headers, timeout=limit) as response:
                if response.status == 304 and self._etag:
                    return self._groups
                _check(response)
                data = await _body(response)
        except TimeoutError:
            raise RefreshFailed(f"{self._config.url}: no complete answer within {limit:g} s") from None
        except (aiohttp.ClientError, OSError, InvalidValueError) as error:
            raise RefreshFailed(f"{self._config.url}: {error}") from None
        try:
            # In a thread: a list of many thousands would hold up everybody.
            groups = await asyncio.to_thread(self._decode, data)
        except InvalidValueError as error:
            raise RefreshFailed(f"{self._config.url}: {error}") from None
        self._etag = response.headers.get("ETag", "")
        return groups

    def _decode(self, data: bytes) -> tuple[TargetGroup, ...]:
        return numbered_groups(groups_from_json(data), str(self._config.url), URL_LABEL)


def _check(response: aiohttp.ClientResponse) -> None:
    if response.status != 200:
        raise InvalidValueError(f"server returned HTTP status {response.status} {response.reason or ''}".rstrip())
    kind = response.headers.get("Content-Type", "")
    if _JSON_TYPE.fullmatch(kind.strip()) is None:
        raise InvalidValueError(f'unsupported content type "{kind}"')


async def _body(response: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) > MAX_SIZE:
            raise InvalidValueError(f"larger than {MAX_SIZE} bytes")
    return bytes(data)
