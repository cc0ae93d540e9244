"""Lists and watches over TLS, with credentials that change while they run; compared with kubectl where it can be."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from contextlib import asynccontextmanager

import pytest
import yaml

from e2e.tls_front import Authority, TLSFront
from harness.kube_metrics import Uncounted
from harness.waiting import until
from promscout.kube.access import access_by_kubeconfig, access_in_cluster
from promscout.kube.informer import SharedInformers
from promscout.kube.resource import NODES, PODS, Scope
from promscout.sim import SimCluster
from promscout.sim import resources as sim

V1 = "client.authentication.k8s.io/v1"


class Failures(Uncounted):
    """Counts failed lists and watches."""

    def __init__(self):
        self.count = 0

    def failed(self, resource):
        self.count += 1


class Plugin:
    """A credential plugin that counts its runs, notes what it was told, and prints what it is told to."""

    def __init__(self, directory):
        self._directory = directory
        path = directory / "plugin"
        path.write_text(
            '#!/bin/sh\ncd "$(dirname "$0")"\necho run >> runs\nprintf %s "$KUBERNETES_EXEC_INFO" > info\ncat answer\n'
        )
        path.chmod(0o755)

    def prints(self, lifetime=None, **status):
        if lifetime is not None:
            status["expirationTimestamp"] = (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=lifetime)).isoformat()
        answer = self._directory / "new"
        answer.write_text(json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": status}))
        answer.rename(self._directory / "answer")

    def breaks(self):
        (self._directory / "answer").write_text("broken")

    @property
    def runs(self):
        runs = self._directory / "runs"
        return runs.read_text().count("run") if runs.exists() else 0

    @property
    def info(self):
        return json.loads((self._directory / "info").read_text())


class Site:
    """A cluster behind TLS and a kubeconfig for it, in one directory."""

    def __init__(self, directory, cluster, authority, front):
        self.directory = directory
        self.cluster = cluster
        self.authority = authority
        self.front = front
        self.plugin = Plugin(directory)

    def kubeconfig(self, user, **cluster):
        (self.directory / "ca.crt").write_text(self.authority.pem)
        document = {
            "clusters": [
                {
                    "name": "c",
                    "cluster": {"server": self.front.url, "certificate-authority": "ca.crt"} | cluster,
                }
            ],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        path = self.directory / "kubeconfig"
        path.write_text(yaml.safe_dump(document))
        return path

    def with_plugin(self, **options):
        asked = {"command": "./plugin", "apiVersion": V1, "interactiveMode": "Never"}
        return self.kubeconfig({"exec": asked | options})

    def identity(self, name):
        """A client's certificate for ``name``, in me.crt and me.key."""
        for file, text in zip(("me.crt", "me.key"), self.authority.issue(name), strict=True):
            new = self.directory / "new.pem"
            new.write_text(text)
            new.rename(self.directory / file)

    def adds(self, name):
        pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "namespace": "default"}, "spec": {}}
        self.cluster.store.create(sim.PODS, pod, "default")


@asynccontextmanager
async def _site(directory, *, client_certificates=False, names=("127.0.0.1",)):
    authority = Authority("ca")
    async with SimCluster() as cluster:
        identity = authority.issue("server", *names)
        clients = authority if client_certificates else None
        async with TLSFront(directory, cluster.apiserver.port, identity, clients) as front:
            site = Site(directory, cluster, authority, front)
            site.adds("first")
            yield site


@pytest.fixture
async def site(tmp_path):
    async with _site(tmp_path) as site:
        yield site


@pytest.fixture
async def strict_site(tmp_path):
    async with _site(tmp_path, client_certificates=True) as site:
        yield site


@asynccontextmanager
async def _watching(access, *resources):
    failures = Failures()
    async with SharedInformers(failures) as shared:
        informers = [shared.acquire(access, resource, Scope()) for resource in resources or (PODS,)]
        yield informers, failures
        for informer in informers:
            shared.release(informer)


async def _synced(informer):
    await until(lambda: informer.status.synced)


CLIENT_CERTIFICATE = {"client-certificate": "me.crt", "client-key": "me.key"}


async def test_a_client_certificate_opens_the_door(strict_site):
    strict_site.identity("agent")
    access = access_by_kubeconfig(strict_site.kubeconfig(CLIENT_CERTIFICATE))
    async with _watching(access) as ((informer,), failures):
        await _synced(informer)
        assert set(informer.store) == {"default/first"}
        assert failures.count == 0
    assert set(strict_site.front.clients) == {"agent"}


async def test_without_its_client_certificate_nobody_comes_in(strict_site):
    access = access_by_kubeconfig(strict_site.kubeconfig({}))
    async with _watching(access) as ((informer,), failures):
        await until(lambda: failures.count >= 1)
        assert not informer.status.synced
        assert informer.status.last_error
    assert strict_site.front.heads == []


