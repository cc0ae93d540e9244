"""Opening connections: names, addresses, sockets, TLS, and which HTTP is spoken."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from promscout.httpclient.answer import TIMED_OUT, NoAnswer, Wire
from promscout.httpclient.http1 import HTTP1Connection
from promscout.httpclient.resolver import Address, Resolver

if TYPE_CHECKING:
    from promscout.httpclient.http2 import HTTP2Connection


class Place(msgspec.Struct, frozen=True):
    """Where a connection goes to: a host and port, or the path of a unix socket in their place.

    ``address`` is the only one of the host's that will do.
    """

    host: str
    port: int
    unix_socket: str = ""
    address: Address | None = None

    def at(self, address: Address) -> Place:
        """The place at one address of the host."""
        return Place(self.host, self.port, self.unix_socket, address)

    def __str__(self) -> str:
        if self.unix_socket:
            return self.unix_socket
        place = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        return place if self.address is None else f"{place} at {self.address[1]}"


class Dialer:
    """Opens connections. ``server_name`` is what certificates must be for in place of the host."""

    def __init__(self, resolver: Resolver, *, server_name: str = "") -> None:
        self._resolver = resolver
        self._server_name = server_name

    async def dial(
        self, place: Place, context: ssl.SSLContext | None, lost: Callable[[Wire], None], deadline: float
    ) -> Wire | NoAnswer:
        """A new connection, with TLS if there is a ``context``, or why there is none at ``deadline`` (loop time).

        ``lost`` is called once when the connection has ended.
        """
        try:
            async with asyncio.timeout_at(deadline):
                opened = await self._open(place, deadline)
                if isinstance(opened, NoAnswer):
                    return opened
                return await self._speak(opened, place, context, lost)
        except TimeoutError:
            return TIMED_OUT
        except OSError as error:
            return NoAnswer(_problem(place, error))

    async def _open(self, place: Place, deadline: float) -> socket.socket | NoAnswer:
        if place.unix_socket:
            return await _connect(socket.AF_UNIX, place.unix_socket)
        if place.address is not None:
            addresses: tuple[Address, ...] | str = (place.address,)
        else:
            addresses = await self._resolver.resolve(place.host)
        if isinstance(addresses, str):
            return NoAnswer(addresses)
        loop = asyncio.get_running_loop()
        for position, address in enumerate(addresses[:-1]):
            # One that leads nowhere must leave time for the others.
            share = (deadline - loop.time()) / (len(addresses) - position)
            try:
                async with asyncio.timeout(share):
                    connected = await _connect_to(address, place.port)
            except OSError:  # also its time is up; the last one's failure is the one that is told
                continue
            self._resolver.prefer(place.host, address)
            return connected
        try:
            connected = await _connect_to(addresses[-1], place.port)
        except BaseException:  # also when time is up: the name may have moved
            self._resolver.forget(place.host)
            raise
        self._resolver.prefer(place.host, addresses[-1])
        return connected

    async def _speak(
        self, opened: socket.socket, place: Place, context: ssl.SSLContext | None, lost: Callable[[Wire], None]
    ) -> Wire:
        loop = asyncio.get_running_loop()
        try:
            if context is None:
                return (await loop.create_connection(lambda: HTTP1Connection(lost), sock=opened))[1]
            name = self._server_name or place.host
            _, choice = await loop.create_connection(
                lambda: _Choice(lost), sock=opened, ssl=context, server_hostname=name
            )
        except BaseException:
            opened.close()
            raise
        return choice.made


class _Choice(asyncio.Protocol):
    """Gives a connection over to the HTTP that the handshake has chosen, before the server can say anything."""

    def __init__(self, lost: Callable[[Wire], None]) -> None:
        self._lost = lost
        self.made: HTTP1Connection | HTTP2Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
            from promscout.httpclient.http2 import HTTP2Connection  # noqa: PLC0415 - h2 only where a server speaks it

            self.made = HTTP2Connection(self._lost)
        else:
            self.made = HTTP1Connection(self._lost)
        transport.set_protocol(self.made)
        self.made.connection_made(transport)


def _problem(place: Place, error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of {place} is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS with {place}: {error.reason or str(error)}"
    why = os.strerror(error.errno) if error.errno else str(error) or type(error).__name__
    return f"cannot connect to {place}: {why}"


async def _connect_to(address: Address, port: int) -> socket.socket:
    family, text = address
    if "%" in text:
        host, _, zone = text.partition("%")
        scope = int(zone) if zone.isdigit() else socket.if_nametoindex(zone)
        return await _connect(family, (host, port, 0, scope))
    return await _connect(family, (text, port))


async def _connect(family: socket.AddressFamily, address: str | tuple[str | int, ...]) -> socket.socket:
    """A connected socket that does not wait to fill packets."""
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        if family != socket.AF_UNIX:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(opened, address)
    except BaseException:
        opened.close()
        raise
    return opened
