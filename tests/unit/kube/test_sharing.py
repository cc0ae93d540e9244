from __future__ import annotations

import copy

import msgspec

from promscout.kube.objects import Pod
from promscout.kube.sharing import CAPACITY, LONGEST, StringPool


def _pod(**meta):
    container = {"name": "app", "image": "app:1", "ports": [{"containerPort": 80, "name": "http", "protocol": "TCP"}]}
    raw = {
        "metadata": {"name": "a", "namespace": "shop", "labels": {"app": "web"}, "annotations": {"a": "b"}} | meta,
        "spec": {"nodeName": "n1", "containers": [container]},
        "status": {"phase": "Running", "hostIP": "127.0.0.9", "containerStatuses": [{"name": "app"}]},
    }
    return msgspec.json.decode(msgspec.json.encode(raw), type=Pod)


def test_a_shared_object_is_equal_to_what_it_was_and_holds_the_same_strings_as_another():
    pool, first, second = StringPool(), _pod(), _pod()
    before = copy.deepcopy(first)
    pool.share(first)
    pool.share(second)
    assert first == before
    assert first.metadata.labels["app"] is second.metadata.labels["app"]
    assert first.spec.containers[0].image is second.spec.containers[0].image
    assert first.spec.node_name is second.spec.node_name


def test_long_annotations_are_not_remembered_and_unique_values_do_not_fill_the_pool():
    pool = StringPool()
    pool.share(_pod(annotations={"long": "x" * (LONGEST + 1)}))
    assert "x" * (LONGEST + 1) not in pool._seen
    for number in range(CAPACITY // 100 + 2):
        pool.share(_pod(labels={str(one): f"{number}-{one}" for one in range(100)}))
    assert len(pool._seen) <= CAPACITY + 110
