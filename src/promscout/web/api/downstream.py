"""Lists of targets for other servers: ``/sd/http``."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

import msgspec
from aiohttp import hdrs, web
from isal import isal_zlib
from multidict import MultiMapping

from promscout.downstream.availability import NoSuchJobError, UnavailableError, pool_of
from promscout.downstream.clients import ClientKey, ClientTable, Visit
from promscout.downstream.listings import Listing, ListingKey, Listings
from promscout.downstream.metrics import HTTPSDMetrics
from promscout.downstream.shards import Shard
from promscout.errors import InvalidValueError
from promscout.model.clock import Clock, rfc3339
from promscout.web.answers import JSON, accepts_gzip, success
from promscout.web.view import ROOT, VIEW, AgentView

REFRESH_HEADER: Final = "X-Prometheus-Refresh-Interval-Seconds"
"""In a request: how often the client comes. Source: prometheus v3.x discovery/http/http.go."""

SEND_SECONDS: Final = 60.0
"""Longest that sending one list may take: Prometheus waits for as long as its refresh interval, a minute by default."""

RETRY_AFTER: Final = "5"  # seconds

_INTERVAL: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_INFLATE: Final = 31  # zlib's number for a gzip header and trailer
_PART: Final = 64 << 10  # bytes of text
_NUMBER: Final = re.compile(r"[0-9]{1,6}")
_FLAGS: Final = {"": True, "1": True, "true": True, "0": False, "false": False}


class _Service:
    """The lists of one agent, and who asks for them."""

    def __init__(self, view: AgentView, clock: Clock) -> None:
        self.clock = clock
        self.listings = Listings(view)
        self.clients = ClientTable()
        self.metrics = HTTPSDMetrics(view, self.listings, self.clients, clock.now_ms)


_SERVICE: Final = web.AppKey("_SERVICE", _Service)


async def listing(request: web.Request) -> web.StreamResponse:
    """The targets of one job as Prometheus's HTTP SD has them. Query: ``raw``, ``shard`` with ``of``.

    400 for any other query: what is meant to be a part must not be taken for the whole. 404 for a job that does not
    exist; 503 while its targets are not known, so that clients keep those that they have. 304 by ETag.

    Source: prometheus v3.x docs http_sd.
    """
    service, job = request.app[_SERVICE], request.match_info["job"]
    try:
        wanted = parse_query(request.query)
    except InvalidValueError as error:
        return _refused(service, job, 400, "bad_data", str(error))
    interval = refresh_interval(request.headers.get(REFRESH_HEADER, ""))
    client = ClientKey.of(request.remote or "", request.headers.get(hdrs.USER_AGENT, ""), job, wanted)
    try:
        found = await service.listings.get(job, wanted)
    except NoSuchJobError as error:
        return _refused(service, job, 404, "not_found", str(error))
    except UnavailableError as error:
        if job in request.app[VIEW].scrape.pools:
            service.clients.note(client, Visit(service.clock.now_ms(), interval, 503))
        return _refused(service, job, 503, "unavailable", str(error))
    compressed = accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
    tag = f'"{found.digest}-gzip"' if compressed else f'"{found.digest}"'
    headers: dict[str, str] = {
        hdrs.ETAG: tag,
        hdrs.VARY: f"{hdrs.ACCEPT_ENCODING}, {REFRESH_HEADER}",
        hdrs.CACHE_CONTROL: cache_control(interval),
    }
    code = 304 if has_tag(request.headers.get(hdrs.IF_NONE_MATCH, ""), tag) else 200
    service.metrics.count(job, code)
    service.clients.note(client, Visit(service.clock.now_ms(), interval, code, found.targets, found.size))
    if code == 304:
        return web.Response(status=304, headers=headers)
    return await _send(request, found, headers, compressed=compressed)


async def jobs(request: web.Request) -> web.Response:
    """All jobs that there are lists of: where, of how many targets, and why there is none now."""
    view, root = request.app[VIEW], request.app[ROOT]
    return success({"jobs": [_job(view, root, job) for job in sorted(view.scrape.pools)]})


async def status(request: web.Request) -> web.Response:
    """Who asks for lists, how often, who has stopped, and what is kept for them."""
    service, root = request.app[_SERVICE], request.app[ROOT]
    now_ms = service.clock.now_ms()
    clients = [_client(root, client, visit, now_ms) for client, visit in service.clients.known(now_ms)]
    return success(
        {
            "clients": clients,
            "late": sum(visit.is_late(now_ms) for _, visit in service.clients.known(now_ms)),
            "keptBytes": service.listings.kept_bytes,
        }
    )


def parse_query(query: MultiMapping[str]) -> ListingKey:
    """Which list is asked for.

    Raises:
        InvalidValueError: anything else than ``raw``, ``shard`` and ``of`` in their ranges, once each.
    """
    given: Mapping[str, str] = dict(query)
    unknown = sorted(given.keys() - {"raw", "shard", "of"})
    if unknown:
        raise InvalidValueError(f"unknown parameter {unknown[0]!r}; there are raw, shard and of")
    if len(given) < len(query):
        raise InvalidValueError("a parameter is given twice")
    raw = _FLAGS.get(given.get("raw", "0"))
    if raw is None:
        raise InvalidValueError("raw must be 1 or 0")
    if ("shard" in given) != ("of" in given):
        raise InvalidValueError("shard and of go together: shard=0&of=2")
    index, count = given.get("shard", "0"), given.get("of", "1")
    if not (_NUMBER.fullmatch(index) and _NUMBER.fullmatch(count)):
        raise InvalidValueError("shard and of must be numbers")
    return ListingKey(Shard(int(index), int(count)), raw)


def refresh_interval(text: str) -> float | None:
    """The seconds that the header says; None without it, or when it says something else."""
    if _INTERVAL.fullmatch(text) is None:
        return None
    return float(text) or None


def cache_control(interval: float | None) -> str:
    """For how long an answer may be used again: half of the refresh interval, in the client's own cache only.

    With the whole interval, every other request would be answered by the cache.
    """
    age = 0 if interval is None else math.floor(interval / 2)
    return f"private, max-age={age}" if age else "no-cache"


def has_tag(if_none_match: str, tag: str) -> bool:
    """Whether a client that sends this ``If-None-Match`` has the content of ``tag`` already."""
    tags = (one.strip() for one in if_none_match.split(","))
    return any(one == "*" or one.removeprefix("W/") == tag for one in tags)


def list_path(job: str, wanted: ListingKey) -> str:
    """Where the list is, below the root."""
    query = [f"shard={wanted.shard.index}", f"of={wanted.shard.count}"] if wanted.shard.count > 1 else []
    query += ["raw=1"] if wanted.raw else []
    path = f"/sd/http/{quote(job, safe='')}"
    return f"{path}?{'&'.join(query)}" if query else path


async def _send(
    request: web.Request, found: Listing, headers: Mapping[str, str], *, compressed: bool
) -> web.StreamResponse:
    """The list in small parts, each only when the ones before are with the kernel or nearly so."""
    response = web.StreamResponse(headers=headers)
    response.content_type = JSON
    response.content_length = found.compressed_size if compressed else found.size
    if compressed:
        response.headers[hdrs.CONTENT_ENCODING] = "gzip"
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await response.prepare(request)
            for part in found.chunks if compressed else _inflated(found):
                await response.write(part)
                await asyncio.sleep(0)
            await response.write_eof()
    except TimeoutError:
        # What a client that reads so slowly holds back is not freed before.
        if request.transport is not None:
            request.transport.abort()
    return response


def _inflated(found: Listing) -> Iterator[bytes]:
    inflate = isal_zlib.decompressobj(_INFLATE)
    for chunk in found.chunks:
        text = inflate.decompress(chunk, _PART)
        while text:
            yield text
            text = inflate.decompress(inflate.unconsumed_tail, _PART)


def _refused(service: _Service, job: str, code: int, error_type: str, message: str) -> web.Response:
    service.metrics.count(job, code)
    headers = {hdrs.CACHE_CONTROL: "no-store"} | ({hdrs.RETRY_AFTER: RETRY_AFTER} if code == 503 else {})
    body = msgspec.json.encode({"status": "error", "errorType": error_type, "error": message})
    return web.Response(body=body, content_type=JSON, status=code, headers=headers)


def _job(view: AgentView, root: str, job: str) -> dict[str, object]:
    try:
        pool_of(view, job)
    except UnavailableError as error:
        unavailable = str(error)
    else:
        unavailable = ""
    return {
        "job": job,
        "targets": len(view.scrape.pools[job].active),
        "url": root + list_path(job, ListingKey()),
        "available": not unavailable,
        "reason": unavailable,
    }


def _client(root: str, client: ClientKey, visit: Visit, now_ms: int) -> dict[str, object]:
    return {
        "address": client.address,
        "userAgent": client.user_agent,
        "job": client.job,
        "url": root + list_path(client.job, client.listing),
        "refreshIntervalSeconds": visit.interval,
        "lastRequest": rfc3339(visit.at_ms),
        "lastStatus": visit.code,
        "late": visit.is_late(now_ms),
        "targets": visit.targets,
        "bytes": visit.size,
    }


def add_routes(app: web.Application, clock: Clock) -> None:
    """Register the lists with ``app``."""
    app[_SERVICE] = _Service(app[VIEW], clock)
    app.on_startup.append(_open)
    app.on_cleanup.append(_close)
    app.router.add_get("/sd/http", jobs, allow_head=False)
    app.router.add_get("/sd/http/{job}", listing, allow_head=False)
    app.router.add_get("/api/v1/status/downstream", status, allow_head=False)


async def _open(app: web.Application) -> None:
    app[VIEW].registry.register(app[_SERVICE].metrics)


async def _close(app: web.Application) -> None:
    app[VIEW].registry.unregister(app[_SERVICE].metrics)
    await app[_SERVICE].listings.close()
