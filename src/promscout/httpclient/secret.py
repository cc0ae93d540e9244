"""Values that must not be printed: secrets, and URLs that may carry a password."""

from __future__ import annotations

from typing import Final, Self
from urllib.parse import SplitResult, urlsplit

from promscout.errors import InvalidValueError

HIDDEN: Final = "<secret>"


class Sensitive:
    """A text that shows a harmless form of itself wherever it is printed.

    It is not a ``str``: joining, formatting, logging or serialising it by accident cannot leak it. ``reveal()`` is
    the only way to the text, so every use of a secret can be found by that word.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take ``text`` as it is."""
        return cls(text)

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), self._text))

    def __str__(self) -> str:
        return HIDDEN if self._text else ""

    def __repr__(self) -> str:
        return str(self)

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


class Secret(Sensitive):
    """A password, token or key. Prints as ``<secret>``, or as nothing when it is empty."""

    __slots__ = ()


class URL(Sensitive):
    """An absolute http or https URL, or none (empty, false). A password in it prints as ``xxxxx``.

    Source: prometheus/common config/http_config.go URL, URL.Redacted.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an absolute URL.

        Raises:
            InvalidValueError: not a URL, no host, or a scheme other than http and https. The message does not quote
                the text, which may hold a password.
        """
        if text:
            split_http_url(text)
        return cls(text)

    @property
    def parts(self) -> SplitResult:
        """The URL taken apart, password included."""
        return urlsplit(self._text)

    def __str__(self) -> str:
        parts = self.parts
        if parts.password is None:
            return self._text
        userinfo, _, address = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{userinfo.partition(':')[0]}:xxxxx@{address}").geturl()


def split_http_url(text: str) -> SplitResult:
    """Take an absolute http or https URL apart.

    Raises:
        InvalidValueError: as for :meth:`URL.parse`.
    """
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError as error:
        raise InvalidValueError("not a valid URL") from error
    if parts.scheme not in ("http", "https"):
        raise InvalidValueError("URL scheme must be 'http' or 'https'")
    if not parts.hostname:
        raise InvalidValueError("host is missing in URL")
    if any(character.isspace() or not character.isprintable() for character in text):
        raise InvalidValueError("not a valid URL: it contains blanks or control characters")
    return parts
