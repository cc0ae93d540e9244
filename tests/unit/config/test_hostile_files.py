"""Files that are not what a configuration should be: a clear error, in bounded time and memory."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from promscout.config import load_config, source
from promscout.errors import ConfigError, ConfigUnreadable

MOST_SECONDS = 30.0
"""CPU; each of these takes a few at most, on a machine that others use."""

MOST_MEMORY = 1 << 30

JOB = "scrape_configs:\n- job_name: a\n"


def nested_aliases(levels: int, width: int) -> str:
    lines = ["alerting:", "  l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"  l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


def merge_bomb(keys: int, jobs: int) -> str:
    params = ", ".join(f"k{n}: [v]" for n in range(keys))
    lines = ["scrape_configs:", f"- job_name: j\n  params: &p {{{params}}}"]
    lines += [f"- job_name: j{n}\n  params: {{<<: *p}}" for n in range(jobs)]
    return "\n".join(lines)


HUGE = {
    "more than 64 MiB": (lambda: "# " + "x" * source.MAX_SIZE, "larger than 67108864 bytes"),
    "two million jobs": (lambda: "scrape_configs:\n" + "- job_name: a\n" * 700_000, "too many keys and values"),
    "half a million unknown keys": (
        lambda: "scrape_configs:\n- job_name: a\n" + "".join(f"  scrape_inter{n}: 1\n" for n in range(400_000)),
        "further problems",
    ),
    "one duplicate key, very often": (lambda: "global: {}\n" * 400_000, "further problems"),
    "one very long value": (lambda: f"{JOB}  scrape_interval: {'9' * 10_000_000}\n", "scrape_interval"),
    "one very long key": (lambda: f"{JOB}  ? {'k' * 10_000_000}\n  : 1\n", "unknown key"),
    "one very long regex": (
        lambda: f"{JOB}  relabel_configs: [{{action: keep, regex: '{'(a|b)' * 200_000}'}}]\n",
        "",
    ),
    "a billion laughs": (lambda: nested_aliases(40, 9), "aliases make too much of it"),
    "a million merged keys": (lambda: merge_bomb(1000, 6000), "aliases make too much of it"),
    "deep lists": (lambda: "global: " + "[" * 1_000_000, "nested more than 100 levels deep"),
    "deep mappings": (lambda: "global: " + "{a: " * 1_000_000, "nested more than 100 levels deep"),
    "deep blocks": (lambda: "- " * 1_000_000, "nested more than 100 levels deep"),
    "many anchors": (lambda: "runtime: [" + ",".join(f"&a{n} x" for n in range(400_000)) + "]", ""),
}

LOAD = """
import json, resource, sys, time
from pathlib import Path
from promscout.config import load_config
from promscout.errors import ConfigError
before = time.process_time()
try:
    load_config(Path(sys.argv[1]))
    message = ""
