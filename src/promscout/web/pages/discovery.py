"""The page of what was discovered, and what relabelling made of it."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from promscout.discovery.kubernetes.status import degradations, watch_statuses
from promscout.web.pages.discovered import discovered_page
from promscout.web.pages.discovery_query import DiscoveryQuery, Fate
from promscout.web.pages.drop_counts import DropCounter
from promscout.web.pages.frame import page
from promscout.web.pages.providers import job_row, job_rows, provider_rows
from promscout.web.view import VIEW

COUNTER: Final = web.AppKey("COUNTER", DropCounter)
"""Who counts what rules drop."""


async def discovery(request: web.Request) -> web.StreamResponse:
    """All jobs, or the discovered targets of one. Query: as ``DiscoveryQuery`` has it."""
    view, query = request.app[VIEW], DiscoveryQuery.parse(request.query)
    watches = watch_statuses(view.discovery.providers)
    providers = provider_rows(view.discovery.providers, watches)
    pool = view.scrape.pools.get(query.job)
    if pool is None:
        return await page(
            request,
            "discovery.html",
            query=query,
            jobs=await job_rows(view.scrape, providers),
            providers=providers,
            watches=watches,
            degraded=degradations(watches),
        )
    return await page(
        request,
        "discovery_job.html",
        query=query,
        jobs=sorted(view.scrape.pools),
        job=await job_row(pool, providers),
        found=await discovered_page(pool, query),
        fates=list(Fate),
        counts=await request.app[COUNTER].count(pool, asked=query.count),
        degraded=[one for one in degradations(watches) if one.job == query.job],
    )
