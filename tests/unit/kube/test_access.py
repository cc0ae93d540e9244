from __future__ import annotations

import base64
from pathlib import Path

import pytest
import yaml

from promscout.errors import InvalidValueError
from promscout.httpclient.config import Authorization, HTTPClientConfig, TLSConfig
from promscout.kube.access import access_by_kubeconfig, access_in_cluster


def _kubeconfig(tmp_path, *, cluster=None, user=None, **top):
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443"} | (cluster or {})}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [
            {"name": "other", "context": {"cluster": "nowhere", "user": "nobody"}},
            {"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "n"}},
        ],
        "current-context": "x",
        "preferences": {},
    } | top
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


_CERT = {"client-certificate": "me.crt"}
V1 = "client.authentication.k8s.io/v1"


def _user(**user):
    return {"users": [{"name": "u", "user": user}]}


def _cluster(**cluster):
    return {"clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443"} | cluster}]}


def _exec(**options):
    return {"command": "p", "apiVersion": V1, "interactiveMode": "Never"} | options


def _encoded(text):
    return base64.b64encode(text.encode()).decode()


def test_a_token_and_an_inline_ca_are_taken_from_the_current_context(tmp_path):
    path = _kubeconfig(tmp_path, cluster={"certificate-authority-data": _encoded("CA")}, user={"token": "t0ken"})
    access = access_by_kubeconfig(path)
    assert access.url == "https://127.0.0.1:6443"
    assert access.http.authorization.credentials.reveal() == "t0ken"
    assert access.http.tls_config.ca == "CA"
    assert "t0ken" not in repr(access)


def test_file_names_are_relative_to_the_kubeconfig(tmp_path):
    path = _kubeconfig(
        tmp_path,
        cluster={"certificate-authority": "pki/ca.crt"},
        user={"client-certificate": "pki/me.crt", "client-key": "/abs/me.key", "tokenFile": "token"},
    )
    http = access_by_kubeconfig(path).http
    assert http.tls_config.ca_file == str(tmp_path / "pki/ca.crt")
    assert http.tls_config.cert_file == str(tmp_path / "pki/me.crt")
    assert http.tls_config.key_file == "/abs/me.key"
    assert http.authorization.credentials_file == str(tmp_path / "token")


def test_inline_certificates_win_over_files(tmp_path):
    user = {
        "client-certificate-data": _encoded("CERT"),
        "client-certificate": "me.crt",
        "client-key-data": _encoded("KEY"),
        "client-key": "me.key",
    }
    tls = access_by_kubeconfig(_kubeconfig(tmp_path, user=user)).http.tls_config
    assert (tls.cert, tls.cert_file, tls.key.reveal(), tls.key_file) == ("CERT", "", "KEY", "")


def test_user_name_and_password_server_name_proxy_and_unverified_tls_are_taken(tmp_path):
    cluster = {
        "insecure-skip-tls-verify": True,
        "tls-server-name": "kubernetes",
        "proxy-url": "http://127.0.0.1:3128",
    }
    path = _kubeconfig(tmp_path, cluster=cluster, user={"username": "u", "password": "p"})
    http = access_by_kubeconfig(path).http
    assert (http.basic_auth.username, http.basic_auth.password.reveal()) == ("u", "p")
    assert http.tls_config.insecure_skip_verify
    assert http.tls_config.server_name == "kubernetes"
    assert http.proxy_url.reveal() == "http://127.0.0.1:3128"


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("https://127.0.0.1:6443", "https://127.0.0.1:6443"),
        ("https://127.0.0.1/k8s/clusters/c-1", "https://127.0.0.1/k8s/clusters/c-1"),
        ("https://127.0.0.1/prefix?x=1#y", "https://127.0.0.1/prefix"),
        ("https://[::1]:6443/", "https://[::1]:6443/"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("localhost:8080/", "http://localhost:8080/"),
        ("localhost", "http://localhost"),
    ],
)
def test_a_server_is_a_url_or_a_host_and_port(tmp_path, server, url):
    assert access_by_kubeconfig(_kubeconfig(tmp_path, cluster={"server": server})).url == url


