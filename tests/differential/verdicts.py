"""Which configurations promtool accepts, and which promscout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from peers import promtool_accepts
from promscout.config import load_config
from promscout.errors import ConfigError


def refusal(path: Path) -> str:
    """Why a file is refused; empty if it is accepted."""
    try:
        load_config(path)
    except ConfigError as error:
        return str(error)
    return ""


async def disagreements(peers_dir: Path, directory: Path, texts: Sequence[str]) -> list[str]:
    """Configurations that one accepts and the other refuses; of those given, some are accepted and some refused."""
    theirs = await promtool_accepts(peers_dir, directory, texts)
    assert True in theirs
    assert False in theirs
    return [
        f"{text!r}: Prometheus {'accepts' if accepts else 'refuses'} it; here: {refused or 'accepted'}"
        for index, (text, accepts) in enumerate(zip(texts, theirs, strict=True))
        if accepts is bool(refused := refusal(directory / f"{index}.yml"))
    ]


async def both_verdicts(peers_dir: Path, directory: Path, texts: Sequence[str]) -> tuple[list[bool], list[bool]]:
    """Which of the configurations promtool accepts, and which promscout."""
    theirs = await promtool_accepts(peers_dir, directory, texts)
    return theirs, [not refusal(directory / f"{index}.yml") for index in range(len(texts))]
