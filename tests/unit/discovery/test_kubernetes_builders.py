from __future__ import annotations

import msgspec
import pytest

from promscout.discovery.kubernetes.node import build_node
from promscout.discovery.kubernetes.pod import build_pod
from promscout.kube.objects import Node, Pod
from promscout.model.group import TargetGroup


def _pod(**changes):
    raw = {
        "metadata": {"name": "web-0", "namespace": "shop", "uid": "u-1", "labels": {"app.kubernetes.io/name": "web"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "app", "image": "app:1", "ports": [{"containerPort": 80}]}]},
        "status": {"phase": "Running", "podIP": "127.1.2.3", "hostIP": "127.0.0.9"},
    }
    for path, value in changes.items():
        where = raw
        *parents, last = path.split("__")
        for parent in parents:
            where = where.setdefault(parent, {})
        where[last] = value
    return msgspec.convert(raw, Pod)


def _node(addresses=(("InternalIP", "127.0.0.9"),), **meta):
    raw = {
        "metadata": {"name": "n1", **meta},
        "spec": {"providerID": "sim://n1"},
        "status": {
            "addresses": [{"type": kind, "address": address} for kind, address in addresses],
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "Unknown"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        },
    }
    return msgspec.convert(raw, Node)


def test_a_pod_without_an_address_gives_an_empty_group():
    assert build_pod("shop/web-0", _pod(status__podIP="")) == TargetGroup("pod/shop/web-0")


def test_a_container_without_ports_is_one_target_at_the_bare_address():
    (target,) = build_pod("shop/web-0", _pod(spec__containers=[{"name": "app", "image": "app:1"}])).targets
    assert target == {
        "__address__": "127.1.2.3",
        "__meta_kubernetes_pod_container_name": "app",
        "__meta_kubernetes_pod_container_id": "",
        "__meta_kubernetes_pod_container_image": "app:1",
        "__meta_kubernetes_pod_container_init": "false",
    }


def test_every_port_of_every_protocol_is_a_target_and_init_containers_come_last():
    group = build_pod(
        "shop/web-0",
        _pod(
            spec__containers=[
                {
                    "name": "app",
                    "ports": [{"containerPort": 80, "name": "http", "protocol": "TCP"}, {"containerPort": 53}],
                }
            ],
            spec__initContainers=[{"name": "proxy", "ports": [{"containerPort": 90, "protocol": "UDP"}]}],
            status__containerStatuses=[{"name": "app", "containerID": "containerd://1"}],
            status__initContainerStatuses=[{"name": "proxy", "containerID": "containerd://2"}],
        ),
    )
    prefix = "__meta_kubernetes_pod_container_"
    assert [
        (t["__address__"], t[prefix + "id"], t[prefix + "port_protocol"], t[prefix + "init"]) for t in group.targets
    ] == [
        ("127.1.2.3:80", "containerd://1", "TCP", "false"),
        ("127.1.2.3:53", "containerd://1", "", "false"),
        ("127.1.2.3:90", "containerd://2", "UDP", "true"),
    ]


def test_an_ipv6_address_stands_in_brackets_before_a_port_and_bare_without():
    with_port = build_pod("shop/web-0", _pod(status__podIP="::1"))
    without = build_pod("shop/web-0", _pod(status__podIP="::1", spec__containers=[{"name": "app"}]))
    assert with_port.targets[0]["__address__"] == "[::1]:80"
    assert without.targets[0]["__address__"] == "::1"


@pytest.mark.parametrize(
    ("conditions", "ready"),
    [
        ([{"type": "Ready", "status": "True"}], "true"),
        ([{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "False"}], "false"),
        ([{"type": "Initialized", "status": "True"}], "unknown"),
        ([], "unknown"),
    ],
)
def test_readiness_is_the_ready_condition_in_lower_case(conditions, ready):
    group = build_pod("shop/web-0", _pod(status__conditions=conditions))
    assert group.labels["__meta_kubernetes_pod_ready"] == ready


def test_only_the_controlling_owner_shows():
    owners = [{"kind": "Gang", "name": "g"}, {"kind": "ReplicaSet", "name": "web-5d", "controller": True}]
    labels = build_pod("shop/web-0", _pod(metadata__ownerReferences=owners)).labels
    assert labels["__meta_kubernetes_pod_controller_kind"] == "ReplicaSet"
    assert labels["__meta_kubernetes_pod_controller_name"] == "web-5d"


def test_label_and_annotation_names_are_sanitised_and_have_a_present_twin():
    labels = build_pod("shop/web-0", _pod(metadata__annotations={"prometheus.io/scrape": ""})).labels
    assert labels["__meta_kubernetes_pod_label_app_kubernetes_io_name"] == "web"
    assert labels["__meta_kubernetes_pod_labelpresent_app_kubernetes_io_name"] == "true"
    assert labels["__meta_kubernetes_pod_annotation_prometheus_io_scrape"] == ""
    assert labels["__meta_kubernetes_pod_annotationpresent_prometheus_io_scrape"] == "true"


def test_node_metadata_is_attached_and_a_pod_of_an_unknown_node_has_no_targets():
    node = _node(labels={"zone": "z1"})
    assert (
        build_pod("shop/web-0", _pod(), node=node, with_node=True).labels["__meta_kubernetes_node_label_zone"] == "z1"
    )
    assert build_pod("shop/web-0", _pod(), node=None, with_node=True).is_empty


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        ([("Hostname", "h"), ("InternalIP", "127.0.0.1"), ("InternalIP", "127.0.0.2")], "127.0.0.1:10250"),
        ([("ExternalDNS", "e"), ("InternalDNS", "i")], "i:10250"),
        ([("Hostname", "h"), ("ExternalDNS", "e"), ("ExternalIP", "127.0.0.3")], "127.0.0.3:10250"),
        ([("Hostname", "h"), ("ExternalDNS", "e")], "e:10250"),
        ([("Hostname", "h"), ("LegacyHostIP", "127.0.0.4")], "127.0.0.4:10250"),
        ([("Hostname", "h")], "h:10250"),
        ([("InternalIP", "::1")], "[::1]:10250"),
    ],
)
def test_a_nodes_address_is_the_first_of_the_best_type(addresses, expected):
    (target,) = build_node("n1", _node(addresses)).targets
    assert target["__address__"] == expected
    assert target["instance"] == "n1"


def test_a_node_without_a_known_address_leaves_its_last_group():
    assert build_node("n1", _node([("Pigeon", "coop")])) is None


def test_a_node_shows_every_address_type_and_condition():
    group = build_node("n1", _node([("InternalIP", "127.0.0.1"), ("Hostname", "n1.local")]))
    assert group.targets[0]["__meta_kubernetes_node_address_InternalIP"] == "127.0.0.1"
    assert group.targets[0]["__meta_kubernetes_node_address_Hostname"] == "n1.local"
    assert group.labels["__meta_kubernetes_node_condition_ready"] == "true"
    assert group.labels["__meta_kubernetes_node_condition_diskpressure"] == "unknown"
    assert group.labels["__meta_kubernetes_node_provider_id"] == "sim://n1"
    assert group.labels["__meta_kubernetes_node_name"] == "n1"
