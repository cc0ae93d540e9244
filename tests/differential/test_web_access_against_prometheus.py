"""With the same web configuration, promscout and Prometheus let in the same clients, and each other."""

from __future__ import annotations

import base64
import ssl

import aiohttp
import bcrypt
import pytest

from e2e.promscout_process import Promscout, until
from peers import Prometheus
from unit.httpclient.certificates import Certificate

CREDENTIALS = {"username": "alice", "password": "hunter2"}


def basic(text):
    return "Basic " + base64.b64encode(text.encode("latin-1")).decode()


class Guarded:
    """Speaks TLS to a peer, as alice."""

    certificate = ""

    @property
    def url(self):
        return super().url.replace("http:", "https:")

    async def request(self, method, path, **options):
        given = {"ssl": trusting(self.certificate), "headers": {"Authorization": basic("alice:hunter2")}}
        return await super().request(method, path, **given | options)


class GuardedPromscout(Guarded, Promscout):
    pass


class GuardedPrometheus(Guarded, Prometheus):
    pass


def trusting(certificate):
    return ssl.create_default_context(cafile=certificate)


AUTHORIZATIONS = (
    None,
    "",
    basic("alice:hunter2"),
    basic("alice:hunter2").replace("Basic", "basic"),
    basic("alice:hunter3"),
    basic("alice:"),
    basic("alice"),
    basic("bob:hunter2"),
    basic("bob:swordfish: with a colon"),
    basic("Alice:hunter2"),
    basic("alice:hunter2\0"),
    basic("\xff:hunter2"),
    basic("carol:" + "x" * 72),
    basic("carol:" + "x" * 90),
    basic("carol:" + "x" * 71),
    "Basic",
    "Basic !!!",
    "Bearer hunter2",
    "alice:hunter2",
)


@pytest.fixture
def web_config(tmp_path):
    """A file for both, and the certificate that it names."""
    certificate = Certificate(tmp_path, "server", "127.0.0.1")
    users = {"alice": b"hunter2", "bob": b"swordfish: with a colon", "carol": b"x" * 72}
    hashes = {user: bcrypt.hashpw(password, bcrypt.gensalt(4)).decode() for user, password in users.items()}
    file = tmp_path / "web.yml"
    lines = [
        "tls_server_config: {cert_file: server.crt, key_file: server.key}",
        "http_server_config: {headers: {Strict-Transport-Security: max-age=5, X-Frame-Options: deny}}",
        "basic_auth_users:",
        *(f"  {user}: {text}" for user, text in hashes.items()),
    ]
    file.write_text("\n".join(lines) + "\n")
    Guarded.certificate = str(certificate.cert)
    return file


async def answers(peer, certificate):
    """What the peer says to each of the credentials, on a path that both have, and on one that nobody has."""
    found = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting(certificate))) as session:
        for path in ("/-/healthy", "/nope-nope"):
            for value in AUTHORIZATIONS:
                headers = {} if value is None else {"Authorization": value}
                async with session.get(peer.url + path, headers=headers) as response:
                    told = response.headers.getall("WWW-Authenticate", [])
                    kept = [response.headers.get(name) for name in ("Strict-Transport-Security", "X-Frame-Options")]
                    body = await response.text() if response.status == 401 else ""
                    found.append((path, value, response.status, told, kept, body))
    return found


async def test_the_same_credentials_let_in(peers_dir, tmp_path, web_config):
    option = f"--web.config.file={web_config}"
    async with (
        GuardedPromscout(tmp_path, {"scrape_configs": []}, option) as ours,
        GuardedPrometheus(peers_dir, tmp_path, {"scrape_configs": []}, option, agent=True) as theirs,
    ):
        told = await answers(ours, Guarded.certificate)
        assert told == await answers(theirs, Guarded.certificate)
    assert {status for _, _, status, *_ in told} == {200, 401, 404}


async def test_prometheus_scrapes_promscout_with_tls_and_a_password_that_changes(peers_dir, tmp_path, web_config):
    async with GuardedPromscout(tmp_path, {"scrape_configs": []}, f"--web.config.file={web_config}") as ours:
        job = {
            "job_name": "promscout",
            "scheme": "https",
            "scrape_interval": "200ms",
            "scrape_timeout": "200ms",
            "tls_config": {"ca_file": Guarded.certificate},
            "basic_auth": CREDENTIALS,
            "static_configs": [{"targets": [f"127.0.0.1:{ours.port}"]}],
        }
        async with Prometheus(peers_dir, tmp_path, {"scrape_configs": [job]}, agent=True) as theirs:

            async def error():
                active = (await theirs.targets())["activeTargets"]
                return (active[0]["health"], active[0]["lastError"]) if active else ("", "")

            async def is_up():
                return await error() == ("up", "")

            async def is_refused():
                return "401" in (await error())[1]

            await until(is_up, 20, "Prometheus scrapes promscout")
            text = web_config.read_text()
            web_config.write_text(text.replace("  alice: ", "  alicia: "))
            await until(is_refused, 20, "the password counts no more")
            web_config.write_text(text)
            await until(is_up, 20, "the password counts again")
