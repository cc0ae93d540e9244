"""Requests as bytes, for what no client library would send."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

import msgspec

from promscout.web import WebServer


class Answer(msgspec.Struct, frozen=True):
    """An answer as it came: header names in small letters, several values of one in their order."""

    status: int
    headers: dict[str, list[str]]
    body: bytes

    @classmethod
    def of(cls, received: bytes) -> Answer:
        head, _, body = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers: dict[str, list[str]] = {}
        for line in lines:
            name, _, value = line.partition(": ")
            headers.setdefault(name.lower(), []).append(value)
        return cls(int(first.split()[1]), headers, body)


async def connect(
    server: WebServer, tls: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the server."""
    return await asyncio.open_connection("127.0.0.1", urlsplit(server.url).port, ssl=tls)


async def exchange(server: WebServer, request: bytes, tls: ssl.SSLContext | None = None) -> Answer:
    """The answer to what is sent over a connection of its own, which the server must close or be asked to close."""
    async with asyncio.timeout(10):
        reader, writer = await connect(server, tls)
        try:
            writer.write(request)
            return Answer.of(await reader.read())
        finally:
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)


def get(target: str | bytes, *headers: str, host: str = "localhost", method: str = "GET") -> bytes:
    """A request that closes its connection."""
    raw = target if isinstance(target, bytes) else target.encode()
    lines = [f"Host: {host}", "Connection: close", *headers]
    return method.encode() + b" " + raw + b" HTTP/1.1\r\n" + "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"
