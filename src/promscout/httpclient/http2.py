"""A connection that speaks HTTP/2."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import ClassVar, Final, cast

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from promscout.httpclient.answer import HEADER_LIMIT, TIMED_OUT, Answer, NoAnswer, Order, Outcome

_WINDOW: Final = 1 << 20  # bytes that a server may send ahead on one stream, and on the connection
_CHATTER: Final = 65_536  # bytes that a server may send with no request under way, or that it may leave unread
_CLOSED: Final = "the server closed the connection"


class _Stream:
    """One request under way."""

    def __init__(self, order: Order) -> None:
        self.waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.order = order
        self.unsent = memoryview(order.body or b"")
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.chunks: list[bytes] = []
        self.size = 0

    def finish(self, outcome: Outcome) -> None:
        if not self.waiter.done():
            self.waiter.set_result(outcome)

    def answer(self, *, complete: bool = True) -> Answer:
        return Answer(self.status, "", self.headers, b"".join(self.chunks) if complete else self.chunks[0], complete)


class _States(h2.connection.H2ConnectionStateMachine):
    """A connection that the server leaves stays open for the streams that it still answers (RFC 9113, 6.8)."""

    def process_input(self, input_: h2.connection.ConnectionInputs) -> list[h2.events.Event]:
        if input_ is h2.connection.ConnectionInputs.RECV_GOAWAY:
            return []
        return super().process_input(input_)


class _Frames(h2.connection.H2Connection):
    """What is spoken on one connection; after a GOAWAY too."""

    def __init__(self) -> None:
        super().__init__(h2.config.H2Configuration(header_encoding=None, validate_inbound_headers=True))
        self.state_machine = _States()

    def clear_outbound_data_buffer(self) -> None:
        """Keep what is unsent when a GOAWAY comes: the server still waits for its acknowledgements."""


class HTTP2Connection(asyncio.Protocol):
    """A ``Wire`` for as many requests at once as the server allows.

    Guarantees: a request that ends early ends its stream and not the others; a server that says it goes away gets no
    further request, may answer those that it says it has taken, and loses the connection with the last of them; what a
    stream holds is bounded by its order, what the connection holds by its windows; a server that talks without being
    asked, or does not read what it is answered, loses the connection. ``lost`` is called once, when the connection has
    ended.
    """

    shared: ClassVar[bool] = True

    def __init__(self, lost: Callable[[HTTP2Connection], None]) -> None:
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._leaving = False
        self._chatter = 0
        self._frames = 0
        self._aside = 0
        self._streams: dict[int, _Stream] = {}
        self._h2 = _Frames()
        self._h2.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: HEADER_LIMIT,
            },
        )

    @property
    def free(self) -> bool:
        """Whether it can take a request now."""
        return (
            self._transport is not None
            and not self._leaving
            and len(self._streams) < self._h2.remote_settings.max_concurrent_streams
        )

    async def exchange(self, order: Order, deadline: float) -> Outcome:
        """Send a request and read the answer; see ``Wire``."""
        if not self.free:
            return NoAnswer("the connection is closed", unheard=True)
        self._chatter = 0
        frames, stream = self._frames, _Stream(order)
        try:
            number = self._h2.get_next_available_stream_id()
            self._h2.send_headers(number, _fields(order), end_stream=not order.body)
        except h2.exceptions.ProtocolError as error:
            self.close()
            return NoAnswer(f"{_CLOSED}: {error}", unheard=True)
        self._streams[number] = stream
        self._send_body(number, stream)
        self._flush()
        timer = asyncio.get_running_loop().call_at(deadline, stream.finish, TIMED_OUT)
        try:
            return await stream.waiter
        finally:
            timer.cancel()
            if self._streams.pop(number, None) is not None:
                self._give_up(number, mute=self._frames == frames)

    def close(self) -> None:
        """End the connection now, and the requests on it."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def _give_up(self, number: int, *, mute: bool) -> None:
        """End a stream whose answer is not complete; a connection that was ``mute`` all the time is used no more."""
        self._leaving = self._leaving or mute
        if self._leaving and not self._streams:
            self.close()
            return
        try:
            self._h2.reset_stream(number, h2.errors.ErrorCodes.CANCEL)
        except h2.exceptions.ProtocolError:  # it, or the connection, has ended
            return
        self._flush()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and self._transport is not None:
            self._transport.write(data)

    def _send_body(self, number: int, stream: _Stream) -> None:
        """Send as much of a body as the server has room for."""
        try:
            while stream.unsent:
                room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
                if room <= 0:
                    return
                chunk, stream.unsent = bytes(stream.unsent[:room]), stream.unsent[room:]
                self._h2.send_data(number, chunk, end_stream=not stream.unsent)
        except h2.exceptions.StreamClosedError:  # the server has answered without reading it all
            return

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._transport = cast("asyncio.Transport", transport)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_WINDOW)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Read more of the answers."""
        if self._transport is None:
            return
        asked = bool(self._streams)
        try:
            events = self._h2.receive_data(data)
            for event in events:
                self._handle(event)
        except (h2.exceptions.ProtocolError, ValueError) as error:
            self._fail(f"malformed HTTP/2 answer: {str(error) or type(error).__name__}")
            return
        self._flush()
        self._frames += len(events)
        self._aside = 0 if events else self._aside + len(data)
        if not asked:
            self._chatter += len(data)
        if self._aside > HEADER_LIMIT:  # a frame may be announced with 16 MB, whatever was agreed on
            self._fail(f"malformed HTTP/2 answer: more than {HEADER_LIMIT} bytes without a frame's end")
        elif self._chatter > _CHATTER or self._unread() > _CHATTER + _WINDOW:
            self._fail("the server sent too much that nobody asked for")

    def _unread(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def connection_lost(self, error: Exception | None) -> None:
        """The connection has ended."""
        self._fail(f"the connection broke: {error}" if error is not None else _CLOSED)
        self._lost(self)

    def _fail(self, reason: str) -> None:
        self.close()
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.finish(NoAnswer(reason, unheard=not stream.status))

    # What HTTP/2 says.

    def _handle(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.DataReceived):
            self._data(event)
        elif isinstance(event, h2.events.ResponseReceived):
            self._response(event)
        elif isinstance(event, h2.events.StreamEnded):
            stream = self._ended(event.stream_id)
            if stream is not None:
                stream.finish(stream.answer())
        elif isinstance(event, h2.events.StreamReset):
            stream = self._ended(event.stream_id)
            if stream is not None:
                refused = event.error_code == h2.errors.ErrorCodes.REFUSED_STREAM
                stream.finish(NoAnswer("the server reset the stream", unheard=refused))
        elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            for number, stream in self._streams.items():
                self._send_body(number, stream)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self._terminated(event)

    def _ended(self, number: int) -> _Stream | None:
        """The stream that has ended here, unless it was given up."""
        stream = self._streams.pop(number, None)
        self._close_if_left()
        return stream

    def _close_if_left(self) -> None:
        if self._leaving and not self._streams:
            self.close()

    def _response(self, event: h2.events.ResponseReceived) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        for name, value in cast("Sequence[tuple[bytes, bytes]]", event.headers):
            if name == b":status":
                stream.status = int(value)
            else:
                stream.headers.append((name, value))

    def _data(self, event: h2.events.DataReceived) -> None:
        self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        stream.size += len(event.data)
        stream.chunks.append(event.data)
        if stream.size > stream.order.body_limit(stream.status):
            stream.finish(stream.answer(complete=False))

    def _terminated(self, event: h2.events.ConnectionTerminated) -> None:
        """The server goes away: requests that it will not answer may be sent elsewhere."""
        self._leaving = True
        last = event.last_stream_id or 0
        for number in [number for number in self._streams if number > last]:
            self._streams.pop(number).finish(NoAnswer(_CLOSED, unheard=True))
        self._close_if_left()


def _fields(order: Order) -> list[tuple[str, str]]:
    fields = [
        (":method", order.method),
        (":authority", order.authority),
        (":scheme", order.scheme),
        (":path", order.path),
        *order.head.fields,
    ]
    if order.body is not None:
        fields.append(("content-length", str(len(order.body))))
    return fields
