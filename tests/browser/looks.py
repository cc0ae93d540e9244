"""The ways in which a page is looked at, and a page in front of one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from playwright.async_api import Browser, ConsoleMessage, Dialog, Page, Request, Response, ViewportSize

SIZES: dict[str, ViewportSize] = {
    "phone": {"width": 390, "height": 844},
    "tablet": {"width": 1024, "height": 768},
    "desktop": {"width": 1600, "height": 1000},
}


@dataclass(frozen=True)
class Look:
    """What the reader's browser is like. ``bypasses_csp``: as if the server sent no Content-Security-Policy."""

    theme: Literal["light", "dark"] = "light"
    javascript: bool = True
    bypasses_csp: bool = False

    def __str__(self) -> str:
        return f"{self.theme}-{'js' if self.javascript else 'nojs'}"


LOOKS = tuple(Look(theme, javascript) for theme in ("light", "dark") for javascript in (True, False))


@dataclass
class View:
    """One tab. ``problems`` has a line for everything that should not happen while a page is looked at."""

    page: Page
    origin: str
    problems: list[str] = field(default_factory=list)
    expected_status: int = 200

    def watch(self) -> None:
        """Note from now on what happens."""
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"uncaught error: {error}"))
        self.page.on("dialog", self._on_dialog)
        self.page.on("request", self._on_request)
        self.page.on("requestfailed", self._on_failure)
        self.page.on("response", self._on_response)

    async def open(self, path: str, status: int = 200) -> None:
        """Go there; what the page loads is loaded when this returns."""
        self.expected_status = status
        response = await self.page.goto(self.origin + path)
        assert response is not None
        assert response.status == status, f"{path}: {response.status}"

    def _on_console(self, message: ConsoleMessage) -> None:
        # The browser itself logs the status of a page that is meant to be missing.
        is_expected = self.expected_status >= 400 and "Failed to load resource" in message.text
        if message.type in ("error", "warning", "log") and not is_expected:
            self.problems.append(f"console {message.type}: {message.text}")

    async def _on_dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.origin}/", "data:")):
            self.problems.append(f"request to another place: {request.url}")

    def _on_failure(self, request: Request) -> None:
        # What a page still loads, and its stream of events, ends when it is left.
        if request.failure != "net::ERR_ABORTED":
            self.problems.append(f"request failed: {request.url}: {request.failure}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400 and not (
            response.request.is_navigation_request() and response.status == self.expected_status
        ):
            self.problems.append(f"status {response.status}: {response.url}")


@asynccontextmanager
async def looking(
    browser: Browser, origin: str, look: Look | None = None, size: str = "desktop"
) -> AsyncIterator[View]:
    """A tab with nothing open yet, in a profile of its own. Fails at its end if there were ``problems``."""
    look = look or Look()
    context = await browser.new_context(
        color_scheme=look.theme,
        java_script_enabled=look.javascript,
        bypass_csp=look.bypasses_csp,
        viewport=SIZES[size],
        locale="en-US",
        timezone_id="UTC",
        reduced_motion="reduce",
        service_workers="block",
    )
    context.set_default_timeout(10_000)
    try:
        view = View(await context.new_page(), origin)
        view.watch()
        yield view
        assert not view.problems, "\n".join(view.problems)
    finally:
        await context.close()
