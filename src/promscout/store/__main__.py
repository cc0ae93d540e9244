"""The child process that folds: an ``Order`` as JSON on standard input, a ``Folded`` on standard output."""

from __future__ import annotations

import os
import sys
from typing import Final

import msgspec

from promscout.store.fold import fold
from promscout.store.order import Order

_NICE: Final = 10  # scrapes and everything else come first


def main() -> None:
    """Do what the order says."""
    os.nice(_NICE)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    sys.stdout.buffer.write(msgspec.json.encode(fold(order)))


if __name__ == "__main__":
    main()
