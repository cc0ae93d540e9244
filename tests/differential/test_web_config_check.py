"""What Prometheus accepts as a web configuration is accepted here, and the other way round."""

from __future__ import annotations

import pytest

from peers import promtool_accepts_web_config
from promscout.errors import ConfigError
from promscout.web.access.config_file import load_web_config
from unit.httpclient.certificates import Certificate

HASH = "$2y$10$csemwWhqehIubWV7t.M05OCY.0c5ius.yoheX6rdMT2003oAGsZjC"
PAIR = "cert_file: server.crt, key_file: server.key"
CLIENTS = "client_auth_type: RequireAndVerifyClientCert, client_ca_file: server.crt"

SAME = (
    "",
    "~",
    "{}",
    "[]",
    "x",
    "a: [",
    "unknown: 1",
    "tls_server_config:",
    "tls_server_config: {}",
    "tls_server_config: []",
    f"tls_server_config: {{{PAIR}}}",
    f"tls_server_config: {{{PAIR}, cert_filse: x}}",
    "tls_server_config: {cert_file: server.crt}",
    "tls_server_config: {key_file: server.key}",
    "tls_server_config: {cert_file: '', key_file: server.key}",
    "tls_server_config: {cert_file: missing, key_file: server.key}",
    "tls_server_config: {cert_file: server.crt, key_file: missing}",
    "tls_server_config: {cert_file: server.crt, key_file: server.crt}",
    "tls_server_config: {cert_file: server.key, key_file: server.key}",
    "tls_server_config: {cert_file: server.crt, key_file: other.key}",
    "tls_server_config: {cert: x, key: y}",
    "tls_server_config: {client_ca_file: server.crt}",
    "tls_server_config: {client_auth_type: RequireAndVerifyClientCert}",
    f"tls_server_config: {{{PAIR}, {CLIENTS}}}",
    f"tls_server_config: {{{PAIR}, {CLIENTS}, client_allowed_sans: [a, 127.0.0.1]}}",
    f"tls_server_config: {{{PAIR}, {CLIENTS}, client_allowed_sans: a}}",
    f"tls_server_config: {{{PAIR}, client_auth_type: VerifyClientCertIfGiven, client_ca_file: server.crt}}",
    f"tls_server_config: {{{PAIR}, client_auth_type: NoClientCert}}",
    f"tls_server_config: {{{PAIR}, client_auth_type: ''}}",
    f"tls_server_config: {{{PAIR}, client_auth_type: nothing}}",
    f"tls_server_config: {{{PAIR}, client_ca_file: server.crt}}",
    f"tls_server_config: {{{PAIR}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: missing}}",
    f"tls_server_config: {{{PAIR}, min_version: TLS12, max_version: TLS13}}",
    f"tls_server_config: {{{PAIR}, min_version: TLS13}}",
    f"tls_server_config: {{{PAIR}, min_version: ''}}",
    f"tls_server_config: {{{PAIR}, min_version: }}",
    f"tls_server_config: {{{PAIR}, max_version: TLS14}}",
    f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]}}",
    f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]}}",
    f"tls_server_config: {{{PAIR}, cipher_suites: [ECDHE-RSA-AES128-SHA]}}",
    f"tls_server_config: {{{PAIR}, prefer_server_cipher_suites: false}}",
    f"tls_server_config: {{{PAIR}, prefer_server_cipher_suites: perhaps}}",
    *(f"tls_server_config: {{{PAIR}, curve_preferences: [{curve}]}}" for curve in ("CurveP256", "CurveP384")),
    *(f"tls_server_config: {{{PAIR}, curve_preferences: [{curve}]}}" for curve in ("CurveP521", "x25519")),
    "http_server_config: {http2: false}",
    "http_server_config: {http2: maybe}",
    "http_server_config: {headers: {}}",
    "http_server_config: {headers: {X-Frame-Options: deny, X-XSS-Protection: 1, X-Content-Type-Options: nosniff}}",
    "http_server_config: {headers: {X-Frame-Options: sameorigin, Strict-Transport-Security: max-age=1}}",
    "http_server_config: {headers: {X-Frame-Options: DENY}}",
    "http_server_config: {headers: {X-Frame-Options: ''}}",
    "http_server_config: {headers: {X-Content-Type-Options: sniff}}",
    "http_server_config: {headers: {Content-Security-Policy: ''}}",
    "http_server_config: {headers: {x-frame-options: deny}}",
    "http_server_config: {headers: {Server: mine}}",
    "http_server_config: {headers: [a]}",
    f"basic_auth_users: {{alice: {HASH}, bob: {HASH.replace('$2y', '$2a')}, carol: {HASH.replace('$2y', '$2b')}}}",
    "basic_auth_users:",
    "basic_auth_users: {alice: }",
    "basic_auth_users: {alice: password}",
    f"basic_auth_users: {{alice: {HASH[:50]}}}",
    f"basic_auth_users: {{alice: {HASH.replace('$10$', '$03$')}}}",
    f"basic_auth_users: {{alice: {HASH.replace('$10$', '$32$')}}}",
    f"basic_auth_users: {{alice: {HASH}, alice: {HASH}}}",
    "rate_limit: {interval: 1s, burst: 20}",
    "rate_limit: {interval: 1.5h2us, burst: 1}",
    "rate_limit: {interval: 0}",
    "rate_limit: {interval: 10, burst: 1}",
    "rate_limit: {interval: 1d, burst: 1}",
    "rate_limit: {interval: s, burst: 1}",
    "rate_limit: {burst: many}",
)
"""What both take for the same."""

