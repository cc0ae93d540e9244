"""What a kubeconfig's current context means for an HTTP client."""

from __future__ import annotations

import base64
from typing import Final
from urllib.parse import quote

import msgspec

from promscout.errors import InvalidValueError
from promscout.httpclient.config import (
    URL,
    Authorization,
    BasicAuth,
    Header,
    HTTPClientConfig,
    Secret,
    TLSConfig,
)
from promscout.httpclient.secret import split_http_url
from promscout.kube.exec_plugin import API_VERSIONS, ExecPlugin, PluginCluster
from promscout.kube.kubeconfig import CurrentContext, Exec
from promscout.model.frozendict import FrozenDict

_INTERACTIVE_MODES: Final = ("Never", "IfAvailable", "Always")
_HEADER_SAFE: Final = "!#$&'*+-.^_`|~"
"""What a header's name may hold beside letters and digits, without the percent sign that escapes the rest."""


class ContextAccess:
    """Server, HTTP options and credential plugin of a context. File names are relative to the kubeconfig.

    ``server`` is the API server's URL: without a scheme it is http, as for kubectl; a query is dropped. Credentials
    and TLS options are for https only: over http nothing secret is sent. A token, user name or client certificate
    wins over a credential plugin.

    Every problem is an ``InvalidValueError`` that names the file and context, and quotes no secret.

    Source: client-go tools/clientcmd/client_config.go ClientConfig, validation.go, rest/url_utils.go DefaultServerURL.
    """

    def __init__(self, context: CurrentContext) -> None:
        self._context = context
        self._cluster = context.cluster
        self._user = context.user
        self._directory = context.path.parent.absolute()
        self._check_user()
        self.server = self._server()
        self._is_secure = self.server.startswith("https:")

    def http_client_config(self) -> HTTPClientConfig:
        """How to reach the server: TLS, credentials, proxy. Files are named, not read; inline data is decoded."""
        authorization, basic_auth, tls_config = None, None, TLSConfig()
        if self._is_secure:
            authorization, basic_auth, tls_config = self._authorization(), self._basic_auth(), self._tls_config()
        proxy_url = self._proxy_url()
        return HTTPClientConfig(
            authorization=authorization,
            basic_auth=None if authorization else basic_auth,
            tls_config=tls_config,
            proxy_url=proxy_url,
            proxy_from_environment=not proxy_url,
            http_headers=self._impersonation(),
        )

    def plugin(self) -> ExecPlugin | None:
        """The credential plugin to use, or None."""
        asked, user = self._user.exec, self._user
        others = (user.token, user.token_file, user.username, user.client_certificate, user.client_certificate_data)
        if asked is None or any(others) or not self._is_secure:
            return None
        return ExecPlugin(
            command=self._file(asked.command) if "/" in asked.command else asked.command,
            api_version=asked.api_version,
            args=tuple(asked.args),
            env=tuple((one.name, Secret(one.value)) for one in asked.env),
            cluster=self._plugin_cluster() if asked.provide_cluster_info else None,
            install_hint=asked.install_hint,
            kubeconfig=str(self._context.path),
        )

    def _plugin_cluster(self) -> PluginCluster:
        try:
            extension = msgspec.json.encode(self._cluster.exec_extension()).decode()
        except (TypeError, ValueError):
            raise self._problem("the extension for credential plugins cannot be written as JSON") from None
        return PluginCluster(
            server=self._cluster.server,
            tls_config=self._server_identity(),
            proxy_url=self._proxy_url(),
            disable_compression=self._cluster.disable_compression,
            config=extension,
        )

    def _check_user(self) -> None:
        user = self._user
        if user.auth_provider is not None:
            raise self._problem(
                f"auth-provider {user.auth_provider.name!r} is not supported; use a credential plugin (exec), a "
                "token, a token file or a client certificate"
            )
        if user.token and (user.username or user.password):
            raise self._problem("more than one way to authenticate: only one of token and username can be used")
        if not user.impersonate and (user.impersonate_uid or user.impersonate_groups or user.impersonate_extra):
            raise self._problem("as-uid, as-groups and as-user-extra need a user to impersonate ('as')")
        if (user.client_certificate or user.client_certificate_data) and not (user.client_key or user.client_key_data):
            raise self._problem("a client certificate needs client-key or client-key-data")
        if user.exec is not None:
            self._check_exec(user.exec)

    def _check_exec(self, asked: Exec) -> None:
        if not asked.command:
            raise self._problem("exec has no command")
        if asked.api_version not in API_VERSIONS:
            raise self._problem(
                f"exec has the apiVersion {asked.api_version!r}; known are {' and '.join(API_VERSIONS)}"
            )
        # Before v1 the mode had a default.
        mode = asked.interactive_mode or ("" if asked.api_version == API_VERSIONS[0] else "IfAvailable")
        if mode not in _INTERACTIVE_MODES:
            raise self._problem(
                f"exec has the interactiveMode {mode!r}; it must be one of {', '.join(_INTERACTIVE_MODES)}"
            )
        if mode == "Always":
            raise self._problem(f"the credential plugin {asked.command!r} wants a terminal (interactiveMode: Always)")
        if any(not one.name for one in asked.env):
            raise self._problem("exec has an environment variable without a name")

    def _server(self) -> str:
        text = self._cluster.server
        scheme, separator, rest = text.partition("://")
        if not (separator and scheme and rest):
            text = f"http://{text}"
            if "/" in text.removeprefix("http://").removesuffix("/"):
                raise self._problem("server must be a URL or a host:port pair")
        try:
            parts = split_http_url(text)
        except InvalidValueError as error:
            raise self._problem(f"server: {error}") from None
        if "@" in parts.netloc:
            raise self._problem("server: user name and password belong into the user, not the URL")
        return parts._replace(query="", fragment="").geturl()

    def _authorization(self) -> Authorization | None:
        if self._user.token_file:
            return Authorization(credentials_file=self._file(self._user.token_file))
        return Authorization(credentials=Secret(self._user.token)) if self._user.token else None

    def _basic_auth(self) -> BasicAuth | None:
        user = self._user
        return BasicAuth(username=user.username, password=Secret(user.password)) if user.username else None

    def _server_identity(self) -> TLSConfig:
        cluster = self._cluster
        ca = self._data("certificate-authority-data", cluster.certificate_authority_data)
        if cluster.insecure_skip_tls_verify and (ca or cluster.certificate_authority):
            raise self._problem("certificate-authority and insecure-skip-tls-verify exclude each other")
        return TLSConfig(
            ca=ca,
            ca_file=self._file(cluster.certificate_authority, unless=ca),
            server_name=cluster.tls_server_name,
            insecure_skip_verify=cluster.insecure_skip_tls_verify,
        )

    def _tls_config(self) -> TLSConfig:
        user = self._user
        cert = self._data("client-certificate-data", user.client_certificate_data)
        key = self._data("client-key-data", user.client_key_data)
        identity = self._server_identity()
        if not cert and not user.client_certificate:
            return identity
        return msgspec.structs.replace(
            identity,
            cert=cert,
            cert_file=self._file(user.client_certificate, unless=cert),
            key=Secret(key),
            key_file=self._file(user.client_key, unless=key),
        )

    def _proxy_url(self) -> URL:
        scheme = self._cluster.proxy_url.partition("://")[0]
        if scheme.lower().startswith("socks"):
            raise self._problem(f"proxy-url: {scheme} proxies are not supported, only http and https ones")
        try:
            return URL.parse(self._cluster.proxy_url)
        except InvalidValueError as error:
            raise self._problem(f"proxy-url: {error}") from None

    def _impersonation(self) -> FrozenDict[str, Header]:
        """Source: client-go transport/round_trippers.go impersonatingRoundTripper, headerKeyEscape."""
        user = self._user
        headers = {
            "Impersonate-User": (user.impersonate,) if user.impersonate else (),
            "Impersonate-Uid": (user.impersonate_uid,) if user.impersonate_uid else (),
            "Impersonate-Group": tuple(user.impersonate_groups),
        }
        for key, values in user.impersonate_extra.items():
            headers[f"Impersonate-Extra-{quote(key, safe=_HEADER_SAFE)}"] = tuple(values)
        return FrozenDict({name: Header(values=values) for name, values in headers.items() if values})

    def _file(self, name: str, *, unless: str = "") -> str:
        """``name`` relative to the kubeconfig file; inline data wins over a file."""
        return "" if not name or unless else str(self._directory / name)

    def _data(self, key: str, encoded: str) -> str:
        try:
            return base64.b64decode("".join(encoded.split()), validate=True).decode()
        except ValueError:
            raise self._problem(f"{key} is not base64 of a PEM text") from None

    def _problem(self, text: str) -> InvalidValueError:
        return InvalidValueError(f"{self._context.path}: context {self._context.name!r}: {text}")
