"""Addresses of host names, remembered for a while."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_address
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

KEEP: Final = 30.0
"""Seconds that the addresses of a name are used without asking again."""

KEEP_FAILURE: Final = 2.0
"""Seconds that a name that could not be looked up is not asked for again."""

_MOST: Final = 10_000  # names that are remembered
_LOOKUPS: Final = 16  # at the same time; threads that only wait

Address: TypeAlias = tuple[socket.AddressFamily, str]
"""A family, and an address as text (with its zone, for a link-local one)."""


class Resolver:
    """Looks names up, one lookup per name at a time, in threads of its own so that a dead name server stops nothing.

    Addresses come in the order that the system gives them, the one last connected to (``prefer``) first. ``forget`` is
    for a name none of whose addresses could be connected to.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, tuple[Address, ...] | str]] = {}
        self._under_way: dict[str, asyncio.Task[tuple[Address, ...] | str]] = {}
        self._threads: ThreadPoolExecutor | None = None

    async def resolve(self, host: str) -> tuple[Address, ...] | str:
        """The addresses of ``host``, at least one, or why there is none. ``host`` may be an address itself."""
        known = self._known.get(host)
        if known is not None and known[0] > asyncio.get_running_loop().time():
            return known[1]
        literal = _literal(host)
        if literal is not None:
            return (literal,)
        task = self._under_way.get(host)
        if task is None:
            task = self._under_way[host] = asyncio.get_running_loop().create_task(
                self._look_up(host), name=f"lookup of {host}"
            )
            task.add_done_callback(lambda _: self._under_way.pop(host, None))
        # Who gives up does not cost the others theirs.
        return await asyncio.shield(task)

    def forget(self, host: str) -> None:
        """Ask anew next time."""
        self._known.pop(host, None)

    def prefer(self, host: str, address: Address) -> None:
        """Name ``address``, which could be connected to, first as long as the others are known."""
        known = self._known.get(host)
        if known is not None and isinstance(known[1], tuple) and known[1][0] != address and address in known[1]:
            others = tuple(other for other in known[1] if other != address)
            self._known[host] = known[0], (address, *others)

    async def _look_up(self, host: str) -> tuple[Address, ...] | str:
        loop = asyncio.get_running_loop()
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="lookup")
        found: tuple[Address, ...] | str
        try:
            infos = await loop.run_in_executor(
                self._threads, partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
            )
            found = tuple(dict.fromkeys((family, _text(address)) for family, _, _, _, address in infos))
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a host name"
            found = f"cannot look up {host}: {reason}"
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[host] = loop.time() + (KEEP_FAILURE if isinstance(found, str) else KEEP), found
        return found


_resolvers: WeakKeyDictionary[asyncio.AbstractEventLoop, Resolver] = WeakKeyDictionary()


def shared_resolver() -> Resolver:
    """The resolver of the running loop: like the loop's threads, all that runs on it shares it."""
    loop = asyncio.get_running_loop()
    resolver = _resolvers.get(loop)
    if resolver is None:
        resolver = _resolvers[loop] = Resolver()
    return resolver


def _literal(host: str) -> Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return (socket.AF_INET if address.version == 4 else socket.AF_INET6), host


def _text(address: tuple[Any, ...]) -> str:
    text: str = address[0]
    if len(address) == 4 and address[3] and "%" not in text:
        return f"{text}%{address[3]}"
    return text
