"""The start page: what needs attention, how the agent is doing, and how it was during the last hour."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec
from aiohttp import web

from promscout.discovery.kubernetes.status import Degradation, WatchStatus, degradations, watch_statuses
from promscout.web.events import EVENTS
from promscout.web.frame import CLOCK, page
from promscout.web.history import KEPT_SECONDS, STEP_SECONDS, History, Sampler
from promscout.web.receivers import DeliveryState, receiver
from promscout.web.sparkline import Sparkline, sparkline
from promscout.web.survey import Survey, Surveyor
from promscout.web.view import VIEW, AgentView
from promscout.web.vitals import Vital, Vitals, health_counts, total
from promscout.write.status import RemoteWriteStatus

TROUBLES_SHOWN: Final = 8
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


class Notice(msgspec.Struct, frozen=True):
    """Something that needs attention: how bad it is (``down`` or ``unknown``, as badges have it), and where to look."""

    severity: str
    title: str
    detail: str
    url: str = ""


def notices(survey: Survey, waiting: list[tuple[str, str]], watches: tuple[WatchStatus, ...]) -> Iterator[Notice]:
    """Everything about discovery and targets, the worst first."""
    for watch in watches:
        if watch.jobs and watch.error:
            what = f"Watching {watch.resource} fails"
            detail = f"{', '.join(watch.jobs)}: targets stay as they were last known. {watch.error}"
            yield Notice("down", what, detail, "/discovery")
    for trouble in survey.troubles[:TROUBLES_SHOWN]:
        yield Notice(
            "down", f"{trouble.count:,} \N{MULTIPLICATION SIGN} {trouble.error}", f"in job {trouble.job}", trouble.url
        )
    left = survey.troubles[TROUBLES_SHOWN:]
    if left:
        count = sum(one.count for one in left)
        yield Notice(
            "down", f"{count:,} more targets are down", f"with {len(left):,} other errors", "/targets?health=down"
        )
    for one in degradations(watches):
        yield _degraded(one)
    for name, jobs in waiting:
        yield Notice(
            "unknown", "Discovery is under way", f"{name} has not listed its targets yet ({jobs})", "/discovery"
        )


def _degraded(one: Degradation) -> Notice:
    detail = f"in job {one.job} ({one.reason}). {one.error}"
    return Notice("unknown", f"Targets lack the labels of {one.resource}", detail, "/discovery")


def delivery_notices(status: RemoteWriteStatus) -> Iterator[Notice]:
    """Every receiver that does not get what it should."""
    for queue in status.queues:
        one = receiver(queue)
        if one.state is DeliveryState.FAILING:
            yield Notice("down", f"Receiver {queue.name} cannot be reached", queue.last_error, "/remote-write")
        elif one.state is DeliveryState.REJECTING:
            yield Notice("down", f"Receiver {queue.name} rejects samples", queue.last_error, "/remote-write")
        elif one.state is DeliveryState.BEHIND:
            detail = f"{queue.pending_samples:,} samples wait"
            yield Notice("unknown", f"Receiver {queue.name} is behind", detail, "/remote-write")


async def overview(request: web.Request) -> web.StreamResponse:
    """Everything at a glance."""
    view = request.app[VIEW]
    survey = await request.app[SURVEYOR].current()
    watches = watch_statuses(view.discovery.providers)
    waiting = [(one.name, ", ".join(sorted(one.jobs))) for one in view.discovery.providers if not one.synced]
    remote_write = view.remote_write.status()
    store = view.store.status() if view.store is not None else None
    needed = [*delivery_notices(remote_write), *notices(survey, waiting, watches)]
    if store is not None and store.error:
        needed.insert(0, Notice("down", "The local store cannot be written", store.error, "/graph"))
    needed.sort(key=lambda one: one.severity != "down")
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
