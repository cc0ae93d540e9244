"""kubeconfig files: clusters, users, contexts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import yaml

from promscout.errors import InvalidValueError
from promscout.httpclient.reading import read_small

T = TypeVar("T", bound="_Named")

MAX_SIZE: Final = 16 << 20
"""Bytes; a cluster with its certificates has some ten thousand."""

_DEEPEST: Final = 100
_MOST_VALUES: Final = 1_000_000  # with all aliases written out

EXEC_EXTENSION: Final = "client.authentication.k8s.io/exec"
"""The name of the cluster extension that is meant for credential plugins."""


class Extension(msgspec.Struct):
    """``extensions[]``: a name and whatever it means to others."""

    name: str = ""
    extension: Any = None


class Cluster(msgspec.Struct, rename="kebab"):
    """``clusters[].cluster``."""

    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""
    disable_compression: bool = False
    extensions: list[Extension] = []

    def exec_extension(self) -> Any:  # noqa: ANN401 - any YAML value
        """What the cluster has to say to credential plugins, or None."""
        return next((one.extension for one in self.extensions if one.name == EXEC_EXTENSION), None)


class ExecVariable(msgspec.Struct):
    """``exec.env[]``."""

    name: str = ""
    value: str = ""


class Exec(msgspec.Struct, rename="camel"):
    """``users[].user.exec``."""

    command: str = ""
    args: list[str] = []
    env: list[ExecVariable] = []
    api_version: str = ""
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: str = ""


class AuthProvider(msgspec.Struct):
    """``users[].user.auth-provider``."""

    name: str = ""


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
    impersonate: str = msgspec.field(default="", name="as")
    impersonate_uid: str = msgspec.field(default="", name="as-uid")
    impersonate_groups: list[str] = msgspec.field(default=[], name="as-groups")
    impersonate_extra: dict[str, list[str]] = msgspec.field(default={}, name="as-user-extra")
    exec: Exec | None = None
    auth_provider: AuthProvider | None = None


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


@dataclass(frozen=True, slots=True)
class CurrentContext:
    """The current context of the file at ``path``, with its cluster and user."""

    path: Path
    name: str
    cluster: Cluster
    user: User


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
            text = read_small(str(path), MAX_SIZE)
            _check_depth(text)
            document = yaml.load(text, Loader=yaml.CSafeLoader)
        except OSError as error:
            raise InvalidValueError(f"cannot read kubeconfig {path}: {error.strerror}") from error
        except ValueError as error:
            raise InvalidValueError(f"cannot read kubeconfig: {error}") from error
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
            raise InvalidValueError(f"{place}: not YAML: {getattr(error, 'problem', 'unreadable')}") from None
        except RecursionError:
            raise InvalidValueError(f"{path}: nested too deeply") from None
        try:
            return cls(path, msgspec.convert(_without_nulls(document) or {}, _File))
        except RecursionError:
            raise InvalidValueError(f"{path}: too many values") from None
        except msgspec.ValidationError as error:
            raise InvalidValueError(f"{path}: not a kubeconfig: {error}") from None

    def current(self) -> CurrentContext:
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
        return CurrentContext(self._path, name, cluster, user)

    def _named(self, what: str, entries: list[T], name: str) -> T:
        for entry in entries:
            if entry.name == name:
                return entry
        raise InvalidValueError(f"{self._path}: {what} {name!r} does not exist")


def _check_depth(text: str) -> None:
    """Refuse what would end the process: PyYAML's C code descends without a limit.

    Raises:
        RecursionError: it is nested too deeply.
        yaml.YAMLError: it is not YAML.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise RecursionError


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    """``value`` without keys that are null, which in a kubeconfig means the same as leaving them out.

    Raises:
        RecursionError: it has very many values, or contains itself.
    """
    return _Cleaner().clean(value)


class _Cleaner:
    """Counts what it walks through, so that aliases of aliases come to an end."""

    def __init__(self) -> None:
        self._left = _MOST_VALUES

    def clean(self, value: Any) -> Any:  # noqa: ANN401 - any YAML value
        self._left -= 1
        if self._left < 0:
            raise RecursionError
        if isinstance(value, dict):
            return {key: self.clean(item) for key, item in value.items() if item is not None}
        return [self.clean(item) for item in value] if isinstance(value, list) else value
