"""Groups kept up to date event by event are those that a rebuild from scratch makes, and nothing is built in vain."""

from __future__ import annotations

from contextlib import ExitStack

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from differential.odd_objects import KINDS, OddObjects
from differential.odd_objects import NAMESPACES as NAMESPACES_USED
from promscout.discovery.kubernetes.collection import Needs
from promscout.discovery.kubernetes.config import AttachMetadata, KubernetesSDConfig, NamespaceDiscovery, Role
from promscout.discovery.kubernetes.roles import ROLES, RoleGroups
from promscout.discovery.metrics import DiscoveryMetrics
from promscout.httpclient.config import HTTPClientConfig
from promscout.kube.access import ClusterAccess
from promscout.kube.events import decode_event
from promscout.kube.informer import Informer, InformerKey
from promscout.kube.resource import (
    ENDPOINT_SLICES,
    ENDPOINTS,
    INGRESSES,
    JOBS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    SERVICES,
)

CHECK = settings(deadline=None, max_examples=25)
ACCESS = ClusterAccess("http://127.0.0.1:1", HTTPClientConfig())
METRICS = DiscoveryMetrics(CollectorRegistry())

RESOURCES = {
    resource: sim
    for resource in (
        PODS,
        NODES,
        NAMESPACES,
        SERVICES,
        ENDPOINTS,
        ENDPOINT_SLICES,
        INGRESSES,
        REPLICA_SETS,
        JOBS,
    )
    for sim in KINDS
    if sim.plural == resource.plural
}


def decoded(resource, raw):
    """The object as a watch delivers it."""
    return decode_event(msgspec.json.encode({"type": "ADDED", "object": raw}), resource).object


MOSTLY = st.sampled_from((True, True, True, False))
ATTACH = st.builds(AttachMetadata, node=MOSTLY, namespace=MOSTLY, deployment=MOSTLY, job=MOSTLY, cronjob=MOSTLY)
SPACES = st.sampled_from((NamespaceDiscovery(), NamespaceDiscovery(names=("shop", "infra"))))


def _config(role, attach, spaces):
    return KubernetesSDConfig(role=role, api_server=ACCESS.url, attach_metadata=attach, namespaces=spaces)


# Events, as (method of World, arguments). Objects are made from seeds: hypothesis prefers what is small and empty, and
# then hardly an object refers to another.

SEEDS = st.integers(0, 2**32)
RESOURCE = st.sampled_from(tuple(RESOURCES))
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(("put", "alter", "alter", "delete", "replace")), st.tuples(RESOURCE, SEEDS)),
        st.sampled_from((("drain", ()), ("drain", ()), ("drain", ()), ("nodes_are_listed", ()))),
    ),
    min_size=40,
    max_size=80,
)


class FakeInformers:
    """Hands out informers whose stores the test fills itself."""

    def __init__(self):
        self.informers = {}

    def acquire(self, access, resource, scope):
        key = InformerKey(access, resource, scope)
        informer = self.informers.setdefault(key, Informer(key))
        informer.users += 1
        return informer

    def release(self, informer):
        informer.users -= 1

    def of(self, resource):
        return [one for key, one in self.informers.items() if key.resource is resource]


class Queue:
    """The keys that need work, without the event loop that a WorkQueue tells the time by."""

    def __init__(self):
        self.keys = {}

    def add(self, key):
        self.keys[key] = None

    def take(self):
        keys, self.keys = self.keys, {}
        return keys


class World:
    """Stores full of objects, and one role's groups as a consumer of its queue has them."""

    def __init__(self, config, seed, exit_stack):
        self.config = config
        self.shared = FakeInformers()
        self.queue = Queue()
        needs = exit_stack.enter_context(Needs(self.shared, ACCESS, config))
        self.groups = RoleGroups(needs, config, self.queue, METRICS)
        self.published = {}
        self.objects = {resource: {} for resource in RESOURCES}  # as JSON, by namespace and name
        for number, resource in enumerate(RESOURCES):
            self.replace(resource, seed + number, absent=0.2)
        self.drain()

    # Events

    def put(self, resource, seed):
        """A new object, or another of the same name."""
        odd = OddObjects(seed)
        self._put(resource, *_made(odd, resource, odd.pick(*_places(resource))))

    def alter(self, resource, seed):
        """One part of an object becomes another."""
        odd = OddObjects(seed)
        if not self.objects[resource]:
            return
        place = odd.pick(*sorted(self.objects[resource]))
        raw, (_, other) = self.objects[resource][place], _made(odd, resource, place)
        part = odd.pick("labels", "annotations", "ownerReferences", *sorted((raw.keys() | other.keys()) - {"metadata"}))
        if part in ("labels", "annotations", "ownerReferences"):
            self._put(resource, place, {**raw, "metadata": {**raw["metadata"], part: other["metadata"].get(part)}})
        else:
            self._put(resource, place, {**raw, part: other.get(part)})

    def delete(self, resource, seed):
        place = OddObjects(seed).pick(*_places(resource))
        self.objects[resource].pop(place, None)
        for informer in self._informers(resource, place[0]):
            informer.store.delete(_key(place))

    def replace(self, resource, seed, *, absent=0.5):
        """A list after which many objects are other ones, or gone."""
        odd = OddObjects(seed)
        made = (_made(odd, resource, place) for place in _places(resource))
        self.load(resource, {place: raw for place, raw in made if not odd.maybe(absent)})

    def load(self, resource, objects):
        self.objects[resource] = objects
        _fill(self.shared, resource, objects)

    def nodes_are_listed(self):
        _complete(self.shared, NODES)

    def drain(self):
        for key in self.queue.take():
            group = self.groups.build(key)
            if group is None:
                continue
            if group.is_empty:
                self.published.pop(group.source, None)
            else:
                self.published[group.source] = group

    # What must hold

    def rebuilt(self):
        """The groups from scratch, over stores of their own; where a build leaves the last group, the one published."""
        fresh = FakeInformers()
        with Needs(fresh, ACCESS, self.config) as needs:
            groups = RoleGroups(needs, self.config, Queue(), METRICS)
            for resource, objects in self.objects.items():
                _fill(fresh, resource, objects)
            if any(one.synced for one in self.shared.of(NODES)):
                _complete(fresh, NODES)
            prefix = ROLES[self.config.role].prefix
            built = {f"{prefix}/{key}": groups.build(key) for key in groups.keys()}  # noqa: SIM118 - it is no dict
        left = {source: self.published.get(source) if one is None else one for source, one in built.items()}
        return {source: one for source, one in left.items() if one is not None and not one.is_empty}

    def _put(self, resource, place, raw):
        self.objects[resource][place] = raw
        for informer in self._informers(resource, place[0]):
            informer.store.put(_key(place), decoded(resource, raw))

    def _informers(self, resource, namespace):
        return [one for one in self.shared.of(resource) if one.key.scope.namespace in ("", namespace)]


