"""``python -m harness.strict_receiver --port N --record FILE``."""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

from aiohttp import web

from harness.strict_receiver.server import StrictReceiver


async def serve(port: int, record: Path, *, utf8_names: bool) -> None:
    """Run until SIGTERM."""
    receiver = StrictReceiver(record, utf8_names=utf8_names)
    runner = web.AppRunner(receiver.application(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        await stopped.wait()
    finally:
        await runner.cleanup()
        receiver.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--record", type=Path, required=True, help="a file, gone on with if it is there")
    parser.add_argument("--utf8-names", action="store_true", help="names may be any text")
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.record, utf8_names=options.utf8_names))


if __name__ == "__main__":
    main()
