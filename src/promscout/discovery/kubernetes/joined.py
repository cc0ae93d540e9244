"""What a group shows of other objects than its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import msgspec

from promscout.kube.objects import Namespace, Node, Owned, Pod, Service
from promscout.model.labels import LabelRow

T = TypeVar("T")

Lookup: TypeAlias = Callable[[str], T | None]
"""Gives the object under a store key, or None."""


def nothing(_key: str) -> None:
    """The lookup of a store that is empty."""


class Joined(msgspec.Struct, frozen=True):
    """Lookups of the objects that a role joins; None where the configuration does not ask for that object.

    ``derive_pod`` gives a function of the pod under a key, and may remember it for all groups that show the pod.
    ``nodes_are_complete`` tells whether a node that is not found does not exist (or is filtered by a selector), as
    opposed to not being known.
    """

    node: Lookup[Node] | None = None
    namespace: Lookup[Namespace] | None = None
    replica_set: Lookup[Owned] | None = None
    job: Lookup[Owned] | None = None
    job_names: bool = False
    service: Lookup[Service] = nothing
    pod: Lookup[Pod] = nothing
    derive_pod: Callable[[str, Callable[[Pod], LabelRow]], LabelRow | None] = lambda _key, _function: None
    nodes_are_complete: Callable[[], bool] = lambda: True
