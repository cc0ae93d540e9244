"""Credential plugins: programs that print as whom to ask an API server (``users[].user.exec`` of a kubeconfig)."""

from __future__ import annotations

import os
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final

import aiohttp
import msgspec

from promscout.httpclient.config import URL, Secret, TLSConfig
from promscout.httpclient.credentials import Credential
from promscout.httpclient.reading import read_small
from promscout.httpclient.tls_context import load_client_certificate
from promscout.kube.bounded_process import Outcome, run_bounded
from promscout.kube.redact import last_words, printable

API_VERSIONS: Final = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")

RUN_TIMEOUT: Final = 60.0
"""Seconds for one run: plugins ask cloud services, whose slowest answers take some ten seconds."""

MAX_OUTPUT: Final = 1 << 20
"""Bytes; a token or certificate is a few kilobytes."""

_SECRET_NAMES: Final = ("TOKEN", "SECRET", "PASSWORD", "KEY")


@dataclass(frozen=True, slots=True)
class PluginCluster:
    """What a plugin is told about the API server, where it asks for it (``provideClusterInfo``).

    ``config`` is the JSON text of the cluster's ``client.authentication.k8s.io/exec`` extension.
    """

    server: str
    tls_config: TLSConfig = field(default_factory=TLSConfig)
    proxy_url: URL = field(default_factory=URL)
    disable_compression: bool = False
    config: str = "null"

    def document(self) -> dict[str, Any]:
        """``spec.cluster`` of an ExecCredential; the certificate file is read.

        Source: client-go rest/exec.go ConfigToExecCluster.

        Raises:
            OSError, ValueError: the certificate file cannot be read.
        """
        tls = self.tls_config
        ca = tls.ca or (read_small(tls.ca_file) if tls.ca_file else "")
        optional = {
            "tls-server-name": tls.server_name,
            "insecure-skip-tls-verify": tls.insecure_skip_verify,
            "certificate-authority-data": b64encode(ca.encode()).decode(),
            "proxy-url": self.proxy_url.reveal(),
            "disable-compression": self.disable_compression,
        }
        return (
            {"server": self.server}
            | {name: value for name, value in optional.items() if value}
            | {"config": msgspec.Raw(self.config.encode())}
        )


@dataclass(frozen=True, slots=True)
class Issued:
    """What a plugin printed. ``expires`` is None for a credential that is good until it is refused."""

    credential: Credential
    expires: datetime | None


class _Status(msgspec.Struct, rename="camel"):
    expiration_timestamp: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""


class _ExecCredential(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""
    status: _Status | None = None


@dataclass(frozen=True, slots=True)
class ExecPlugin:
    """A credential plugin as a value: equal plugins give equal credentials.

    ``command`` is a path, or a name to be looked for in ``PATH``. ``kubeconfig`` is where it was configured, for
    messages.

    Source: client-go plugin/pkg/client/auth/exec/exec.go.
    """

    command: str
    api_version: str
    args: tuple[str, ...] = field(default=(), repr=False)
    env: tuple[tuple[str, Secret], ...] = ()
    cluster: PluginCluster | None = None
    install_hint: str = field(default="", compare=False, repr=False)
    kubeconfig: str = field(default="", compare=False)

    async def run(self, *, seconds: float = RUN_TIMEOUT) -> Issued:
        """Run the plugin once, without a terminal, for at most ``seconds``.

        Raises:
            aiohttp.ClientError: it gave no credential that can be used. The text names the plugin and the kubeconfig
                and quotes the end of what it wrote to standard error, without what looks like a secret.
        """
        try:
            environment = self._environment()
        except (OSError, ValueError) as error:
            raise self._failure(f"it cannot be told of the cluster: {error}") from error
        try:
            outcome = await run_bounded([self.command, *self.args], environment, seconds=seconds, max_output=MAX_OUTPUT)
        except FileNotFoundError:
            hint = printable(self.install_hint)
            raise self._failure("it is not installed: no such program" + (f"; {hint}" if hint else "")) from None
        except (OSError, ValueError) as error:
            raise self._failure(f"it cannot be run: {getattr(error, 'strerror', None) or error}") from None
        problem = outcome.problem or _exit_problem(outcome)
        if problem:
            raise self._failure(problem, outcome)
        try:
            return self._parse(outcome.output)
        except (OSError, ValueError) as error:
            raise self._failure(str(error), outcome) from None

    def _environment(self) -> Mapping[str, str]:
        # A plugin never gets a terminal: an agent has nobody to ask.
        spec: dict[str, Any] = {"interactive": False}
        if self.cluster is not None:
            spec["cluster"] = self.cluster.document()
        info = {"kind": "ExecCredential", "apiVersion": self.api_version, "spec": spec}
        own = {name: value.reveal() for name, value in self.env}
        return os.environ | own | {"KUBERNETES_EXEC_INFO": msgspec.json.encode(info).decode()}

    def _parse(self, output: bytes) -> Issued:
        """What is printed on standard output.

        Raises:
            OSError, ValueError: not a credential; the text quotes nothing but an API version or kind.
        """
        try:
            answer = msgspec.json.decode(output, type=_ExecCredential)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"it printed no ExecCredential: {error}") from None
        if answer.kind != "ExecCredential" or answer.api_version != self.api_version:
            said = printable(f"{answer.api_version or 'no apiVersion'}, {answer.kind or 'no kind'}", limit=120)
            raise ValueError(f"it is configured for {self.api_version}, ExecCredential, but printed {said}")
        status = answer.status
        if status is None:
            raise ValueError("it printed an ExecCredential without a status")
        cert, key = status.client_certificate_data, status.client_key_data
        if bool(cert) != bool(key):
            raise ValueError("it printed only one of clientCertificateData and clientKeyData")
        if not status.token and not cert:
            raise ValueError("it printed neither a token nor a client certificate")
        if cert:
            tls = TLSConfig(cert=cert, key=Secret(key))
            load_client_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), tls)
        header = f"Bearer {status.token}" if status.token else ""
        return Issued(Credential(header, cert, Secret(key)), status.expiration_timestamp)

    def _failure(self, problem: str, outcome: Outcome | None = None) -> aiohttp.ClientError:
        where = f" of {self.kubeconfig}" if self.kubeconfig else ""
        text = f"credential plugin {self.command!r}{where}: {problem}"
        secrets = [value.reveal() for name, value in self.env if any(word in name.upper() for word in _SECRET_NAMES)]
        said = last_words(outcome.errors, secrets) if outcome else ""
        return aiohttp.ClientError(f"{text}; it said: {said}" if said else text)


def _exit_problem(outcome: Outcome) -> str:
    if outcome.code == 0:
        return ""
    if outcome.code is None or outcome.code < 0:
        return f"it was ended by signal {-(outcome.code or 0)}"
    return f"it failed with exit status {outcome.code}"
