"""``promscout config fmt``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from difflib import unified_diff
from pathlib import Path
from tempfile import NamedTemporaryFile

from promscout.cli.outcome import CANNOT_RUN, FAILED, say, say_problem
from promscout.config import read_source
from promscout.config.layout import format_yaml
from promscout.errors import ConfigError, ConfigUnreadable
from promscout.terminal import Painter, Style


def execute(configs: Sequence[Path], *, check: bool, diff: bool, write: bool) -> int:
    """Lay out files anew: print, compare or write them; the exit code."""
    return max(_format(path, check=check, diff=diff, write=write) for path in configs)


def _format(path: Path, *, check: bool, diff: bool, write: bool) -> int:
    try:
        text = read_source(str(path))
        made = format_yaml(text, str(path))
        if write and made != text:
            _replace(path, made)
    except ConfigError as error:
        for problem in error.problems:
            say_problem(problem)
        return CANNOT_RUN if isinstance(error, ConfigUnreadable) else FAILED
    except OSError as error:
        say(f"cannot write {path}: {error.strerror}")
        return CANNOT_RUN
    if diff:
        _print_diff(path, text, made)
    elif check or write:
        if made != text:
            print(f"{path}: {'formatted' if write else 'would be formatted'}")  # noqa: T201 - the command's output
    else:
        sys.stdout.write(made)
    return FAILED if (check or diff) and made != text and not write else 0


def _print_diff(path: Path, before: str, after: str) -> None:
    paint = Painter(sys.stdout)
    styles = {"+": Style.GREEN, "-": Style.RED, "@": Style.CYAN}
    lines = unified_diff(before.splitlines(), after.splitlines(), str(path), f"{path} (formatted)", lineterm="")
    for line in lines:
        print(paint(line, styles[line[0]]) if line[:1] in styles else line)  # noqa: T201 - the command's output


def _replace(path: Path, text: str) -> None:
    """Put ``text`` in the place of a file at once, so that nobody reads half of it. A link stays one."""
    target = path.resolve()
    with NamedTemporaryFile(
        "w", dir=target.parent, prefix=f".{target.name}.", delete=False, encoding="utf-8", newline="\n"
    ) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(target.stat().st_mode & 0o7777)
            Path(file.name).replace(target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
