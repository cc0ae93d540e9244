"""A server on a socket that answers byte for byte as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Script = Callable[["Peer"], Awaitable[None]]


@dataclass
class Peer:
    """One accepted connection. ``request`` reads the next request and gives back its head."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        head = await self.reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                head += await self.reader.readexactly(int(line.partition(b":")[2]))
        return head

    async def say(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()


@dataclass
class RawServer:
    """``requests`` are the heads that came, ``connections`` how many connections were made."""

    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0


@asynccontextmanager
async def raw_server(script: Script, *, host: str = "127.0.0.1", path: str = "", ssl=None) -> AsyncIterator[RawServer]:
    """Runs ``script`` for every connection; a connection ends with its script. ``path`` is that of a unix socket."""
    served = RawServer()
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        served.connections += 1
        peer = Peer(reader, writer)
        request = peer.request

        async def noted() -> bytes:
            head = await request()
            served.requests.append(head)
            return head

        peer.request = noted
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await script(peer)
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    if path:
        server = await asyncio.start_unix_server(accept, path)
        served.url = "http://localhost"
    else:
        server = await asyncio.start_server(accept, host, 0, ssl=ssl)
        port = server.sockets[0].getsockname()[1]
        served.url = f"{'https' if ssl else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
    try:
        yield served
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports tell that they are closed
        await server.wait_closed()


def answer(body: bytes = b"", *, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def always(*parts):
    """Answers every request on a connection with these bytes."""

    async def script(peer):
        while True:
            await peer.request()
            await peer.say(*parts)

    return script
