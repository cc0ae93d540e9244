"""Answers list requests from the store: which objects, in which state, and how to go on."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from promscout.sim import status
from promscout.sim.objects import Stored, sort_key
from promscout.sim.query import ContinueToken, ListOptions
from promscout.sim.resources import Resource
from promscout.sim.status import Refusal
from promscout.sim.store import ObjectStore


@dataclass(frozen=True, slots=True)
class ListPage:
    """One answer: the objects, the state they are of, and the token of the rest (empty: there is no rest).

    ``remaining`` counts the rest; it is None where the server does not count: with a selector.
    """

    revision: int
    items: Sequence[Stored]
    token: str = ""
    remaining: int | None = None


def list_page(store: ObjectStore, resource: Resource, namespace: str, options: ListOptions) -> ListPage:
    """The page of objects that ``options`` ask for. All pages of one list are of the state of its first page.

    Raises:
        Refusal: 410 for a compacted state, 504 for one that is not there yet.
    """
    revision = _state_wanted(store, options)
    try:
        items = store.state_at(resource, revision) if revision < store.revision else store.list(resource, namespace)
    except Refusal:
        if options.token is None:
            raise
        raise status.continue_expired(ContinueToken(-1, options.token.after).encode()) from None
    if options.token is not None:
        items = items[
            bisect.bisect_right(items, sort_key(options.token.after), key=lambda stored: sort_key(stored.key)) :
        ]
    if namespace:
        items = [stored for stored in items if stored.namespace == namespace]
    if options.selector:
        items = [stored for stored in items if options.selector.matches(stored.labels, stored.fields)]
    if not options.limit or len(items) <= options.limit:
        return ListPage(revision, items)
    page = items[: options.limit]
    remaining = None if options.selector else len(items) - len(page)
    return ListPage(revision, page, ContinueToken(revision, page[-1].key).encode(), remaining)


def _state_wanted(store: ObjectStore, options: ListOptions) -> int:
    if options.token is not None:
        return store.revision if options.token.revision < 0 else options.token.revision
    if options.revision is not None and options.revision > store.revision:
        raise status.too_large_version(options.revision, store.revision)
    return options.revision if options.exact and options.revision is not None else store.revision
