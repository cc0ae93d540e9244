"""Which pages of other origins may read the API."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

from promscout.relabel.regex import Regex
from promscout.web.view import PREFIX

_HEADERS: Final = {
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Accept, Authorization, Content-Type, Origin",
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST, OPTIONS",
    hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: "Date",
}
_ANY: Final = ".*"


def allow_origins(app: web.Application, origin: str) -> None:
    """Let pages read ``app``'s API whose origin is matched as a whole by ``origin``; an empty text matches none.

    Raises:
        InvalidValueError: it is no regular expression.

    Source: prometheus v3.x util/httputil/cors.go SetCORS.
    """
    if not origin:
        return
    allowed = Regex.parse(origin)

    async def tell(request: web.Request, response: web.StreamResponse) -> None:
        if not request.path.startswith(f"{app[PREFIX]}/api/"):
            return
        headers = response.headers
        headers[hdrs.VARY] = ", ".join(filter(None, (headers.get(hdrs.VARY, ""), hdrs.ORIGIN)))
        asking = request.headers.get(hdrs.ORIGIN, "")
        if asking and allowed.match(asking) is not None:
            headers.update(_HEADERS)
            headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*" if origin == _ANY else asking

    app.on_response_prepare.append(tell)
