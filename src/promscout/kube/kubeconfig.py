"""kubeconfig files: clusters, users, contexts."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from promscout.errors import InvalidValueError
from promscout.httpclient.config import URL, Authorization, BasicAuth, HTTPClientConfig, Secret, TLSConfig

T = TypeVar("T", bound="_Named")


class Cluster(msgspec.Struct, rename="kebab"):
    """``clusters[].cluster``."""

    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""


class User(msgspec.Struct, rename="kebab"):
    """``users[].user``."""

    token: str = ""
    token_file: str = msgspec.field(default="", name="tokenFile")
    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    username: str = ""
    password: str = ""
    exec: Any = None
    auth_provider: Any = None


class Context(msgspec.Struct):
    """``contexts[].context``."""

    cluster: str = ""
    user: str = ""
    namespace: str = ""


class _Named(msgspec.Struct):
    name: str


class _NamedCluster(_Named):
    cluster: Cluster


class _NamedUser(_Named):
    user: User


class _NamedContext(_Named):
    context: Context


class _File(msgspec.Struct, rename="kebab"):
    clusters: list[_NamedCluster] = []
    users: list[_NamedUser] = []
    contexts: list[_NamedContext] = []
    current_context: str = ""


class ResolvedContext:
    """A context with its cluster and user."""

    def __init__(self, path: Path, name: str, cluster: Cluster, user: User) -> None:
        self._path = path
        self._name = name
        self._cluster = cluster
        self._user = user
        self.server = cluster.server

    def http_client_config(self) -> HTTPClientConfig:
        """How to reach the server: TLS, credentials, proxy. Files are named, not read; inline data is decoded."""
        cluster, user = self._cluster, self._user
        if user.exec is not None or user.auth_provider is not None:
            raise InvalidValueError(
                f"{self._path}: context {self._name!r}: credential plugins (exec, auth-provider) are not supported; "
                "use a token, token file or client certificate"
            )
        authorization = None
        if user.token_file:
            authorization = Authorization(credentials_file=self._file(user.token_file))
        elif user.token:
            authorization = Authorization(credentials=Secret(user.token))
        basic_auth = None
        if authorization is None and user.username:
            basic_auth = BasicAuth(username=user.username, password=Secret(user.password))
        return HTTPClientConfig(
            authorization=authorization,
            basic_auth=basic_auth,
            tls_config=TLSConfig(
                ca=self._data("certificate-authority-data", cluster.certificate_authority_data),
                ca_file=self._file(cluster.certificate_authority, unless=cluster.certificate_authority_data),
                cert=self._data("client-certificate-data", user.client_certificate_data),
                cert_file=self._file(user.client_certificate, unless=user.client_certificate_data),
                key=Secret(self._data("client-key-data", user.client_key_data)),
                key_file=self._file(user.client_key, unless=user.client_key_data),
                server_name=cluster.tls_server_name,
                insecure_skip_verify=cluster.insecure_skip_tls_verify,
            ),
            proxy_url=URL(cluster.proxy_url),
        )

    def _file(self, name: str, *, unless: str = "") -> str:
        """``name`` relative to the kubeconfig file; inline data wins over a file."""
        return "" if not name or unless else str(self._path.parent / name)

    def _data(self, key: str, encoded: str) -> str:
        try:
            return base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            place = f"{self._path}: context {self._name!r}"
            raise InvalidValueError(f"{place}: {key} is not base64 of a PEM text") from None


class KubeConfig:
    """A kubeconfig file.

    Source: client-go tools/clientcmd/api/v1/types.go, clientcmd client_config.go.
    """

    def __init__(self, path: Path, file: _File) -> None:
        self._path = path
        self._file = file

    @classmethod
    def load(cls, path: Path) -> KubeConfig:
        """Read and parse ``path``.

        Raises:
            InvalidValueError: it cannot be read, or is not a kubeconfig; the message names the file, never its content.
        """
        try:
            document = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
        except OSError as error:
            raise InvalidValueError(f"cannot read kubeconfig {path}: {error.strerror}") from error
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f"{path}:{mark.line + 1}" if mark else str(path)
            raise InvalidValueError(f"{place}: not YAML: {getattr(error, 'problem', 'unreadable')}") from None
        try:
            return cls(path, msgspec.convert(document if document is not None else {}, _File))
        except msgspec.ValidationError as error:
            raise InvalidValueError(f"{path}: not a kubeconfig: {error}") from None

    def current(self) -> ResolvedContext:
        """The current context.

        Raises:
            InvalidValueError: there is none, or it names a cluster or user that is not there.
        """
        name = self._file.current_context
        if not name:
            raise InvalidValueError(f"{self._path}: current-context is not set")
        context = self._named("context", self._file.contexts, name).context
        cluster = self._named("cluster", self._file.clusters, context.cluster).cluster
        user = self._named("user", self._file.users, context.user).user if context.user else User()
        if not cluster.server:
            raise InvalidValueError(f"{self._path}: cluster {context.cluster!r} has no server")
        return ResolvedContext(self._path, name, cluster, user)

    def _named(self, what: str, entries: list[T], name: str) -> T:
        for entry in entries:
            if entry.name == name:
                return entry
        raise InvalidValueError(f"{self._path}: {what} {name!r} does not exist")
