"""The pieces that the commands' options are made of."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from promscout.downstream.shards import MOST_SHARDS
from promscout.errors import InvalidValueError
from promscout.model.byte_size import ByteSize
from promscout.model.duration import Duration

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - its only name


def add_command(
    commands: Commands, name: str, summary: str, codes: str, examples: Sequence[str] = ()
) -> argparse.ArgumentParser:
    """Another command; ``codes`` are its exit codes in words."""
    epilog = f"Exit codes: {codes}."
    if examples:
        epilog += "\n\nexamples:\n" + "".join(f"  {example}\n" for example in examples)
    return commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=epilog,
        allow_abbrev=False,
        # Examples are to be copied as they are.
        formatter_class=argparse.RawDescriptionHelpFormatter if examples else argparse.HelpFormatter,
    )


def add_choice(parser: argparse.ArgumentParser, option: str, default: StrEnum, summary: str) -> None:
    """An option whose values are those of an enumeration."""
    parser.add_argument(
        option,
        choices=[one.value for one in type(default)],
        default=default.value,
        help=f"{summary} (default: %(default)s)",
    )


def address(text: str) -> tuple[str, int]:
    """``HOST:PORT``; without a host it is every address."""
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - ":9090" asks for every address


def regex(text: str) -> str:
    """A regular expression, or nothing."""
    from promscout.relabel.regex import Regex  # noqa: PLC0415 - for those who give one

    return _checked(text, lambda: Regex.parse(text))


def external_url(text: str) -> str:
    """The address that users know the server by, or nothing."""
    from promscout.web.external import ExternalURL  # noqa: PLC0415 - for those who give one

    return _checked(text, lambda: ExternalURL.parse(text, 0))


def route_prefix(text: str) -> str:
    """What the path of every URL begins with, or nothing."""
    from promscout.web.external import url_prefix  # noqa: PLC0415 - for those who give one

    return _checked(text, lambda: url_prefix(text))


def _checked(text: str, check: Callable[[], object]) -> str:
    try:
        if text:
            check()
    except InvalidValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def size(text: str) -> ByteSize:
    """A number of bytes above 0."""
    try:
        parsed = ByteSize.parse(text)
    except InvalidValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not parsed:
        raise argparse.ArgumentTypeError("it must be more than 0")
    return parsed


def positive_duration(text: str) -> Duration:
    """A duration above 0."""
    parsed = duration(text)
    if parsed <= 0:
        raise argparse.ArgumentTypeError("it must be more than 0")
    return parsed


def duration(text: str) -> Duration:
    """A duration as Prometheus writes it."""
    try:
        return Duration.parse(text)
    except InvalidValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def number(text: str) -> int:
    """A whole number, 0 or more."""
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 999999")
    return int(text)


def shard_count(text: str) -> int:
    """How many servers share a job's targets."""
    found = positive_number(text)
    if found > MOST_SHARDS:
        raise argparse.ArgumentTypeError(f"at most {MOST_SHARDS} servers can share targets")
    return found


def positive_number(text: str) -> int:
    """A whole number above 0."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1_000_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 999999")
    return int(text)