def _fill(informers, resource, objects):
    for informer in informers.of(resource):
        space = informer.key.scope.namespace
        informer.store.replace(
            {_key(place): decoded(resource, raw) for place, raw in objects.items() if space in ("", place[0])}
        )


def _complete(informers, resource):
    for informer in informers.of(resource):
        informer._has_synced()


def _places(resource):
    """(namespace, name) of every object that there may be."""
    sim = RESOURCES[resource]
    return [(space, name) for space in (NAMESPACES_USED if sim.namespaced else ("",)) for name in KINDS[sim][1]]


def _made(odd, resource, place):
    space, name = place
    return place, KINDS[RESOURCES[resource]][2](odd, name, space or None)


def _key(place):
    space, name = place
    return f"{space}/{name}" if space else name


def _play(world, events):
    for method, arguments in events:
        getattr(world, method)(*arguments)


@pytest.mark.parametrize("role", Role)
@CHECK
@given(attach=ATTACH, spaces=SPACES, seed=SEEDS, events=EVENTS)
def test_after_any_events_the_groups_equal_a_rebuild(role, attach, spaces, seed, events):
    config = _config(role, attach, spaces)
    with ExitStack() as stack:
        world = World(config, seed, stack)
        for method, arguments in (*events, ("drain", ())):
            getattr(world, method)(*arguments)
            if method == "drain":
                assert world.published == world.rebuilt()
                assert not world.queue.keys, "building groups queues nothing"
    assert all(one.users == 0 and not one.store._handlers for one in world.shared.informers.values())


@pytest.mark.parametrize("role", Role)
@CHECK
@given(attach=ATTACH, spaces=SPACES, seed=SEEDS, events=EVENTS)
def test_what_no_group_shows_queues_nothing(role, attach, spaces, seed, events):
    config = _config(role, attach, spaces)
    with ExitStack() as stack:
        world = World(config, seed, stack)
        _play(world, (*events, ("drain", ())))
        for resource, objects in world.objects.items():
            world.load(resource, dict(objects))
        assert not world.queue.keys, "the same list again"
        for resource in (NODES, NAMESPACES) if config.role is not Role.NODE else ():
            for place, raw in world.objects[resource].items():
                _, other = _made(OddObjects(seed), resource, place)
                world._put(resource, place, {**other, "metadata": raw["metadata"]})
        assert not world.queue.keys, "heartbeats: other addresses and conditions, the same labels and annotations"
        for resource in RESOURCES.keys() - {ROLES[config.role].resource}:
            space = "shop" if RESOURCES[resource].namespaced else ""
            world._put(resource, *_made(OddObjects(seed), resource, (space, "stranger")))
            world.load(resource, {})
            world.drain()
            assert world.published == world.rebuilt()
            world._put(resource, *_made(OddObjects(seed), resource, (space, "stranger")))
            assert not world.queue.keys, "an object that nothing refers to"


@pytest.mark.parametrize("role", Role)
@CHECK
@given(attach=ATTACH, spaces=SPACES, seed=SEEDS, events=EVENTS)
def test_groups_that_are_gone_leave_nothing_behind(role, attach, spaces, seed, events):
    config = _config(role, attach, spaces)
    primary = ROLES[config.role].resource
    with ExitStack() as stack:
        world = World(config, seed, stack)
        _play(world, (*events, ("drain", ())))
        world.load(primary, {})
        world.drain()
        assert world.published == {}
        assert (world.groups._uses._used, world.groups._uses._users) == ({}, {})
        for resource in RESOURCES.keys() - {primary}:
            world.load(resource, {})
        assert not world.queue.keys, "nobody is left to be touched by other objects"


@CHECK
@given(spaces=SPACES, seed=SEEDS, events=EVENTS)
def test_where_node_metadata_is_asked_for_pods_of_unknown_nodes_go_when_the_nodes_are_listed(spaces, seed, events):
    config = _config(Role.POD, AttachMetadata(node=True), spaces)
    with ExitStack() as stack:
        world = World(config, seed, stack)
        _play(world, [one for one in events if one[0] != "nodes_are_listed"])
        world.drain()
        addressed = {
            f"pod/{key}"
            for informer in world.shared.of(PODS)
            for key in informer.store
            if informer.store.get(key).status.pod_ip
        }
        assert world.published.keys() == addressed, "before, a node may exist"
        world.nodes_are_listed()
        world.drain()
        (nodes,) = world.shared.of(NODES)
        assert all(
            one.labels_of(0)["__meta_kubernetes_pod_node_name"] in nodes.store for one in world.published.values()
        )
        assert world.published == world.rebuilt()
