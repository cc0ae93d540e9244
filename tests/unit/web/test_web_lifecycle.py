"""Who may ask for a reload, and for the end."""

from __future__ import annotations

from typing import Any

import pytest

from promscout.web.access.origin import Origins
from promscout.web.management import Sender
from unit.web.agent_view import agent_view, serving
from unit.web.raw import exchange, get

pytestmark = pytest.mark.real_time


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_quit_ends_the_agent_when_the_lifecycle_is_enabled(method: str) -> None:
    async with agent_view() as view, serving(view, enable_lifecycle=True) as server:
        answer = await exchange(server, get("/-/quit", method=method))
        assert (answer.status, answer.body) == (200, b"Requesting termination... Goodbye!")
        assert view.stops == 1


async def test_quit_is_refused_when_it_is_not() -> None:
    async with agent_view() as view, serving(view) as server:
        answer = await exchange(server, get("/-/quit", method="POST"))
        assert (answer.status, answer.body) == (403, b"Lifecycle API is not enabled.")
        assert view.stops == 0


async def test_reading_quit_changes_nothing() -> None:
    async with agent_view() as view, serving(view, enable_lifecycle=True) as server:
        answer = await exchange(server, get("/-/quit"))
        assert (answer.status, answer.body) == (405, b"Only POST or PUT requests allowed")
        assert view.stops == 0


@pytest.mark.parametrize(
    "headers",
    [
        ("Origin: http://evil.example",),
        ("Origin: null",),
        ("Origin:",),
        ("Origin: http://localhost", "Origin: http://evil.example"),
        ("Sec-Fetch-Site: cross-site",),
        ("Sec-Fetch-Site: same-site",),
        ("Origin: http://localhost", "Sec-Fetch-Site: cross-site"),
    ],
    ids=" and ".join,
)
@pytest.mark.parametrize("options", [{}, {"enable_lifecycle": True}], ids=["not enabled", "enabled"])
async def test_no_other_site_makes_a_browser_ask(headers: tuple[str, ...], options: dict[str, Any]) -> None:
    async with agent_view() as view, serving(view, **options) as server:
        for path in ("/-/quit", "/-/reload"):
            assert (await exchange(server, get(path, *headers, method="POST"))).status == 403
        assert (view.stops, view.reloads) == (0, 0)


@pytest.mark.parametrize(
    ("sender", "enabled", "not_enabled"),
    [
        (Sender("promscout.monitoring:9090", peer="192.0.2.7"), True, False),
        (Sender("10.0.0.5:9090", peer="192.0.2.7"), True, False),
        (Sender("10.0.0.5:9090", "http://10.0.0.5:9090", "same-origin", "192.0.2.7"), True, True),
        (Sender("promscout.monitoring:9090", peer="127.0.0.1"), True, False),
        (Sender("localhost:9090", peer="127.0.0.1"), True, True),
        (Sender("promscout:9090", "http://promscout:9090", "same-origin", "192.0.2.7"), False, False),
        (Sender("promscout:9090", "https://scout.example", "same-origin", "192.0.2.7"), True, False),
        (Sender("scout.example", "https://scout.example", "same-origin", "192.0.2.7"), True, True),
    ],
    ids=[
        "a program elsewhere",
        "a program elsewhere that uses an address",
        "a page under an address",
        "a program here under a foreign name",
        "a program here",
        "a page under a name that anybody could point here",
        "a page behind a proxy that changes Host",
        "a page behind a proxy that does not",
    ],
)
def test_who_may_ask_depends_on_enable_lifecycle(sender: Sender, enabled: bool, not_enabled: bool) -> None:
    origins = Origins("scout.example", own_names_only=False)
    assert (sender.refusal(origins, for_all=True) == "") is enabled
    assert (sender.refusal(origins, for_all=False) == "") is not_enabled