@pytest.mark.parametrize(
    "user", [{"token": "t"}, {"username": "u", "password": "p"}, {"exec": _exec()}, {"client-key": "k", **_CERT}]
)
def test_nothing_secret_is_sent_over_plain_http(tmp_path, user):
    access = access_by_kubeconfig(_kubeconfig(tmp_path, cluster={"server": "http://127.0.0.1:8001"}, user=user))
    assert access.http == HTTPClientConfig(proxy_from_environment=True)
    assert access.plugin is None


def test_a_token_file_wins_over_a_token_and_a_key_without_a_certificate_is_left_alone(tmp_path):
    user = {"token": "t", "tokenFile": "token", "client-key": "me.key"}
    http = access_by_kubeconfig(_kubeconfig(tmp_path, user=user)).http
    assert http.authorization == Authorization(credentials_file=str(tmp_path / "token"))
    assert http.tls_config == TLSConfig()


def test_inline_data_may_be_folded(tmp_path):
    folded = "\n".join(_encoded("CERTIFICATE" * 20)[start : start + 64] for start in range(0, 300, 64))
    access = access_by_kubeconfig(_kubeconfig(tmp_path, cluster={"certificate-authority-data": folded}))
    assert access.http.tls_config.ca == "CERTIFICATE" * 20


def test_null_means_left_out(tmp_path):
    path = _kubeconfig(tmp_path, user={"token": "t", "exec": None, "as-groups": None}, extensions=None)
    assert access_by_kubeconfig(path).http.authorization.credentials.reveal() == "t"
    with pytest.raises(InvalidValueError, match="user 'u' does not exist"):
        access_by_kubeconfig(_kubeconfig(tmp_path, users=None))


def test_a_proxy_comes_from_the_environment_unless_the_cluster_names_one(tmp_path):
    assert access_by_kubeconfig(_kubeconfig(tmp_path)).http.proxy_from_environment
    with_proxy = _kubeconfig(tmp_path, cluster={"proxy-url": "http://127.0.0.1:3128"})
    assert not access_by_kubeconfig(with_proxy).http.proxy_from_environment


def test_impersonation_becomes_headers(tmp_path):
    user = {
        "token": "t",
        "as": "system:serviceaccount:a:b",
        "as-uid": "17",
        "as-groups": ["one", "two"],
        "as-user-extra": {"example.com/scope": ["x", "y"], "A%b": ["z"]},
    }
    headers = access_by_kubeconfig(_kubeconfig(tmp_path, user=user)).http.http_headers
    assert {name: header.values for name, header in headers.items()} == {
        "Impersonate-User": ("system:serviceaccount:a:b",),
        "Impersonate-Uid": ("17",),
        "Impersonate-Group": ("one", "two"),
        "Impersonate-Extra-example.com%2Fscope": ("x", "y"),
        "Impersonate-Extra-A%25b": ("z",),
    }


def test_a_credential_plugin_is_taken_with_its_arguments_variables_and_hint(tmp_path):
    asked = _exec(args=["get-token"], env=[{"name": "A", "value": "hunter2"}], installHint="get it")
    path = _kubeconfig(tmp_path, user={"exec": asked})
    access = access_by_kubeconfig(path)
    plugin = access.plugin
    assert (plugin.command, plugin.api_version, plugin.args) == ("p", V1, ("get-token",))
    assert [(name, value.reveal()) for name, value in plugin.env] == [("A", "hunter2")]
    assert (plugin.install_hint, plugin.kubeconfig, plugin.cluster) == ("get it", str(path), None)
    assert "hunter2" not in repr(access)


