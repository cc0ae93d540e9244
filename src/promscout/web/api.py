"""The routes below ``/api/v1``."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from promscout import __version__
from promscout.discovery.kubernetes.status import degradations, watch_statuses
from promscout.errors import InvalidValueError
from promscout.web.answers import failure, stream, success
from promscout.web.metadata import MetadataFilter, encode_target_metadata, metric_metadata
from promscout.web.receivers import remote_write_answer
from promscout.web.target_list import TargetFilter, encode_targets
from promscout.web.view import EXTERNAL, PREFIX, VIEW


async def targets(request: web.Request) -> web.StreamResponse:
    """Active and dropped targets. Query: ``state``, ``scrapePool``."""
    wanted = TargetFilter.from_query(request.query.get("state", ""), request.query.get("scrapePool", ""))
    return await stream(request, encode_targets(request.app[VIEW].scrape, request.app[EXTERNAL], wanted))


async def targets_metadata(request: web.Request) -> web.StreamResponse:
    """What targets say about their metrics. Query: ``match_target``, ``metric``, ``limit``."""
    query = {name: request.query.get(name, "") for name in ("match_target", "metric", "limit")}
    try:
        wanted = MetadataFilter.from_query(query)
    except InvalidValueError as error:
        return failure("bad_data", str(error))
    return await stream(request, encode_target_metadata(request.app[VIEW].scrape, wanted))


async def metadata(request: web.Request) -> web.Response:
    """What is said about metrics, by whatever target. Query: ``metric``, ``limit``, ``limit_per_metric``."""
    query = {name: request.query.get(name, "") for name in ("metric", "limit", "limit_per_metric")}
    try:
        wanted = MetadataFilter.from_query(query)
    except InvalidValueError as error:
        return failure("bad_data", str(error))
    return success(await metric_metadata(request.app[VIEW].scrape, wanted))


async def scrape_pools(request: web.Request) -> web.Response:
    """The names of all pools, sorted."""
    return success({"scrapePools": sorted(request.app[VIEW].scrape.pools)})


async def config(request: web.Request) -> web.Response:
    """The configuration in force, without secrets."""
    return success({"yaml": request.app[VIEW].config.text})


async def watches(request: web.Request) -> web.Response:
    """The watches of Kubernetes discovery, who shares them, and the labels that jobs do without."""
    statuses = watch_statuses(request.app[VIEW].discovery.providers)
    return success({"watches": statuses, "degraded": degradations(statuses)})


async def remote_write(request: web.Request) -> web.Response:
    """Every receiver's queue: what waits where, what became of the rest, and why the last attempt failed."""
    return success(remote_write_answer(request.app[VIEW].remote_write.status()))


async def build_info(_request: web.Request) -> web.Response:
    """What is running. Of Prometheus's fields only the one that has a meaning here."""
    return success({"version": __version__, "application": "promscout"})


@web.middleware
async def not_found_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Unknown paths below ``/api/`` in the API's own shape."""
    if not request.path.startswith(f"{request.app[PREFIX]}/api/"):
        return await handler(request)
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return failure("not_found", f"no such endpoint: {request.path}")


def add_routes(app: web.Application) -> None:
    """Register the API with ``app``."""
    # As in Prometheus, the API does not answer HEAD.
    app.router.add_get("/api/v1/targets", targets, allow_head=False)
    app.router.add_get("/api/v1/targets/metadata", targets_metadata, allow_head=False)
    app.router.add_get("/api/v1/metadata", metadata, allow_head=False)
    app.router.add_get("/api/v1/scrape_pools", scrape_pools, allow_head=False)
    app.router.add_get("/api/v1/status/config", config, allow_head=False)
    app.router.add_get("/api/v1/status/buildinfo", build_info, allow_head=False)
    app.router.add_get("/api/v1/status/watches", watches, allow_head=False)
    app.router.add_get("/api/v1/status/remote_write", remote_write, allow_head=False)
