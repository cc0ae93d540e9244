from __future__ import annotations

import base64
from pathlib import Path

import pytest
import yaml

from promscout.errors import InvalidValueError
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
        ({"users": [{"name": "u", "user": {"exec": {"command": "aws"}}}]}, "credential plugins"),
        ({"users": [{"name": "u", "user": {"client-key-data": "s3cret?"}}]}, "client-key-data is not base64"),
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
    with pytest.raises(InvalidValueError, match=r"broken:3: not YAML"):
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


def test_an_ipv6_api_server_stands_in_brackets(service_account):
    environment = {"KUBERNETES_SERVICE_HOST": "::1", "KUBERNETES_SERVICE_PORT": "443"}
    assert access_in_cluster(service_account, environment).url == "https://[::1]:443"


def test_outside_a_cluster_the_message_says_what_to_set(tmp_path):
    with pytest.raises(InvalidValueError, match="set 'api_server' or 'kubeconfig_file'"):
        access_in_cluster(tmp_path, {})
    environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(InvalidValueError, match="no service account token"):
        access_in_cluster(tmp_path, environment)
