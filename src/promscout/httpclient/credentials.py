"""As whom a client asks: where it has its credentials from."""

from __future__ import annotations

from base64 import b64encode
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from promscout.httpclient.config import HTTPClientConfig, Secret
from promscout.httpclient.files import SecretText


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request is sent with: an Authorization header, a client certificate and its key (PEM), or both."""

    header: str = field(default="", repr=False)
    cert: str = field(default="", repr=False)
    key: Secret = field(default_factory=Secret)


class CredentialSource(AbstractAsyncContextManager[Any], Protocol):
    """Gives a client its credentials; entered and left together with the client."""

    async def credential(self) -> Credential:
        """The credential to use now; asked before every request, so it is quick unless a new one must be had.

        Raises:
            aiohttp.ClientError: none can be had; the text is fit for users and has no secret in it.
        """
        ...

    async def rejected(self, credential: Credential) -> Credential | None:
        """The server answered 401 to ``credential``: another one that is worth a second try, or None.

        Raises:
            aiohttp.ClientError: as for :meth:`credential`.
        """
        ...


class ConfiguredCredentials(AbstractAsyncContextManager[Any]):
    """The credentials that ``basic_auth`` or ``authorization`` names, as their files are at each request."""

    def __init__(self, config: HTTPClientConfig) -> None:
        basic, authorization = config.basic_auth, config.authorization
        self._type = authorization.type if authorization else ""
        self._parts: list[SecretText] = []
        if basic:
            self._parts = [
                SecretText(basic.username, basic.username_file, "basic auth username"),
                SecretText(basic.password, basic.password_file, "basic auth password"),
            ]
        elif authorization:
            self._parts = [
                SecretText(authorization.credentials, authorization.credentials_file, "authorization credentials")
            ]
        self._texts: list[str] = []
        self._made = Credential()

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held."""

    async def credential(self) -> Credential:
        """The credential that the options, or the files they name, hold now."""
        texts = [part.read() for part in self._parts]
        if texts != self._texts:
            self._texts = texts
            self._made = Credential(basic_header(*texts) if len(texts) == 2 else f"{self._type} {texts[0]}")
        return self._made

    async def rejected(self, credential: Credential) -> Credential | None:
        """Another credential if a file has changed since."""
        now = await self.credential()
        return None if now == credential else now


def basic_header(user: str, password: str) -> str:
    """The Authorization header of a user name and password."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
