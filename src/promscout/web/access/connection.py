"""One connection of the web server, within bounds of time and memory."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Final, cast

import msgspec
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from promscout.logs import EventLog
from promscout.web.access.tls import TLSServerConfig

MAX_LINE: Final = 8190
"""Bytes of a request's first line, and of a header."""

MAX_HEADERS: Final = 100
"""Headers of a request."""

WRITE_BUFFER: Final = 32 * 1024
"""Bytes that may wait for a client before its answer is made to wait."""

_AT_ONCE: Final = struct.pack("ii", 1, 0)  # lingers, for no time
_MOST_TURNS: Final = 100
_LINGER: Final = 1.0  # seconds for the rest of a body that nobody reads

_log = EventLog("promscout.web")


class ConnectionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How long clients may take, in seconds, and how many answers may wait for them.

    A client that reads nothing for ``stall``, or lets an answer wait for ``waiting`` in all, is cut off.
    """

    idle: float = 300.0
    head: float = 10.0
    handshake: float = 10.0
    stall: float = 30.0
    waiting: float = 300.0
    # Answers that wait for their clients, and the bytes that they hold.
    most_stalled: int = 256
    most_stalled_bytes: int = 64 << 20


class Crowd:
    """All connections that are open.

    Guarantees: of the answers that wait for their clients, so few are kept that their memory is bounded: one more ends
    the one that has waited longest.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.open: set[Connection] = set()
        # One for each connection, from before it is open.
        self.places: set[object] = set()
        self._stalled: dict[Connection, None] = {}
        self._left = asyncio.Event()

    def enter(self, connection: Connection) -> None:
        """Note a connection that was opened."""
        self.open.add(connection)

    def leave(self, connection: Connection) -> None:
        """Forget one that is closed."""
        self.open.discard(connection)
        self._stalled.pop(connection, None)
        self.leave_place(connection.place)

    def take_place(self) -> object:
        """A place for a connection that begins."""
        place = object()
        self.places.add(place)
        return place

    def leave_place(self, place: object) -> None:
        """Give a place back."""
        self.places.discard(place)
        self._left.set()

    async def one_less(self, timeout: float) -> None:  # noqa: ASYNC109 - that nothing happens is no error
        """Wait until a place was given back, or until so many seconds are over."""
        self._left.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._left.wait(), timeout)

    async def close(self) -> None:
        """Cut every connection, and wait for the ends: a turn or two of the loop."""
        for connection in list(self.open):
            connection.cut("the server ends")
        for _ in range(_MOST_TURNS):
            if not self.open:
                return
            await asyncio.sleep(0)

    def stall(self, connection: Connection) -> None:
        """Note that an answer waits for its client."""
        self._stalled[connection] = None
        held = sum(one.unsent for one in self._stalled)
        while self._stalled and (
            len(self._stalled) > self.limits.most_stalled or held > self.limits.most_stalled_bytes
        ):
            longest = next(iter(self._stalled))
            held -= longest.unsent
            del self._stalled[longest]
            longest.cut("other answers wait, too, and this one has for longest")

    def go_on(self, connection: Connection) -> None:
        """Note that it waits no longer."""
        self._stalled.pop(connection, None)

    def make_room(self) -> bool:
        """Close the connection that has been idle for longest; whether there was one."""
        idle = [connection for connection in self.open if connection.idle_since is not None]
        if not idle:
            return False
        min(idle, key=lambda one: one.idle_since or 0.0).force_close()
        return True


