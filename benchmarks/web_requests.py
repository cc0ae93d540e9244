"""Requests to a program's web server: how long each takes, and clients that hardly read."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from typing import Final

import aiohttp
from processes import BenchError
from report import percentile

LONGEST: Final = 600
"""Requests that a slow client makes, and seconds that it reads one answer."""


class Times:
    """How long requests took: seconds, and the bytes of the last answer, as they came over the network."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.bytes = 0

    def at(self, share: float) -> float | None:
        """A percentile in milliseconds."""
        found = percentile(sorted(self.seconds), share)
        return None if found is None else found * 1000


class Client:
    """Asks one server, one request after the other, each over a connection that is kept."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(self, path: str, headers: Mapping[str, str] | None = None, expected: int = 200) -> Times:
        """Ask once.

        Raises:
            BenchError: the answer has another status.
        """
        return await self.repeat(path, 1, headers, expected)

    async def repeat(
        self, path: str, times: int, headers: Mapping[str, str] | None = None, expected: int = 200
    ) -> Times:
        """Ask for the same thing ``times`` times."""
        found = Times()
        for _ in range(times):
            started = time.perf_counter()
            async with self._session.get(path, headers=headers) as response:
                body = await response.read()
                found.seconds.append(time.perf_counter() - started)
            if response.status != expected:
                raise BenchError(f"{path} answers {response.status}: {body[:300]!r}")
            found.bytes = len(body)
        return found

    async def text(self, path: str) -> str:
        """The answer, unpacked."""
        async with self._session.get(path, headers={"Accept-Encoding": "identity"}) as response:
            return await response.text()

    async def header(self, path: str, name: str) -> str:
        """What an answer's header says."""
        async with self._session.get(path) as response:
            await response.read()
            return response.headers.get(name, "")


@asynccontextmanager
async def client(port: int) -> AsyncIterator[Client]:
    """A client of the server at 127.0.0.1:``port``, which takes answers as they come and does not unpack them."""
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(
        f"http://127.0.0.1:{port}", timeout=timeout, auto_decompress=False, headers={"Accept-Encoding": "gzip"}
    ) as session:
        yield Client(session)


@asynccontextmanager
async def slow_clients(port: int, count: int, path: str) -> AsyncIterator[None]:
    """``count`` clients that ask for ``path`` over and over, and read a byte a second of what they get."""
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(asyncio.TaskGroup())
        reading = [group.create_task(_read_slowly(port, path)) for _ in range(count)]
        stack.callback(lambda: [task.cancel() for task in reading])
        yield


async def _read_slowly(port: int, path: str) -> None:
    loop = asyncio.get_running_loop()
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    for _ in range(LONGEST):
        with closing(socket.socket()) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.setblocking(False)
            try:
                await loop.sock_connect(one, ("127.0.0.1", port))
                await loop.sock_sendall(one, request)
                for _ in range(LONGEST):
                    if not await loop.sock_recv(one, 1):
                        break
                    await asyncio.sleep(1)
            except OSError:
                pass
        await asyncio.sleep(1)  # the server ended it: come again
