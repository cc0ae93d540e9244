"""The page to try relabel rules."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final, Self
from urllib.parse import parse_qsl, urlencode

import msgspec
from aiohttp import web

from promscout.config.rules import rules_text
from promscout.model.labels import label_set
from promscout.scrape.manager import ScrapeManager
from promscout.scrape.pool import ScrapePool
from promscout.scrape.target import Target
from promscout.scrape.threads import in_thread
from promscout.web.pages.discovered import Place, places
from promscout.web.pages.discovery_query import Fate
from promscout.web.pages.frame import page
from promscout.web.pages.label_text import label_text
from promscout.web.pages.playground import Mode, Play, Played, metric_labels, play
from promscout.web.pages.target_query import number, url_of
from promscout.web.search import Search
from promscout.web.turns import in_turns
from promscout.web.view import VIEW

MAX_WAITING: Final = 8
"""Requests that may be computed or wait; one is computed at a time."""

PICKED: Final = 12
"""Discovered targets that are offered."""

_LONGEST_LINK: Final = 4000
_LARGEST_FORM: Final = 512 << 10  # bytes; every character of both texts may take three


class RelabelQuery(msgspec.Struct, frozen=True):
    """The page's parameters. ``labels`` and ``rules`` are texts, None where they are to be those of the job.

    ``provider``, ``source`` and ``position`` say which of the job's targets the labels come from, or else ``url``.
    """

    job: str = ""
    mode: Mode = Mode.TARGET
    labels: str | None = None
    rules: str | None = None
    provider: str = ""
    source: str = ""
    position: int = 0
    url: str = ""
    q: str = ""

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Self:
        """From a URL's or a form's parameters; what cannot be understood is left out."""
        rules, labels = given.get("rules"), given.get("labels")
        return cls(
            given.get("job", ""),
            Mode.METRIC if given.get("mode", "") == Mode.METRIC else Mode.TARGET,
            None if labels is None else labels.replace("\r\n", "\n"),
            None if rules is None else rules.replace("\r\n", "\n"),
            given.get("provider", ""),
            given.get("source", ""),
            number(given.get("position", "")),
            given.get("url", ""),
            given.get("q", "").strip(),
        )


class Pick(msgspec.Struct, frozen=True):
    """A discovered target that is offered, and the path that takes it."""

    address: str
    source: str
    path: str


class Player:
    """Plays in a thread, one after the other."""

    def __init__(self) -> None:
        self._free = asyncio.Lock()
        self._waiting = 0

    async def play(self, wanted: Play) -> Played | None:
        """What becomes of it; None while too many wait."""
        if self._waiting >= MAX_WAITING:
            return None
        self._waiting += 1
        try:
            async with self._free:
                return await in_thread(partial(play, wanted))
        finally:
            self._waiting -= 1


PLAYER: Final = web.AppKey("PLAYER", Player)
"""Who plays."""


async def relabel(request: web.Request) -> web.StreamResponse:
    """Rules tried on labels, as a query or a form. Query: as ``RelabelQuery`` has it."""
    query = RelabelQuery.parse(await _form(request) if request.method == "POST" else request.query)
    scrape = request.app[VIEW].scrape
    pool = _pool(scrape, query)
    labels, rules = query.labels, query.rules
    if labels is None:
        labels = await _labels_of(pool, query) if pool is not None else ""
    if rules is None:
        rules = "" if pool is None else await in_thread(partial(_rules_of, pool, query.mode))
    played = None
    if labels.strip() or query.labels is not None:
        played = await request.app[PLAYER].play(Play(query.mode, labels, rules, None if pool is None else pool.config))
        if played is None:
            raise web.HTTPServiceUnavailable(text="Too many rules are being tried at once.\n")
    job = "" if pool is None else pool.config.job_name
    link = f"/relabel?{urlencode({'job': job, 'mode': query.mode.value, 'labels': labels, 'rules': rules})}"
    return await page(
        request,
        "relabel.html",
        query=query,
        job=job,
        jobs=sorted(scrape.pools),
        labels=labels,
        rules=rules,
        played=played,
        picks=[] if pool is None else await _picks(pool, query),
        link=link if len(link) <= _LONGEST_LINK else "",
    )


async def _form(request: web.Request) -> dict[str, str]:
    """The parameters of a form that came with ``request``."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType(text="Only forms are taken.\n")
    if (request.content_length or 0) > _LARGEST_FORM:
        raise web.HTTPRequestEntityTooLarge(_LARGEST_FORM, request.content_length or 0)
    body = await request.read()
    if len(body) > _LARGEST_FORM:
        raise web.HTTPRequestEntityTooLarge(_LARGEST_FORM, len(body))
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=20))
    except ValueError:
        raise web.HTTPBadRequest(text="Not a form.\n") from None


def _pool(scrape: ScrapeManager, query: RelabelQuery) -> ScrapePool | None:
    """The job that is asked for; without one, and without any labels, the first that has found something."""
    if query.job or query.labels is not None:
        return scrape.pools.get(query.job)
    pools = [scrape.pools[job] for job in sorted(scrape.pools)]
    return next((pool for pool in pools if pool.active or pool.dropped_count), None)


async def _labels_of(pool: ScrapePool, query: RelabelQuery) -> str:
    """The labels of the target that ``query`` names, or of the first."""
    place = await _find(pool, query)
    if place is None:
        return ""
    labels = dict(label_set(pool.setup.builder.discovered_labels(place.group, place.position)))
    if query.mode is Mode.METRIC:
        labels = metric_labels(dict(place.built.labels) if isinstance(place.built, Target) else labels, "up")
    return label_text(labels.items())


async def _find(pool: ScrapePool, query: RelabelQuery) -> Place | None:
    """The target that ``query`` names; where it names none, or one that is gone, the first that is scraped, or any."""
    first: Place | None = None
    named = bool(query.source or query.url)
    wanted = (query.provider, query.source, query.position)
    async for batch in in_turns(places(pool)):
        for place in batch:
            if query.url:
                found = isinstance(place.built, Target) and place.built.url == query.url
            else:
                found = (*place.key, place.position) == wanted
            if found:
                return place
            if first is None or (first.fate is not Fate.ACTIVE and place.fate is Fate.ACTIVE):
                first = place
        if not named and first is not None and first.fate is Fate.ACTIVE:
            break
    return first


async def _picks(pool: ScrapePool, query: RelabelQuery) -> list[Pick]:
    """Some targets of ``pool`` that match."""
    search, picks = Search.parse(query.q), list[Pick]()
    async for batch in in_turns(places(pool), 50):
        for place in batch:
            if search.finds_rows(place.group.rows_of(place.position)):
                picks.append(_pick(pool, place, query))
                if len(picks) == PICKED:
                    return picks
    return picks


def _pick(pool: ScrapePool, place: Place, query: RelabelQuery) -> Pick:
    provider, source = place.key
    taken: dict[str, str | int] = {
        "job": pool.config.job_name,
        "mode": "" if query.mode is Mode.TARGET else query.mode.value,
        "provider": provider,
        "source": source,
        "position": place.position,
        "q": query.q,
    }
    address = pool.setup.builder.discovered_labels(place.group, place.position).get("__address__", "")
    return Pick(address or "no address", source, url_of("/relabel", taken))


def _rules_of(pool: ScrapePool, mode: Mode) -> str:
    config = pool.config
    return rules_text(config.metric_relabel_configs if mode is Mode.METRIC else config.relabel_configs)