class Connection(RequestHandler):
    """Serves one client with aiohttp, whose private names it uses where it says so.

    Guarantees: a request's head arrives within ``head`` seconds of its first byte; a client that does not read holds
    ``WRITE_BUFFER`` bytes and the piece that is being written, and not for long; what is no HTTP gets an answer without
    a word of its own in it, and with the headers of every answer.
    """

    def __init__(
        self,
        manager: web.Server,
        crowd: Crowd,
        headers: Mapping[str, str],
        tls: TLSServerConfig,
    ) -> None:
        self.place: object = None
        self._crowd = crowd
        self._always = headers
        self._tls = tls
        self._deadline: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._paused_at = 0.0
        self._waited = 0.0
        self._heard = asyncio.get_running_loop().time()
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=crowd.limits.idle,
            access_log=None,  # type: ignore[arg-type]  # None is what switches it off
            max_line_size=MAX_LINE,
            max_field_size=MAX_LINE,
            max_headers=MAX_HEADERS,
            lingering_time=_LINGER,
            auto_decompress=False,
        )

    @property
    def unsent(self) -> int:
        """Bytes that wait in this process."""
        return self.transport.get_write_buffer_size() if self.transport is not None else 0

    @property
    def idle_since(self) -> float | None:
        """When it last had something to do; None while it has."""
        return self._heard if self._is_waiting() and self._deadline is None else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless the client's certificate has none of the names that are allowed."""
        super().connection_made(transport)
        self._crowd.enter(self)
        cast("asyncio.Transport", transport).set_write_buffer_limits(WRITE_BUFFER)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and not self._tls.allows(tls.getpeercert()):
            self._force_close = True  # aiohttp's: what arrives from now on is not looked at
            self.cut("its certificate has none of client_allowed_sans")

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._stop(self._deadline)
        self._stop(self._patience)
        self._deadline = self._patience = None
        self._crowd.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what arrived. A head that is not complete must be so in time."""
        self._heard = self._loop.time()
        super().data_received(data)
        if not self._is_waiting():
            self._stop(self._deadline)
            self._deadline = None
            self._waited = 0.0
        elif data and self._deadline is None:
            limits = self._crowd.limits
            seconds = min(limits.head, limits.idle)
            self._deadline = self._loop.call_later(seconds, self.cut, "a request was not complete in time")

    def pause_writing(self) -> None:
        """The client does not read as quickly as the answer is made."""
        super().pause_writing()
        limits = self._crowd.limits
        self._paused_at = self._loop.time()
        seconds = min(limits.stall, limits.waiting - self._waited)
        self._patience = self._loop.call_later(seconds, self.cut, "it does not read its answer")
        self._crowd.stall(self)

    def resume_writing(self) -> None:
        """The client has read."""
        self._stop(self._patience)
        self._patience = None
        self._waited += self._loop.time() - self._paused_at
        self._heard = self._loop.time()
        self._crowd.go_on(self)
        super().resume_writing()

    def cut(self, reason: str) -> None:
        """End the connection now, whatever waits to be sent."""
        if self.transport is not None:
            peer = self.transport.get_extra_info("peername")
            _log.debug("connection cut", peer=peer[0] if peer else "", reason=reason)
            sock = self.transport.get_extra_info("socket")
            # What the kernel holds for the client goes at once, too.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's words, which quote the request
    ) -> web.StreamResponse:
        """The answer to what is no HTTP, or to a handler's fault. Neither tells what was at fault; the log does."""
        if isinstance(exc, ConnectionError):
            # What aiohttp does with it makes a cycle, which would hold all that was to be sent until it is collected.
            exc.__traceback__ = None
            raise ConnectionError("the client is gone")
        if status == web.HTTPInternalServerError.status_code:
            _log.error("a request failed", exc_info=exc, path=request.path)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun, there can be no other one")
        answer = _Bare(status=status, text=f"{status} {HTTPStatus(status).phrase}\n")
        answer.headers.update(self._always)
        answer.force_close()
        return answer

    def _is_waiting(self) -> bool:
        """Whether aiohttp waits for a request, or is about to wait for the first."""
        return self._request_count == 0 or (self._waiter is not None and not self._waiter.done())

    @staticmethod
    def _stop(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


class _Bare(web.Response):
    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.popall("Server", None)
