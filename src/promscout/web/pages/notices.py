"""What needs attention, in words, with the page that says more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from promscout.discovery.kubernetes.status import WatchStatus, degradations
from promscout.store.status import StoreStatus
from promscout.web.pages.providers import ProviderRow, ProviderState
from promscout.web.pages.survey import Survey
from promscout.web.receivers import DeliveryState, delivery_state
from promscout.write.status import QueueStatus

TROUBLES_SHOWN: Final = 8
"""Different errors of targets that are told one by one."""

_STAYS: Final = "targets stay as they were last known"


class Notice(msgspec.Struct, frozen=True):
    """One thing: something fails, or with ``is_bad`` false something is not yet as it should be."""

    title: str
    detail: str
    url: str
    is_bad: bool = True


def discovery_notices(providers: Iterable[ProviderRow], watches: Sequence[WatchStatus]) -> Iterator[Notice]:
    """Watches and other providers that fail, labels that are missing, and what has not been listed yet."""
    for watch in watches:
        if watch.jobs and watch.error:
            detail = f"{', '.join(watch.jobs)}: {_STAYS}. {watch.error}"
            yield Notice(f"Watching {watch.resource} fails", detail, "/discovery")
    for one in degradations(watches):
        detail = f"in job {one.job} ({one.reason}). {one.error}"
        yield Notice(f"Targets lack the labels of {one.resource}", detail, "/discovery", is_bad=False)
    for row in providers:
        jobs = ", ".join(row.jobs)
        if row.state is ProviderState.WAITING:
            detail = f"{row.name} has not listed its targets yet ({jobs})"
            yield Notice("Discovery is under way", detail, "/discovery", is_bad=False)
        elif row.state is ProviderState.FAILING and row.mechanism != "kubernetes":  # whose watches are told above
            yield Notice(f"Discovery by {row.name} fails", f"{jobs}: {_STAYS}. {row.error}", "/discovery")


def target_notices(survey: Survey) -> Iterator[Notice]:
    """Targets that are down, by error."""
    for one in survey.troubles[:TROUBLES_SHOWN]:
        yield Notice(f"{one.count:,} \N{MULTIPLICATION SIGN} {one.error}", f"in job {one.job}", one.url)
    left = survey.troubles[TROUBLES_SHOWN:]
    if left:
        title = f"{sum(one.count for one in left):,} more targets are down"
        yield Notice(title, f"with {len(left):,} other errors", "/targets?health=down")


def delivery_notices(queues: Iterable[QueueStatus]) -> Iterator[Notice]:
    """Every receiver that does not get what it should."""
    for queue in queues:
        state = delivery_state(queue)
        if state is DeliveryState.FAILING:
            yield Notice(f"Receiver {queue.name} cannot be reached", queue.last_error, "/remote-write")
        elif state is DeliveryState.REJECTING:
            yield Notice(f"Receiver {queue.name} rejects samples", queue.last_error, "/remote-write")
        elif state is DeliveryState.BEHIND:
            detail = f"{queue.pending_samples:,} samples wait"
            yield Notice(f"Receiver {queue.name} is behind", detail, "/remote-write", is_bad=False)


def store_notices(store: StoreStatus | None) -> Iterator[Notice]:
    """Whether samples are kept."""
    if store is not None and store.error:
        yield Notice("The local store cannot be written", store.error, "/graph")
