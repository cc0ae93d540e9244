"""Chromium without windows, driven by Playwright, that reaches nothing but 127.0.0.1."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

_NOBODY = "http://127.0.0.1:9"
_FLAGS = (
    # Whatever a page names: names resolve to nothing, and all but 127.0.0.1 is asked of a proxy that is not there.
    # `<-loopback>` takes back Chromium's own exception for all of loopback.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    f"--proxy-server={_NOBODY}",
    "--proxy-bypass-list=<-loopback>;127.0.0.1",
    # Letters look the same on every machine.
    "--font-render-hinting=none",
    "--disable-lcd-text",
)


def _sandbox_works() -> bool:
    """Chromium's sandbox refuses to run as root, and needs what some machines allow nobody: namespaces of its own."""
    if os.geteuid() == 0:
        return False
    tried = subprocess.run(["unshare", "-Urpf", "true"], stderr=subprocess.DEVNULL, timeout=10, check=False)
    return tried.returncode == 0


@asynccontextmanager
async def launched(program: Path, home: Path) -> AsyncIterator[Browser]:
    """A browser; it and the driver have ended with the block. ``home`` takes what it would put into the user's."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program,
            args=_FLAGS,
            chromium_sandbox=await asyncio.to_thread(_sandbox_works),
            env={"PATH": os.environ["PATH"], "HOME": str(home), "TZ": "UTC"},
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
        )
        try:
            yield browser
        finally:
            await browser.close()
