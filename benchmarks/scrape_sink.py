"""Where the scrape benchmark's samples go: a process that accepts remote write 1.0 and counts when it is asked to.

While a program is measured it only keeps the bodies, in the file ``bodies`` of its directory, so that counting costs no
one anything; see ``talk.py`` for its commands. Times are those of ``time.monotonic``, time stamps milliseconds since
the epoch.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import cramjam
import msgspec
from scrape_bodies import PREFIX
from scrape_counting import Counting, timestamp
from scrape_flow import Arrival, Flow
from scrape_slots import missed_slots
from talk import answer_commands

_ANSWER: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
_HEAD_LIMIT: Final = 64 * 1024


class Ready(msgspec.Struct, frozen=True):
    """Where it listens: 127.0.0.1:``port``."""

    port: int


class Reset(msgspec.Struct, frozen=True, tag="reset"):
    """Forget all that came."""


class Count(msgspec.Struct, frozen=True, tag="count"):
    """What came from ``since`` on up to ``until``, and what became of the scrapes of ``targets`` with time stamps from
    ``first`` on, up to ``last``?
    """

    targets: list[str]
    interval_ms: int
    since: float
    until: float
    first: int
    last: int


class Divide(msgspec.Struct, frozen=True, tag="divide"):
    """When did which samples come: those from before ``moment``, in milliseconds since the epoch, and the others?"""

    moment: int


class Look(msgspec.Struct, frozen=True, tag="look"):
    """How much came so far? It is not counted."""


class Seen(msgspec.Struct, frozen=True):
    """The bytes of all bodies."""

    request_bytes: int


class Divided(msgspec.Struct, frozen=True):
    """Every request, in order. Their times are those of ``time.monotonic``."""

    arrivals: list[Arrival]


class Counted(msgspec.Struct, frozen=True):
    """What came: requests, their bytes and samples between two times.

    Between two time stamps: ``scrapes`` that ended well, exposed ``samples_of_scrapes``, how many slots were missed,
    and the ``durations`` of all scrapes, in seconds, as the program reports them, sorted.
    """

    requests: int = 0
    request_bytes: int = 0
    samples: int = 0
    scrapes: int = 0
    samples_of_scrapes: int = 0
    missed: int = 0
    durations: list[float] = []


Command = Reset | Count | Divide | Look


class Sink:
    """Bodies in the order of their arrival."""

    def __init__(self, path: Path) -> None:
        self._bodies = path.open("w+b")
        self._arrivals: list[tuple[float, int]] = []

    def keep(self, body: bytes) -> None:
        """Take a request's body."""
        self._arrivals.append((time.monotonic(), len(body)))
        self._bodies.write(body)

    def answer(self, command: Command) -> msgspec.Struct:
        """Carry out one command."""
        match command:
            case Count():
                return self._count(command)
            case Divide():
                return self._divide(command)
            case Look():
                return Seen(sum(size for _, size in self._arrivals))
        self._arrivals.clear()
        self._bodies.seek(0)
        self._bodies.truncate()
        return Counted()

    def _messages(self) -> Iterator[tuple[float, int, bytes]]:
        """When each came, the size of its body, and its message."""
        self._bodies.seek(0)
        for arrival, size in self._arrivals:
            yield arrival, size, cramjam.snappy.decompress_raw(self._bodies.read(size)).read()

    def _divide(self, wanted: Divide) -> Divided:
        flow = Flow(wanted.moment)
        return Divided([flow.arrival(arrival, message) for arrival, _, message in self._messages()])

    def _count(self, wanted: Count) -> Counted:
        counting = Counting(PREFIX)
        requests = request_bytes = samples = 0
        for arrival, size, message in self._messages():
            found = counting.add(message)
            if wanted.since <= arrival < wanted.until:
                requests += 1
                request_bytes += size
                samples += found
        return _summary(wanted, counting, Counted(requests, request_bytes, samples))


def _summary(wanted: Count, counting: Counting, counted: Counted) -> Counted:
    """``counted`` with what became of the scrapes."""
    targets = set(wanted.targets)
    inside = _Inside(wanted)
    scrapes = {target: set[int]() for target in targets}
    durations: list[float] = []
    for report in counting.reports():
        if report.target in targets and report.name == "scrape_duration_seconds":
            durations += (value for stamp, value in report.reports if inside[stamp])
        elif report.target in targets and report.name == "up":
            scrapes[report.target] |= {timestamp(stamp) for stamp, value in report.reports if value == 1}
    stamps = (one.stamps.items() for one in counting.exposed() if one.target in targets)
    return msgspec.structs.replace(
        counted,
        scrapes=sum(wanted.first <= stamp < wanted.last for found in scrapes.values() for stamp in found),
        samples_of_scrapes=sum(count for found in stamps for stamp, count in found if inside[stamp]),
        missed=sum(missed_slots(found, wanted.interval_ms, wanted.first, wanted.last) for found in scrapes.values()),
        durations=sorted(durations),
    )


class _Inside(dict[bytes, bool]):
    """Encoded time stamp → whether it is one of those wanted; decoded once, since many samples share one."""

    def __init__(self, wanted: Count) -> None:
        super().__init__()
        self._wanted = wanted

    def __missing__(self, encoded: bytes) -> bool:
        inside = self[encoded] = self._wanted.first <= timestamp(encoded) < self._wanted.last
        return inside


class Connection(asyncio.Protocol):
    """A connection to ``sink``. Bodies need a Content-Length, as all senders of remote write give it.

    The answer to each comes ``answers_after`` seconds later.
    """

    def __init__(self, sink: Sink, answers_after: float) -> None:
        self._sink = sink
        self._answers_after = answers_after
        self._received = bytearray()
        self._wanted = 0  # bytes of the body under way; 0: a head

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while self._wanted or self._head():
            if len(self._received) < self._wanted:
                return
            self._sink.keep(bytes(self._received[: self._wanted]))
            del self._received[: self._wanted]
            self._wanted = 0
            if self._answers_after:
                asyncio.get_running_loop().call_later(self._answers_after, self._transport.write, _ANSWER)
            else:
                self._transport.write(_ANSWER)

    def _head(self) -> bool:
        """Take a request's head, if it is whole."""
        head, end, _ = self._received.partition(b"\r\n\r\n")
        if not end:
            if len(head) > _HEAD_LIMIT:
                self._transport.abort()
            return False
        del self._received[: len(head) + len(end)]
        for line in head.lower().split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name == b"content-length":
                self._wanted = int(value)
        if not self._wanted:
            self._transport.abort()
        return bool(self._wanted)


async def _run(port: int, answers_after: float) -> None:
    sink = Sink(Path("bodies"))
    connection = partial(Connection, sink, answers_after)
    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", port)
    ready = Ready(server.sockets[0].getsockname()[1])
    await answer_commands(ready, msgspec.json.Decoder(Command), sink.answer)


if __name__ == "__main__":
    gc.disable()  # millions of label sets to look through, and nothing that forms cycles
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="of 127.0.0.1; 0: one that is free")
    parser.add_argument("--answers-after", type=float, default=0.0, help="seconds")
    options = parser.parse_args()
    asyncio.run(_run(options.port, options.answers_after))
