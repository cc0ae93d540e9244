"""One running peer: started, waited for, stopped.

Guarantees: ``__aenter__`` returns when the peer answers, or raises ``PeerError`` with the end of its log; after
``__aexit__``, however it came about, the process is gone. Should the test process be killed outright, the kernel kills
the peer.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import aiohttp
import yaml

PROGRAMS = ("prometheus", "promtool", "victoria-metrics", "vmagent", "prometheus-node-exporter", "kubectl")
CHROMIUM = "chromium"
START_LIMIT = 30.0  # seconds; a busy machine with two cores needs a few
STOP_LIMIT = 10.0  # seconds between SIGTERM and SIGKILL
ATTEMPTS = 3  # a port can be taken between finding it free and the peer's listening on it
_POLL = 0.02
_PASSED_ON = ("PATH", "PYTHONPATH")
_PORTS = range(20_000, 32_000)  # below the kernel's range for outgoing connections

_running: list[PeerProcess] = []


class PeerError(AssertionError):
    """A peer is missing, did not start, or refused a request."""


def find_peers() -> Path:
    """The directory with the peers' programs: $PROMSCOUT_PEERS_DIR/bin, else .cache/peers/bin of the checkout.

    Raises:
        PeerError: a program is missing.
    """
    programs = _programs()
    missing = [name for name in PROGRAMS if not os.access(programs / name, os.X_OK)]
    if missing:
        raise PeerError(f"missing in {programs}: {', '.join(missing)}; run `make peers`")
    return programs


def find_chromium() -> Path:
    """Chromium, in the peers' directory.

    Raises:
        PeerError: it is missing.
    """
    program = _programs() / CHROMIUM
    if not os.access(program, os.X_OK):
        raise PeerError(f"missing: {program}; run `make browser`")
    return program


def _programs() -> Path:
    checkout = Path(__file__).parents[2]
    return Path(os.environ.get("PROMSCOUT_PEERS_DIR") or checkout / ".cache/peers") / "bin"


def free_loopback_port() -> int:
    """A TCP port of 127.0.0.1 on which nobody listens at this moment."""
    for port in random.SystemRandom().sample(_PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise PeerError("no free port on 127.0.0.1")


def running() -> Sequence[PeerProcess]:
    """The peers running now, for reports of failed tests."""
    return tuple(_running)


def config_text(config: str | Any) -> str:
    """YAML text as it is, anything else as YAML."""
    return config if isinstance(config, str) else yaml.safe_dump(config, sort_keys=False)


class PeerProcess:
    """The base of the peers that listen. A subclass gives its arguments and the path that tells when it is ready."""

    program = ""
    ready_path = "/-/ready"
    environment: ClassVar[dict[str, str]] = {}  # beside PATH, PYTHONPATH, HOME and TZ

    def __init__(self, programs: Path, directory: Path, *flags: str) -> None:
        self._path = programs / self.program
        self._parent = directory
        self._flags = flags
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def arguments(self) -> list[str]:
        """The peer's flags; ``self.port`` and ``self.directory`` are set."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """``http://127.0.0.1:port``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __str__(self) -> str:
        return f"{self.program} (port {self.port})"

    async def __aenter__(self) -> Self:
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.program}-", dir=self._parent))
        for attempt in range(1, ATTEMPTS + 1):
            self.port = free_loopback_port()
            (self.directory / "log").unlink(missing_ok=True)
            self._start()
            try:
                await self._wait_until_ready()
            except BaseException as error:
                await self._stop()
                if attempt < ATTEMPTS and isinstance(error, PeerError) and "address already in use" in self.log():
                    continue
                raise
            return self
        raise AssertionError("unreachable")

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        await self._stop()
        if error is not None:
            print(f"--- end of the log of {self} ---\n{self.log_tail()}")  # noqa: T201 - pytest shows it on failure
        shutil.rmtree(self.directory, ignore_errors=True)

    def log(self) -> str:
        """Everything the peer wrote to its standard output and error so far."""
        return (self.directory / "log").read_text(errors="replace")

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log().splitlines()[-lines:])

    async def get_json(self, path: str, **params: str) -> Any:
        """The decoded answer to a GET.

        Raises:
            PeerError: the answer is not a 200.
        """
        return json.loads(await self.request("GET", path, params=params))

    async def request(self, method: str, path: str, **options: Any) -> str:
        """The body of the answer; a session of its own, so that a peer may outlive the loop of one test."""
        timeout = aiohttp.ClientTimeout(total=30)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, self.url + path, **options) as response,
        ):
            body = await response.text()
            if response.status not in (200, 204):
                raise PeerError(f"{method} {path} to {self}: {response.status}: {body[:2000]}")
            return body

    def kill(self) -> None:
        """Ends the process at once, as a crash does. What it has on disk stays."""
        process = self._process
        assert process is not None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    async def come_back(self) -> None:
        """Starts again after ``kill`` or an end of its own, on the same port, with the same data and log.

        Raises:
            PeerError: it does not.
        """
        await self._stop()
        self._start()
        await self._wait_until_ready()

    def _start(self) -> None:
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                # pdeathsig survives exec; a session of its own keeps Ctrl-C for pytest.
                ["setpriv", "--pdeathsig", "KILL", str(self._path), *self.arguments(), *self._flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env={
                    **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
                    "HOME": str(self.directory),
                    "TZ": "UTC",
                    **self.environment,
                },
                start_new_session=True,
            )
        _running.append(self)

    async def _wait_until_ready(self) -> None:
        assert self._process is not None
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_LIMIT
        while loop.time() < deadline:
            if self._process.poll() is not None:
                raise PeerError(f"{self} ended with {self._process.returncode} at its start:\n{self.log_tail()}")
            try:
                await self.request("GET", self.ready_path)
            except (aiohttp.ClientError, PeerError, TimeoutError):
                await asyncio.sleep(_POLL)
            else:
                return
        raise PeerError(f"{self} is not ready after {START_LIMIT:g} s:\n{self.log_tail()}")

    async def _stop(self) -> None:
        process = self._process
        if process is None:
            return
        try:
            process.terminate()
            loop = asyncio.get_running_loop()
            deadline = loop.time() + STOP_LIMIT
            while process.poll() is None and loop.time() < deadline:  # noqa: ASYNC110 - a process sets no event
                await asyncio.sleep(_POLL)
        finally:  # also when the wait is cancelled
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            _running.remove(self)
            self._process = None
