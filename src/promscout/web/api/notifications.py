"""What the user should know now, as a list and as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
from aiohttp import hdrs, web

from promscout.model.clock import rfc3339
from promscout.web.answers import success
from promscout.web.api.endpoints import Endpoint
from promscout.web.api.target_list import Time
from promscout.web.events import EVENTS, send_events
from promscout.web.view import CLOCK, VIEW, AgentView

_RELOAD_FAILED: Final = "Configuration reload has failed."
_STARTING: Final = "promscout is starting."
_STOPPING: Final = "promscout is shutting down and gracefully stopping all operations."


class Notification(msgspec.Struct, frozen=True):
    """Something that the user should know, or with ``active`` false need not know any more.

    Source: prometheus v3.x util/notifications Notification.
    """

    text: str
    date: Time
    active: bool = True


def notifications_of(view: AgentView, now_ms: int) -> Iterator[Notification]:
    """What there is to know about the agent now."""
    status = view.config_status
    if view.stopping:
        yield Notification(_STOPPING, rfc3339(now_ms))
    elif not view.ready:
        yield Notification(_STARTING, rfc3339(view.started_ms))
    if not status.successful:
        yield Notification(_RELOAD_FAILED, rfc3339(status.refused_ms))


async def notifications(request: web.Request) -> web.Response:
    """All that there are now."""
    return success(list(_now(request)))


async def live(request: web.Request) -> web.StreamResponse:
    """Server-sent events: those that there are, those that come, and again those that go. 204 for too many readers.

    Source: prometheus v3.x web/api/v1/api.go notificationsSSE.
    """
    if request.app[EVENTS].full:
        return web.Response(status=204)
    told: dict[str, Notification] = {}

    def news(_: bytes) -> bytes:
        nonlocal told
        before, told = told, {one.text: one for one in _now(request)}
        return b"".join(map(_event, _differences(before, told))) or b": still here\n\n"

    return await send_events(request, {hdrs.CACHE_CONTROL: "no-cache"}, news)


def _now(request: web.Request) -> Iterator[Notification]:
    return notifications_of(request.app[VIEW], request.app[CLOCK].now_ms())


def _differences(before: dict[str, Notification], after: dict[str, Notification]) -> Iterator[Notification]:
    for text, one in before.items():
        if text not in after:
            yield msgspec.structs.replace(one, active=False)
    for text, one in after.items():
        if before.get(text) != one:
            yield one


def _event(one: Notification) -> bytes:
    return b"data: " + msgspec.json.encode(one) + b"\n\n"


ENDPOINTS: Final = (
    Endpoint(
        path="/api/v1/notifications",
        handler=notifications,
        summary="What the user should know",
        group="notifications",
        answer=list[Notification],
        needs_ready=False,
    ),
)


def add_routes(app: web.Application) -> None:
    """Register the stream with ``app``. As in Prometheus, OpenAPI 3.1 does not tell of it: it has no words for one."""
    app.router.add_get("/api/v1/notifications/live", live, allow_head=False)
