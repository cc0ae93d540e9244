"""Accepts connections, as many as may be open at one time."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from promscout.logs import EventLog
from promscout.web.access.config_file import WebSetup
from promscout.web.access.connection import Connection, Crowd

_UNSENT: Final = 128 * 1024  # bytes that the kernel may hold for a client besides what is on its way
_SHUTDOWN_SECONDS: Final = 1.0  # for the client's farewell over TLS
_NO_RESOURCES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_RETRY_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.5  # how often to look for a connection that has become idle meanwhile

_log = EventLog("promscout.web")


class Listener:
    """Serves who connects to a socket.

    Guarantees: at most ``most`` connections are open, handshakes included; one that is idle gives its place to a new
    one; where none is idle, new ones wait in the kernel. Each connection gets the TLS context of the moment, so that
    another certificate needs no restart.

    Source: prometheus v3.x web/web.go Listener, exporter-toolkit web/tls_config.go Serve.
    """

    def __init__(
        self,
        sock: socket.socket,
        crowd: Crowd,
        most: int,
        setup: Callable[[], Awaitable[WebSetup]],
        connect: Callable[[WebSetup], Connection],
    ) -> None:
        self._socket = sock
        self._crowd = crowd
        self._most = most
        self._setup = setup
        self._connect = connect
        self._beginning: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Accept until cancelled; leaves no handshake under way. The socket stays open."""
        self._socket.setblocking(False)
        try:
            while True:
                await self._accept()
        finally:
            for task in self._beginning:
                task.cancel()
            await asyncio.gather(*self._beginning, return_exceptions=True)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            sock, _ = await loop.sock_accept(self._socket)
        except OSError as error:
            if error.errno in _NO_RESOURCES:
                _log.warning("connections can not be accepted", reason=error.strerror)
                await asyncio.sleep(_RETRY_SECONDS)
            return
        try:
            while len(self._crowd.places) >= self._most:
                self._crowd.make_room()
                await self._crowd.one_less(_LOOK_SECONDS)
        except asyncio.CancelledError:
            sock.close()
            raise
        task = loop.create_task(self._begin(sock), name="connection")
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    async def _begin(self, sock: socket.socket) -> None:
        place = self._crowd.take_place()

        def connect() -> Connection:
            connection = self._connect(setup)
            connection.place = place
            return connection

        try:
            # An answer that nobody reads shall not fill the kernel's memory.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
            setup = await self._setup()
            tls = {} if setup.context is None else self._tls_options()
            await asyncio.get_running_loop().connect_accepted_socket(connect, sock, ssl=setup.context, **tls)
        except OSError as error:  # of TLS, too
            self._give_up(sock, place)
            _log.debug("connection failed", reason=str(error))
        except BaseException:
            self._give_up(sock, place)
            raise

    def _give_up(self, sock: socket.socket, place: object) -> None:
        sock.close()
        self._crowd.leave_place(place)

    def _tls_options(self) -> dict[str, float]:
        return {
            "ssl_handshake_timeout": self._crowd.limits.handshake,
            "ssl_shutdown_timeout": _SHUTDOWN_SECONDS,
        }
