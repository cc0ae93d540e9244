"""What users do wrong: the exit code and the message tell, and no traceback hides it."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest

from e2e.promscout_process import Promscout
from peers.program import run_program
from promscout import __version__
from promscout.cli import main

GOOD = "scrape_configs:\n- job_name: a\n"
INVALID = """\
scrape_configs:
- job_name: a
  scrape_interval: soon
  relabel_configs:
  - action: keep
    regex: "("
- job_name: b
- job_name: b
remote_write:
- url: ""
- url: http://127.0.0.1:1/
  no_such_key: 1
"""
PLACES = {
    "3:20": "scrape_configs[0].scrape_interval",
    "6:12": "scrape_configs[0].relabel_configs[0].regex",
    "8:13": "scrape_configs[2].job_name",
    "10:8": "remote_write[0].url",
    "12:3": "remote_write[1].no_such_key",
}


@pytest.fixture
def promscout(tmp_path):
    async def run(*arguments, **options):
        return await run_program(
            [str(Path(sys.executable).parent / "promscout"), *map(str, arguments)], tmp_path, **options
        )

    return run


@pytest.fixture
def write(tmp_path):
    def written(text, name="prometheus.yml"):
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return written


def is_a_message(outcome):
    """A few lines for people on stderr, nothing on stdout."""
    assert "Traceback" not in outcome.err
    assert outcome.err.strip()
    assert outcome.out == ""
    return True


def shows_every_problem(text, file):
    lines = text.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{file}:{place}" for place in PLACES]
    assert [line.split(": ")[1] for line in lines] == [*PLACES.values()]
    assert all(len(line.split(": ", 2)[2]) > 10 for line in lines)
    return True


async def test_an_invalid_configuration_is_refused_with_every_problem_at_its_place(promscout, write):
    file = write(INVALID)
    outcome = await promscout("run", file, "--listen=127.0.0.1:0")
    assert outcome.code == 2
    assert is_a_message(outcome)
    assert shows_every_problem(outcome.err, file)


async def test_a_file_that_is_not_there_is_named(promscout, tmp_path):
    file = tmp_path / "no.yml"
    for command in ("run", "check"):
        outcome = await promscout(command, file)
        assert (outcome.code, outcome.err) == (2, f"{file}: cannot read the file: No such file or directory\n")


async def test_a_directory_is_no_configuration(promscout, tmp_path):
    for command in ("run", "check"):
        outcome = await promscout(command, tmp_path)
        assert (outcome.code, outcome.err) == (2, f"{tmp_path}: cannot read the file: Is a directory\n")


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("scrape_configs: [\n", "2:1", "expected"),
        ("a: b: c\n", "1:5", "mapping values are not allowed"),
        (b"global: {}\n# \xff\n", "2:3", "not valid UTF-8"),
        ("a\x00b", "1:1", "control characters are not allowed"),
        ("- 1\n", "1:1", "expected"),
        ("scrape_configs: 5\n", "1:17", "expected"),
    ],
    ids=["not closed", "not YAML", "not UTF-8", "a zero byte", "a list", "a number"],
)
async def test_what_is_no_configuration_at_all_is_refused_at_its_place(text, place, message, promscout, write):
    file = write(text)
    outcome = await promscout("run", file)
    assert outcome.code == 2
    assert is_a_message(outcome)
    assert outcome.err.startswith(f"{file}:{place}: ")
    assert message in outcome.err
    check = await promscout("check", file)
    assert (check.code, check.err) == (1, outcome.err)


async def test_a_taken_port_is_named(promscout, write):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        outcome = await promscout("run", write(GOOD), f"--listen={place}")
    assert outcome.code == 2
    assert outcome.err.splitlines()[-1] == f"promscout: cannot listen on {place}: Address already in use"
    assert "Traceback" not in outcome.err


async def test_a_data_directory_belongs_to_one_process(promscout, write, tmp_path):
    async with Promscout(tmp_path, GOOD) as agent:
        data = agent.directory / "data"
        outcome = await promscout("run", write(GOOD), f"--data-dir={data}", "--listen=127.0.0.1:0")
        assert outcome.code == 2
        assert outcome.err == f"promscout: --data-dir {data}: in use by another promscout\n"
        assert await agent.request("GET", "/-/ready")


async def test_a_data_directory_that_cannot_be_made_or_written_is_named(promscout, write, tmp_path):
    write("a file", "occupied")
    for data in (tmp_path / "occupied", tmp_path / "occupied" / "below", Path("/proc/nowhere"), Path("/proc")):
        outcome = await promscout("run", write(GOOD), f"--data-dir={data}", "--listen=127.0.0.1:0")
        assert outcome.code == 2
        assert outcome.err.startswith(f"promscout: --data-dir {data}: ")
        assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["run"], "the following arguments are required: CONFIG"),
        (["run", "x.yml", "--no-such-option"], "unrecognized arguments: --no-such-option"),
        (["run", "x.yml", "--listen=nowhere"], "argument --listen: 'nowhere' is not HOST:PORT"),
        (["run", "x.yml", "--listen=127.0.0.1:99999"], "argument --listen: '127.0.0.1:99999' is not HOST:PORT"),
        (["run", "x.yml", "--discovery-interval=soon"], "argument --discovery-interval: not a valid duration"),
        (["run", "x.yml", "--log-level=loud"], "argument --log-level: invalid choice: 'loud'"),
        (["run", "x.yml", "--web.cors.origin=("], "argument --web.cors.origin: error parsing regexp"),
        (["check"], "the following arguments are required: CONFIG"),
        (["no-such-command"], "invalid choice: 'no-such-command'"),
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err


async def test_help_and_version_are_printed(promscout):
    version = await promscout("--version")
    assert (version.code, version.out, version.err) == (0, f"promscout {__version__}\n", "")
    for arguments in (["--help"], ["-h"]):
        outcome = await promscout(*arguments)
        assert (outcome.code, outcome.err) == (0, "")
        assert "run" in outcome.out
        assert "check" in outcome.out
    outcome = await promscout("run", "--help")
    assert outcome.code == 0
    assert "--data-dir" in outcome.out


async def test_check_says_whether_files_can_be_used(promscout, write, tmp_path):
    good, bad, missing = write(GOOD), write(INVALID, "bad.yml"), tmp_path / "missing.yml"
    outcome = await promscout("check", good)
    assert (outcome.code, outcome.out, outcome.err) == (0, f"{good}: can be used\n", "")
    outcome = await promscout("check", good, bad)
    assert (outcome.code, outcome.out) == (1, f"{good}: can be used\n")
    assert shows_every_problem(outcome.err, bad)
    outcome = await promscout("check", bad, missing, good)
    assert outcome.code == 2
    assert f"{missing}: cannot read the file" in outcome.err
    assert outcome.out == f"{good}: can be used\n"


async def test_check_prints_json_for_programs(promscout, write, tmp_path):
    good = write("rule_files: [x.yml]\n" + GOOD)
    bad, missing = write(INVALID, "bad.yml"), tmp_path / "missing.yml"
    outcome = await promscout("check", "--format=json", good, bad, missing)
    assert (outcome.code, outcome.err) == (2, "")
    first, second, third = json.loads(outcome.out)
    assert (first["file"], first["valid"], first["problems"]) == (str(good), True, [])
    assert "rule_files" in first["warnings"][0]
    assert (second["file"], second["valid"], second["warnings"]) == (str(bad), False, [])
    assert [f"{one['line']}:{one['column']}" for one in second["problems"]] == [*PLACES]
    assert [one["path"] for one in second["problems"]] == [*PLACES.values()]
    assert {one["file"] for one in second["problems"]} == {str(bad)}
    assert third["problems"] == [
        {
            "file": str(missing),
            "line": 0,
            "column": 0,
            "path": "",
            "message": "cannot read the file: No such file or directory",
        }
    ]


@pytest.mark.parametrize("order", [("--auto-reload", "FILE"), ("FILE", "--auto-reload"), ("--auto-reload=2s", "FILE")])
async def test_the_interval_of_auto_reload_comes_after_an_equals_sign(order, promscout, tmp_path):
    missing = tmp_path / "no.yml"
    outcome = await promscout("run", *[missing if one == "FILE" else one for one in order])
    assert outcome.code == 2
    assert is_a_message(outcome)
    assert f"{missing}: cannot read the file" in outcome.err


async def test_an_interval_of_auto_reload_that_is_no_duration_is_refused(promscout):
    outcome = await promscout("run", "--auto-reload=soon", "no.yml")
    assert outcome.code == 2
    assert "argument --auto-reload: " in outcome.err


async def test_shards_of_files_without_a_directory_are_refused(promscout, write):
    outcome = await promscout("run", write(GOOD), "--listen=127.0.0.1:0", "--file-sd-shards=2")
    assert outcome.code == 2
    assert is_a_message(outcome)
    assert "--file-sd-dir" in outcome.err