@pytest.mark.parametrize(
    ("command", "resolved"),
    [("aws", "aws"), ("./bin/aws", "{}/bin/aws"), ("bin/aws", "{}/bin/aws"), ("/usr/bin/aws", "/usr/bin/aws")],
)
def test_a_plugin_path_with_a_slash_is_relative_to_the_kubeconfig(tmp_path, monkeypatch, command, resolved):
    path = _kubeconfig(tmp_path, user={"exec": _exec(command=command)})
    assert access_by_kubeconfig(path).plugin.command == resolved.format(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert access_by_kubeconfig(Path(path.name)).plugin.command == resolved.format(tmp_path)


def test_a_v1beta1_plugin_needs_no_interactive_mode_and_null_lists_are_empty(tmp_path):
    asked = {"command": "p", "apiVersion": f"{V1}beta1", "args": None, "env": None}
    plugin = access_by_kubeconfig(_kubeconfig(tmp_path, user={"exec": asked})).plugin
    assert (plugin.args, plugin.env) == ((), ())


def test_a_plugin_that_asks_is_told_of_the_cluster(tmp_path):
    cluster = {
        "certificate-authority-data": _encoded("CA"),
        "tls-server-name": "kubernetes",
        "disable-compression": True,
        "extensions": [
            {"name": "minikube.sigs.k8s.io", "extension": {"version": "1"}},
            {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "me"}},
        ],
    }
    path = _kubeconfig(tmp_path, cluster=cluster, user={"exec": _exec(provideClusterInfo=True)})
    told = access_by_kubeconfig(path).plugin.cluster
    assert (told.server, told.tls_config.ca, told.tls_config.server_name) == (
        "https://127.0.0.1:6443",
        "CA",
        "kubernetes",
    )
    assert (told.disable_compression, told.config) == (True, '{"audience":"me"}')


@pytest.mark.parametrize("user", [{"token": "t"}, {"tokenFile": "t"}, {"username": "u"}, {"client-key": "k", **_CERT}])
def test_other_credentials_win_over_a_plugin(tmp_path, user):
    assert access_by_kubeconfig(_kubeconfig(tmp_path, user=user | {"exec": _exec()})).plugin is None


def test_access_differs_by_plugin_and_is_shared_by_equal_ones(tmp_path):
    def access(**options):
        return access_by_kubeconfig(_kubeconfig(tmp_path, user={"exec": _exec(**options)}))

    assert access(args=["a"]) == access(args=["a"])
    assert hash(access(args=["a"])) == hash(access(args=["a"]))
    assert access(args=["a"]) != access(args=["b"])


