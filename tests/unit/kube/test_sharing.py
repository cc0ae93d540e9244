from __future__ import annotations

import copy

import msgspec

from promscout.kube.objects import Endpoints, EndpointSlice, Pod
from promscout.kube.sharing import CAPACITY, LONGEST, TABLES, StringPool


def _decoded(raw, kind):
    return msgspec.json.decode(msgspec.json.encode(raw), type=kind)


def _pod(**meta):
    container = {"name": "app", "image": "app:1", "ports": [{"containerPort": 80, "name": "http", "protocol": "TCP"}]}
    owner = {"kind": "ReplicaSet", "name": "web-1", "controller": True}
    metadata = {"name": "a", "namespace": "shop", "labels": {"app": "web"}, "annotations": {"a": "b"}}
    raw = {
        "metadata": metadata | {"ownerReferences": [owner]} | meta,
        "spec": {"nodeName": "n1", "containers": [container], "initContainers": [container]},
        "status": {
            "phase": "Running",
            "hostIP": "127.0.0.9",
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "Initialized", "status": "True"}],
            "containerStatuses": [{"name": "app"}],
        },
    }
    return _decoded(raw, Pod)


def _slice():
    endpoint = {
        "addresses": ["127.0.0.2"],
        "conditions": {"ready": True},
        "nodeName": "n1",
        "zone": "z",
        "targetRef": {"kind": "Pod", "namespace": "shop", "name": "a"},
    }
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    return _decoded(
        {"metadata": {"name": "s"}, "endpoints": [endpoint, {"addresses": []}], "ports": ports}, EndpointSlice
    )


def _endpoints():
    ref = {"kind": "Pod", "namespace": "shop", "name": "a"}
    address = {"ip": "127.0.0.2", "nodeName": "n1", "targetRef": ref}
    return _decoded({"metadata": {"name": "e"}, "subsets": [{"addresses": [address, {"ip": "127.0.0.3"}]}]}, Endpoints)


def test_a_shared_object_is_equal_to_what_it_was_and_holds_the_same_parts_as_another():
    pool, first, second = StringPool(), _pod(), _pod()
    before = copy.deepcopy(first)
    pool.share(first)
    pool.share(second)
    assert first == before
    assert first.metadata.labels is second.metadata.labels
    assert first.metadata.annotations is second.metadata.annotations
    assert first.metadata.owner_references is second.metadata.owner_references
    assert first.spec.containers is second.spec.containers
    assert first.spec.init_containers is second.spec.init_containers
    assert first.spec.node_name is second.spec.node_name
    assert first.status.conditions is second.status.conditions


def test_endpoints_share_what_they_say_of_their_pods():
    pool, first, second = StringPool(), _slice(), _slice()
    before = copy.deepcopy(first)
    pool.share(first)
    pool.share(second)
    assert first == before
    assert first.ports is second.ports
    assert first.endpoints[0].conditions is second.endpoints[0].conditions
    assert first.endpoints[0].zone is second.endpoints[0].zone
    assert first.endpoints[0].target_ref.namespace is second.endpoints[0].target_ref.namespace

    first, second = _endpoints(), _endpoints()
    before = copy.deepcopy(first)
    pool.share(first)
    pool.share(second)
    assert first == before
    assert first.subsets[0].addresses[0].node_name is second.subsets[0].addresses[0].node_name


def test_labels_of_the_same_words_in_other_places_are_not_taken_for_each_other():
    pool = StringPool()
    tables = [{"a": "b", "c": "d"}, {"a": "c", "b": "d"}, {"a": "b"}, {"b": "a"}]
    pods = [_pod(labels=dict(table)) for table in tables]
    for pod in pods:
        pool.share(pod)
    assert [pod.metadata.labels for pod in pods] == tables


def test_parts_that_are_equal_but_for_one_value_share_the_others():
    pool = StringPool()
    first, second = _pod(labels={"app": "web", "pod": "1"}), _pod(labels={"app": "web", "pod": "2"})
    pool.share(first)
    pool.share(second)
    assert first.metadata.labels["app"] is second.metadata.labels["app"]


def test_long_annotations_are_not_remembered_and_unique_values_do_not_fill_the_pool():
    pool = StringPool()
    pool.share(_pod(annotations={"long": "x" * (LONGEST + 1)}))
    assert "x" * (LONGEST + 1) not in pool._seen
    for number in range(CAPACITY // 100 + 2):
        pool.share(_pod(labels={str(one): f"{number}-{one}" for one in range(100)}))
    assert len(pool) <= CAPACITY + TABLES + 110


def test_what_a_cleared_pool_has_seen_is_forgotten():
    pool = StringPool()
    pool.share(_pod())
    pool.clear()
    assert len(pool) == 0
