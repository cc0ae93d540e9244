"""Which API server to talk to, and as whom."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from promscout.errors import InvalidValueError
from promscout.httpclient.client import HTTPClient
from promscout.httpclient.config import Authorization, HTTPClientConfig, TLSConfig
from promscout.httpclient.reading import read_small
from promscout.kube.context import ContextAccess
from promscout.kube.exec_credential import ExecCredentials
from promscout.kube.exec_plugin import ExecPlugin
from promscout.kube.kubeconfig import KubeConfig
from promscout.model.address import join_host_port

USER_AGENT: Final = "promscout"
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """An API server's address and the HTTP options to reach it. Equal values share watches.

    ``own_namespace`` is the pod's namespace for in-cluster access, empty otherwise. Token and certificate files named
    in ``http`` are read again when they change. ``plugin`` gives the credentials where ``http`` has none.
    """

    url: str
    http: HTTPClientConfig
    own_namespace: str = field(default="", compare=False)
    plugin: ExecPlugin | None = None

    def client(self) -> HTTPClient:
        """A new HTTP client for this API server. All clients share the credential of an equal plugin."""
        credentials = ExecCredentials(self.plugin) if self.plugin else None
        return HTTPClient(self.http, user_agent=USER_AGENT, credentials=credentials)


def access_by_kubeconfig(path: Path) -> ClusterAccess:
    """Access as the current context of a kubeconfig file says.

    Raises:
        InvalidValueError: the file cannot be read or used; the message names it.
    """
    context = ContextAccess(KubeConfig.load(path).current())
    return ClusterAccess(context.server, context.http_client_config(), plugin=context.plugin())


def access_in_cluster(
    service_account: Path = SERVICE_ACCOUNT, environment: Mapping[str, str] = os.environ
) -> ClusterAccess:
    """Access of a pod through its service account; the token file is read again as the kubelet rotates it.

    Without a ``ca.crt`` the system's certificates are trusted; a proxy is taken from the environment.

    Raises:
        InvalidValueError: not running inside a cluster, or a file of the service account cannot be read.

    Source: client-go rest/config.go InClusterConfig.
    """
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise InvalidValueError(
            "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be "
            "defined (outside a cluster, set 'api_server' or 'kubeconfig_file')"
        )
    token = service_account / "token"
    if not token.is_file():
        raise InvalidValueError(f"unable to load in-cluster configuration: no service account token at {token}")
    ca = service_account / "ca.crt"
    return ClusterAccess(
        url=f"https://{join_host_port(host, port)}",
        http=HTTPClientConfig(
            authorization=Authorization(credentials_file=str(token)),
            tls_config=TLSConfig(ca_file=str(ca) if ca.is_file() else ""),
            proxy_from_environment=True,
        ),
        own_namespace=_namespace(service_account / "namespace"),
    )


def _namespace(path: Path) -> str:
    if not path.is_file():
        return ""
    try:
        return read_small(str(path)).strip()
    except (OSError, ValueError) as error:
        raise InvalidValueError(f"unable to load in-cluster configuration: {error}") from error
