"""scripts/fetch-peers and fetch-browser where they need no network: all there already, or no way to get it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from peers import find_peers

SCRIPTS = Path(__file__).parents[2] / "scripts"


def fetch(peers: Path, script: str = "fetch-peers", **env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PROMSCOUT_")}
    return subprocess.run(
        [SCRIPTS / script],
        env=clean | {"PROMSCOUT_PEERS_DIR": str(peers)} | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def path_with(directory: Path, name: str, script: str) -> str:
    """A PATH on which that program comes first."""
    directory.mkdir(exist_ok=True)
    program = directory / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"{directory}:{os.environ['PATH']}"


@pytest.mark.parametrize("script", ["fetch-peers", "fetch-browser"])
def test_nothing_is_done_when_everything_is_there(peers_dir, script, tmp_path):
    path = path_with(tmp_path / "bin", "apt-get", "echo apt-get was called >&2; exit 1")
    started = time.monotonic()
    done = fetch(peers_dir.parent, script, PATH=path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(("peers: ready in ", "peers: using the programs in "))
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("script", ["fetch-peers", "fetch-browser"])
def test_without_a_debian_mirror_it_says_how_to_name_one(script, tmp_path):
    path = path_with(tmp_path / "bin", "apt-get", "echo 'Ubuntu|http://127.0.0.1:9/ubuntu/'")
    done = fetch(tmp_path / "peers", script, PATH=path)
    assert done.returncode == 1
    assert "configured with no Debian mirror" in done.stderr
    assert "PROMSCOUT_DEBIAN_MIRROR=" in done.stderr


def test_without_debians_keys_it_says_which_package_has_them(tmp_path):
    mirror = "http://127.0.0.1:9/debian"
    done = fetch(
        tmp_path / "peers", PROMSCOUT_DEBIAN_MIRROR=mirror, PROMSCOUT_DEBIAN_KEYRING=str(tmp_path / "nowhere.gpg")
    )
    assert done.returncode == 1
    assert "debian-archive-keyring" in done.stderr


def test_a_mirror_that_does_not_answer_is_an_error_that_names_it(tmp_path):
    keyring = tmp_path / "keys.gpg"
    keyring.touch()
    path = path_with(tmp_path / "bin", "apt-get", "echo 'E: could not connect'; exit 100")
    mirror = "http://127.0.0.1:9/debian"
    done = fetch(tmp_path / "peers", PATH=path, PROMSCOUT_DEBIAN_MIRROR=mirror, PROMSCOUT_DEBIAN_KEYRING=str(keyring))
    assert done.returncode == 1
    assert "E: could not connect" in done.stderr
    assert f"cannot read Debian sid's package list from {mirror}/" in done.stderr


def test_a_directory_of_ones_own_programs_is_taken_as_it_is(tmp_path):
    (tmp_path / "own/bin").mkdir(parents=True)
    done = fetch(tmp_path / "own")
    assert (done.returncode, done.stdout) == (0, f"peers: using the programs in {tmp_path}/own/bin\n")


def test_missing_programs_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMSCOUT_PEERS_DIR", str(tmp_path))
    with pytest.raises(AssertionError, match=r"prometheus, promtool, .*run `make peers`"):
        find_peers()
