"""Who asks for lists, how often, and who has stopped."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec

from promscout.downstream.listings import ListingKey

MOST_CLIENTS: Final = 1000
"""Clients that are remembered, those seen last."""

LATE_AFTER: Final = 2
"""Refresh intervals without a request after which a client is late."""

FORGOTTEN_AFTER_MS: Final = 3_600_000
"""A client that did not come for so long, and is late, is none any more."""

_LONGEST_NAME: Final = 200  # characters of a client's own text that are kept


class ClientKey(msgspec.Struct, frozen=True):
    """A client: one that asks from the same address under the same name for the same list is the same."""

    address: str
    user_agent: str
    job: str
    listing: ListingKey

    @classmethod
    def of(cls, address: str, user_agent: str, job: str, listing: ListingKey) -> ClientKey:
        """With as much of ``user_agent`` as is kept."""
        return cls(address, user_agent[:_LONGEST_NAME], job, listing)


class Visit(msgspec.Struct, frozen=True):
    """A client's last request.

    ``interval`` is the seconds that it says to let pass between two, if it does; ``code`` the answer's status;
    ``targets`` and ``size`` (bytes of the JSON text) are of the list, also when it had that already.
    """

    at_ms: int
    interval: float | None
    code: int
    targets: int = 0
    size: int = 0

    def is_late(self, now_ms: int) -> bool:
        """Whether the next one should have come long ago."""
        return self.interval is not None and now_ms - self.at_ms > LATE_AFTER * self.interval * 1000

    def is_over(self, now_ms: int) -> bool:
        """Whether no next one is expected."""
        return now_ms - self.at_ms > FORGOTTEN_AFTER_MS and (self.interval is None or self.is_late(now_ms))


class ClientTable:
    """Every client's last visit; at most ``MOST_CLIENTS``."""

    def __init__(self) -> None:
        self._visits: OrderedDict[ClientKey, Visit] = OrderedDict()

    def note(self, client: ClientKey, visit: Visit) -> None:
        """Take down a request."""
        self._visits[client] = visit
        self._visits.move_to_end(client)
        if len(self._visits) > MOST_CLIENTS:
            self._visits.popitem(last=False)

    def known(self, now_ms: int) -> list[tuple[ClientKey, Visit]]:
        """Those that are expected to come again, those who came last at the end."""
        for client, visit in tuple(self._visits.items()):
            if visit.is_over(now_ms):
                del self._visits[client]
        return list(self._visits.items())
