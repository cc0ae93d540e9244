"""What is asked of a server at once, and what comes of it: values that the ways to ask share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar, Final, Protocol, TypeAlias

import msgspec

HEADER_LIMIT: Final = 65_536
"""Bytes that an answer may have before its body, or in a row within it that are no body (chunk sizes, trailers)."""

ERROR_BODY_LIMIT: Final = 1 << 20
"""Bytes of an answer that is no success that are read so that its connection can be used again."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A server's answer, read to its end. ``body`` is as it came, packed or not.

    Where ``complete`` is False the body is longer than was asked for: ``body`` is its beginning.
    """

    status: int
    reason: str
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    complete: bool = True

    def header(self, name: bytes) -> str:
        """The first value of a header; ``name`` is in lower case. Empty without one."""
        for key, value in self.headers:
            if key.lower() == name:
                return value.decode("latin-1")
        return ""


class NoAnswer(msgspec.Struct, frozen=True, gc=False):
    """Why there is none, in words fit for users.

    ``timed_out`` says that the time was up. ``unheard`` says that the connection ended before the first byte of an
    answer: where it had been idle, the server has most likely closed it without having seen the request.
    """

    reason: str
    timed_out: bool = False
    unheard: bool = False


Outcome: TypeAlias = Answer | NoAnswer

TIMED_OUT: Final = NoAnswer("the time limit was reached", timed_out=True)


class Head:
    """The headers of a request but ``Host`` and ``Content-Length``; made once for many requests.

    Raises:
        ValueError: a name or value cannot stand in a header; the text names the header and not its value.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        for name, value in pairs:
            if not name or not name.isascii() or any(character in name for character in " :\r\n\0"):
                raise ValueError("a header has a name that cannot be sent")
            if "\r" in value or "\n" in value or "\0" in value:
                raise ValueError(f"header {name} has a line feed or a NUL in its value")
        self.pairs = tuple(pairs)

    @cached_property
    def text(self) -> bytes:
        """As HTTP/1.1 has them, with the empty line after the last."""
        return "".join([f"{name}: {value}\r\n" for name, value in self.pairs]).encode() + b"\r\n"

    @cached_property
    def fields(self) -> list[tuple[str, str]]:
        """As HTTP/2 has them: names in lower case, nothing about connections."""
        return [(name.lower(), value) for name, value in self.pairs if name.lower() not in _HOP_BY_HOP]

    def get(self, name: str) -> str:
        """The first value of a header; ``name`` is in lower case. Empty without one."""
        return next((value for key, value in self.pairs if key.lower() == name), "")


_HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "host"})


class Order(msgspec.Struct, frozen=True, gc=False):
    """One request to one server. ``limit`` is the longest body of the answer that is wanted, in bytes."""

    method: str
    scheme: str
    authority: str
    path: str
    head: Head
    limit: int
    body: bytes | None = None

    def body_limit(self, status: int) -> int:
        """The longest body to read of an answer with this status."""
        return self.limit if 200 <= status < 300 else min(self.limit, ERROR_BODY_LIMIT)


class Wire(Protocol):
    """An open connection that carries requests: several at once if ``shared``."""

    shared: ClassVar[bool]

    @property
    def free(self) -> bool:
        """Whether it can take a request now."""
        ...

    async def exchange(self, order: Order, deadline: float) -> Outcome:
        """Send a request and read the answer, until ``deadline`` (loop time) at the latest. Raises nothing.

        Cancelling it ends the request, and with HTTP/1.1 the connection.
        """
        ...

    def close(self) -> None:
        """End the connection now, and with it what it carries."""
        ...


def now() -> float:
    """The running loop's time."""
    return asyncio.get_running_loop().time()
