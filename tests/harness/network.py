"""A guard that keeps the test process on loopback.

While it is in force, connecting, binding or sending to any address outside 127.0.0.0/8 and ::1, and looking up any name
but localhost, raises ``NonLoopbackError`` (an ``OSError``, as code under test expects of a network) and is noted in
``violations``, so that a test fails even where the code under test handles the error.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import pytest

_LOCAL_NAMES = {"localhost", "localhost.localdomain", "ip6-localhost"}


class NonLoopbackError(OSError):
    """The test process tried to leave loopback."""


class NetworkGuard:
    """See the module's docstring; ``violations`` holds one line each."""

    def __init__(self) -> None:
        self.violations: list[str] = []

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for name in ("connect", "connect_ex", "bind"):
            patch.setattr(socket.socket, name, self._checked(name, getattr(socket.socket, name)))
        patch.setattr(socket.socket, "sendto", self._checked("sendto", socket.socket.sendto))
        patch.setattr(socket, "getaddrinfo", self._checked_lookup("getaddrinfo", socket.getaddrinfo))
        for name in ("gethostbyname", "gethostbyname_ex"):
            patch.setattr(socket, name, self._checked_lookup(name, getattr(socket, name)))

    def refuse(self, what: str) -> None:
        self.violations.append(what)
        raise NonLoopbackError(f"{what}: tests stay on loopback (127.0.0.0/8, ::1)")

    def _checked(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(sock: socket.socket, *args: Any) -> Any:
            address = args[-1]  # the last argument of each of them, after sendto's data and flags
            if sock.family in (socket.AF_INET, socket.AF_INET6) and not is_loopback(address[0]):
                self.refuse(f"{name} to {address[0]}:{address[1]}")
            return original(sock, *args)

        return call

    def _checked_lookup(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(host: str | bytes | None, *args: Any, **kwargs: Any) -> Any:
            text = host.decode() if isinstance(host, bytes) else host
            if text and text not in _LOCAL_NAMES and not _is_literal(text):
                self.refuse(f"{name} of {text}")
            return original(host, *args, **kwargs)

        return call


def is_loopback(host: str) -> bool:
    """True for 127.0.0.0/8, ::1 and the names of localhost; an empty host (any address) is not loopback."""
    if host in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
