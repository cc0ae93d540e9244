"""What a configuration refers to is looked at, and what is wrong is told at the key that names it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from promscout.config import check_config, load_config
from promscout.errors import ConfigError


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def key_text(key, password=None):
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def certificate_text(key, *, days=1, since=0, name="agent"):
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=since))
        .not_valid_after(now + timedelta(days=days))
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture
def files(tmp_path):
    """Writes files; everything that the tests name is in this directory."""

    def write(**contents):
        for name, content in contents.items():
            (tmp_path / name.replace("__", ".")).write_text(content)

    return write


@pytest.fixture
def look(tmp_path):
    """The problems and the warnings of a job with these options."""

    def check(job, head=""):
        file = tmp_path / "prometheus.yml"
        file.write_text(f"{head}scrape_configs:\n- job_name: a\n{job}\n")
        load_config(file)
        try:
            return [], [warning.replace(f"{tmp_path}/", "") for warning in check_config(file).warnings]
        except ConfigError as error:
            return [str(problem).replace(f"{tmp_path}/", "") for problem in error.problems], []

    return check


def test_a_file_that_is_there_is_no_problem(files, look):
    key = new_key()
    files(pw="x", ca=certificate_text(new_key()), cert=certificate_text(key), key=key_text(key), header="h")
    found = look(
        "  basic_auth: {username_file: pw, password_file: pw}\n"
        "  tls_config: {ca_file: ca, cert_file: cert, key_file: key}\n"
        "  http_headers: {X-A: {files: [header]}}"
    )
    assert found == ([], [])


@pytest.mark.parametrize(
    ("job", "path"),
    [
        ("  basic_auth: {username_file: gone}", "3:31: scrape_configs[0].basic_auth.username_file"),
        ("  basic_auth: {password_file: gone}", "3:31: scrape_configs[0].basic_auth.password_file"),
        ("  authorization: {credentials_file: gone}", "3:37: scrape_configs[0].authorization.credentials_file"),
        ("  bearer_token_file: gone", "3:22: scrape_configs[0].bearer_token_file"),
        (
            "  oauth2: {client_id: a, token_url: 'http://t', client_secret_file: gone}",
            "3:69: scrape_configs[0].oauth2.client_secret_file",
        ),
        ("  tls_config: {ca_file: gone}", "3:25: scrape_configs[0].tls_config.ca_file"),
        ("  tls_config: {cert_file: gone, key: x}", "3:27: scrape_configs[0].tls_config.cert_file"),
        ("  http_headers: {X-A: {files: [gone]}}", "3:32: scrape_configs[0].http_headers.X-A.files[0]"),
        (
            "  kubernetes_sd_configs: [{role: pod, kubeconfig_file: gone}]",
            "3:56: scrape_configs[0].kubernetes_sd_configs[0].kubeconfig_file",
        ),
    ],
)
def test_a_file_that_is_not_there_is_told_at_the_key_that_names_it(look, job, path):
    (problem,), _ = look(job)
    assert problem.startswith(f"prometheus.yml:{path}: ")
    assert "gone: No such file or directory" in problem


def test_remote_write_is_looked_at_too(look):
    (problem,), _ = look("", "remote_write: [{url: 'http://a', basic_auth: {username: u, password_file: gone}}]\n")
    assert problem.startswith("prometheus.yml:1:75: remote_write[0].basic_auth.password_file: cannot read gone: ")


def test_what_is_no_readable_file_is_told(tmp_path, look):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin1").write_bytes(b"\xff")
    (tmp_path / "large").write_bytes(b"x" * ((1 << 20) + 1))
    for name, message in (
        (".", "Is a directory"),
        ("pipe", "Not a regular file"),
        ("latin1", "latin1 is not UTF-8"),
        ("large", "large is larger than 1048576 bytes"),
    ):
        (problem,), _ = look(f"  bearer_token_file: {name}")
        assert problem.endswith(message)


def test_an_empty_secret_is_worth_a_warning(files, look):
    files(token="\n")
    assert look("  bearer_token_file: token") == (
        [],
        ["line 3: scrape_configs[0].bearer_token_file: token is empty"],
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hello", "no PEM certificate"),
        (key_text(new_key()), "no PEM certificate, but private key"),
        ("-----BEGIN CERTIFICATE-----\nAAAA", "the PEM block has no end, or another one than its beginning"),
        ("# x\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "the certificate in line 2 is broken"),
        ("-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----", "the certificate in line 1 is broken"),
        (certificate_text(new_key()).replace("M", "N", 3), "the certificate in line 1 is broken"),
    ],
    ids=["text", "key", "no end", "not DER", "not base64", "damaged"],
)
def test_what_is_no_certificate_is_told(files, look, content, message):
    files(ca=content)
    assert look("  tls_config: {ca_file: ca}")[0] == [
        f"prometheus.yml:3:25: scrape_configs[0].tls_config.ca_file: ca: {message}"
    ]


def test_a_broken_inline_certificate_is_told_at_its_key(look):
    assert look("  tls_config: {ca: hello}")[0] == [
        "prometheus.yml:3:20: scrape_configs[0].tls_config.ca: no PEM certificate"
    ]


def test_a_key_must_belong_to_its_certificate_and_have_no_password(files, look):
    key = new_key()
    files(cert=certificate_text(key), other=key_text(new_key()), locked=key_text(key, b"hunter2"), text="hunter2")
    for name, message in (
        ("other", "the key does not belong to the certificate"),
        ("locked", "the key is encrypted, and there is no option for its password"),
        ("text", "not a PEM private key"),
        ("cert", "not a PEM private key"),
    ):
        problems, _ = look(f"  tls_config: {{cert_file: cert, key_file: {name}}}")
        assert problems == [f"prometheus.yml:3:43: scrape_configs[0].tls_config.key_file: {name}: {message}"]


def test_certificates_that_are_not_valid_now_are_worth_a_warning(files, look):
    old, new = datetime.now(UTC) - timedelta(days=2), datetime.now(UTC) + timedelta(days=2)
    files(
        ca=certificate_text(new_key(), since=-9, days=-2, name="old")
        + certificate_text(new_key(), since=2, days=9, name="new")
    )
    place = "line 3: scrape_configs[0].tls_config.ca_file: ca: the certificate"
    assert look("  tls_config: {ca_file: ca}")[1] == [
        f"{place} CN=old has expired on {old:%Y-%m-%d}",
        f"{place} CN=new is not valid before {new:%Y-%m-%d}",
    ]


KUBERNETES = "  kubernetes_sd_configs: [{role: pod, kubeconfig_file: kubeconfig}]"


def kubeconfig(cluster=None, user=None, **more):
    return json.dumps(
        {
            "current-context": "prod",
            "contexts": [{"name": "prod", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1", **(cluster or {})}}],
            "users": [{"name": "u", "user": user or {}}],
            **more,
        }
    )


PLUGIN = {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: {b: ]", "kubeconfig:1:8: not YAML: did not find expected node content"),
        ("clusters: 5", "kubeconfig: not a kubeconfig: Expected `array`, got `int` - at `$.clusters`"),
        (kubeconfig(**{"current-context": "test"}), "kubeconfig: context 'test' does not exist"),
        (
            kubeconfig({"certificate-authority": "gone"}),
            "kubeconfig: context 'prod': tls.ca_file: cannot read gone: No such file or directory",
        ),
        (
            kubeconfig({"certificate-authority-data": "aGVsbG8="}),
            "kubeconfig: context 'prod': tls.ca: no PEM certificate",
        ),
        (kubeconfig({"certificate-authority-data": "*"}), "certificate-authority-data is not base64 of a PEM text"),
        (
            kubeconfig(user={"tokenFile": "gone"}),
            "kubeconfig: context 'prod': tokenFile: cannot read gone: No such file or directory",
        ),
        (
            kubeconfig(user={"exec": {**PLUGIN, "command": "no-such-plugin"}}),
            "kubeconfig: context 'prod': the credential plugin 'no-such-plugin' is not installed",
        ),
    ],
    ids=["YAML", "types", "context", "CA file", "CA", "base64", "token", "plug-in"],
)
def test_a_kubeconfig_is_looked_at_with_what_it_refers_to(files, look, content, message):
    files(kubeconfig=content)
    (problem,), _ = look(KUBERNETES)
    assert problem.startswith("prometheus.yml:3:56: scrape_configs[0].kubernetes_sd_configs[0].kubeconfig_file: ")
    assert problem.endswith(message)


def test_a_kubeconfig_that_can_be_used_is_no_problem(files, look):
    key = new_key()
    files(ca=certificate_text(new_key()), cert=certificate_text(key), key=key_text(key))
    files(
        kubeconfig=kubeconfig({"certificate-authority": "ca"}, {"client-certificate": "cert", "client-key": "key"}),
    )
    assert look(KUBERNETES) == ([], [])
    files(kubeconfig=kubeconfig(user={"exec": {**PLUGIN, "command": "true"}}))
    assert look(KUBERNETES) == ([], [])


def test_static_targets_are_relabelled_and_checked(look):
    problems, _ = look(
        "  relabel_configs: [{source_labels: [gone], target_label: __address__, regex: (.+), replacement: ''}]\n"
        "  static_configs:\n"
        "  - targets: ['', 'a:1', 'http://u:hunter2@b/']\n"
        "  - targets: [c:1]\n"
        "    labels: {__scrape_interval__: soon}\n"
        "  - targets: [d:1]\n"
        "    labels: {gone: x}\n"
    )
    assert problems == [
        "prometheus.yml:5:15: scrape_configs[0].static_configs[0].targets[0]: no address",
        'prometheus.yml:5:26: scrape_configs[0].static_configs[0].targets[2]: "…@b/" is not a valid hostname',
        (
            "prometheus.yml:6:15: scrape_configs[0].static_configs[1].targets[0]: error parsing scrape interval: not a "
            'valid duration string: "soon"'
        ),
        "prometheus.yml:8:15: scrape_configs[0].static_configs[2].targets[0]: no address",
    ]


def test_target_files_are_read_and_checked(files, look):
    files(a__json='[{"targets": ["a/b"]}]', b__yml="- targets: x", c__json="[")
    problems, _ = look("  file_sd_configs: [{files: [a.json, b.yml, c.json]}]")
    assert problems[0] == (
        'prometheus.yml:3:30: scrape_configs[0].file_sd_configs[0].files[0]: a.json: "a/b" is not a valid hostname'
    )
    assert ["files[1]: b.yml: " in problems[1], "files[2]: c.json: " in problems[2]] == [True, True]


def test_a_target_file_that_is_not_there_is_worth_a_warning(look):
    assert look("  file_sd_configs: [{files: ['*.json']}]") == (
        [],
        ["line 3: scrape_configs[0].file_sd_configs[0].files[0]: no file is there for *.json"],
    )


def test_what_further_files_refer_to_is_looked_at(tmp_path, files, look):
    files(more__yaml="scrape_configs:\n- {job_name: b, bearer_token_file: gone}\n- {job_name: c, bearer_token_file: e}")
    files(e="")
    problems, _ = look("", "scrape_config_files: [more.yaml]\n")
    assert problems == [
        "more.yaml:2:36: scrape_configs[0].bearer_token_file: cannot read gone: No such file or directory"
    ]
    files(gone="x")
    assert look("", "scrape_config_files: [more.yaml]\n")[1] == [
        "more.yaml: line 3: scrape_configs[1].bearer_token_file: e is empty"
    ]


def test_other_problems_do_not_hide_those_of_files(tmp_path):
    file = tmp_path / "f"
    file.write_text("scrape_configs:\n- job_name: a\n  bearer_token_file: gone\n- job_name: b\n  scheem: http\n")
    with pytest.raises(ConfigError) as caught:
        check_config(file)
    assert [problem.line for problem in caught.value.problems] == [3, 5]
