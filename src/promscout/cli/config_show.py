"""``promscout config show``."""

from __future__ import annotations

import sys
from pathlib import Path

from promscout.cli.outcome import CANNOT_RUN, FAILED, say_problem, say_warning
from promscout.config import Config, parse_config, read_source
from promscout.errors import ConfigError, ConfigUnreadable


def execute(config: Path, *, effective: bool) -> int:
    """Print a configuration without its secrets; the exit code."""
    try:
        # File names in the output are absolute, so that it means the same wherever it is put.
        loaded = parse_config(read_source(str(config)), str(config), config.parent.absolute())
    except ConfigError as error:
        for problem in error.problems:
            say_problem(problem)
        return CANNOT_RUN if isinstance(error, ConfigUnreadable) else FAILED
    for warning in loaded.warnings:
        say_warning(str(config), warning)
    sys.stdout.write(_effective(loaded) if effective else loaded.text)
    return 0


def _effective(config: Config) -> str:
    from promscout.config.effective import effective  # noqa: PLC0415 - showing what is written needs none of it

    return effective(config)
