"""The ``kubernetes_sd_configs`` section."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Final, Self

import msgspec

from promscout.discovery.kubernetes.selectors import check_field_selector, check_label_selector
from promscout.errors import InvalidValueError
from promscout.httpclient.config import HTTPClientConfig
from promscout.httpclient.secret import split_http_url
from promscout.httpclient.tls import join_directory


class Role(StrEnum):
    """What becomes a target."""

    NODE = "node"
    POD = "pod"
    SERVICE = "service"
    ENDPOINTS = "endpoints"
    ENDPOINTSLICE = "endpointslice"
    INGRESS = "ingress"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The role of that name.

        Raises:
            InvalidValueError: no such role.
        """
        try:
            return cls(text)
        except ValueError:
            raise InvalidValueError(f'unknown Kubernetes SD role "{text}", expected one of: {_ROLES}') from None


_ROLES: Final = "pod, service, endpoints, endpointslice, node, ingress"

SELECTABLE: Final = {
    Role.POD: (Role.POD, Role.NODE),
    Role.SERVICE: (Role.SERVICE,),
    Role.ENDPOINTSLICE: (Role.POD, Role.SERVICE, Role.ENDPOINTSLICE),
    Role.ENDPOINTS: (Role.POD, Role.SERVICE, Role.ENDPOINTS),
    Role.NODE: (Role.NODE,),
    Role.INGRESS: (Role.INGRESS,),
}
"""Role → the roles whose objects its selectors may narrow."""


class NamespaceDiscovery(msgspec.Struct, frozen=True, kw_only=True):
    """Which namespaces to look at: the named ones and, if asked for, the pod's own; none of both means all."""

    own_namespace: bool = False
    names: tuple[str, ...] = ()


class Selector(msgspec.Struct, frozen=True, kw_only=True):
    """Narrows the objects of one role on the API server's side."""

    role: Role
    label: str = ""
    field: str = ""

    def __post_init__(self) -> None:
        for key, check in (("label", check_label_selector), ("field", check_field_selector)):
            try:
                check(getattr(self, key))
            except InvalidValueError as error:
                raise InvalidValueError(str(error), key=key) from None


class AttachMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """Metadata of other objects to attach to targets; each needs permission to list and watch those objects."""

    node: bool = False
    namespace: bool = False
    deployment: bool = False
    job: bool = False
    cronjob: bool = False


class KubernetesSDConfig(HTTPClientConfig, frozen=True, kw_only=True):
    """Which objects of which cluster become targets. Equal values share one provider.

    Without ``api_server`` and ``kubeconfig_file`` the agent runs in the cluster and uses its service account.

    Source: prometheus v3.x discovery/kubernetes/kubernetes.go SDConfig, UnmarshalYAML.

    Raises:
        InvalidValueError: options that exclude each other.
    """

    mechanism: ClassVar[str] = "kubernetes"

    role: Role
    # URL of the API server, with an optional path prefix.
    api_server: str = ""
    kubeconfig_file: str = ""
    namespaces: NamespaceDiscovery = NamespaceDiscovery()
    selectors: tuple[Selector, ...] = ()
    attach_metadata: AttachMetadata = AttachMetadata()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_access()
        self._check_selectors()

    def _check_access(self) -> None:
        custom = self.http_client_config() != HTTPClientConfig()
        if self.api_server and self.kubeconfig_file:
            raise InvalidValueError(
                "cannot use 'kubeconfig_file' and 'api_server' simultaneously", key="kubeconfig_file"
            )
        if self.kubeconfig_file and custom:
            raise InvalidValueError(
                "cannot use a custom HTTP client configuration together with 'kubeconfig_file'", key="kubeconfig_file"
            )
        if custom and not self.api_server:
            raise InvalidValueError(
                "to use custom HTTP client configuration please provide the 'api_server' URL explicitly"
            )
        for key in ("api_server", "kubeconfig_file"):
            if getattr(self, key) and self.namespaces.own_namespace:
                raise InvalidValueError(
                    f"cannot use '{key}' and 'namespaces.own_namespace' simultaneously", key="namespaces"
                )
        if self.api_server:
            try:
                parts = split_http_url(self.api_server)
            except InvalidValueError as error:
                raise InvalidValueError(str(error), key="api_server") from None
            if "@" in parts.netloc:
                raise InvalidValueError("user name and password belong into basic_auth, not the URL", key="api_server")

    def _check_selectors(self) -> None:
        seen = set()
        for selector in self.selectors:
            if selector.role in seen:
                raise InvalidValueError(f"duplicated selector role: {selector.role}", key="selectors")
            seen.add(selector.role)
            if selector.role not in SELECTABLE[self.role]:
                raise InvalidValueError(
                    f"{self.role} role supports only {', '.join(SELECTABLE[self.role])} selectors", key="selectors"
                )

    def with_directory(self, directory: Path) -> Self:
        """The same options with relative file names taken from ``directory``."""
        return msgspec.structs.replace(
            super().with_directory(directory), kubeconfig_file=join_directory(directory, self.kubeconfig_file)
        )