def test_equal_contexts_give_equal_access_so_that_watches_are_shared(tmp_path):
    path = _kubeconfig(tmp_path, user={"token": "t"})
    assert access_by_kubeconfig(path) == access_by_kubeconfig(path)
    assert hash(access_by_kubeconfig(path)) == hash(access_by_kubeconfig(path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"current-context": ""}, "current-context is not set"),
        ({"current-context": "gone"}, "context 'gone' does not exist"),
        ({"current-context": "other"}, "cluster 'nowhere' does not exist"),
        ({"users": []}, "user 'u' does not exist"),
        ({"clusters": [{"name": "c", "cluster": {}}]}, "cluster 'c' has no server"),
        ({"clusters": {"name": "c"}}, "not a kubeconfig"),
        ({"users": [{"name": "u", "user": {"client-key-data": "s3cret?"}}]}, "client-key-data is not base64"),
        (_user(token=17), r"not a kubeconfig: Expected `str`, got `int` - at `\$\.users\[0\]\.user\.token`"),
        (_user(token="s3cret", username="u"), "only one of token and username can be used"),
        (_user(**{"client-certificate": "me.crt"}), "a client certificate needs client-key or client-key-data"),
        (_user(**{"as-groups": ["g"]}), r"need a user to impersonate \('as'\)"),
        (
            _user(**{"auth-provider": {"name": "oidc", "config": {"id-token": "s3cret"}}}),
            "auth-provider 'oidc' is not supported; use a credential plugin",
        ),
        (_user(exec={"apiVersion": V1}), "exec has no command"),
        (_user(exec={"command": "p"}), "exec has the apiVersion ''; known are client.authentication.k8s.io/v1 and"),
        (_user(exec={"command": "p", "apiVersion": f"{V1}alpha1"}), "exec has the apiVersion '.*/v1alpha1'"),
        (_user(exec={"command": "p", "apiVersion": V1}), "exec has the interactiveMode ''; it must be one of Never, "),
        (_user(exec=_exec(interactiveMode="Sometimes")), "exec has the interactiveMode 'Sometimes'"),
        (_user(exec=_exec(interactiveMode="Always")), "the credential plugin 'p' wants a terminal"),
        (_user(exec=_exec(env=[{"value": "s3cret"}])), "an environment variable without a name"),
        (_cluster(server="ftp://127.0.0.1"), "server: URL scheme must be 'http' or 'https'"),
        (_cluster(server="https://u:s3cret@127.0.0.1"), "server: user name and password belong into the user"),
        (_cluster(server="127.0.0.1:80/prefix"), "server must be a URL or a host:port pair"),
        (_cluster(server="https://"), "server must be a URL or a host:port pair"),
        (_cluster(server="https://127.0.0.1:port"), "server: not a valid URL"),
        (_cluster(**{"proxy-url": "socks5://u:s3cret@127.0.0.1:1080"}), "proxy-url: socks5 proxies are not supported"),
        (_cluster(**{"proxy-url": "127.0.0.1:3128"}), "proxy-url: URL scheme must be 'http' or 'https'"),
        (
            _cluster(**{"insecure-skip-tls-verify": True, "certificate-authority": "ca.crt"}),
            "certificate-authority and insecure-skip-tls-verify exclude each other",
        ),
    ],
)
def test_an_unusable_kubeconfig_is_refused_with_its_name_and_no_secret(tmp_path, change, message):
    path = _kubeconfig(tmp_path, **change)
    with pytest.raises(InvalidValueError, match=message) as caught:
        access_by_kubeconfig(path)
    assert str(path) in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_missing_or_broken_kubeconfig_is_refused_with_its_place(tmp_path):
    with pytest.raises(InvalidValueError, match=r"cannot read kubeconfig .*: No such file"):
        access_by_kubeconfig(tmp_path / "gone")
    (tmp_path / "broken").write_text("a: b\nc: [")
    with pytest.raises(InvalidValueError, match=r"broken:3:1: not YAML"):
        access_by_kubeconfig(tmp_path / "broken")


@pytest.fixture
def service_account(tmp_path):
    (tmp_path / "token").write_text("t\n")
    (tmp_path / "ca.crt").write_text("CA")
    (tmp_path / "namespace").write_text("monitoring\n")
    return tmp_path


def test_in_a_cluster_the_service_account_is_used_and_its_files_are_named_not_read(service_account: Path):
    environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    access = access_in_cluster(service_account, environment)
    assert access.url == "https://127.0.0.1:443"
    assert access.http.authorization.credentials_file == str(service_account / "token")
    assert access.http.tls_config.ca_file == str(service_account / "ca.crt")
    assert access.own_namespace == "monitoring"


def test_in_a_cluster_a_proxy_comes_from_the_environment_and_a_missing_ca_or_namespace_is_no_obstacle(tmp_path):
    (tmp_path / "token").write_text("t")
    environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    access = access_in_cluster(tmp_path, environment)
    assert access.http.proxy_from_environment
    assert (access.http.tls_config, access.own_namespace) == (TLSConfig(), "")


def test_a_namespace_that_cannot_be_read_is_refused_with_its_file(service_account):
    (service_account / "namespace").write_bytes(b"\xff")
    environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(InvalidValueError, match=r"unable to load in-cluster configuration: .*/namespace is not UTF-8"):
        access_in_cluster(service_account, environment)


def test_an_ipv6_api_server_stands_in_brackets(service_account):
    environment = {"KUBERNETES_SERVICE_HOST": "::1", "KUBERNETES_SERVICE_PORT": "443"}
    assert access_in_cluster(service_account, environment).url == "https://[::1]:443"


def test_outside_a_cluster_the_message_says_what_to_set(tmp_path):
    with pytest.raises(InvalidValueError, match="set 'api_server' or 'kubeconfig_file'"):
        access_in_cluster(tmp_path, {})
    environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(InvalidValueError, match="no service account token"):
        access_in_cluster(tmp_path, environment)
