"""The page with the configuration."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from promscout.web.pages.frame import page
from promscout.web.pages.yaml_view import Section, YAMLText, coloured
from promscout.web.view import VIEW

PAGE_LINES: Final = 2000
_TURN: Final = 250  # lines coloured before others get their turn: about a millisecond


class ConfigPage(msgspec.Struct, frozen=True):
    """Some lines of the configuration. ``first`` is the number of the first one, ``total`` how many there are."""

    lines: tuple[tuple[int, str], ...]
    """Number and HTML."""
    first: int
    total: int
    sections: tuple[Section, ...]

    @property
    def last(self) -> int:
        """Number of the last line that is shown."""
        return self.first + len(self.lines) - 1

    def url(self, line: int) -> str:
        """Where a line is shown."""
        start = _start_of(line)
        return f"/config?{urlencode({'from': start})}#L{line}" if start > 1 else f"/config#L{line}"


class ConfigText:
    """Keeps the text that was taken apart last: it changes with the configuration only."""

    def __init__(self) -> None:
        self._text: str | None = None
        self._parts = YAMLText((), ())

    async def of(self, text: str) -> YAMLText:
        """The text taken apart, in a thread."""
        if text is not self._text:
            self._parts = await asyncio.to_thread(YAMLText.of, text)
            self._text = text
        return self._parts


CONFIG_TEXT: Final = web.AppKey("CONFIG_TEXT", ConfigText)


async def config(request: web.Request) -> web.StreamResponse:
    """The configuration in force, without secrets. Query: ``from``, the number of a line."""
    view = request.app[VIEW]
    text = await request.app[CONFIG_TEXT].of(view.config.text)
    asked = request.query.get("from", "")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 1
    first = _start_of(max(1, min(number, len(text.lines))))
    return await page(
        request,
        "config.html",
        shown=ConfigPage(await _coloured(text, first), first, len(text.lines), text.sections),
        page_lines=PAGE_LINES,
        status=view.config_status,
        warnings=view.config.warnings,
        files=view.config.files,
    )


def _start_of(line: int) -> int:
    return (line - 1) // PAGE_LINES * PAGE_LINES + 1


async def _coloured(text: YAMLText, first: int) -> tuple[tuple[int, str], ...]:
    done: list[tuple[int, str]] = []
    shown = text.lines[first - 1 : first - 1 + PAGE_LINES]
    for start in range(0, len(shown), _TURN):
        done += [(first + start + index, coloured(line)) for index, line in enumerate(shown[start : start + _TURN])]
        await asyncio.sleep(0)
    return tuple(done)


def add_routes(app: web.Application) -> None:
    """Register the page with ``app``."""
    app[CONFIG_TEXT] = ConfigText()
    app.router.add_get("/config", config, allow_head=False)
