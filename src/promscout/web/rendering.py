"""Makes pages of the templates. Imported for the first page."""

from __future__ import annotations

from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from promscout import __version__
from promscout.model.clock import rfc3339


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
    for unit in ("B", "KiB", "MiB"):
        if amount < 999.5:
            return f"{amount:.3g} {unit}"
        amount /= 1024
    return f"{amount:.3g} GiB"


def span(seconds: float) -> str:
    """A duration with three digits: ``4.71 ms``, ``1.20 s``."""
    return f"{seconds * 1000:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("promscout.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"ago": ago, "until": until, "size": size, "span": span, "rfc3339": rfc3339}
    environment.globals["version"] = __version__
    return environment


_ENVIRONMENT: Final = _environment()


def render(template: str, **values: object) -> str:
    """The page as HTML; every value is escaped, and one that is missing raises."""
    return _ENVIRONMENT.get_template(template).render(values)
