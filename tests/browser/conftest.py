"""One browser, one scene and its two agents for all of these tests that a process runs; they share one event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from browser.chromium import launched
from browser.site import Site, running
from harness.artifacts import screenshots_dir
from peers import find_chromium


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    async with launched(find_chromium(), tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with running(tmp_path_factory.mktemp("site")) as started:
        yield started


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where pictures of the pages go, for people to look at."""
    directory = screenshots_dir()
    directory.mkdir(parents=True, exist_ok=True)
    return directory
