"""Credentials from credential plugins, kept as long as they are good and shared by all that have the same plugin."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, Self
from weakref import WeakKeyDictionary

from promscout.httpclient.credentials import Credential
from promscout.httpclient.single_flight import SingleFlight
from promscout.kube.exec_plugin import ExecPlugin
from promscout.model.clock import Clock, SystemClock

EARLY: Final = 10.0
"""Seconds before its expiry from which a credential is no longer used, so that it does not expire on the way; half of
its lifetime if that is less."""


@dataclass(frozen=True, slots=True)
class _Kept:
    credential: Credential
    good_until_ms: float


class KeptCredential:
    """The credential of one plugin. One run at a time serves all that wait for it."""

    def __init__(self, plugin: ExecPlugin, clock: Clock) -> None:
        self._plugin = plugin
        self._clock = clock
        self._kept: _Kept | None = None
        self._running: SingleFlight[Credential] = SingleFlight("credential plugin")
        self.users = 0

    async def credential(self) -> Credential:
        """The credential; the plugin runs if there is none, or it is about to expire.

        Raises:
            aiohttp.ClientError: the plugin gave none.
        """
        kept = self._kept
        if kept is not None and self._clock.now_ms() < kept.good_until_ms:
            return kept.credential
        return await self._running.run(self._run)

    async def rejected(self, credential: Credential) -> Credential | None:
        """The credential after ``credential``; the plugin runs, unless it has since ``credential`` was handed out.

        Raises:
            aiohttp.ClientError: the plugin gave none.
        """
        if self._kept is not None and self._kept.credential is credential:
            self._kept = None
        other = await self.credential()
        return None if other == credential else other

    async def close(self) -> None:
        """End a run under way."""
        await self._running.close()

    async def _run(self) -> Credential:
        issued = await self._plugin.run()
        good_until = float("inf")
        if issued.expires is not None:
            expires, now = issued.expires.timestamp() * 1000, self._clock.now_ms()
            good_until = expires - min(EARLY * 1000, max(0.0, expires - now) / 2)
        # A new object, even if the plugin printed the same again: who was refused with the old one can tell.
        self._kept = _Kept(issued.credential, good_until)
        return issued.credential


# Clients are made independently of each other, for one reason: a plugin may cost seconds and a login, so equal ones
# share its credential. An entry lives as long as clients use it, on their event loop.
_KEPT: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[ExecPlugin, KeptCredential]] = WeakKeyDictionary()


class ExecCredentials(AbstractAsyncContextManager[Any]):
    """A client's share of the credential of ``plugin``."""

    def __init__(self, plugin: ExecPlugin, clock: Clock | None = None) -> None:
        self._plugin = plugin
        self._clock = clock or SystemClock()
        self._kept: KeptCredential | None = None

    async def __aenter__(self) -> Self:
        plugins = _KEPT.setdefault(asyncio.get_running_loop(), {})
        self._kept = plugins.setdefault(self._plugin, KeptCredential(self._plugin, self._clock))
        self._kept.users += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        kept, self._kept = self._kept, None
        if kept is None:
            return
        kept.users -= 1
        if kept.users == 0:
            del _KEPT[asyncio.get_running_loop()][self._plugin]
            await kept.close()

    async def credential(self) -> Credential:
        """The shared credential, made anew if it expires.

        Raises:
            aiohttp.ClientError: the plugin gave none.
        """
        return await self._entered().credential()

    async def rejected(self, credential: Credential) -> Credential | None:
        """The credential that follows one that was refused; None if it is the same again.

        Raises:
            aiohttp.ClientError: the plugin gave none.
        """
        return await self._entered().rejected(credential)

    def _entered(self) -> KeptCredential:
        if self._kept is None:
            raise RuntimeError("the credentials are used outside their context")
        return self._kept
