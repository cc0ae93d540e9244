"""``listening_sd_configs``: the ports of a host on which somebody listens."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import ClassVar, Final, Self

import msgspec

from promscout.discovery.plugin import (
    ADDRESS,
    DiscoveryContext,
    Duration,
    InvalidValueError,
    Mechanism,
    Publish,
    Refresher,
    RefreshFailed,
    TargetGroup,
)

PORT_LABEL: Final = "__meta_listening_port"

CONNECT_SECONDS: Final = 1.0
"""A port that does not answer for so long is not listened on."""


class ListeningSDConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One host and the ports that may be targets.

    Raises:
        InvalidValueError: no ports, or one that does not exist.
    """

    mechanism: ClassVar[str] = "listening"

    host: str = "127.0.0.1"
    ports: tuple[int, ...]
    refresh_interval: Duration = Duration(30)

    def __post_init__(self) -> None:
        if not self.ports or not all(0 < port <= 0xFFFF for port in self.ports):
            raise InvalidValueError("one or more ports from 1 to 65535 are needed", key="ports")
        if not self.refresh_interval:
            raise InvalidValueError("must be greater than 0", key="refresh_interval")

    def with_directory(self, directory: Path) -> Self:  # noqa: ARG002 - part of the contract
        """The same value: it names no files."""
        return self


class ListeningFactory:
    """Makes the discoverers of one agent."""

    def __init__(self, context: DiscoveryContext) -> None:
        self._context = context

    def __call__(self, config: ListeningSDConfig) -> ListeningDiscoverer:
        """The discoverer of ``config``."""
        return ListeningDiscoverer(config, self._context)


class ListeningDiscoverer:
    """Tries all ports at every refresh. The host is the source of one group with a target for each that answers."""

    def __init__(self, config: ListeningSDConfig, context: DiscoveryContext) -> None:
        self._config = config
        self._refresher = Refresher(config.mechanism, config.refresh_interval, context.refresh)

    async def run(self, publish: Publish) -> None:
        """Publish groups until cancelled."""
        await self._refresher.run(self._find, publish)

    async def _find(self) -> list[TargetGroup]:
        ports = self._config.ports
        answers = await asyncio.gather(*(self._is_listened_on(port) for port in ports))
        listening = [port for port, answer in zip(ports, answers, strict=True) if answer]
        targets = [{ADDRESS: f"{self._config.host}:{port}", PORT_LABEL: str(port)} for port in listening]
        return [TargetGroup.of(self._config.host, targets)]

    async def _is_listened_on(self, port: int) -> bool:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, writer = await asyncio.open_connection(self._config.host, port)
        except socket.gaierror as error:
            # Nothing can be said about the ports: the targets stay as they are.
            raise RefreshFailed(f"{self._config.host}: {error.strerror}") from None
        except OSError:  # also TimeoutError
            return False
        writer.close()
        return True


MECHANISM: Final = Mechanism(config=ListeningSDConfig, factory=ListeningFactory)
