"""Every exception that promscout raises on purpose, by who is at fault.

    PromscoutError
    ├── ConfigError            the user's configuration; carries every problem found, each with its place
    │   └── ConfigUnreadable   the file cannot be opened or read at all
    ├── InvalidValueError      one value of a configuration, before its place is known (also a ValueError)
    │   ├── LabelLimitError    a sample's labels exceed a limit of its job
    │   └── BucketLimitError   a native histogram has more buckets than its job allows
    ├── KubeError              the API server, or the way to it
    │   ├── ApiStatusError     it answered with a failure status (code, reason, message)
    │   │   └── ExpiredError   410 Gone or reason Expired: list again
    │   └── ApiUnreachableError  no usable answer: refused, reset, timed out, not JSON
    ├── ExpositionError        a scraped body that cannot be parsed (line and column, or message and byte)
    ├── discovery.refresh.RefreshFailed  what there is now cannot be found out; targets stay
    ├── data_dir.DataDirError  the data directory cannot be used
    ├── web.ListenError        the address cannot be listened on (also an OSError)
    └── demo.DemoFailed        the demo did not reach what it promises

A class exists only because somebody catches it. Messages name the place (file:line, key, job, target) and never
carry a secret or a response body. A failed scrape is a value (a report), not an exception.
"""

from __future__ import annotations

import msgspec


class PromscoutError(Exception):
    """Base of all errors raised on purpose."""


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong in a configuration file.

    ``line`` and ``column`` count from 1; 0 means "the file as a whole". ``path`` is the key path as written in error
    messages, for example ``scrape_configs[2].relabel_configs[0].regex``, or empty for the whole document.
    """

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = self.file if self.line == 0 else f"{self.file}:{self.line}:{self.column}"
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class ConfigError(PromscoutError):
    """A configuration that cannot be used; ``problems`` is never empty and sorted by place."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class ConfigUnreadable(ConfigError):  # noqa: N818 - reads as what it is: the file is unreadable
    """The configuration file itself cannot be opened or read."""


class InvalidValueError(PromscoutError, ValueError):
    """A value that a configuration type refuses.

    ``key`` names the field of the refusing struct that is at fault, or is None when the struct as a whole is
    (the decoder adds file, line and path).
    """

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class LabelLimitError(InvalidValueError):
    """The labels of a sample are more, or longer, than its job allows: told apart because such scrapes are counted."""


class BucketLimitError(InvalidValueError):
    """A native histogram has more buckets than its job allows: told apart because such scrapes are counted."""


class KubeError(PromscoutError):
    """The API server, or the way to it, is at fault."""


class ApiStatusError(KubeError):
    """The API server answered with a failure, as an HTTP status or as an ERROR event inside a watch.

    ``reason`` is the machine-readable word of the Status object (``Forbidden``, ``NotFound`` …) or empty.
    ``retry_after`` is the server's request to wait, in seconds, where it made one.
    """

    def __init__(self, code: int, reason: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{code} {reason}: {message}" if reason else f"{code}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


class ExpiredError(ApiStatusError):
    """The resource version or continue token is too old (410 Gone): the list must start anew."""


class ApiUnreachableError(KubeError):
    """No usable answer: connection refused or reset, time-out, a body that is not what the API promises."""


class ExpositionError(PromscoutError):
    """A scraped body that is not valid in its format.

    ``line`` and ``column`` count from 1. In a format of messages they are a message's number and a byte of the body,
    which ``places`` calls by their names. ``samples`` is how many samples count as read all the same: those that stand
    before that place, where whoever reads the body counts them, and a series that could be read but not stored.
    """

    def __init__(
        self, message: str, line: int, column: int = 0, *, places: tuple[str, str] = ("line", "column")
    ) -> None:
        place = f"{places[0]} {line}" + (f", {places[1]} {column}" if column else "")
        super().__init__(f"{place}: {message}")
        self.line = line
        self.column = column
        self.samples = 0
