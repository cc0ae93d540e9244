"""The agent and its server, for every test of the web."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from unit.web.agent_view import Site, agent_view, serving


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A server of an agent without any pool."""
    async with (
        agent_view() as view,
        serving(view) as server,
        aiohttp.ClientSession(server.url, timeout=aiohttp.ClientTimeout(total=20)) as client,
    ):
        yield Site(view, server, client)
