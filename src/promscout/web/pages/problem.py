"""What is wrong with a target, in the same words for all targets with the same trouble."""

from __future__ import annotations

from typing import Final

from promscout.scrape.pool import ActiveTarget

ELSEWHERE: Final = "…"
"""Stands in place of the target's own address."""


def problem(active: ActiveTarget) -> str:
    """The last error of a target without what only this target has in it; empty when there is none."""
    last, url = active.loop.last, active.loop.target.url
    if last is None or not last.error:
        return ""
    address = url.partition("://")[2].partition("/")[0]
    error = last.error.removeprefix(f"{url}: ")
    return error.replace(address, ELSEWHERE) if address else error
