"""How commands end, and what they say then."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Final

from promscout.errors import Problem
from promscout.terminal import Painter, Style

FAILED: Final = 1
"""The exit code of a command that has done its work, which found something wrong."""

CANNOT_RUN: Final = 2
"""The exit code of a command that could not do its work; also of wrong usage."""


class OutputFormat(StrEnum):
    """How a command prints its result."""

    TEXT = "text"
    JSON = "json"


class TableFormat(StrEnum):
    """How a command prints rows."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"


def say(message: str) -> None:
    """Tell people why promscout ends, whatever the log format."""
    paint = Painter(sys.stderr)
    print(paint("promscout:", Style.RED), message, file=sys.stderr)  # noqa: T201 - the command's output


def say_problem(problem: Problem) -> None:
    """Tell people what is wrong in a configuration, a line each."""
    paint = Painter(sys.stderr)
    place = problem.file if problem.line == 0 else f"{problem.file}:{problem.line}:{problem.column}"
    parts = [paint(f"{place}:", Style.BOLD)]
    if problem.path:
        parts.append(paint(f"{problem.path}:", Style.CYAN))
    print(*parts, problem.message, file=sys.stderr)  # noqa: T201 - the command's output


def say_warning(file: str, warning: str) -> None:
    """Tell people what they should know about a configuration that can be used."""
    paint = Painter(sys.stderr)
    print(paint(f"{file}: warning:", Style.YELLOW), warning, file=sys.stderr)  # noqa: T201 - the command's output
