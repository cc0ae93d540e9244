"""One run of a credential plugin: what it is given, what it may print, and how it can fail."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import json
import os
import time
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from harness.waiting import until
from promscout.httpclient.config import URL, Secret, TLSConfig
from promscout.kube.exec_plugin import ExecPlugin, PluginCluster

pytestmark = pytest.mark.real_time

V1 = "client.authentication.k8s.io/v1"
V1BETA1 = "client.authentication.k8s.io/v1beta1"


def script(tmp_path, body, name="plugin"):
    path = tmp_path / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def printing(tmp_path, document):
    (tmp_path / "answer").write_text(document if isinstance(document, str) else json.dumps(document))
    return script(tmp_path, f'cat "{tmp_path}/answer"')


def credential(api_version=V1, **status):
    return {"apiVersion": api_version, "kind": "ExecCredential", "status": status}


def plugin(command, api_version=V1, **options):
    return ExecPlugin(command=command, api_version=api_version, kubeconfig="/etc/kc", **options)


async def failure(run):
    with pytest.raises(aiohttp.ClientError) as caught:
        await run
    return str(caught.value)


def key_pair():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "me")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem).decode(), plain.decode()


@pytest.mark.parametrize("version", [V1, V1BETA1])
async def test_a_token_becomes_a_bearer_header_with_its_expiry(tmp_path, version):
    answer = credential(version, token="t", expirationTimestamp="2030-01-02T03:04:05+01:00")
    issued = await plugin(printing(tmp_path, answer), version).run()
    assert issued.credential.header == "Bearer t"
    assert issued.expires == dt.datetime(2030, 1, 2, 2, 4, 5, tzinfo=dt.UTC)


async def test_a_client_certificate_is_taken_with_its_key_and_without_an_expiry_where_there_is_none(tmp_path):
    cert, key = key_pair()
    answer = credential(clientCertificateData=cert, clientKeyData=key)
    issued = await plugin(printing(tmp_path, answer)).run()
    assert (issued.credential.header, issued.credential.cert, issued.credential.key.reveal()) == ("", cert, key)
    assert issued.expires is None


async def test_arguments_and_variables_reach_the_plugin_and_the_environment_is_inherited(tmp_path, monkeypatch):
    monkeypatch.setenv("INHERITED", "yes")
    command = script(
        tmp_path,
        'printf \'{"apiVersion":"%s","kind":"ExecCredential","status":{"token":"%s"}}\' '
        f'"{V1}" "$1/$2/$MINE/$INHERITED"',
    )
    issued = await plugin(command, args=("a b", "$x"), env=(("MINE", Secret("m")),)).run()
    assert issued.credential.header == "Bearer a b/$x/m/yes"


async def info_given(tmp_path, **options):
    answer = json.dumps(credential(options.get("api_version", V1), token="t"))
    command = script(tmp_path, f"printf %s \"$KUBERNETES_EXEC_INFO\" > {tmp_path}/info; printf '%s' '{answer}'")
    await plugin(command, **options).run()
    return json.loads((tmp_path / "info").read_text())


async def test_the_plugin_learns_the_version_and_that_there_is_no_terminal(tmp_path):
    info = await info_given(tmp_path, api_version=V1BETA1)
    assert info == {"kind": "ExecCredential", "apiVersion": V1BETA1, "spec": {"interactive": False}}


async def test_the_plugin_learns_about_the_cluster_when_it_asks(tmp_path):
    (tmp_path / "ca.crt").write_text("CA")
    cluster = PluginCluster(
        "https://127.0.0.1:6443",
        TLSConfig(ca_file=str(tmp_path / "ca.crt"), server_name="kubernetes"),
        URL("http://u:p@127.0.0.1:3128"),
        config='{"audience": "me"}',
    )
    info = await info_given(tmp_path, cluster=cluster)
    assert info["spec"]["cluster"] == {
        "server": "https://127.0.0.1:6443",
        "tls-server-name": "kubernetes",
        "certificate-authority-data": base64.b64encode(b"CA").decode(),
        "proxy-url": "http://u:p@127.0.0.1:3128",
        "config": {"audience": "me"},
    }
    unverified = await info_given(tmp_path, cluster=PluginCluster("https://a", TLSConfig(insecure_skip_verify=True)))
    assert unverified["spec"]["cluster"] == {"server": "https://a", "insecure-skip-tls-verify": True, "config": None}


async def test_a_cluster_certificate_that_cannot_be_read_is_a_failure(tmp_path):
    cluster = PluginCluster("https://a", TLSConfig(ca_file="/nowhere/ca"))
    text = await failure(plugin("true", cluster=cluster).run())
    assert text.startswith("credential plugin 'true' of /etc/kc: it cannot be told of the cluster: ")
    assert "/nowhere/ca" in text


async def test_a_missing_program_is_named_with_the_install_hint_without_its_colours():
    hint = "Install it:\n\x1b[1m  get-it now\x1b[0m\x07"
    text = await failure(plugin("no-such-program-here", install_hint=hint).run())
    assert text == (
        "credential plugin 'no-such-program-here' of /etc/kc: it is not installed: no such program; "
        "Install it: get-it now"
    )


async def test_a_file_that_is_no_program_is_named(tmp_path):
    path = tmp_path / "data"
    path.write_text("x")
    assert await failure(plugin(str(path)).run()) == (
        f"credential plugin '{path}' of /etc/kc: it cannot be run: Permission denied"
    )
    path.chmod(0o755)
    assert "it cannot be run: Exec format error" in await failure(plugin(str(path)).run())
    assert "it cannot be run: embedded null byte" in await failure(plugin("a\0b").run())


async def test_a_failing_plugin_is_quoted_by_its_last_lines(tmp_path):
    command = script(tmp_path, 'for n in 1 2 3 4 5 6 7; do echo "line $n" >&2; done; exit 3')
    assert await failure(plugin(command).run()) == (
        f"credential plugin '{command}' of /etc/kc: it failed with exit status 3; "
        "it said: line 3 | line 4 | line 5 | line 6 | line 7"
    )


async def test_a_plugin_ended_by_a_signal_says_which(tmp_path):
    assert (await failure(plugin(script(tmp_path, "kill -9 $$")).run())).endswith(": it was ended by signal 9")


async def test_what_a_plugin_says_without_end_is_quoted_in_part(tmp_path):
    command = script(tmp_path, "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo the end >&2; exit 1")
    text = await failure(plugin(command).run())
    assert text.endswith("the end")
    assert len(text) < 1000


async def test_what_looks_like_a_secret_is_not_quoted(tmp_path):
    jwt = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJtZTEyMyJ9.c2lnbmF0dXJlMTIzNDU2Nzg5MA"
    command = script(
        tmp_path,
        f"echo 'bad token {jwt} for api.my-cluster.eu-west-1.example.com' >&2; "
        'echo "also $MY_SECRET and deadbeefdeadbeefdeadbeefdeadbeef in $REGION" >&2; exit 1',
    )
    env = (("MY_SECRET", Secret("hunter2")), ("REGION", Secret("west")))
    text = await failure(plugin(command, env=env).run())
    assert text.endswith(
        "it said: bad token <secret> for api.my-cluster.eu-west-1.example.com | also <secret> and <secret> in west"
    )


async def test_a_plugin_that_hangs_is_killed_with_its_children(tmp_path):
    command = script(tmp_path, f"echo please log in >&2; sleep 1000 & echo $! > {tmp_path}/child; wait")
    started = time.monotonic()
    text = await failure(plugin(command).run(seconds=0.5))
    assert time.monotonic() - started < 5
    assert text.endswith("it was still running after 0.5 s; it said: please log in")
    child = int((tmp_path / "child").read_text())
    await until(lambda: not is_alive(child))


def is_alive(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_a_plugin_that_prints_without_end_is_stopped(tmp_path):
    text = await failure(plugin(script(tmp_path, "exec yes")).run())
    assert text.endswith(": it printed more than 1048576 bytes")


async def test_a_plugin_that_is_no_longer_wanted_is_killed(tmp_path):
    command = script(tmp_path, f"echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; exec sleep 1000")
    running = asyncio.create_task(plugin(command).run())
    await until((tmp_path / "pid").exists)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    pid = int((tmp_path / "pid").read_text())
    await until(lambda: not is_alive(pid))


async def test_a_child_left_behind_does_not_hold_up_the_credential(tmp_path):
    answer = json.dumps(credential(token="t"))
    command = script(tmp_path, f"sleep 30 & echo $! > {tmp_path}/child; printf %s '{answer}'")
    started = time.monotonic()
    issued = await plugin(command).run(seconds=20)
    os.kill(int((tmp_path / "child").read_text()), 9)
    assert issued.credential.header == "Bearer t"
    assert time.monotonic() - started < 5


async def test_a_plugin_has_nothing_to_read(tmp_path):
    answer = json.dumps(credential(token="t"))
    command = script(tmp_path, f"read line && exit 9; printf %s '{answer}'")
    assert (await plugin(command).run()).credential.header == "Bearer t"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("", "it printed no ExecCredential: Input data was truncated"),
        ("hunter2", "it printed no ExecCredential: JSON is malformed: invalid character (byte 0)"),
        ("[1]", "it printed no ExecCredential: Expected `object`, got `array`"),
        (
            credential(token={"hunter2": 1}),
            "it printed no ExecCredential: Expected `str`, got `object` - at `$.status.token`",
        ),
        (
            credential(token="hunter2", expirationTimestamp="soon"),
            "it printed no ExecCredential: Invalid RFC3339 encoded datetime - at `$.status.expirationTimestamp`",
        ),
        (
            credential(V1BETA1, token="hunter2"),
            f"it is configured for {V1}, ExecCredential, but printed {V1BETA1}, ExecCredential",
        ),
        (
            {"kind": "Pod", "status": {"token": "hunter2"}},
            f"it is configured for {V1}, ExecCredential, but printed no apiVersion, Pod",
        ),
        ({"apiVersion": V1, "kind": "ExecCredential"}, "it printed an ExecCredential without a status"),
        (credential(), "it printed neither a token nor a client certificate"),
        (
            credential(token="t", clientKeyData="hunter2"),
            "it printed only one of clientCertificateData and clientKeyData",
        ),
        (
            credential(clientCertificateData="x", clientKeyData="hunter2"),
            "unable to use specified client cert & key: not PEM",
        ),
    ],
)
async def test_an_answer_that_is_no_credential_is_a_failure_that_quotes_nothing(tmp_path, answer, problem):
    text = await failure(plugin(printing(tmp_path, answer)).run())
    assert text == f"credential plugin '{tmp_path}/plugin' of /etc/kc: {problem}"
    assert "hunter2" not in text


async def test_a_certificate_with_another_key_is_a_failure(tmp_path):
    answer = credential(clientCertificateData=key_pair()[0], clientKeyData=key_pair()[1])
    text = await failure(plugin(printing(tmp_path, answer)).run())
    assert text.endswith("unable to use specified client cert & key: KEY_VALUES_MISMATCH")


async def test_rubbish_is_a_failure(tmp_path):
    text = await failure(plugin(script(tmp_path, "head -c 5000 /dev/urandom")).run())
    assert "it printed no ExecCredential" in text
    assert text.isprintable()


def test_a_plugin_prints_no_secret_and_equality_is_about_what_it_does():
    one = plugin("p", args=("--secret=hunter2",), env=(("A", Secret("hunter2")),), install_hint="x")
    assert "hunter2" not in repr(one)
    same = ExecPlugin("p", V1, ("--secret=hunter2",), (("A", Secret("hunter2")),), kubeconfig="elsewhere")
    assert one == same
    assert hash(one) == hash(same)
    assert one != plugin("p", args=("--secret=hunter2",), env=(("A", Secret("hunter3")),))


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path):
    yield
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int((tmp_path / "child").read_text()), 9)
