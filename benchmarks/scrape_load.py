"""The targets of the scrape benchmark: a process that answers scrapes with what it compressed before the start.

``python benchmarks/scrape_load.py --targets 200 --samples 1000 --versions 90`` listens on an address of 127.0.0.0/8 for
each target and writes :class:`Ready`; ``talk.py`` has the rest. Times are those of ``time.monotonic``, which all
processes share.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import time
from array import array
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
from scrape_bodies import answers
from scrape_slots import deviations
from talk import answer_commands

_REFUSAL: Final = b"HTTP/1.1 406 Not Acceptable\r\nContent-Length: 0\r\n\r\n"
_REQUEST_LIMIT: Final = 64 * 1024


class Ready(msgspec.Struct, frozen=True):
    """Each target's address, and the bytes that it sends for one scrape."""

    addresses: list[str]
    answer_bytes: int


class Reset(msgspec.Struct, frozen=True, tag="reset"):
    """Start at the first version again, forget who asked when."""


class Look(msgspec.Struct, frozen=True, tag="look"):
    """How evenly were the first ``targets`` asked from ``since`` on, up to ``until``?"""

    targets: int
    interval: float
    since: float
    until: float


class Seen(msgspec.Struct, frozen=True):
    """How many requests came, and how far from the middle of its target's each was, in seconds, sorted."""

    requests: int
    deviations: list[float] = []


class Target:
    """One target: answers its k-th scrape with the k-th version. When there are no more, its counters stand still."""

    def __init__(self, versions: Sequence[bytes]) -> None:
        self._versions = versions
        self.asked = array("d")

    def answer(self) -> bytes:
        """What the next scrape gets."""
        version = self._versions[min(len(self.asked), len(self._versions) - 1)]
        self.asked.append(time.monotonic())
        return version


class Connection(asyncio.Protocol):
    """A connection to ``target``."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        for request in requests:
            self._transport.write(self._target.answer() if b"gzip" in request else _REFUSAL)
        if len(self._received) > _REQUEST_LIMIT:
            self._transport.abort()


class Load:
    """All targets, and the answers to the benchmark's questions."""

    def __init__(self, targets: int, samples: int, versions: int) -> None:
        self._versions = list(answers(samples, versions))
        self._targets = [Target(self._versions) for _ in range(targets)]

    async def listen(self) -> Ready:
        """Open every target."""
        loop = asyncio.get_running_loop()
        addresses = []
        for number, target in enumerate(self._targets):
            listening = socket.socket()
            listening.bind((f"127.20.{number // 250}.{number % 250 + 1}", 0))
            await loop.create_server(partial(Connection, target), sock=listening)
            addresses.append("{}:{}".format(*listening.getsockname()))
        return Ready(addresses, len(self._versions[0]))

    def answer(self, command: Reset | Look) -> msgspec.Struct:
        """Carry out one command."""
        if isinstance(command, Reset):
            for target in self._targets:
                target.asked = array("d")
            return Seen(0)
        found: list[float] = []
        for target in self._targets[: command.targets]:
            found += deviations([one for one in target.asked if command.since <= one < command.until], command.interval)
        return Seen(len(found), sorted(found))


async def _run(options: argparse.Namespace) -> None:
    load = Load(options.targets, options.samples, options.versions)
    await answer_commands(await load.listen(), msgspec.json.Decoder(Reset | Look), load.answer)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=200)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--versions", type=int, default=90)
    asyncio.run(_run(parser.parse_args()))
