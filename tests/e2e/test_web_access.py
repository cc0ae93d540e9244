"""promscout as a process: what a web configuration and the options of the web server do to its start and its end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from e2e.promscout_process import Promscout
from peers.process import PeerError
from peers.program import run_program
from unit.httpclient.certificates import Certificate

PROGRAM = str(Path(sys.executable).parent / "promscout")
NOTHING: dict[str, object] = {"scrape_configs": []}


async def test_quit_ends_it_in_good_order(tmp_path):
    async with Promscout(tmp_path, NOTHING, "--web.enable-lifecycle") as agent:
        assert await agent.request("PUT", "/-/quit") == "Requesting termination... Goodbye!"
        assert await agent.exit_code(5) == 0
        assert agent.log().rstrip().endswith('msg="promscout has stopped"')


async def test_quit_is_refused_without_enable_lifecycle(tmp_path):
    async with Promscout(tmp_path, NOTHING) as agent:
        with pytest.raises(PeerError, match=r"403(.|\n)*Lifecycle API is not enabled\."):
            await agent.request("POST", "/-/quit")
        assert await agent.request("GET", "/-/healthy") == "promscout is Healthy.\n"


@pytest.mark.parametrize(
    ("web_config", "told"),
    [
        ("basic_auth_users: {alice: hunter2}", "web.yml:1:27: basic_auth_users.alice: not a bcrypt hash"),
        (
            "tls_server_config: {cert_file: a, key_file: b}",
            "web.yml:1:32: tls_server_config.cert_file: cannot read a: No",
        ),
        ("tls_sever_config: {}", 'web.yml:1:1: tls_sever_config: unknown key, did you mean "tls_server_config"?'),
        ("a: [hunter2", "web.yml:2:1: not valid YAML"),
        (None, "web.yml: cannot read the file: No such file or directory"),
    ],
)
async def test_a_web_configuration_that_cannot_be_used_is_told_and_nothing_starts(tmp_path, web_config, told):
    (tmp_path / "c.yml").write_text("scrape_configs: []\n")
    if web_config is not None:
        (tmp_path / "web.yml").write_text(f"{web_config}\n")
    run = await run_program([PROGRAM, "run", "c.yml", "--listen=127.0.0.1:0", "--web.config.file=web.yml"], tmp_path)
    assert run.code == 2
    assert told in run.err
    check = await run_program([PROGRAM, "check", "--web-config", "web.yml"], tmp_path)
    assert check.code == (1 if web_config is not None else 2)
    assert told in check.err
    assert "hunter2" not in run.out + run.err + check.out + check.err


async def test_check_looks_at_what_web_configurations_name_unless_only_syntax_is_asked_for(tmp_path):
    (tmp_path / "a.yml").write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}\n")
    files = ["check", "--web-config", "a.yml"]
    assert (await run_program([PROGRAM, *files], tmp_path)).code == 1
    assert (await run_program([PROGRAM, *files, "--syntax-only"], tmp_path)).code == 0
    Certificate(tmp_path, "server", "127.0.0.1")
    done = await run_program([PROGRAM, *files], tmp_path)
    assert (done.code, done.out, done.err) == (0, "a.yml: can be used\n", "")


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--web.external-url=ftp://scout.example", "URL scheme must be"),
        ("--web.external-url=http://u:hunter2@scout.example", "user or password"),
        ("--web.route-prefix=/a/../b", "a path may have"),
        ("--web.max-connections=0", "is not a number from 1"),
        ("--web.read-timeout=0s", "more than 0"),
    ],
)
async def test_options_that_cannot_be_used_are_wrong_usage(tmp_path, option, told):
    (tmp_path / "c.yml").write_text("scrape_configs: []\n")
    done = await run_program([PROGRAM, "run", "c.yml", "--listen=127.0.0.1:0", option], tmp_path)
    assert done.code == 2
    assert told in done.err
    assert "hunter2" not in done.err
