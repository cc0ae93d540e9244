"""The headers of requests, from options, files and callers."""

from __future__ import annotations

from collections.abc import Mapping

from promscout.httpclient.answer import Head
from promscout.httpclient.config import Header, HTTPClientConfig
from promscout.httpclient.files import SecretText
from promscout.httpclient.secret import Secret

_REMEMBERED = 256  # different sets of headers; one client sends few


class RequestHeaders:
    """Makes the headers of each request; those that come from files are the files' of that moment."""

    def __init__(self, config: HTTPClientConfig, user_agent: str) -> None:
        self._configured = [
            (name, text) for name, header in config.http_headers.items() for text in _texts(name, header)
        ]
        self._user_agent = user_agent
        self._made: dict[tuple[object, ...], Head] = {}

    def head(self, given: Mapping[str, str], authorization: str = "") -> Head:
        """The configured headers, those ``given`` in place of such with the same names, and ``authorization``.

        Raises:
            aiohttp.ClientError: a file cannot be read.
            ValueError: a value cannot be sent; the text does not quote it.
        """
        configured = tuple([text.read() for _, text in self._configured])
        key = (authorization, configured, *given.items())
        head = self._made.get(key)
        if head is None:
            if len(self._made) >= _REMEMBERED:
                self._made.clear()
            head = self._made[key] = Head(self._pairs(configured, given, authorization))
        return head

    def _pairs(
        self, configured: tuple[str, ...], given: Mapping[str, str], authorization: str
    ) -> list[tuple[str, str]]:
        mine = {name.lower() for name in given}
        pairs = [
            (name, value)
            for (name, _), value in zip(self._configured, configured, strict=True)
            if name.lower() not in mine
        ]
        if "user-agent" not in mine:
            pairs.insert(0, ("User-Agent", self._user_agent))
        pairs += given.items()
        if authorization:
            pairs = [(name, value) for name, value in pairs if name.lower() != "authorization"]
            pairs.append(("Authorization", authorization))
        return pairs


def _texts(name: str, header: Header) -> list[SecretText]:
    given: list[str | Secret] = [*header.values, *header.secrets]
    return [SecretText(value, "", name) for value in given] + [
        SecretText("", file, f"headers file for {name}") for file in header.files
    ]
