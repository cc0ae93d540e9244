"""A connection that speaks HTTP/1.1."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar, Final, cast

import httptools

from promscout.httpclient.answer import HEADER_LIMIT, TIMED_OUT, Answer, NoAnswer, Order, Outcome

_SWITCHED: Final = NoAnswer("the server switched to another protocol")
_TOO_MUCH_BESIDES: Final = NoAnswer(f"the server sent more than {HEADER_LIMIT} bytes of headers")
_FRAMED: Final = frozenset({b"content-length", b"transfer-encoding"})


class HTTP1Connection(asyncio.Protocol):
    """A ``Wire`` for one request at a time.

    Guarantees: only a connection whose last answer was complete, and on which the server said nothing after it, is
    ``free`` again; what it holds is bounded by the limit of the order and by ``HEADER_LIMIT``; a failed exchange
    leaves no reference cycle; ``lost`` is called once, when the connection has ended.
    """

    shared: ClassVar[bool] = False

    def __init__(self, lost: Callable[[HTTP1Connection], None]) -> None:
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._order: Order | None = None
        self._waiter: asyncio.Future[Outcome] | None = None
        self._forget()

    def _forget(self) -> None:
        self._status = 0  # 0 until the headers are complete
        self._reason = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []
        self._size = 0
        self._limit = 0

    @property
    def free(self) -> bool:
        """Whether it can take a request now."""
        return self._waiter is None and self._transport is not None

    async def exchange(self, order: Order, deadline: float) -> Outcome:
        """Send a request and read the answer; see ``Wire``."""
        transport = self._transport
        if transport is None or self._waiter is not None:
            return NoAnswer("the connection is closed", unheard=True)
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Outcome] = loop.create_future()
        self._waiter = waiter
        self._order = order
        self._heard = False
        self._aside = 0  # bytes since the last ones of a body
        transport.write(_request(order))
        timer = loop.call_at(deadline, self._finish, TIMED_OUT)
        try:
            return await waiter
        finally:
            if waiter.cancelled():
                self.close()
            timer.cancel()
            self._waiter = self._order = None
            self._forget()

    def close(self) -> None:
        """End the connection now."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def _finish(self, outcome: Outcome, *, keep: bool = False) -> None:
        if not keep:
            self.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(outcome)

    def _answer(self, *, complete: bool = True) -> Answer:
        # Of a body that is too long its first piece says enough; a copy of the rest would cost as much again.
        body = self._chunks[0] if len(self._chunks) == 1 or not complete else b"".join(self._chunks)
        return Answer(self._status, self._reason.decode("latin-1"), self._headers, body, complete)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        """Read more of the answer."""
        waiter, parser = self._waiter, self._parser
        if waiter is None or waiter.done() or parser is None:
            self.close()  # nobody asked for this
            return
        self._heard = True
        before = self._size
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._finish(_SWITCHED)
        except httptools.HttpParserError as error:
            self._finish(NoAnswer(f"malformed HTTP response: {error}"))
        if self._size == before:
            self._aside += len(data)
            if self._aside > HEADER_LIMIT and not waiter.done():
                self._finish(_TOO_MUCH_BESIDES)
        else:
            self._aside = 0

    def connection_lost(self, error: Exception | None) -> None:
        """The connection has ended; a body without a length of its own is complete with that."""
        self._transport = self._parser = None
        if self._waiter is not None and not self._waiter.done():
            unframed = self._status and all(name.lower() not in _FRAMED for name, _ in self._headers)
            if error is None and unframed:
                self._finish(self._answer())
            else:
                self._finish(NoAnswer(_broken(error, heard=self._heard), unheard=not self._heard))
        self._lost(self)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """An answer begins: the one that is awaited, or one after an interim answer, or one nobody asked for."""
        if self._waiter is None or self._waiter.done():
            self.close()
        self._forget()

    def on_status(self, reason: bytes) -> None:
        """The words beside the status; they may come in pieces."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header of the answer, or one after a body in chunks, which nobody needs."""
        if not self._status:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The status and the limit that goes with it are known."""
        if self._parser is not None and self._order is not None:
            self._status = self._parser.get_status_code()
            self._limit = self._order.body_limit(self._status)

    def on_body(self, chunk: bytes) -> None:
        """More of the body; what is beyond the limit ends the exchange."""
        self._size += len(chunk)
        self._chunks.append(chunk)
        if self._size > self._limit and self._waiter is not None and not self._waiter.done():
            self._finish(self._answer(complete=False))

    def on_message_complete(self) -> None:
        """The answer is there, unless it is an interim one, which another follows."""
        if self._waiter is None or self._waiter.done() or 100 <= self._status < 200 or self._parser is None:
            return
        self._finish(self._answer(), keep=self._parser.should_keep_alive())


def _request(order: Order) -> bytes:
    start = f"{order.method} {order.path} HTTP/1.1\r\nHost: {order.authority}\r\n"
    if order.body is None:
        return start.encode() + order.head.text
    return f"{start}Content-Length: {len(order.body)}\r\n".encode() + order.head.text + order.body


def _broken(error: Exception | None, *, heard: bool) -> str:
    when = "within its answer" if heard else "without an answer"
    if isinstance(error, ConnectionResetError):
        return f"the server reset the connection {when}"
    if error is None:
        return f"the server closed the connection {when}"
    return f"the connection broke {when}: {error}"
