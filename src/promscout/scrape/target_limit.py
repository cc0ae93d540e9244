"""Whether a pool has more targets than it may have."""

from __future__ import annotations


class TargetLimit:
    """One pool's ``target_limit``, which all of its loops look at before each scrape.

    ``error`` says why no target of the pool may be scraped, or is empty. Noting a number costs the same for any number
    of targets: they find the error here, nobody tells them.

    Source: prometheus v3.x scrape/scrape.go refreshTargetLimitErr.
    """

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error = ""

    def note(self, targets: int, limit: int) -> None:
        """The pool has that many targets; ``limit`` 0 allows any number."""
        if limit and targets > limit:
            self.error = f"target_limit exceeded (number of targets: {targets}, limit: {limit})"
        else:
            self.error = ""
