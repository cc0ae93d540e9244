"""Metrics of list and watch that nobody reads."""

from __future__ import annotations


class Uncounted:
    """A ``ReflectorMetrics`` that forgets; a test overrides what it looks at."""

    def requested(self, status_code: str) -> None:
        pass

    def took(self, endpoint: str, seconds: float) -> None:
        pass

    def failed(self, resource: str) -> None:
        pass
