"""The web server."""

from __future__ import annotations

import os
import socket
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from promscout.errors import PromscoutError
from promscout.model.address import join_host_port
from promscout.model.clock import Clock, SystemClock
from promscout.web import api, downstream, explore, graph, management, pages
from promscout.web.external import ExternalURL
from promscout.web.options import WebOptions
from promscout.web.view import EXTERNAL, OPTIONS, ROOT, VIEW, AgentView

_STOP_TIMEOUT: Final = 0.5  # seconds for answers under way, which aiohttp waits twice; idle connections close at once

_EVERYWHERE: Final = ("", "0.0.0.0", "::")  # noqa: S104 - recognised, not listened on

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class ListenError(PromscoutError, OSError):
    """The address cannot be listened on: taken, not of this machine, or not permitted."""


class WebServer:
    """Serves an agent over HTTP.

    Guarantees: ``start`` returns when connections are accepted; ``stop`` returns within two seconds, whatever clients
    do; every answer carries headers that forbid scripts of others, framing and guessing of content types.

    """

    def __init__(self, view: AgentView, options: WebOptions, *, clock: Clock | None = None) -> None:
        self._view = view
        self._options = options
        self._host = options.host
        self._port = options.port
        self._clock = clock or SystemClock()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """``http://host:port`` to open on this machine, with the real port once started; no slash at its end."""
        return f"http://{join_host_port('localhost' if self._host in _EVERYWHERE else self._host, self._port)}"

    async def start(self) -> None:
        """Listen.

        Raises:
            ListenError: the address cannot be listened on.
        """
        listener = self._listen()
        self._port = listener.getsockname()[1]
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=_STOP_TIMEOUT)
        self._runner = runner
        await runner.setup()
        await web.SockSite(runner, listener).start()

    async def stop(self) -> None:
        """Stop listening and close every connection. A second call does nothing."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def _listen(self) -> socket.socket:
        try:
            if not self._host and socket.has_dualstack_ipv6():
                return socket.create_server(("", self._port), family=socket.AF_INET6, dualstack_ipv6=True)
            family, *_, address = socket.getaddrinfo(self._host or "0.0.0.0", self._port, type=socket.SOCK_STREAM)[0]  # noqa: S104 - an empty host means all addresses
            return socket.create_server(address, family=family)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            raise ListenError(f"cannot listen on {join_host_port(self._host, self._port)}: {reason}") from error

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[api.refusals])
        app[VIEW] = self._view
        app[EXTERNAL] = self._external()
        app[OPTIONS] = self._options
        app[ROOT] = ""
        app.on_response_prepare.append(_protect)
        api.add_routes(app)
        management.add_routes(app)
        downstream.add_routes(app, self._clock)
        pages.add_routes(app, self._clock)
        graph.add_routes(app, self._clock)
        explore.add_routes(app)
        return app

    def _external(self) -> ExternalURL:
        parts = urlsplit(self._options.external_url or f"http://{socket.gethostname()}:{self._port}")
        return ExternalURL(parts.scheme, parts.netloc, self._port)


async def _protect(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    response.headers.popall("Server", None)
