"""Passwords are checked against bcrypt hashes, away from the event loop."""

from __future__ import annotations

import asyncio
import hmac
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum, auto
from hashlib import sha256
from typing import Final

from promscout.web.access.config import PasswordHash

MAX_WAITING: Final = 16
"""Checks that may wait for the one that is computed."""

MAX_KNOWN: Final = 1000
"""Results that are remembered, of passwords that are right and of those that are wrong, each."""

_LONGEST: Final = 72  # bytes; bcrypt has never looked at more


class Verdict(Enum):
    """What became of a check."""

    RIGHT = auto()
    WRONG = auto()
    BUSY = auto()


class Passwords:
    """Checks passwords.

    Guarantees: one hash at a time is computed, in a thread, and few wait, so that a flood of wrong passwords costs one
    core at most and neither delays the event loop nor those whose password is known to be right; an unknown user costs
    as much time as a known one; what is remembered of a password is a keyed digest of it, of no use to others.

    Source: exporter-toolkit web/handler.go ServeHTTP, which computes one hash at a time and remembers results.
    """

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._right: dict[bytes, None] = {}
        self._wrong: dict[bytes, None] = {}
        self._pending: dict[bytes, asyncio.Task[bool]] = {}
        self._one = asyncio.Lock()

    async def check(self, users: Mapping[str, PasswordHash], user: str, password: bytes) -> Verdict:
        """Whether it is the password of ``user``; BUSY when too many others wait."""
        known = user in users
        text = (users[user] if known else self._instead(users, user)).reveal()
        # Known or not is part of it: a user who is renamed leaves the hash to the new name.
        digest = self._digest(b"known" if known else b"", user.encode(), text.encode(), password)
        if digest in self._right:
            self._remember(self._right, digest)
            return Verdict.RIGHT
        if digest in self._wrong:
            return Verdict.WRONG
        task = self._pending.get(digest)
        if task is None:
            if len(self._pending) > MAX_WAITING:
                return Verdict.BUSY
            task = asyncio.create_task(self._compute(digest, text, password, known), name="password")
            self._pending[digest] = task
        return Verdict.RIGHT if await asyncio.shield(task) else Verdict.WRONG

    async def close(self) -> None:
        """Forget what is under way."""
        tasks = list(self._pending.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _compute(self, digest: bytes, text: str, password: bytes, known: bool) -> bool:
        try:
            async with self._one:
                right = await _in_own_thread(password[:_LONGEST], text.encode()) and known
        finally:
            del self._pending[digest]
        self._remember(self._right if right else self._wrong, digest)
        return right

    def _remember(self, results: dict[bytes, None], digest: bytes) -> None:
        results.pop(digest, None)
        results[digest] = None
        if len(results) > MAX_KNOWN:
            del results[next(iter(results))]

    def _digest(self, *parts: bytes) -> bytes:
        return hmac.digest(self._key, b"".join(len(part).to_bytes(8, "big") + part for part in parts), sha256)

    def _instead(self, users: Mapping[str, PasswordHash], user: str) -> PasswordHash:
        """The hash that an unknown user is compared with, always the same one, and never right."""
        choice = int.from_bytes(hmac.digest(self._key, user.encode(), sha256)[:8], "big")
        return users[sorted(users)[choice % len(users)]]


async def _in_own_thread(password: bytes, text: bytes) -> bool:
    """Whether bcrypt finds that they match.

    Not in the pool of threads: the end of the program would wait for a hash of high cost.
    """
    import bcrypt  # noqa: PLC0415 - for agents that have passwords

    loop = asyncio.get_running_loop()
    done: asyncio.Future[bool] = loop.create_future()

    def finish(right: bool) -> None:
        if not done.done():
            done.set_result(right)

    def compute() -> None:
        try:
            right = bcrypt.checkpw(password, text)
        except ValueError:
            right = False
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(finish, right)

    threading.Thread(target=compute, name="password", daemon=True).start()
    return await done
