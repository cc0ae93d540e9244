"""What the program says on stderr."""

from __future__ import annotations

import logging
import sys
from enum import StrEnum
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


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


def configure_logs(level: LogLevel, form: LogFormat, stream: TextIO = sys.stderr) -> None:
    """Send every log line of the process, libraries' included, to ``stream``.

    Text is coloured on a terminal (never with ``NO_COLOR``) and logfmt elsewhere; JSON is one object a line.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_logger_name,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(form, stream)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    # Its requests are the web server's business at debug level only.
    logging.getLogger("aiohttp.access").setLevel(logging.DEBUG if level is LogLevel.DEBUG else logging.WARNING)


def _renderers(form: LogFormat, stream: TextIO) -> list[Processor]:
    if form is LogFormat.JSON:
        return [_message, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    if stream.isatty():
        return [
            structlog.processors.EventRenamer("event"),
            structlog.dev.ConsoleRenderer(timestamp_key="ts", pad_event_to=0),
        ]
    order = ["ts", "level", "logger", "msg"]
    return [
        _message,
        structlog.processors.format_exc_info,
        structlog.processors.LogfmtRenderer(key_order=order, drop_missing=True),
    ]


def _message(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The event under ``msg``, the key that Prometheus's logs use."""
    event["msg"] = event.pop("event", "")
    return event
