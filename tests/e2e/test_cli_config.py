"""``check``, ``config show`` and ``config fmt`` as users and CI run them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from peers.program import run_program

MESSY = "scrape_configs:\n- job_name:   a  # first\n\n\n  static_configs: [{targets: ['127.0.0.1:9100']}]\n"
NEAT = "scrape_configs:\n  - job_name: a  # first\n\n    static_configs: [{targets: ['127.0.0.1:9100']}]\n"
WITH_FILE = "scrape_configs:\n- {job_name: a, bearer_token_file: token}\n"


@pytest.fixture
def promscout(tmp_path):
    async def run(*arguments, **options):
        command = [str(Path(sys.executable).parent / "promscout"), *map(str, arguments)]
        return await run_program(command, tmp_path, **options)

    return run


@pytest.fixture
def config(tmp_path):
    def write(text, name="prometheus.yml"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


async def test_check_looks_at_the_files_that_are_named_unless_told_not_to(promscout, config):
    file = config(WITH_FILE)
    looked = await promscout("check", file.name)
    assert (looked.code, looked.err) == (
        1,
        "prometheus.yml:2:36: scrape_configs[0].bearer_token_file: cannot read token: No such file or directory\n",
    )
    assert (await promscout("check", "--syntax-only", file)).code == 0
    config("x", "token")
    assert (await promscout("check", file)).code == 0


async def test_check_tells_machines_the_same_as_people(promscout, config):
    good, bad = config("rule_files: [a]", "good.yml"), config(WITH_FILE, "bad.yml")
    outcome = await promscout("check", "--format=json", good, bad)
    assert outcome.code == 1
    first, second = json.loads(outcome.out)
    assert (first["valid"], first["problems"]) == (True, [])
    assert first["warnings"] == ["these sections do not apply and are ignored: rule_files"]
    assert second == {
        "file": str(bad),
        "valid": False,
        "problems": [
            {
                "file": str(bad),
                "line": 2,
                "column": 36,
                "path": "scrape_configs[0].bearer_token_file",
                "message": f"cannot read {bad.parent}/token: No such file or directory",
            }
        ],
        "warnings": [],
    }


async def test_check_reads_what_a_program_writes(promscout, config):
    outcome = await promscout("check", "/dev/stdin", stdin="scrape_configs: [{job_name: a, scheem: b}]")
    assert (outcome.code, outcome.err) == (
        1,
        '/dev/stdin:1:32: scrape_configs[0].scheem: unknown key, did you mean "scheme"?\n',
    )


async def test_the_worst_file_decides_the_exit_code(promscout, config, tmp_path):
    good, bad = config("", "good.yml"), config("a: 1", "bad.yml")
    for files, code in (([good], 0), ([good, bad], 1), ([bad, tmp_path / "gone.yml", good], 2)):
        assert (await promscout("check", *files)).code == code


async def test_show_prints_what_is_written_without_comments_and_secrets(promscout, config):
    outcome = await promscout("config", "show", config("scrape_configs: [{job_name: a, bearer_token: hunter2}] # c"))
    assert outcome.code == 0
    assert outcome.out == "scrape_configs:\n- job_name: a\n  bearer_token: <secret>\n"


async def test_show_effective_prints_a_configuration_that_means_the_same_anywhere(promscout, config, tmp_path):
    file = config(WITH_FILE)
    config("x", "token")
    first = await promscout("config", "show", "--effective", file.name)
    assert first.code == 0
    assert f"credentials_file: {tmp_path}/token" in first.out
    (tmp_path / "elsewhere").mkdir()
    again = await promscout("config", "show", "--effective", config(first.out, "elsewhere/again.yml"))
    assert again.out == first.out
    assert (await promscout("check", "elsewhere/again.yml")).code == 0


async def test_show_tells_warnings_and_problems_apart_from_its_output(promscout, config, tmp_path):
    warned = await promscout("config", "show", config("storage: {}"))
    assert warned.code == 0
    assert warned.err == f"{tmp_path}/prometheus.yml: warning: these sections do not apply and are ignored: storage\n"
    refused = await promscout("config", "show", config("scrape_configs: 5"))
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith(f"{tmp_path}/prometheus.yml:1:17: scrape_configs: expected a list")
    assert (await promscout("config", "show", "gone.yml")).code == 2


async def test_fmt_prints_compares_and_writes(promscout, config):
    file = config(MESSY)
    assert (await promscout("config", "fmt", file)).out == NEAT
    checked = await promscout("config", "fmt", "--check", file)
    assert (checked.code, checked.out) == (1, f"{file}: would be formatted\n")
    compared = await promscout("config", "fmt", "--diff", file)
    assert compared.code == 1
    assert "-- job_name:   a  # first\n" in compared.out
    assert "+  - job_name: a  # first\n" in compared.out
    assert file.read_text() == MESSY
    written = await promscout("config", "fmt", "--write", file)
    assert (written.code, written.out, file.read_text()) == (0, f"{file}: formatted\n", NEAT)
    for option in ("--check", "--diff", "--write"):
        done = await promscout("config", "fmt", option, file)
        assert (done.code, done.out) == (0, "")


async def test_fmt_formats_what_cannot_be_used_and_leaves_what_is_not_yaml(promscout, config):
    wrong, broken = config("a:   1\n", "wrong.yml"), config("a: b: c\n", "broken.yml")
    outcome = await promscout("config", "fmt", "--write", wrong, broken)
    assert outcome.code == 1
    assert (wrong.read_text(), broken.read_text()) == ("a: 1\n", "a: b: c\n")
    assert outcome.err == f"{broken}:1:5: not valid YAML: mapping values are not allowed in this context\n"
    assert (await promscout("config", "fmt", "gone.yml")).code == 2


async def test_fmt_keeps_links_and_modes_and_leaves_nothing_behind(promscout, config, tmp_path):
    file = config(MESSY, "real.yml")
    file.chmod(0o640)
    (tmp_path / "link.yml").symlink_to("real.yml")
    assert (await promscout("config", "fmt", "--write", "link.yml")).code == 0
    assert (tmp_path / "link.yml").is_symlink()
    assert (file.read_text(), file.stat().st_mode & 0o777) == (NEAT, 0o640)
    assert sorted(os.listdir(tmp_path)) == ["link.yml", "real.yml"]  # noqa: PTH208 - names


@pytest.mark.parametrize(
    "arguments", [("config",), ("config", "fmt", "--check", "--write", "x"), ("config", "show"), ("config", "edit")]
)
async def test_wrong_usage_is_told(promscout, arguments):
    outcome = await promscout(*arguments)
    assert outcome.code == 2
    assert outcome.err.startswith("usage: promscout config")


async def test_downstream_prints_the_configuration_of_another_server(promscout, config):
    file = config("scrape_configs: [{job_name: a b, kubernetes_sd_configs: [{role: pod}]}] # c")
    outcome = await promscout("config", "downstream", file, "--url=http://127.0.0.1:9090/", "--shards=2", "--shard=1")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == (
        "scrape_configs:\n"
        "  - job_name: a b\n"
        "    http_sd_configs:\n"
        "      - url: http://127.0.0.1:9090/sd/http/a%20b?shard=1&of=2\n"
        "        refresh_interval: 15s\n"
    )


async def test_downstream_names_secrets_and_prints_them_when_told_to(promscout, config):
    file = config("scrape_configs: [{job_name: a, basic_auth: {password: hunter2}}]")
    refused = await promscout("config", "downstream", file, "--file-sd-dir=sd")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == (
        'promscout: job "a": basic_auth.password: a secret in the configuration itself; '
        "put it into a file, or print it with --show-secrets\n"
    )
    shown = await promscout("config", "downstream", file, "--file-sd-dir=sd", "--show-secrets")
    assert shown.code == 0
    assert "password: hunter2" in shown.out
    assert f"{file.parent}/sd/a.json" in shown.out


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--url=http://a", "--file-sd-dir=b"),
        ("--url=promscout",),
        ("--url=http://a", "--shards=2"),
        ("--url=http://a", "--shards=2", "--shard=2"),
        ("--url=http://a", "--shards=2000", "--shard=0"),
        ("--file-sd-dir=a*",),
    ],
    ids=" ".join,
)
async def test_downstream_refuses_what_does_not_go_together(promscout, config, options):
    outcome = await promscout("config", "downstream", config(""), *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err


async def test_downstream_tells_what_is_wrong_with_the_configuration(promscout, config):
    outcome = await promscout("config", "downstream", config("scrape_configs: 5"), "--url=http://a")
    assert (outcome.code, outcome.out) == (1, "")
    assert "scrape_configs: expected a list" in outcome.err
    assert (await promscout("config", "downstream", "gone.yml", "--url=http://a")).code == 2
