"""A page as its tests see it."""

from __future__ import annotations

from html.parser import HTMLParser

from unit.web.agent_view import Site

EVIL = "\"'><script>alert(1)</script>"
"""Text that would run if it came into a page unescaped."""


class Page(HTMLParser):
    """A page's tags and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def links(self) -> list[str]:
        return [attributes.get("href") or "" for tag, attributes in self.tags if tag == "a"]

    def endpoints(self) -> list[str]:
        return [link for link in self.links() if link.startswith("http")]


async def page(site: Site, path: str = "/targets", **params: str) -> Page:
    return Page(await site.text(path, **params))
