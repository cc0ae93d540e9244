"""``promscout check``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from promscout.cli.outcome import CANNOT_RUN, FAILED, OutputFormat, say_problem
from promscout.config import Config, check_config, load_config
from promscout.errors import ConfigError, ConfigUnreadable, Problem
from promscout.terminal import Painter, Style


def execute(configs: Sequence[Path], format: str, *, syntax_only: bool) -> int:  # noqa: A002 - the option's name
    """Check files and print what is found; the exit code."""
    checks = [_check(path, load_config if syntax_only else check_config) for path in configs]
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


def _check(path: Path, load: Callable[[Path], Config]) -> _Check:
    try:
        return _Check(path, warnings=load(path).warnings)
    except ConfigError as error:
        code = CANNOT_RUN if isinstance(error, ConfigUnreadable) else FAILED
        return _Check(path, code, problems=error.problems)