STRICTER = {
    "tls_server_config: {min_version: TLS12}": "missing one of cert or cert_file",
    f"tls_server_config: {{{PAIR}, cert: x}}": "at most one of cert and cert_file",
    f"tls_server_config: {{{PAIR}, client_auth_type: RequestClientCert}}": "nobody would check the certificate",
    f"tls_server_config: {{{PAIR}, client_auth_type: RequireAnyClientCert}}": "nobody would check the certificate",
    f"tls_server_config: {{{PAIR}, client_auth_type: RequireClientCert}}": "nobody would check the certificate",
    f"tls_server_config: {{{PAIR}, client_auth_type: RequireAndVerifyClientCert}}": "every public CA would be trusted",
    f"tls_server_config: {{{PAIR}, {CLIENTS.replace('crt', 'key')}}}": "no usable PEM certificate",
    f"tls_server_config: {{{PAIR}, client_allowed_sans: [a]}}": "client_allowed_sans needs",
    f"tls_server_config: {{{PAIR}, min_version: TLS10}}": "TLS10 is not supported",
    f"tls_server_config: {{{PAIR}, min_version: TLS13, max_version: TLS12}}": "must not be above",
    f"tls_server_config: {{{PAIR}, curve_preferences: [X25519, CurveP256]}}": "one curve or none",
    'http_server_config: {headers: {X-XSS-Protection: "1\\nX-Evil: 1"}}': "printable ASCII",
    f"basic_auth_users: {{alice: {HASH.replace('$2y', '$2x')}}}": "not a bcrypt hash",
    f"basic_auth_users: {{alice: {HASH.replace('$10$', '$19$')}}}": "from 4 to 18",
    f"basic_auth_users: {{'a:b': {HASH}}}": "a colon",
    "rate_limit: {interval: 1s, burst: 0}": "at least 1",
    "rate_limit: {interval: -1s, burst: 1}": "expected a duration",
}
"""What Prometheus accepts and is refused here, each with a part of the reason: it would not be as safe as it looks."""


def refusal(path):
    try:
        load_web_config(path)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.fixture
def certificates(tmp_path):
    for name in ("server", "other"):
        Certificate(tmp_path, name, "127.0.0.1")


async def test_web_configurations_are_accepted_or_refused_as_by_prometheus(peers_dir, tmp_path, certificates):
    theirs = await promtool_accepts_web_config(peers_dir, tmp_path, SAME)
    ours = [refusal(tmp_path / f"{index}.yml") for index in range(len(SAME))]
    differences = [
        f"{text!r}: Prometheus {'accepts' if accepts else 'refuses'} it; here: {why or 'accepted'}"
        for text, accepts, why in zip(SAME, theirs, ours, strict=True)
        if accepts is bool(why)
    ]
    assert differences == []
    assert 20 < sum(theirs) < len(SAME) - 20


async def test_what_would_not_be_safe_is_refused_here_only(peers_dir, tmp_path, certificates):
    assert all(await promtool_accepts_web_config(peers_dir, tmp_path, list(STRICTER)))
    for index, (text, reason) in enumerate(STRICTER.items()):
        assert reason in refusal(tmp_path / f"{index}.yml"), text


async def test_what_is_only_known_here_is_refused_by_prometheus(peers_dir, tmp_path):
    (tmp_path / "token").write_text("0123456789abcdef\n")
    ours = (f"bearer_tokens: {{ci: 'sha256:{'0' * 64}'}}", "bearer_token_files: [token]")
    assert await promtool_accepts_web_config(peers_dir, tmp_path, ours) == [False, False]
    assert [refusal(tmp_path / f"{index}.yml") for index in range(2)] == ["", ""]