except ConfigError as error:
    message = str(error)
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"message": message, "seconds": time.process_time() - before, "memory": memory}))
"""


@pytest.mark.parametrize("name", HUGE)
def test_what_is_huge_is_refused_in_bounded_time_and_memory(tmp_path, name):
    make, message = HUGE[name]
    file = tmp_path / "prometheus.yml"
    file.write_text(make())
    done = subprocess.run(
        [sys.executable, "-c", LOAD, file],
        capture_output=True,
        check=True,
        timeout=100,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (60, 60)),
    )
    result = json.loads(done.stdout)
    assert message in result["message"]
    assert bool(message) is bool(result["message"])
    assert len(result["message"]) < 500_000
    assert result["seconds"] < MOST_SECONDS
    assert result["memory"] < MOST_MEMORY


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (JOB.encode("utf-16"), "1:1: not valid UTF-8: this is UTF-16"),
        (JOB.encode("utf-16-be"), "control characters are not allowed"),
        (b"\xfe\xff" + JOB.encode("utf-16-be"), "1:1: not valid UTF-8: this is UTF-16"),
        (JOB.encode("utf-32"), "1:1: not valid UTF-8"),
        ("# Zähler\n".encode("latin-1") + JOB.encode(), "1:4: not valid UTF-8"),
        (JOB.encode() + b"  scheme: h\x00ttp\n", "3:1: not valid YAML: control characters are not allowed"),
        (b"\x00" * 1000, "1:1: not valid YAML: control characters are not allowed"),
        (b"\x1f\x8b\x08\x00" + bytes(range(256)), "1:2: not valid UTF-8"),
        (b"\xed\xa0\x80", "1:1: not valid UTF-8"),
        (JOB.encode() + b"  scheme: \x1b[31mred\n", "3:1: not valid YAML: control characters are not allowed"),
    ],
    ids=["UTF-16", "UTF-16 without mark", "UTF-16 BE", "UTF-32", "Latin-1", "NUL", "NULs", "gzip", "surrogate", "ESC"],
)
def test_other_encodings_are_named_with_their_place(tmp_path, content, message):
    file = tmp_path / "f"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert message in str(caught.value)


def test_line_ends_and_byte_order_marks_of_other_systems_are_fine(tmp_path):
    file = tmp_path / "f"
    for content in (
        b"\xef\xbb\xbf" + JOB.encode(),
        JOB.replace("\n", "\r\n").encode(),
        JOB.replace("\n", "\r").encode(),
    ):
        file.write_bytes(content)
        assert [job.name for job in load_config(file).jobs] == ["a"]


def refusal(file: Path) -> str:
    with pytest.raises(ConfigUnreadable) as caught:
        load_config(file)
    return str(caught.value).removeprefix(f"{file}: cannot read the file: ")


def test_what_is_no_file_is_unreadable(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "SILENCE", 0.05)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("gone")
    assert refusal(tmp_path) == "Is a directory"
    assert refusal(tmp_path / "pipe") == "it is a pipe or a terminal, and nobody writes into it"
    assert refusal(tmp_path / "loop") == "Too many levels of symbolic links"
    assert refusal(tmp_path / "dangling") == "No such file or directory"
    assert refusal(tmp_path / ("x" * 300)) == "File name too long"
    assert refusal(Path(f"{tmp_path}/a\0b")) == "embedded null byte"


def test_a_file_that_may_not_be_read_is_unreadable(tmp_path):
    file = tmp_path / "f"
    file.write_text(JOB)
    file.chmod(0)
    user = os.geteuid()
    if user == 0:  # root may read everything, so somebody else tries
        os.seteuid(65534)
    try:
        assert refusal(file) == "Permission denied"
    finally:
        os.seteuid(user)


def test_an_endless_device_is_too_large():
    with pytest.raises(ConfigError, match="larger than"):
        load_config(Path("/dev/zero"))


def test_a_pipe_is_read_to_its_end(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("w") as stream:
            for line in JOB.splitlines(keepends=True):
                stream.write(line)
                stream.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert [job.name for job in load_config(pipe).jobs] == ["a"]
    finally:
        writer.join()


def test_a_further_file_that_vanishes_before_it_is_read_is_named(tmp_path):
    (tmp_path / "main.yml").write_text("scrape_config_files: ['*.yaml']\n")
    (tmp_path / "gone.yaml").symlink_to("nowhere")  # found by its pattern, and not there when it is opened
    (tmp_path / "there.yaml").write_text(JOB)
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "main.yml")
    assert not isinstance(caught.value, ConfigUnreadable)
    assert str(caught.value) == f"{tmp_path}/gone.yaml: cannot read the file: No such file or directory"


def test_a_main_file_that_vanishes_between_two_loads_is_unreadable_the_second_time(tmp_path):
    file = tmp_path / "f"
    file.write_text(JOB)
    load_config(file)
    file.unlink()
    assert refusal(file) == "No such file or directory"
