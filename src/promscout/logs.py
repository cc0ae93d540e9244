"""What the program says on stderr: events with facts, through the standard library's logging."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Self, TextIO, TypeAlias

from promscout.terminal import Painter, Style

Fields: TypeAlias = Mapping[str, object]
"""All of a line: ``ts``, ``level``, ``logger``, ``msg``, the facts, and ``exception`` where there is one."""

_LEVEL_STYLES: Final = {"debug": Style.DIM, "info": Style.GREEN, "warning": Style.YELLOW}


class LogFormat(StrEnum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """The least severe lines that are shown."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class EventLog:
    """Writes events with facts: ``log.warning("scrape failed", url=url)``. A record has them as ``record.facts``."""

    def __init__(self, name: str, facts: Fields | None = None) -> None:
        self._logger = logging.getLogger(name)
        self._facts = facts or {}

    def bind(self, **facts: object) -> Self:
        """A log of which every line has these facts, too."""
        return type(self)(self._logger.name, {**self._facts, **facts})

    def debug(self, event: str, **facts: object) -> None:
        """What helps to find a fault."""
        self._write(logging.DEBUG, event, facts)

    def info(self, event: str, **facts: object) -> None:
        """What users may want to know, though all is well."""
        self._write(logging.INFO, event, facts)

    def warning(self, event: str, **facts: object) -> None:
        """What goes wrong, and may go by itself."""
        self._write(logging.WARNING, event, facts)

    def error(self, event: str, *, exc_info: BaseException | None = None, **facts: object) -> None:
        """What needs somebody to look at it."""
        self._write(logging.ERROR, event, facts, exc_info)

    def exception(self, event: str, **facts: object) -> None:
        """An error, with the exception that is being handled."""
        self._write(logging.ERROR, event, facts, sys.exception())

    def _write(self, level: int, event: str, facts: Fields, error: BaseException | None = None) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, exc_info=error, extra={"facts": {**self._facts, **facts}})


def configure_logs(level: LogLevel, form: LogFormat, stream: TextIO = sys.stderr) -> None:
    """Send every log line of the process, libraries' included, to ``stream``.

    Text is for people on a terminal (in colours, unless ``NO_COLOR`` is set) and logfmt elsewhere; JSON is one object
    a line.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Formatter(_writer(form, stream)))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # Its requests are the web server's business at debug level only.
    logging.getLogger("aiohttp.access").setLevel(logging.DEBUG if level is LogLevel.DEBUG else logging.WARNING)


class _Formatter(logging.Formatter):
    def __init__(self, write: Callable[[Fields], str]) -> None:
        super().__init__()
        self._write = write

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return self._write(fields)


def _writer(form: LogFormat, stream: TextIO) -> Callable[[Fields], str]:
    if form is LogFormat.JSON:
        return _json
    return _Console(Painter(stream)) if stream.isatty() else _logfmt


def _json(fields: Fields) -> str:
    return json.dumps(fields, default=str)


def _logfmt(fields: Fields) -> str:
    return " ".join(f"{name}={_quoted(value)}" for name, value in fields.items())


def _quoted(value: object) -> str:
    """The value in one line, in quotes where it would not be one word."""
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if not text.isprintable():
        return json.dumps(text)
    return json.dumps(text, ensure_ascii=False) if any(sign in text for sign in ' ="\\') else text


class _Console:
    """Lines for people: the exception below, as Python shows it."""

    def __init__(self, paint: Painter) -> None:
        self._paint = paint

    def __call__(self, fields: Fields) -> str:
        facts = dict(fields)
        ts, level, logger, event, exception = (
            str(facts.pop(name, "")) for name in ("ts", "level", "logger", "msg", "exception")
        )
        paint = self._paint
        parts = [
            paint(ts, Style.DIM),
            paint(f"{level:7}", _LEVEL_STYLES.get(level, Style.RED)),
            paint(event, Style.BOLD),
            *(f"{paint(name, Style.CYAN)}={_quoted(value)}" for name, value in facts.items()),
            paint(f"[{logger}]", Style.DIM),
        ]
        return " ".join(parts) + (f"\n{exception}" if exception else "")
