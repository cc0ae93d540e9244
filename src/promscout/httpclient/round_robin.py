"""Requests for a name to one of its addresses after the other."""

from __future__ import annotations

from promscout.httpclient.answer import NoAnswer
from promscout.httpclient.dialing import Place
from promscout.httpclient.resolver import Resolver


class RoundRobin:
    """Names for each request another address of its host than for the one before.

    A request that cannot be sent to its address has failed; the next goes to another one. Addresses are asked for
    again as often as ``Resolver`` does, which is also when new ones get requests.

    Source: prometheus v3.x storage/remote/dial_context.go, which takes any address for each new connection.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._turns: dict[str, int] = {}

    async def choose(self, place: Place) -> Place | NoAnswer:
        """``place`` at one address; places with different addresses have connections of their own."""
        if place.unix_socket:
            return place
        addresses = await self._resolver.resolve(place.host)
        if isinstance(addresses, str):
            return NoAnswer(addresses)
        turn = self._turns[place.host] = self._turns.get(place.host, -1) + 1
        # Sorted, because the resolver puts the one first that was connected to last.
        return place.at(sorted(addresses)[turn % len(addresses)])
