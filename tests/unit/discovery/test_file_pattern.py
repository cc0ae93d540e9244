from __future__ import annotations

import os

import pytest

from promscout.discovery.file.config import FileSDConfig
from promscout.discovery.file.pattern import check_pattern, expand
from promscout.errors import InvalidValueError

NAMES = (
    "a.json",
    "b.json",
    ".c.json",
    "d.yml",
    "ab.json",
    "[x].json",
    "a-b.json",
    "sub/a.json",
    "sub2/b.json",
    "*.json",
)


@pytest.fixture
def files(tmp_path):
    for name in NAMES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


# Those that are valid in a configuration are compared with Prometheus by tests/differential/test_file_sd.py.
EXPANSIONS = {
    "a.json": ["a.json"],
    "none.json": [],
    "*.yml": ["d.yml"],
    "*.json": ["*.json", ".c.json", "[x].json", "a-b.json", "a.json", "ab.json", "b.json"],
    "?.json": ["*.json", "a.json", "b.json"],
    "[ab].json": ["a.json", "b.json"],
    "[a-b].json": ["a.json", "b.json"],
    "[^a].json": ["*.json", "b.json"],
    "[!a].json": ["a.json"],
    "[b-a].json": [],
    "[^b-a].json": ["*.json", "a.json", "b.json"],
    r"[\*].json": ["*.json"],
    r"\*.json": ["*.json"],
    r"\[x].json": ["[x].json"],
    "a[-b]b.json": None,
    r"a[\-b]b.json": ["a-b.json"],
    "sub*": ["sub", "sub2"],
    "sub?/*.json": ["sub2/b.json"],
    "none/*.json": [],
    "a.json/*.json": [],
    "none?/*.json": [],
}


@pytest.mark.parametrize("pattern", EXPANSIONS)
def test_a_pattern_stands_for_the_files_that_go_finds(files, pattern, monkeypatch):
    expected = EXPANSIONS[pattern]
    if expected is None:
        with pytest.raises(InvalidValueError, match="syntax error in pattern"):
            check_pattern(pattern)
        return
    check_pattern(pattern)
    assert expand(f"{files}/{pattern}") == [f"{files}/{name}" for name in expected]
    monkeypatch.chdir(files)
    assert expand(pattern) == expected


def test_names_are_written_as_in_the_pattern_unless_something_is_put_together(files):
    assert expand(f"{files}//sub/../a.json") == [f"{files}//sub/../a.json"]
    assert expand(f"{files}//sub/../a.jso?") == [f"{files}/a.json"]


def test_a_link_without_its_file_exists(files):
    (files / "link.json").symlink_to("nowhere")
    assert expand(f"{files}/link.json") == [f"{files}/link.json"]
    assert expand(f"{files}/l*.json") == [f"{files}/link.json"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every directory")
def test_a_directory_that_cannot_be_read_is_an_error(files):
    (files / "sub").chmod(0)
    try:
        with pytest.raises(PermissionError):
            expand(f"{files}/sub/*.json")
        with pytest.raises(PermissionError):
            expand(f"{files}/sub/a.json")
    finally:
        (files / "sub").chmod(0o700)


def test_a_path_through_a_link_to_itself_is_an_error(files):
    (files / "loop").symlink_to("loop")
    for name in ("*.json", "a.json"):
        with pytest.raises(OSError, match="symbolic links"):
            expand(f"{files}/loop/{name}")


@pytest.mark.parametrize("pattern", ["[", "[]", "[a", "[a-", "[-a]", "[]a]", "[^]", "a\\", "[\\", "x/[/y"])
def test_a_pattern_that_means_nothing_is_refused(pattern):
    with pytest.raises(InvalidValueError, match="syntax error in pattern"):
        check_pattern(pattern)


def test_relative_names_are_taken_from_the_configuration_s_directory_and_tidied(tmp_path):
    config = FileSDConfig(files=("a.json", "./b//*.yml", "../c.yaml", "/d/../e.JSON"))
    assert config.with_directory(tmp_path / "x").files == (
        f"{tmp_path}/x/a.json",
        f"{tmp_path}/x/b/*.yml",
        f"{tmp_path}/c.yaml",
        "/d/../e.JSON",
    )
