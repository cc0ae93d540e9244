"""The web configuration file: problems with their places, and what is read again."""

from __future__ import annotations

import hashlib
import logging
import os
import ssl
from pathlib import Path

import pytest

from promscout.errors import ConfigError, ConfigUnreadable
from promscout.web.access.config import PasswordHash, RateInterval
from promscout.web.access.config_file import LOOK_SECONDS, WebConfigFile, WebSetup, load_web_config
from unit.httpclient.certificates import Certificate

HASH = "$2y$04$4jXAUEpmP.Yx6PhYrwCp4uxoC4CGu0G3wQ2hDvNwH4vFvA3x.NrTm"
TOKEN = "a-token-that-nobody-guesses"


class Ticks:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "web.yml"


def problems(path: Path, text: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_web_config(path)
    return [str(problem).removeprefix(f"{path}:") for problem in refused.value.problems]


def touch(path: Path, text: str) -> None:
    """Write a file so that its time differs, however coarse the file system's clock is."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 1_000_000_000, before + 1_000_000_000))


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "tls_server_config:\n"])
def test_an_empty_file_asks_nothing_of_anybody(path: Path, text: str) -> None:
    path.write_text(text)
    setup = load_web_config(path)
    assert setup.context is None
    assert setup.config.is_open


def test_every_problem_is_told_with_its_place(path: Path) -> None:
    text = """
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  min_version: TLS9
  cipher_suites: [TLS_AES_128_GCM_SHA256, ROT13]
basic_auth_users:
  alice: hunter2
bearer_tokens:
  ci: hunter2
http_server_config:
  htp2: true
"""
    assert problems(path, text) == [
        "5:16: tls_server_config.min_version: unknown TLS version: TLS9",
        "6:43: tls_server_config.cipher_suites[1]: unknown cipher: ROT13",
        "8:10: basic_auth_users.alice: not a bcrypt hash, as htpasswd -nBC 10 makes them",
        '10:7: bearer_tokens.ci: expected "sha256:" and the 64 digits that sha256sum prints for the token',
        '12:3: http_server_config.htp2: unknown key, did you mean "http2"?',
    ]


def test_a_header_that_may_not_be_configured_is_a_problem(path: Path) -> None:
    text = "http_server_config:\n  headers: {X-Evil: '1'}\n"
    assert problems(path, text) == ['2:12: http_server_config.headers: HTTP header "X-Evil" can not be configured']


def test_problems_of_files_are_told_where_they_are_named(path: Path, tmp_path: Path) -> None:
    Certificate(tmp_path, "server", "127.0.0.1")
    (tmp_path / "short").write_text("short\n")
    (tmp_path / "two").write_text("0123456789abcdef 0123456789abcdef\n")
    rest = ": blanks, or characters that can not be sent"
    text = """
tls_server_config: {cert_file: server.crt, key_file: server.crt}
bearer_token_files: [missing, short, two]
"""
    assert problems(path, text) == [
        "2:54: tls_server_config.key_file: not a PEM private key",
        f"3:22: bearer_token_files[0]: cannot read {tmp_path}/missing: No such file or directory",
        f"3:31: bearer_token_files[1]: {tmp_path}/short has no token of at least 16 characters",
        f"3:38: bearer_token_files[2]: {tmp_path}/two has more than a token{rest}",
    ]


def test_a_curve_that_this_python_does_not_know_is_a_problem(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_context: ssl.SSLContext, _name: str) -> None:
        raise ssl.SSLError("unknown group")

    Certificate(tmp_path, "server", "127.0.0.1")
    monkeypatch.setattr(ssl.SSLContext, "set_ecdh_curve", refuse)
    text = "tls_server_config: {cert_file: server.crt, key_file: server.key, curve_preferences: [X25519]}\n"
    (problem,) = problems(path, text)
    assert problem.endswith("tls_server_config.curve_preferences: this Python cannot be told to use X25519")


def test_a_file_that_is_missing_cannot_be_read(path: Path) -> None:
    with pytest.raises(ConfigUnreadable, match="No such file"):
        load_web_config(path)


def test_certificates_may_be_in_the_file_itself(path: Path, tmp_path: Path) -> None:
    made = Certificate(tmp_path, "server", "127.0.0.1")
    indented = {
        name: file.read_text().replace("\n", "\n    ") for name, file in (("cert", made.cert), ("key", made.key))
    }
    path.write_text(
        "tls_server_config:\n" + "".join(f"  {name}: |\n    {text.rstrip()}\n" for name, text in indented.items())
    )
    made.cert.unlink()
    made.key.unlink()
    setup = load_web_config(path)
    assert setup.context is not None
    assert "PRIVATE KEY" not in repr(setup)


def test_tokens_are_kept_as_digests(path: Path, tmp_path: Path) -> None:
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    path.write_text(f"bearer_tokens: {{ci: 'sha256:{digest}'}}\nbearer_token_files: [token]\n")
    setup = load_web_config(path)
    assert setup.digests == (bytes.fromhex(digest),) * 2
    assert digest not in repr(setup.config)
    assert TOKEN not in repr(setup)


def test_hashes_print_as_secrets() -> None:
    assert str(PasswordHash.parse(HASH)) == "<secret>"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("1m30s", 90.0),
        ("1.5h", 5400.0),
        ("250ms", 0.25),
        (".5s", 0.5),
        ("3us", 3e-6),
        ("0", 0.0),
        ("7", 7e-9),
    ],
)
def test_intervals_are_read_as_go_does(text: str, seconds: float) -> None:
    assert RateInterval.parse(text) == pytest.approx(seconds)


async def read_again(file: WebConfigFile, ticks: Ticks) -> WebSetup:
    ticks.seconds += LOOK_SECONDS
    return await file.current()


@pytest.mark.real_time
class TestReadingAgain:
    async def test_a_change_comes_into_force_within_a_second(self, path: Path) -> None:
        touch(path, "")
        ticks = Ticks()
        file = WebConfigFile(path, now=ticks)
        touch(path, f"basic_auth_users: {{alice: {HASH}}}\n")
        ticks.seconds += LOOK_SECONDS / 2
        assert (await file.current()).config.is_open
        ticks.seconds += LOOK_SECONDS / 2
        assert list((await file.current()).config.basic_auth_users) == ["alice"]

    async def test_files_that_it_names_are_watched_too(self, path: Path, tmp_path: Path) -> None:
        token = tmp_path / "token"
        touch(token, TOKEN)
        touch(path, "bearer_token_files: [token]\n")
        ticks = Ticks()
        file = WebConfigFile(path, now=ticks)
        touch(token, f"{TOKEN}-of-tomorrow")
        (digest,) = (await read_again(file, ticks)).digests
        assert digest == hashlib.sha256(f"{TOKEN}-of-tomorrow".encode()).digest()

    async def test_another_certificate_makes_another_context(self, path: Path, tmp_path: Path) -> None:
        Certificate(tmp_path, "server", "127.0.0.1")
        touch(path, "tls_server_config: {cert_file: server.crt, key_file: server.key}\n")
        ticks = Ticks()
        file = WebConfigFile(path, now=ticks)
        first = file.in_force.context
        assert (await read_again(file, ticks)).context is first
        made = Certificate(tmp_path, "server", "127.0.0.1")
        os.utime(made.cert, (1, 1))
        assert (await read_again(file, ticks)).context is not first

    async def test_a_file_that_is_broken_changes_nothing_and_is_told_once(
        self, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        touch(path, f"basic_auth_users: {{alice: {HASH}}}\n")
        ticks = Ticks()
        file = WebConfigFile(path, now=ticks)
        touch(path, "basic_auth_users: {alice: hunter2}\n")
        with caplog.at_level(logging.INFO):
            for _ in range(3):
                assert list((await read_again(file, ticks)).config.basic_auth_users) == ["alice"]
            path.unlink()  # noqa: ASYNC240 - a moment
            for _ in range(3):
                assert list((await read_again(file, ticks)).config.basic_auth_users) == ["alice"]
            touch(path, "")
            assert (await read_again(file, ticks)).config.is_open
        told = [(record.getMessage(), getattr(record, "facts", {}).get("problem", "")) for record in caplog.records]
        refused = "web configuration refused, the one before stays in force"
        assert told == [
            (refused, f"{path}:1:27: basic_auth_users.alice: not a bcrypt hash, as htpasswd -nBC 10 makes them"),
            (refused, f"{path}: cannot read the file: No such file or directory"),
            ("web configuration reloaded", ""),
        ]

    async def test_tls_is_not_switched_off_by_a_change(self, path: Path, tmp_path: Path) -> None:
        Certificate(tmp_path, "server", "127.0.0.1")
        touch(path, "tls_server_config: {cert_file: server.crt, key_file: server.key}\n")
        ticks = Ticks()
        file = WebConfigFile(path, now=ticks)
        touch(path, "")
        assert (await read_again(file, ticks)).context is not None
