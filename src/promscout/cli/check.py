"""``promscout check``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from promscout.cli.outcome import CANNOT_RUN, FAILED, OutputFormat, say, say_problem
from promscout.config import Config, check_config, load_config
from promscout.errors import ConfigError, ConfigUnreadable, Problem
from promscout.terminal import Painter, Style


def execute(configs: Sequence[Path], web_config: Sequence[Path], format: str, *, syntax_only: bool) -> int:  # noqa: A002 - the option's name
    """Check files and print what is found; the exit code."""
    if not configs and not web_config:
        say("the following arguments are required: CONFIG, or --web-config FILE")
        return CANNOT_RUN
    checks = [_check(path, load_config if syntax_only else check_config) for path in configs]
    checks += [_check(path, partial(_load_web, files=not syntax_only)) for path in web_config]
    if OutputFormat(format) is OutputFormat.JSON:
        print(json.dumps([check.as_json() for check in checks], indent=2))  # noqa: T201 - the command's output
    else:
        for check in checks:
            check.print()
    return max(check.code for check in checks)


class _Check(msgspec.Struct, frozen=True):
    path: Path
    code: int = 0
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        fields = ("file", "line", "column", "path", "message")
        return {
            "file": str(self.path),
            "valid": not self.problems,
            "problems": [{name: getattr(problem, name) for name in fields} for problem in self.problems],
            "warnings": list(self.warnings),
        }

    def print(self) -> None:
        paint = Painter(sys.stdout)
        for problem in self.problems:
            say_problem(problem)
        for warning in self.warnings:
            print(paint(f"{self.path}: warning:", Style.YELLOW), warning)  # noqa: T201 - the command's output
        if not self.problems:
            print(paint(f"{self.path}: can be used", Style.GREEN))  # noqa: T201 - the command's output


def _load_web(path: Path, *, files: bool) -> None:
    from promscout.web.access.config_file import load_web_config  # noqa: PLC0415 - most checks are of other files

    load_web_config(path, files=files)


def _check(path: Path, load: Callable[[Path], Config | None]) -> _Check:
    try:
        config = load(path)
        return _Check(path, warnings=config.warnings if config is not None else ())
    except ConfigError as error:
        code = CANNOT_RUN if isinstance(error, ConfigUnreadable) else FAILED
        return _Check(path, code, problems=error.problems)
