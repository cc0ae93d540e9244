"""Makes pages of the templates. Imported for the first page, which takes some time: not on the event loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from promscout import __version__
from promscout.model.clock import rfc3339

_LONGEST_TEXT: Final = 500  # characters of a label's value


def ago(ms: int) -> str:
    """A span of milliseconds as people say it, in its largest unit."""
    seconds = max(0, ms) / 1000
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago" if seconds >= 1 else "just now"


def until(ms: int) -> str:
    """A span of milliseconds that are still to come, in its largest unit."""
    seconds = max(0, ms) / 1000
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"in {seconds / size:.0f} {unit}"
    return f"in {seconds:.0f} s" if seconds >= 1 else "now"


def size(count: int) -> str:
    """A number of bytes with three digits: ``17 B``, ``4.71 KiB``."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 999.5:
            return f"{amount:.3g} {unit}"
        amount /= 1024
    return f"{amount:.3g} TiB"


def amount(count: int) -> str:
    """A number of things: ``99,999`` as it is, from there on with three digits: ``1.23 M``."""
    if count < 100_000:
        return f"{count:,}"
    thousands = count / 1000
    for unit in ("k", "M", "G"):
        if thousands < 999.5:
            return f"{thousands:.3g} {unit}"
        thousands /= 1000
    return f"{thousands:.3g} T"


def rate(number: float) -> str:
    """A number of things per second: whole ones, and tenths below ten."""
    return f"{number:.1f}" if 0 < number < 9.95 else amount(round(number))


def lasting(seconds: float) -> str:
    """A duration as people say it, in its largest unit and the next: ``2 min 10 s``, ``3 d``."""
    rest = round(seconds)
    parts: list[tuple[int, str]] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        number, rest = divmod(rest, size)
        if parts or number:
            parts.append((number, unit))
    return " ".join(f"{number} {unit}" for number, unit in parts[:2] if number) or "less than 1 s"


def span(seconds: float) -> str:
    """A duration with three digits: ``4.71 ms``, ``1.20 s``."""
    return f"{seconds * 1000:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def short(text: str) -> str:
    """``text`` as far as it can be read at a glance: annotations can have a whole manifest in them."""
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}… ({len(text):,} characters)"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("promscout.web.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "ago": ago,
        "until": until,
        "size": size,
        "amount": amount,
        "rate": rate,
        "span": span,
        "lasting": lasting,
        "rfc3339": rfc3339,
        "short": short,
    }
    environment.globals["version"] = __version__
    for name in environment.list_templates():
        environment.get_template(name)  # it is kept: nothing is left to do for the first page of a kind
    return environment


_ENVIRONMENT: Final = _environment()


def render(template: str, **values: object) -> Iterator[str]:
    """The page as HTML, in small pieces, each made when it is asked for.

    Every value is escaped, and one that is missing raises.
    """
    return _ENVIRONMENT.get_template(template).generate(values)
