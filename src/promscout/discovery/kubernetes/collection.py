"""The informers that a discoverer holds, and what it sees through them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Generic, Self, TypeVar

from promscout.discovery.kubernetes.config import KubernetesSDConfig, Role
from promscout.kube.access import ClusterAccess
from promscout.kube.informer import Informer, SharedInformers
from promscout.kube.objects import KubeObject
from promscout.kube.resource import Resource, Scope
from promscout.kube.store import Store

T = TypeVar("T", bound=KubeObject)
V = TypeVar("V")


class Collection(Generic[T]):
    """The objects of one resource in all configured namespaces, as one."""

    def __init__(self, informers: Mapping[str, Informer[T]]) -> None:
        self._informers = informers
        self._everywhere = informers.get("")

    def get(self, key: str) -> T | None:
        """The object under ``key``, or None."""
        store = self._store(key)
        return store.get(key) if store is not None else None

    def derived(self, key: str, function: Callable[[T], V]) -> V | None:
        """``function`` of the object under ``key``, shared by all who ask for it; None without such an object."""
        store = self._store(key)
        return store.derived(key, function) if store is not None else None

    def _store(self, key: str) -> Store[T] | None:
        informer = self._everywhere or self._informers.get(key.partition("/")[0])
        return informer.store if informer is not None else None

    def __iter__(self) -> Iterator[str]:
        for informer in self._informers.values():
            yield from informer.store

    @property
    def synced(self) -> bool:
        """Whether every store has held a complete list."""
        return all(informer.synced for informer in self._informers.values())

    @property
    def informers(self) -> tuple[Informer[T], ...]:
        """The informers behind it, one for each namespace."""
        return tuple(self._informers.values())


class Needs:
    """Takes the informers that one discoverer needs, and gives them back on leaving the context.

    The *primary* resource is the one whose objects become groups. The others are *optional*: they add labels, and
    where one cannot be had, targets are found without those labels.
    """

    def __init__(self, shared: SharedInformers, access: ClusterAccess, config: KubernetesSDConfig) -> None:
        self._shared = shared
        self._access = access
        self._config = config
        self._exit = ExitStack()
        self.primary: list[Informer[Any]] = []
        self.optional: list[Informer[Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._exit.close()

    def collection(
        self, resource: Resource[T], role: Role | None, *, namespaced: bool, optional: bool = True
    ) -> Collection[T]:
        """The objects of ``resource``, of the configured namespaces if it is ``namespaced``.

        They are narrowed by the selectors that the configuration has for ``role``, if any.
        """
        names = self._namespaces() if namespaced else ("",)
        informers = {name: self._acquire(resource, role, name) for name in names}
        (self.optional if optional else self.primary).extend(informers.values())
        return Collection(informers)

    def on_change(self, collection: Collection[T], handler: Callable[[str, T | None, T | None], None]) -> None:
        """Call ``handler`` at every change of an object while the informers are held."""
        for informer in collection.informers:
            self._exit.callback(informer.store.subscribe(handler))

    def on_synced(self, collection: Collection[T], callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever a store that had no complete list gets one while the informers are held."""
        for informer in collection.informers:
            self._exit.callback(informer.on_synced(callback))

    async def wait(self, *, strict: bool) -> None:
        """Wait until every primary store is complete, and every optional one is, or has failed once.

        ``strict`` waits for all of them to be complete, as Prometheus does.
        """
        for informer in self.primary:
            await informer.wait_synced()
        for informer in self.optional:
            await (informer.wait_synced() if strict else informer.wait_settled())

    def _namespaces(self) -> tuple[str, ...]:
        names = list(self._config.namespaces.names)
        if self._config.namespaces.own_namespace and self._access.own_namespace:
            names.append(self._access.own_namespace)
        return tuple(dict.fromkeys(names)) or ("",)

    def _acquire(self, resource: Resource[T], role: Role | None, namespace: str) -> Informer[T]:
        selector = next((one for one in self._config.selectors if one.role == role), None)
        scope = Scope(namespace, selector.label if selector else "", selector.field if selector else "")
        informer = self._shared.acquire(self._access, resource, scope)
        self._exit.callback(self._shared.release, informer)
        return informer
