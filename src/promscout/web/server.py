"""The web server."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Final

from aiohttp import web

from promscout.errors import PromscoutError
from promscout.model.address import join_host_port
from promscout.model.clock import Clock, SystemClock
from promscout.web import management
from promscout.web.access.bodies import MAX_BODY, body_reader
from promscout.web.access.config_file import WebConfigFile, WebSetup
from promscout.web.access.connection import Connection, ConnectionLimits, Crowd
from promscout.web.access.guard import ACCESS, Access, guard, protect
from promscout.web.access.listener import Listener
from promscout.web.access.origin import Origins
from promscout.web.answers import TURN
from promscout.web.api import downstream
from promscout.web.api import routes as api
from promscout.web.external import ExternalURL, url_prefix
from promscout.web.options import WebOptions
from promscout.web.pages import explore, graph
from promscout.web.pages import routes as pages
from promscout.web.view import EXTERNAL, OPTIONS, PREFIX, ROOT, VIEW, AgentView

_STOP_TIMEOUT: Final = 0.5  # seconds for answers under way, which aiohttp waits twice; idle connections close at once
_BACKLOG: Final = 1024  # connections that may wait in the kernel

_EVERYWHERE: Final = ("", "0.0.0.0", "::")  # noqa: S104 - recognised, not listened on


class ListenError(PromscoutError, OSError):
    """The address cannot be listened on: taken, not of this machine, or not permitted."""


class WebServer:
    """Serves an agent over HTTP, or HTTPS where the web configuration says so.

    Guarantees: ``start`` returns when connections are accepted; ``stop`` returns within two seconds, whatever clients
    do; every request passes ``Access``; every answer carries headers that forbid scripts of others, framing and
    guessing of content types; what slow clients cost is bounded (``Crowd``, ``Listener``, ``body_reader``).
    """

    def __init__(
        self,
        view: AgentView,
        options: WebOptions,
        *,
        clock: Clock | None = None,
        limits: ConnectionLimits | None = None,
    ) -> None:
        self._view = view
        self._options = options
        self._host = options.host
        self._port = options.port
        self._clock = clock or SystemClock()
        self._crowd = Crowd(limits or ConnectionLimits(idle=options.read_timeout))
        self._file: WebConfigFile | None = None
        self._access: Access | None = None
        self._runner: web.AppRunner | None = None
        self._listening: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """``http://host:port/prefix`` to open on this machine, with the real port once started; no slash at its end."""
        host = "localhost" if self._host in _EVERYWHERE else self._host
        return f"{self._scheme}://{join_host_port(host, self._port)}{_prefix(self._options)}"

    @property
    def _scheme(self) -> str:
        return "http" if self._file is None or self._file.in_force.context is None else "https"

    async def start(self) -> None:
        """Listen.

        Raises:
            ListenError: the address cannot be listened on.
            ConfigError: the web configuration cannot be used.
        """
        if self._options.config_file is not None:
            self._file = await asyncio.to_thread(WebConfigFile, self._options.config_file)
        sock = self._listen()
        self._port = sock.getsockname()[1]
        external = self._external()
        access = Access(Origins(external.netloc, own_names_only=_is_loopback(sock)), self._file)
        runner = web.AppRunner(self._app(access, external), access_log=None, shutdown_timeout=_STOP_TIMEOUT)
        self._access, self._runner = access, runner
        await runner.setup()

        def connect(setup: WebSetup) -> Connection:
            assert runner.server is not None, "set up"  # noqa: S101 - for mypy
            return Connection(runner.server, self._crowd, access.headers, setup.config.tls_server_config)

        listener = Listener(sock, self._crowd, self._options.max_connections, self._setup, connect)
        self._listening = asyncio.create_task(listener.run(), name="web listener")
        # Not by the listener: a task that is cancelled before its first turn runs nothing of it.
        self._listening.add_done_callback(lambda _task: sock.close())

    async def stop(self) -> None:
        """Stop listening and close every connection. A second call does nothing."""
        runner, self._runner = self._runner, None
        if runner is None or self._listening is None or self._access is None:
            return
        self._listening.cancel()
        await asyncio.wait({self._listening})
        await runner.cleanup()
        await self._access.close()
        await self._crowd.close()

    async def _setup(self) -> WebSetup:
        return WebSetup() if self._file is None else await self._file.current()

    def _listen(self) -> socket.socket:
        try:
            if not self._host and socket.has_dualstack_ipv6():
                return socket.create_server(
                    ("", self._port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG
                )
            family, *_, address = socket.getaddrinfo(self._host or "0.0.0.0", self._port, type=socket.SOCK_STREAM)[0]  # noqa: S104 - an empty host means all addresses
            return socket.create_server(address, family=family, backlog=_BACKLOG)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            raise ListenError(f"cannot listen on {join_host_port(self._host, self._port)}: {reason}") from error

    def _app(self, access: Access, external: ExternalURL) -> web.Application:
        app = web.Application(middlewares=[api.refusals], client_max_size=MAX_BODY)
        app[VIEW] = self._view
        app[EXTERNAL] = external
        app[OPTIONS] = self._options
        app[PREFIX] = _prefix(self._options)
        app[ROOT] = (external.path if self._options.external_url else "") or app[PREFIX]
        app[TURN] = asyncio.Lock()
        api.add_routes(app)
        management.add_routes(app)
        downstream.add_routes(app, self._clock)
        pages.add_routes(app, self._clock)
        graph.add_routes(app, self._clock)
        explore.add_routes(app)
        return self._guarded(app, access)

    def _guarded(self, app: web.Application, access: Access) -> web.Application:
        """``app`` below its prefix, beside which nothing is found, with what every request passes first."""
        outer = app
        if app[PREFIX]:
            outer = web.Application(client_max_size=MAX_BODY)
            outer[ACCESS] = access
            outer.router.add_get("/", _redirect(f"{app[ROOT]}/"))
            outer.router.add_get(app[PREFIX], _redirect(f"{app[ROOT]}/"))
            outer.add_subapp(app[PREFIX], app)
        app[ACCESS] = access
        outer.middlewares[:0] = [guard, body_reader(self._options.read_timeout)]
        outer.on_response_prepare.append(protect)
        return outer

    def _external(self) -> ExternalURL:
        if self._options.external_url:
            return ExternalURL.parse(self._options.external_url, self._port)
        return ExternalURL(self._scheme, f"{socket.gethostname()}:{self._port}", self._port)


def _prefix(options: WebOptions) -> str:
    """What the path of every request begins with. Source: prometheus v3.x cmd/prometheus/main.go."""
    if options.route_prefix:
        return url_prefix(options.route_prefix)
    return ExternalURL.parse(options.external_url, 0).path if options.external_url else ""


def _is_loopback(sock: socket.socket) -> bool:
    return ip_address(sock.getsockname()[0]).is_loopback


def _redirect(place: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def redirect(_request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": place})

    return redirect