async def test_client_certificate_files_replaced_while_watching_are_used_for_new_connections(strict_site):
    strict_site.identity("old")
    access = access_by_kubeconfig(strict_site.kubeconfig(CLIENT_CERTIFICATE))
    async with _watching(access) as ((informer,), failures):
        await _synced(informer)
        await until(lambda: informer.status.watches == 1)
        strict_site.identity("new")
        strict_site.cluster.apiserver.end_watches()
        strict_site.adds("second")
        await until(lambda: "default/second" in informer.store)
        assert (informer.status.lists, failures.count) == (1, 0)
    assert set(strict_site.front.clients) == {"old", "new"}
    assert strict_site.front.clients[-1] == "new"


async def test_a_certificate_file_without_its_key_is_an_error_until_both_are_replaced(strict_site):
    strict_site.identity("old")
    access = access_by_kubeconfig(strict_site.kubeconfig(CLIENT_CERTIFICATE))
    async with _watching(access) as ((informer,), failures):
        await _synced(informer)
        other, key = strict_site.authority.issue("new")
        (strict_site.directory / "me.crt").write_text(other)
        strict_site.front.cut()
        await until(lambda: failures.count >= 1)
        assert "KEY_VALUES_MISMATCH" in informer.status.last_error
        (strict_site.directory / "me.key").write_text(key)
        strict_site.adds("second")
        await until(lambda: "default/second" in informer.store)


async def test_a_new_authority_is_trusted_as_soon_as_its_file_is(site):
    access = access_by_kubeconfig(site.kubeconfig({}))
    async with _watching(access) as ((informer,), failures):
        await _synced(informer)
        successor = Authority("successor")
        site.front.present(*successor.issue("server", "127.0.0.1"))
        site.front.cut()
        await until(lambda: failures.count >= 1)
        assert "is not accepted" in informer.status.last_error
        assert set(informer.store) == {"default/first"}
        (site.directory / "ca.crt").write_text(successor.pem)
        site.adds("second")
        await until(lambda: "default/second" in informer.store)
        assert informer.status.last_error == ""


async def test_the_server_name_is_the_one_the_cluster_names(tmp_path):
    async with _site(tmp_path, names=("api.example",)) as site:
        right = access_by_kubeconfig(site.kubeconfig({}, **{"tls-server-name": "api.example"}))
        async with _watching(right) as ((informer,), _):
            await _synced(informer)
        async with _watching(access_by_kubeconfig(site.kubeconfig({}))) as ((informer,), failures):
            await until(lambda: failures.count >= 1)
            assert "IP address mismatch" in informer.status.last_error


async def test_an_unverified_server_is_asked_where_that_is_allowed(site):
    options = {"insecure-skip-tls-verify": True, "certificate-authority": None}
    async with _watching(access_by_kubeconfig(site.kubeconfig({}, **options))) as ((informer,), _):
        await _synced(informer)


async def test_a_token_file_replaced_while_watching_is_used(site):
    token = site.directory / "token"
    token.write_text("one\n")
    site.cluster.apiserver.token = "one"
    access = access_by_kubeconfig(site.kubeconfig({"tokenFile": "token"}))
    async with _watching(access) as ((informer,), failures):
        await _synced(informer)
        await until(lambda: informer.status.watches == 1)
        token.write_text("two\n")
        site.cluster.apiserver.token = "two"
        site.cluster.apiserver.end_watches()
        site.adds("second")
        await until(lambda: "default/second" in informer.store)
        assert (informer.status.lists, failures.count) == (1, 0)


async def test_a_service_account_reaches_the_api_server_and_its_token_is_rotated(site):
    host, _, port = site.front.url.removeprefix("https://").partition(":")
    account = site.directory / "account"
    account.mkdir()
    for name, text in (("token", "one"), ("ca.crt", site.authority.pem), ("namespace", "default")):
        (account / name).write_text(text)
    site.cluster.apiserver.token = "one"
    environment = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    async with _watching(access_in_cluster(account, environment)) as ((informer,), failures):
        await _synced(informer)
        site.cluster.apiserver.token = "two"
        site.cluster.apiserver.end_watches()
        await until(lambda: failures.count >= 1)
        assert "401 Unauthorized" in informer.status.last_error
        (account / "new").write_text("two")
        (account / "new").rename(account / "token")
        site.adds("second")
        await until(lambda: "default/second" in informer.store)


async def test_a_plugin_runs_once_for_every_list_and_watch(site):
    site.cluster.apiserver.token = "t1"
    site.plugin.prints(token="t1")
    path = site.with_plugin()
    async with (
        _watching(access_by_kubeconfig(path), PODS, NODES) as ((pods, nodes), failures),
        _watching(access_by_kubeconfig(path), PODS) as ((again,), _),
    ):
        for informer in (pods, nodes, again):
            await _synced(informer)
        assert (site.plugin.runs, failures.count) == (1, 0)


