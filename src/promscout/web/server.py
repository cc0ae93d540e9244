"""The web server."""

from __future__ import annotations

import os
import socket
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from promscout.errors import PromscoutError
from promscout.model.clock import Clock, SystemClock
from promscout.web import api, management, pages
from promscout.web.external import ExternalURL
from promscout.web.view import EXTERNAL, VIEW, AgentView

_STOP_TIMEOUT: Final = 1.0  # seconds for answers under way; idle connections are closed at once

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

    ``port`` 0 takes a free one. ``external_url`` is the address that users know the server by, where it is another
    than this machine's name and the port.
    """

    def __init__(
        self, view: AgentView, *, host: str, port: int, external_url: str = "", clock: Clock | None = None
    ) -> None:
        self._view = view
        self._host = host
        self._port = port
        self._external_url = external_url
        self._clock = clock or SystemClock()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """``http://host:port`` with the real port once started, without a slash at its end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

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
            family, kind, protocol, _, address = socket.getaddrinfo(
                self._host or None, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = socket.socket(family, kind, protocol)
        except OSError as error:
            raise self._cannot_listen(error) from error
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError as error:
            listener.close()
            raise self._cannot_listen(error) from error
        return listener

    def _cannot_listen(self, error: OSError) -> ListenError:
        place = self.url.removeprefix("http://")
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        return ListenError(f"cannot listen on {place}: {reason}")

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[api.not_found_as_json])
        app[VIEW] = self._view
        app[EXTERNAL] = self._external()
        app.on_response_prepare.append(_protect)
        api.add_routes(app)
        management.add_routes(app)
        pages.add_routes(app, self._clock)
        return app

    def _external(self) -> ExternalURL:
        parts = urlsplit(self._external_url or f"http://{socket.gethostname()}:{self._port}")
        return ExternalURL(parts.scheme, parts.netloc, self._port)


async def _protect(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    response.headers.popall("Server", None)
