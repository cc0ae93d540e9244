"""``promscout demo``."""

from __future__ import annotations

import asyncio

from prometheus_client import disable_created_metrics
from rich.console import Console

from promscout.cli.outcome import CANNOT_RUN, FAILED, say
from promscout.demo import DemoFailed, run_demo
from promscout.web import WebOptions


def execute(*, once: bool, listen: tuple[str, int] | None) -> int:
    """Run the demo; the exit code."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # not annotated by its package
    address = WebOptions(host=listen[0], port=listen[1]) if listen else WebOptions()
    console = Console(highlight=False)
    try:
        asyncio.run(run_demo(once=once, listen=address, strict_port=listen is not None, console=console))
    except DemoFailed as error:
        say(str(error))
        return FAILED
    except OSError as error:
        say(str(error))
        return CANNOT_RUN
    return 0
