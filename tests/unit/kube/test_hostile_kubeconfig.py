"""Kubeconfigs that would cost time, memory or the process."""

from __future__ import annotations

import os

import pytest

from promscout.errors import InvalidValueError
from promscout.kube.kubeconfig import MAX_SIZE, KubeConfig


def bomb() -> str:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (bomb(), "too many values"),
        ("a: &a [*a]", "too many values"),
        ("- " * 200_000, "nested too deeply"),
        ("[" * 200_000, "nested too deeply"),
        ("a: {b: ]", r":1:8: not YAML"),
        ("- a", "not a kubeconfig"),
        ("current-context: \x00", "not YAML"),
        ("x" * (MAX_SIZE + 1), "larger than"),
    ],
    ids=["aliases", "itself", "deep block", "deep flow", "syntax", "a list", "zero byte", "huge"],
)
def test_a_hostile_kubeconfig_is_refused(tmp_path, text, message):
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    with pytest.raises(InvalidValueError, match=message):
        KubeConfig.load(file)


def test_what_is_no_regular_file_is_no_kubeconfig(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin1").write_bytes("current-context: ä".encode("latin-1"))
    for name, message in (("pipe", "Not a regular file"), (".", "Is a directory"), ("latin1", "is not UTF-8")):
        with pytest.raises(InvalidValueError, match=message):
            KubeConfig.load(tmp_path / name)
