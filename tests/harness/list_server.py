"""An HTTP server whose answers the test chooses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


class ListServer:
    """Answers every path with what ``answers`` has for it; ``requests`` are the headers of those that came.

    An answer is a value to be sent as JSON, a ready ``aiohttp.web.Response``, or a function from the request to one.
    """

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[str, Any] = {}
        self.requests: list[dict[str, str]] = []

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(dict(request.headers))
        answer = self.answers.get(request.path, web.Response(status=404))
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, web.Response):  # a response can be sent once only
            return web.Response(body=answer.body, status=answer.status, reason=answer.reason, headers=answer.headers)
        return web.Response(text=json.dumps(answer), content_type="application/json")

    @property
    def address(self) -> str:
        """``127.0.0.1:port``."""
        return self.url.removeprefix("http://")


@asynccontextmanager
async def list_server(port: int = 0) -> AsyncIterator[ListServer]:
    """A server that listens until the end of the block, on a free port unless one is given."""
    server = ListServer()
    runner = web.ServerRunner(web.Server(server.answer), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()
