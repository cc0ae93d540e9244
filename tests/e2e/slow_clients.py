"""Clients that ask for big answers and hardly read them."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Self


class SlowClients:
    """So many connections to a server of 127.0.0.1, each with a request of which a byte a second is read, or none.

    A connection that the server ends is made anew, so that there are always as many; ``cut`` counts them.
    """

    def __init__(self, port: int, count: int, path: str, *, reading: bool) -> None:
        self._address = ("127.0.0.1", port)
        self._count = count
        self._request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        self._reading = reading
        self._tasks: list[asyncio.Task[None]] = []
        self.cut = 0
        self.connected = 0

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._run(), name=f"slow client {number}") for number in range(self._count)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            with socket.socket() as sock, suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                sock.setblocking(False)
                await self._ask(sock)
                self.cut += 1
            await asyncio.sleep(0.1)

    async def _ask(self, sock: socket.socket) -> None:
        """Ask, and read slowly until the connection ends."""
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, self._address)
        await loop.sock_sendall(sock, self._request)
        self.connected += 1
        while _is_open(sock):
            if self._reading:
                await loop.sock_recv(sock, 1)
            await asyncio.sleep(1)


def _is_open(sock: socket.socket) -> bool:
    """Whether the other side has not reset the connection; what it has sent is not read."""
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
