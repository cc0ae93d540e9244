"""A real server behind TLS: HTTP/2 as Go speaks it, and client certificates."""

from __future__ import annotations

import asyncio

import pytest
import yaml

from e2e.promscout_process import Promscout, until
from e2e.tls_front import Authority
from peers import NodeExporter
from promscout.httpclient.client import HTTPClient
from promscout.httpclient.config import HTTPClientConfig, Secret, TLSConfig


class SecureExporter(NodeExporter):
    """node_exporter with TLS, for clients with a certificate of ``authority`` only."""

    def __init__(self, programs, directory, authority):
        super().__init__(programs, directory)
        self.authority = authority
        self.cert, self.key = authority.issue("client")

    def arguments(self):
        cert, key = self.authority.issue("server", "127.0.0.1")
        for name, text in (("ca", self.authority.pem), ("cert", cert), ("key", key)):
            (self.directory / name).write_text(text)
        options = {"cert_file": "cert", "key_file": "key"}
        options |= {"client_ca_file": "ca", "client_auth_type": "RequireAndVerifyClientCert"}
        config = self.directory / "web.yml"
        config.write_text(yaml.safe_dump({"tls_server_config": options}))
        return [*super().arguments(), f"--web.config.file={config}", "--collector.disable-defaults"]

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    @property
    def tls(self):
        return TLSConfig(ca=self.authority.pem, cert=self.cert, key=Secret(self.key))

    async def request(self, method, path, **options):
        """Whether it is ready can be asked with a certificate only."""
        async with (
            HTTPClient(HTTPClientConfig(tls_config=self.tls), user_agent="t") as client,
            client.request(method, self.url + path, timeout=5) as response,
        ):
            return await response.text()


@pytest.fixture
async def exporter(peers_dir, tmp_path):
    async with SecureExporter(peers_dir, tmp_path, Authority("ca")) as peer:
        yield peer


@pytest.mark.parametrize("http2", [True, False])
async def test_answers_are_the_same_over_every_http(exporter, http2):
    config = HTTPClientConfig(tls_config=exporter.tls, enable_http2=http2)
    async with HTTPClient(config, user_agent="t") as client:

        async def fetch(headers):
            deadline = asyncio.get_running_loop().time() + 5
            return await client.fetch("GET", exporter.metrics_url, headers=headers, limit=1 << 24, deadline=deadline)

        outcomes = await asyncio.gather(*(fetch({}) for _ in range(10)))
        outcomes.append(await fetch({"Accept-Encoding": "gzip"}))
        assert {outcome.status for outcome in outcomes} == {200}
        assert all(b"\nnode_" in outcome.body or b"\ngo_" in outcome.body for outcome in outcomes[:10])
        assert outcomes[-1].header(b"content-encoding") == "gzip"
        assert [wire.shared for wire in client._connections._open] == ([True] if http2 else [False] * 10)


async def test_without_a_certificate_there_is_no_answer_but_a_reason(exporter):
    config = HTTPClientConfig(tls_config=TLSConfig(ca=exporter.authority.pem))
    async with HTTPClient(config, user_agent="t") as client:
        deadline = asyncio.get_running_loop().time() + 5
        outcome = await client.fetch("GET", exporter.metrics_url, headers={}, limit=1 << 20, deadline=deadline)
    assert "certificate required" in outcome.reason.lower().replace("_", " ")


async def test_an_agent_scrapes_over_tls(exporter, tmp_path):
    job = {
        "job_name": "secure",
        "scheme": "https",
        "tls_config": {"ca": exporter.authority.pem, "cert": exporter.cert, "key": exporter.key},
        "static_configs": [{"targets": [exporter.address]}],
    }
    config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [job]}
    async with Promscout(tmp_path, config) as agent:

        async def healthy():
            return [one["health"] for one in await agent.active()] == ["up"]

        await until(healthy, 10, "the target is up")