async def test_a_token_that_is_refused_in_the_middle_is_replaced_without_a_gap(site):
    site.cluster.apiserver.token = "t1"
    site.plugin.prints(token="t1")
    async with _watching(access_by_kubeconfig(site.with_plugin()), PODS, NODES) as ((pods, nodes), failures):
        await _synced(pods)
        await _synced(nodes)
        await until(lambda: pods.status.watches == nodes.status.watches == 1)
        site.plugin.prints(token="t2")
        site.cluster.apiserver.token = "t2"
        site.cluster.apiserver.end_watches()
        site.adds("second")
        await until(lambda: "default/second" in pods.store)
        await until(lambda: nodes.status.watches == 2)
        assert (pods.status.lists, nodes.status.lists, failures.count) == (1, 1, 0)
    assert site.plugin.runs == 2


async def test_an_expired_token_is_replaced_before_it_is_sent(site):
    site.cluster.apiserver.token = "t1"
    site.plugin.prints(token="t1", lifetime=1)
    async with _watching(access_by_kubeconfig(site.with_plugin())) as ((informer,), failures):
        await _synced(informer)
        await until(lambda: informer.status.watches == 1)
        runs, requests = site.plugin.runs, len(site.cluster.apiserver.requests)
        site.plugin.prints(token="t2", lifetime=3600)
        await asyncio.sleep(1)
        site.cluster.apiserver.token = "t2"
        site.cluster.apiserver.end_watches()
        site.adds("second")
        await until(lambda: "default/second" in informer.store)
        assert failures.count == 0
    assert site.plugin.runs == runs + 1
    assert len(site.cluster.apiserver.requests) == requests + 1  # none that was refused


async def test_a_plugin_that_fails_leaves_the_store_and_is_tried_again(site):
    site.cluster.apiserver.token = "t1"
    site.plugin.prints(token="t1")
    async with _watching(access_by_kubeconfig(site.with_plugin())) as ((informer,), failures):
        await _synced(informer)
        site.plugin.breaks()
        site.cluster.apiserver.token = "t2"
        site.cluster.apiserver.end_watches()
        await until(lambda: failures.count >= 2)
        assert "printed no ExecCredential" in informer.status.last_error
        assert f"{site.directory}/kubeconfig" in informer.status.last_error
        assert set(informer.store) == {"default/first"}
        site.plugin.prints(token="t2")
        site.adds("second")
        await until(lambda: "default/second" in informer.store)
        assert informer.status.last_error == ""


async def test_a_plugins_client_certificate_is_presented_and_the_next_one_after_it(strict_site):
    def rotate(token, name):
        cert, key = strict_site.authority.issue(name)
        strict_site.plugin.prints(token=token, clientCertificateData=cert, clientKeyData=key)
        strict_site.cluster.apiserver.token = token

    rotate("t", "first")
    async with _watching(access_by_kubeconfig(strict_site.with_plugin())) as ((informer,), failures):
        await _synced(informer)
        await until(lambda: informer.status.watches == 1)
        rotate("u", "second")
        strict_site.cluster.apiserver.end_watches()
        strict_site.adds("second")
        await until(lambda: "default/second" in informer.store)
        assert (informer.status.lists, failures.count) == (1, 0)
    assert strict_site.front.clients[0] == "first"
    assert strict_site.front.clients[-1] == "second"


async def test_a_plugin_is_told_what_kubectl_tells_it(site, kubectl):
    site.cluster.apiserver.token = "t"
    site.plugin.prints(token="t")
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "me"}}
    asked = {"command": "./plugin", "apiVersion": V1, "interactiveMode": "IfAvailable", "provideClusterInfo": True}
    path = site.kubeconfig({"exec": asked}, extensions=[extension])
    await kubectl.run(["get", "pods"], path)
    from_kubectl, runs = site.plugin.info, site.plugin.runs
    async with _watching(access_by_kubeconfig(path)) as ((informer,), _):
        await _synced(informer)
    assert site.plugin.runs == runs + 1
    assert site.plugin.info == from_kubectl
    assert from_kubectl["spec"]["cluster"]["config"] == {"audience": "me"}


async def test_impersonation_is_asked_for_as_by_kubectl(site, kubectl):
    user = {
        "token": "t",
        "as": "system:serviceaccount:a:b",
        "as-uid": "17",
        "as-groups": ["one", "two"],
        "as-user-extra": {"example.com/scope": ["one", "two"], "a%b": ["three"]},
    }
    path = site.kubeconfig(user)

    def asked():
        (head,) = {
            tuple(sorted((name, tuple(values)) for name, values in head.items() if name.startswith("impersonate-")))
            for head in site.front.heads
        }
        site.front.heads.clear()
        return dict(head)

    await kubectl.run(["get", "pods"], path)
    from_kubectl = asked()
    async with _watching(access_by_kubeconfig(path)) as ((informer,), _):
        await _synced(informer)
    assert asked() == from_kubectl
    assert len(from_kubectl) == 5
