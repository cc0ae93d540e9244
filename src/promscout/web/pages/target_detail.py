"""Everything about one target."""

from __future__ import annotations

import msgspec

from promscout.model.labels import LabelSet
from promscout.relabel.engine import Relabeler
from promscout.scrape.manager import ScrapeManager
from promscout.scrape.pool import ActiveTarget, ScrapePool
from promscout.scrape.report import Report
from promscout.web.api.target_list import health
from promscout.web.external import ExternalURL
from promscout.web.pages.duration_plot import DurationPlot, draw_plot
from promscout.web.pages.label_changes import LabelChange, ShownStep, label_changes, shown_steps
from promscout.web.pages.problem import problem
from promscout.web.pages.rows import href, identity
from promscout.web.pages.target_query import url_of
from promscout.web.turns import in_turns


class TargetDetail(msgspec.Struct, frozen=True):
    """One active target as its page shows it. ``identity`` has the parameters that lead to the page.

    ``kept`` says whether the body that was kept on request is to be shown.
    """

    pool: str
    health: str
    url: str
    href: str
    identity: tuple[tuple[str, str], ...]
    labels: LabelSet
    changes: tuple[LabelChange, ...]
    steps: tuple[ShownStep, ...]
    interval: str
    timeout: str
    scrapes: int
    error: str
    last: Report | None
    next_ms: int | None
    places: int
    plot: DurationPlot
    kept: bool

    @property
    def exposition(self) -> str:
        """The path of the last body."""
        return url_of("/target/exposition", {**dict(self.identity), "kept": "1" if self.kept else ""})

    @property
    def capture(self) -> str:
        """The path that asks for the next body."""
        return url_of("/target/capture", dict(self.identity))

    def samples_url(self, q: str, page: int = 1, *, kept: bool | None = None) -> str:
        """The path of the page with other samples; of the body that was kept on request, or of the last."""
        kept = self.kept if kept is None else kept
        return (
            url_of("/target", {**dict(self.identity), "kept": "1" if kept else "", "q": q, "page": page}) + "#samples"
        )


async def find_target(
    scrape: ScrapeManager, pool_name: str, url: str, identity: str
) -> tuple[ScrapePool, ActiveTarget] | None:
    """The active target of that identity, which ``identity`` tells; without one the first with that URL."""
    pool = scrape.pools.get(pool_name)
    if pool is None:
        return None
    async for batch in in_turns(list(pool.active.items()), 1000):
        for target, active in batch:
            if target.url == url and active.places and identity in ("", f"{target.digest:016x}"):
                return pool, active
    return None


def last_body(active: ActiveTarget) -> bytes | None:
    """The last body of ``active`` that could be read; None where none is kept, or where the last scrape's was empty."""
    last = active.loop.last
    return None if last is None or (last.up and not last.size) else active.loop.body


def describe(pool: ScrapePool, active: ActiveTarget, external: ExternalURL, *, kept: bool = False) -> TargetDetail:
    """All there is to show of ``active``, which is one of ``pool``."""
    loop = active.loop
    target = loop.target
    discovered = dict(pool.discovered_labels(active))
    return TargetDetail(
        pool=pool.config.job_name,
        health=health(active),
        url=target.url,
        href=href(target.url, external),
        identity=tuple(identity(pool, active).items()),
        labels=target.labels,
        changes=label_changes(discovered, dict(target.all_labels)),
        steps=shown_steps(Relabeler(pool.config.relabel_configs).trace(discovered), discovered),
        interval=str(target.interval),
        timeout=str(target.timeout),
        scrapes=loop.scrapes,
        error=problem(active),
        last=loop.last,
        next_ms=loop.next_ms,
        places=active.places,
        kept=kept,
        plot=draw_plot(loop.history, float(target.timeout)),
    )
