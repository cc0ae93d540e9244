"""promscout between counting targets and a strict receiver: what tests of faults have in common.

``PROMSCOUT_FAULTS=full`` makes everything longer: outages of ten minutes, fifty kills.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from signal import SIGTERM

import pytest

from e2e.counting import CountingTargets, account
from e2e.delivered import remote_write
from e2e.promscout_process import until

FULL = os.environ.get("PROMSCOUT_FAULTS") == "full"
INTERVAL = 0.25  # seconds between the scrapes of a target
FLUSH = 1.0  # seconds: what a crash may lose
SLACK = 0.3  # seconds: a scrape and a write that were under way, on a busy machine


@asynccontextmanager
async def scraped(count, series):
    async with CountingTargets(count, series).serving() as targets:
        yield targets


def configuration(jobs, *sections):
    interval = f"{INTERVAL * 1000:.0f}ms"
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "external_labels": {"cluster": "c"}},
        "scrape_configs": jobs,
        "remote_write": list(sections),
    }


def sent(targets, receiver, *, timeout=10, **queue):
    """``timeout`` is that of a request, in seconds."""
    section = remote_write(receiver.remote_write_url, **{"retry_on_http_429": True, **queue})
    return configuration([targets.job()], section | {"remote_timeout": f"{timeout}s"})


async def everything_arrives(targets, receiver, agent, *, unless=(), again=False, refused=False, seconds=30):
    """Lets no more scrapes succeed, waits for what is due, and stops promscout; the account.

    What was served within one of the spans ``unless`` need not arrive. ``again``: whether samples that were taken may
    come again, because promscout was killed, or did not wait long for answers. ``refused``: whether what was refused
    for good counts as delivered.
    """

    def found():
        return account(targets, receiver.recorded(), timeout=INTERVAL, refused=refused)

    targets.paused = True
    await asyncio.sleep(2 * INTERVAL)  # what is under way arrives
    try:
        await until(lambda: not found().lost_outside(unless), seconds, "what was scraped is delivered")
    except AssertionError:
        missing = found()
        late = [
            (
                scrape,
                f"{min((begin - at for begin, _ in unless if begin >= at), default=0):.2f} s before its time",
                f"{min((at - end for _, end in unless if end <= at), default=0):.3f} s after the one before",
            )
            for scrape, at in missing.lost_outside(unless).items()
        ]
        pytest.fail(f"{missing}; {len(late)} must not be: {late[:20]}")
    agent.signal(SIGTERM)
    assert await agent.exit_code(10) == 0
    result, report = found(), await receiver.report()
    print(result)  # noqa: T201 - pytest shows it, with -s or on failure
    assert not result.wrong, (len(result.wrong), result.wrong[:10])
    assert not report["problems"], report["problems"]
    assert again or set(report["repeats"]) <= {"unanswered"}, report["repeats"]
    return result
