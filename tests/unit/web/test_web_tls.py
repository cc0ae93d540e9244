"""TLS: certificates of the server and of clients, and what is exchanged while it runs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509

from promscout.errors import ConfigError
from promscout.web import WebOptions, WebServer
from promscout.web.access import config_file as web_config_file
from unit.httpclient.certificates import Certificate
from unit.web.agent_view import View, agent_view, serving
from unit.web.raw import connect, exchange, get

pytestmark = pytest.mark.real_time

PAIR = "cert_file: server.crt, key_file: server.key"


@pytest.fixture
async def view() -> AsyncIterator[View]:
    async with agent_view() as made:
        yield made


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate(tmp_path, "server", "127.0.0.1")


def trusting(server: Certificate, client: Certificate | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(server.cert))
    if client is not None:
        context.load_cert_chain(client.cert, client.key)
    return context


def configured(directory: Path, options: str, more: str = "") -> Path:
    file = directory / "web.yml"
    file.write_text(f"tls_server_config: {{{PAIR}{options}}}\n{more}")
    return file


async def outcome(server: WebServer, tls: ssl.SSLContext) -> str:
    """What becomes of a request: its status, or "refused"."""
    try:
        return str((await exchange(server, get("/-/healthy"), tls)).status)
    except (OSError, IndexError):  # no handshake; or the end of the connection in place of an answer
        return "refused"


async def test_https_is_spoken(view: View, certificate: Certificate, tmp_path: Path) -> None:
    async with serving(view, config_file=configured(tmp_path, "")) as server:
        assert server.url.startswith("https://127.0.0.1:")
        assert await outcome(server, trusting(certificate)) == "200"
        reader, writer = await connect(server)
        writer.write(get("/-/healthy"))
        assert await reader.read() in (b"", b"\x15\x03\x01\x00\x02\x02\x46", b"\x15\x03\x03\x00\x02\x02\x46")
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        assert await outcome(server, trusting(certificate)) == "200"


@pytest.mark.parametrize(
    ("options", "version", "expected"),
    [
        ("", ssl.TLSVersion.TLSv1_2, "200"),
        ("", ssl.TLSVersion.TLSv1_3, "200"),
        (", min_version: TLS13", ssl.TLSVersion.TLSv1_2, "refused"),
        (", max_version: TLS12", ssl.TLSVersion.TLSv1_3, "refused"),
        (", cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]", ssl.TLSVersion.TLSv1_2, "refused"),
        (", cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]", ssl.TLSVersion.TLSv1_2, "200"),
    ],
)
async def test_versions_and_ciphers_are_those_that_are_configured(
    view: View, certificate: Certificate, tmp_path: Path, *, options: str, version: ssl.TLSVersion, expected: str
) -> None:
    context = trusting(certificate)
    context.minimum_version = context.maximum_version = version
    async with serving(view, config_file=configured(tmp_path, options)) as server:
        assert await outcome(server, context) == expected


@pytest.mark.parametrize(
    ("kind", "client", "expected"),
    [
        ("RequireAndVerifyClientCert", "known", "200"),
        ("RequireAndVerifyClientCert", "foreign", "refused"),
        ("RequireAndVerifyClientCert", None, "refused"),
        ("VerifyClientCertIfGiven", "known", "200"),
        ("VerifyClientCertIfGiven", "foreign", "refused"),
        ("VerifyClientCertIfGiven", None, "200"),
    ],
)
async def test_certificates_of_clients_are_verified(
    view: View, certificate: Certificate, tmp_path: Path, *, kind: str, client: str | None, expected: str
) -> None:
    clients = {name: Certificate(tmp_path, name, "127.0.0.1") for name in ("known", "foreign")}
    file = configured(tmp_path, f", client_auth_type: {kind}, client_ca_file: known.crt")
    async with serving(view, config_file=file) as server:
        assert await outcome(server, trusting(certificate, clients.get(client or ""))) == expected


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        ("[scraper.example]", "200"),
        ("[10.0.0.7]", "200"),
        ("[other.example, scraper.example]", "200"),
        ("[scraper.example.evil]", "refused"),
        ("['*.example']", "refused"),
        ("[]", "refused"),
    ],
)
async def test_certificates_of_clients_have_an_allowed_name(
    view: View, certificate: Certificate, tmp_path: Path, allowed: str, expected: str
) -> None:
    client = Certificate(tmp_path, "client", "scraper.example", "10.0.0.7")
    file = configured(
        tmp_path,
        f", client_auth_type: RequireAndVerifyClientCert, client_ca_file: client.crt, client_allowed_sans: {allowed}",
    )
    async with serving(view, config_file=file, enable_lifecycle=True) as server:
        context = trusting(certificate, client)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context.minimum_version = context.maximum_version = version
            assert await outcome(server, context) == expected
        if expected == "refused":
            reader, writer = await connect(server, context)
            writer.write(get("/-/quit", method="POST"))
            await asyncio.gather(reader.read(), return_exceptions=True)
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)
            assert view.stops == 0


async def test_another_certificate_comes_into_force_without_a_restart(
    view: View, certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_config_file, "LOOK_SECONDS", 0.0)

    async def presented(server: WebServer) -> int:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        _, writer = await connect(server, context)
        binary = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        return x509.load_der_x509_certificate(binary).serial_number

    async with serving(view, config_file=configured(tmp_path, "")) as server:
        before = await presented(server)
        after = Certificate(tmp_path, "server", "127.0.0.1")
        expected = x509.load_pem_x509_certificate(after.cert.read_bytes()).serial_number
        assert await presented(server) == expected != before
        assert await outcome(server, trusting(after)) == "200"
        after.key.write_text("broken\n")
        assert await outcome(server, trusting(after)) == "200"


async def test_issuers_of_clients_are_exchanged_without_a_restart(
    view: View, certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_config_file, "LOOK_SECONDS", 0.0)
    old, new = (Certificate(tmp_path, name, "127.0.0.1") for name in ("old", "new"))
    options = ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: {}.crt"
    async with serving(view, config_file=configured(tmp_path, options.format("old"))) as server:
        assert await outcome(server, trusting(certificate, old)) == "200"
        configured(tmp_path, options.format("new"), "# another length\n")
        assert await outcome(server, trusting(certificate, old)) == "refused"
        assert await outcome(server, trusting(certificate, new)) == "200"


async def test_a_web_configuration_that_cannot_be_used_stops_the_start(view: View, tmp_path: Path) -> None:
    server = WebServer(view, WebOptions(port=0, config_file=configured(tmp_path, "")))
    with pytest.raises(
        ConfigError, match=r"web.yml:1:32: tls_server_config.cert_file: cannot read .*server.crt: No such"
    ):
        await server.start()
    await server.stop()
