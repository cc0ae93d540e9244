"""What a process holds that a test could leave behind: child processes and sockets.

Reads /proc only: some ten microseconds when there is nothing to find.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

_LISTEN = "0A"
_TABLES = ("/proc/self/net/tcp", "/proc/self/net/tcp6")


@dataclass(frozen=True)
class Held:
    """Child processes (pid) and open sockets (inode) at one moment."""

    children: frozenset[int]
    sockets: frozenset[str]

    @classmethod
    def now(cls) -> Held:
        return cls(frozenset(_children()), frozenset(_sockets()))

    def leaked(self, before: Held) -> list[str]:
        """One line per thing held now that was not held before and may not outlive a test."""
        return [
            *(f"child process {pid} ({_command(pid)})" for pid in sorted(self.children - before.children)),
            *_bad_connections(self.sockets - before.sockets),
        ]


def _children() -> set[int]:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # there is none, as nearly always
        return set()
    return {pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _parent(pid) == os.getpid()}  # noqa: PTH208 - names, not paths


def _parent(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it has ended
        return None
    return int(stat.rpartition(")")[2].split()[1])


def _command(pid: int) -> str:
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip() or "ended"
        )
    except OSError:
        return "ended"


def _sockets() -> set[str]:
    found: set[str] = set()
    for fd in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names, not paths
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 - Path.readlink parses what is no path
        except OSError:  # listdir's own descriptor
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def _bad_connections(inodes: frozenset[str]) -> list[str]:
    """Listening sockets, and connections that leave loopback, among the given ones."""
    if not inodes:
        return []
    bad: list[str] = []
    for table in _TABLES:
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] not in inodes:
                continue
            local, remote = _address(fields[1]), _address(fields[2])
            if fields[3] == _LISTEN:
                bad.append(f"listening socket {local[0]}:{local[1]}")
            elif not remote[0].is_loopback:
                bad.append(f"connection to {remote[0]}:{remote[1]}")
    return bad


def _address(text: str) -> tuple[IPv4Address | IPv6Address, int]:
    """The kernel prints each 32-bit word of an address in the machine's byte order."""
    host, _, port = text.partition(":")
    words = [int(host[at : at + 8], 16) for at in range(0, len(host), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    address = ip_address(packed)
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address, int(port, 16)
