"""The start page: what needs attention, how the agent is doing, and how it was during the last hour."""

from __future__ import annotations

import math
from itertools import islice
from typing import Final

import msgspec
from aiohttp import web

from promscout.discovery.kubernetes.status import watch_statuses
from promscout.web.events import EVENTS
from promscout.web.pages.frame import page
from promscout.web.pages.history import KEPT_SECONDS, STEP_SECONDS, History, Sampler
from promscout.web.pages.notices import delivery_notices, discovery_notices, store_notices, target_notices
from promscout.web.pages.providers import provider_rows
from promscout.web.pages.sparkline import Sparkline, sparkline
from promscout.web.pages.survey import Surveyor
from promscout.web.receivers import receiver
from promscout.web.view import CLOCK, VIEW, AgentView
from promscout.web.vitals import Vital, Vitals, health_counts, total

JOBS_SHOWN: Final = 200
"""Of a larger configuration those with failing targets come first, and the rest is left to the targets page."""

_SHORTEST: Final = 300  # seconds that a plot spans at least: what is not there yet stays empty

SAMPLER: Final = web.AppKey("SAMPLER", Sampler)
SURVEYOR: Final = web.AppKey("SURVEYOR", Surveyor)


class Trend(msgspec.Struct, frozen=True):
    """One number: its newest value, None while it is not known, and its plot."""

    value: float | None
    plot: Sparkline


class Trends(msgspec.Struct, frozen=True):
    """All numbers over the time that ``span`` tells."""

    span: str
    of: dict[str, Trend]

    @classmethod
    def read(cls, history: History, current: dict[str, float]) -> Trends:
        """From the history, and from what is known without it."""
        seconds = max(_SHORTEST, len(history) * STEP_SECONDS)
        span = "hour" if seconds >= KEPT_SECONDS else f"{round(seconds / 60)} minutes"
        rows = seconds // STEP_SECONDS
        return cls(span, {vital: _trend(history, vital, rows, current) for vital in Vital})


def _trend(history: History, vital: Vital, rows: int, current: dict[str, float]) -> Trend:
    values = history.of(vital, rows)
    newest = current.get(vital, next((one for one in reversed(values) if not math.isnan(one)), math.nan))
    plot = sparkline(values, rows=rows, from_zero=vital is not Vital.MEMORY)
    return Trend(None if math.isnan(newest) else newest, plot)


async def overview(request: web.Request) -> web.StreamResponse:
    """Everything at a glance."""
    view = request.app[VIEW]
    survey = await request.app[SURVEYOR].current()
    watches = watch_statuses(view.discovery.providers)
    remote_write = view.remote_write.status()
    store = view.store.status() if view.store is not None else None
    providers = provider_rows(view.discovery.providers, watches)
    needed = [*store_notices(store), *delivery_notices(remote_write.queues), *discovery_notices(providers, watches)]
    needed += target_notices(survey)
    needed.sort(key=lambda one: not one.is_bad)
    jobs = sorted(survey.jobs, key=lambda job: -job.down) if len(survey.jobs) > JOBS_SHOWN else survey.jobs
    return await page(
        request,
        "overview.html",
        notices=needed,
        trends=Trends.read(request.app[SAMPLER].history, _current(view)),
        survey=survey,
        jobs=list(islice(jobs, JOBS_SHOWN)),
        watches=watches,
        receivers=[receiver(queue) for queue in remote_write.queues],
        store=store,
        late=int(total(view.scrape.metrics.late)),
    )


def _current(view: AgentView) -> dict[str, float]:
    """What is known at once, where the history is some seconds old."""
    health = health_counts(view)
    return {Vital.UP: health.up, Vital.DOWN: health.down, Vital.UNKNOWN: health.unknown, Vital.DROPPED: health.dropped}


def add_routes(app: web.Application) -> None:
    """Register the page with ``app``, and keep the history while it is served."""
    view = app[VIEW]
    sampler = app[SAMPLER] = Sampler(History(), Vitals(view).read, app[CLOCK])
    app[SURVEYOR] = Surveyor(lambda: view.scrape)
    sampler.when_sampled(app[EVENTS].sampled)

    async def start(_: web.Application) -> None:
        sampler.start()

    async def stop(_: web.Application) -> None:
        sampler.stop()

    app.on_startup.append(start)
    app.on_shutdown.append(stop)
    app.router.add_get("/", overview, allow_head=False)
