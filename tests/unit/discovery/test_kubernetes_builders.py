from __future__ import annotations

import msgspec
import pytest

from promscout.discovery.kubernetes.endpoints import build_endpoints
from promscout.discovery.kubernetes.endpointslice import build_endpoint_slice
from promscout.discovery.kubernetes.ingress import build_ingress
from promscout.discovery.kubernetes.joined import Joined, nothing
from promscout.discovery.kubernetes.node import build_node
from promscout.discovery.kubernetes.pod import build_pod
from promscout.discovery.kubernetes.service import build_service
from promscout.kube.objects import (
    Endpoints,
    EndpointSlice,
    Ingress,
    LoadBalancerIngress,
    Namespace,
    Node,
    Owned,
    Pod,
    Service,
)
from promscout.model.group import TargetGroup

ALONE = Joined()


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


def _build(pod, joined=ALONE):
    return build_pod("pod/shop/web-0", pod, joined)


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
    assert _build(_pod(status__podIP="")) == TargetGroup("pod/shop/web-0")


def test_a_container_without_ports_is_one_target_at_the_bare_address():
    (target,) = _build(_pod(spec__containers=[{"name": "app", "image": "app:1"}])).targets
    assert target.as_dict() == {
        "__address__": "127.1.2.3",
        "__meta_kubernetes_pod_container_name": "app",
        "__meta_kubernetes_pod_container_id": "",
        "__meta_kubernetes_pod_container_image": "app:1",
        "__meta_kubernetes_pod_container_init": "false",
    }


def test_every_port_of_every_protocol_is_a_target_and_init_containers_come_last():
    group = _build(
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
    with_port = _build(_pod(status__podIP="::1"))
    without = _build(_pod(status__podIP="::1", spec__containers=[{"name": "app"}]))
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
    group = _build(_pod(status__conditions=conditions))
    assert group.labels_of(0)["__meta_kubernetes_pod_ready"] == ready


def test_only_the_controlling_owner_shows():
    owners = [{"kind": "Gang", "name": "g"}, {"kind": "ReplicaSet", "name": "web-5d", "controller": True}]
    labels = _build(_pod(metadata__ownerReferences=owners)).labels_of(0)
    assert labels["__meta_kubernetes_pod_controller_kind"] == "ReplicaSet"
    assert labels["__meta_kubernetes_pod_controller_name"] == "web-5d"


def test_label_and_annotation_names_are_sanitised_and_have_a_present_twin():
    labels = _build(_pod(metadata__annotations={"prometheus.io/scrape": ""})).labels_of(0)
    assert labels["__meta_kubernetes_pod_label_app_kubernetes_io_name"] == "web"
    assert labels["__meta_kubernetes_pod_labelpresent_app_kubernetes_io_name"] == "true"
    assert labels["__meta_kubernetes_pod_annotation_prometheus_io_scrape"] == ""
    assert labels["__meta_kubernetes_pod_annotationpresent_prometheus_io_scrape"] == "true"


def test_node_metadata_is_attached_and_a_pod_of_an_unknown_node_has_no_targets():
    known = Joined(node={"n1": _node(labels={"zone": "z1"})}.get)
    assert _build(_pod(), known).labels_of(0)["__meta_kubernetes_node_label_zone"] == "z1"
    assert _build(_pod(), Joined(node=nothing)).is_empty


def test_while_nodes_are_not_known_pods_have_targets_without_node_labels():
    group = _build(_pod(), Joined(node=nothing, nodes_are_complete=lambda: False))
    assert group.targets
    assert "__meta_kubernetes_node_name" not in group.labels


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
    (target,) = build_node("node/n1", _node(addresses), ALONE).targets
    assert target["__address__"] == expected
    assert target["instance"] == "n1"


def test_a_node_without_a_known_address_leaves_its_last_group():
    assert build_node("node/n1", _node([("Pigeon", "coop")]), ALONE) is None


def test_a_node_shows_every_address_type_and_condition():
    group = build_node("node/n1", _node([("InternalIP", "127.0.0.1"), ("Hostname", "n1.local")]), ALONE)
    assert group.targets[0]["__meta_kubernetes_node_address_InternalIP"] == "127.0.0.1"
    assert group.targets[0]["__meta_kubernetes_node_address_Hostname"] == "n1.local"
    assert group.labels["__meta_kubernetes_node_condition_ready"] == "true"
    assert group.labels["__meta_kubernetes_node_condition_diskpressure"] == "unknown"
    assert group.labels["__meta_kubernetes_node_provider_id"] == "sim://n1"
    assert group.labels["__meta_kubernetes_node_name"] == "n1"


def _service(**spec):
    raw = {
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
        "spec": {"type": "ClusterIP", "clusterIP": "127.9.0.1", "ports": [{"name": "http", "port": 80}]} | spec,
        "status": {"loadBalancer": {}},
    }
    return msgspec.convert(raw, Service)


SERVICE = "__meta_kubernetes_service_"


def test_a_service_is_a_target_per_port_under_its_dns_name():
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]
    group = build_service("svc/shop/web", _service(ports=ports), ALONE)
    assert [(t["__address__"], t[SERVICE + "port_name"], t[SERVICE + "port_protocol"]) for t in group.targets] == [
        ("web.shop.svc:80", "http", "TCP"),
        ("web.shop.svc:53", "", "UDP"),
    ]
    assert group.targets[0][SERVICE + "port_number"] == "80"
    assert group.targets[0][SERVICE + "cluster_ip"] == "127.9.0.1"
    assert group.labels[SERVICE + "label_app"] == "web"


def test_an_external_service_shows_its_name_instead_of_an_address():
    spec = {"type": "ExternalName", "externalName": "db.example.com", "clusterIP": ""}
    (target,) = build_service("svc/shop/web", _service(**spec), ALONE).targets
    assert target[SERVICE + "external_name"] == "db.example.com"
    assert SERVICE + "cluster_ip" not in target


def test_a_load_balancers_given_addresses_win_over_the_wanted_one():
    service = _service(type="LoadBalancer", loadBalancerIP="127.9.9.9")
    (target,) = build_service("svc/shop/web", service, ALONE).targets
    assert target[SERVICE + "loadbalancer_ip"] == "127.9.9.9"
    service.status.load_balancer.ingress = tuple(LoadBalancerIngress(ip) for ip in ("127.9.0.7", "", "127.9.0.8"))
    (target,) = build_service("svc/shop/web", service, ALONE).targets
    assert target[SERVICE + "loadbalancer_ip"] == "127.9.0.7,127.9.0.8"


def test_a_service_without_ports_has_no_targets():
    assert build_service("svc/shop/web", _service(ports=None), ALONE).is_empty


@pytest.mark.parametrize(
    ("rules", "tls", "expected"),
    [
        ([{"host": "a.example"}], [], [("http", "a.example", "/")]),
        (
            [{"host": "a.example", "http": {"paths": [{"path": "/x"}, {}]}}],
            [],
            [("http", "a.example", "/x"), ("http", "a.example", "/")],
        ),
        ([{"host": "a.example", "http": {"paths": []}}], [], []),
        (
            [{"host": "a.example"}, {"host": "b.example"}],
            [["b.example"]],
            [("http", "a.example", "/"), ("https", "b.example", "/")],
        ),
        ([{"host": "a.b.example"}], [["*.b.example"]], [("https", "a.b.example", "/")]),
        ([{"host": "x.a.b.example"}], [["*.b.example"]], [("http", "x.a.b.example", "/")]),
        ([{"host": "b.example"}], [["*.b.example"], None], [("http", "b.example", "/")]),
        ([{}], [], [("http", "", "/")]),
        (None, None, []),
    ],
)
def test_an_ingress_is_a_target_per_path_with_https_where_tls_names_the_host(rules, tls, expected):
    raw = {
        "metadata": {"name": "i", "namespace": "shop"},
        "spec": {"rules": rules, "tls": tls and [{"hosts": hosts} for hosts in tls]},
    }
    group = build_ingress("ingress/shop/i", msgspec.convert(raw, Ingress), ALONE)
    prefix = "__meta_kubernetes_ingress_"
    assert [(t[prefix + "scheme"], t[prefix + "host"], t[prefix + "path"]) for t in group.targets] == expected
    assert prefix + "class_name" not in group.labels


def test_an_ingress_shows_its_class():
    raw = {"metadata": {"name": "i", "namespace": "shop"}, "spec": {"ingressClassName": "nginx"}}
    group = build_ingress("ingress/shop/i", msgspec.convert(raw, Ingress), ALONE)
    assert group.labels["__meta_kubernetes_ingress_class_name"] == "nginx"


def _slice(endpoints, ports, **fields):
    raw = {
        "metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": ports,
    }
    return msgspec.convert(raw | fields, EndpointSlice)


def _with_pod(pod):
    return Joined(pod={"shop/web-0": pod}.get)


POD_REF = {"kind": "Pod", "namespace": "shop", "name": "web-0"}
SLICE = "__meta_kubernetes_endpointslice_"
CONTAINER = "__meta_kubernetes_pod_container_"


def test_a_slice_is_a_target_per_address_and_port_with_everything_the_endpoint_says():
    endpoint = {
        "addresses": ["127.1.2.3", "127.1.2.4"],
        "conditions": {"ready": True, "serving": False},
        "hostname": "h",
        "nodeName": "n1",
        "zone": "z1",
        "deprecatedTopology": {"kubernetes.io/hostname": "n1"},
    }
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "appProtocol": "h2c"}, {}]
    group = build_endpoint_slice("s", _slice([endpoint], ports), ALONE)
    assert [target["__address__"] for target in group.targets] == [
        "127.1.2.3:80",
        "127.1.2.4:80",
        "127.1.2.3",
        "127.1.2.4",
    ]
    assert group.targets[0].as_dict() == {
        "__address__": "127.1.2.3:80",
        SLICE + "port_name": "http",
        SLICE + "port_protocol": "TCP",
        SLICE + "port": "80",
        SLICE + "port_app_protocol": "h2c",
        SLICE + "endpoint_conditions_ready": "true",
        SLICE + "endpoint_conditions_serving": "false",
        SLICE + "endpoint_hostname": "h",
        SLICE + "endpoint_node_name": "n1",
        SLICE + "endpoint_zone": "z1",
        SLICE + "endpoint_topology_kubernetes_io_hostname": "n1",
        SLICE + "endpoint_topology_present_kubernetes_io_hostname": "true",
    }


def test_ports_of_a_pod_that_no_endpoint_has_are_further_targets():
    pod = _pod(
        spec__containers=[{"name": "app", "ports": [{"containerPort": 80}, {"containerPort": 81, "name": "debug"}]}],
        spec__initContainers=[{"name": "proxy", "ports": [{"containerPort": 90}]}],
    )
    endpoints = [{"addresses": ["127.1.2.3"], "targetRef": POD_REF}]
    group = build_endpoint_slice("s", _slice(endpoints, [{"port": 80}]), _with_pod(pod))
    assert [(t["__address__"], t[CONTAINER + "name"], t[CONTAINER + "init"]) for t in group.targets] == [
        ("127.1.2.3:80", "app", "false"),
        ("127.1.2.3:81", "app", "false"),
        ("127.1.2.3:90", "proxy", "true"),
    ]
    assert all(group.labels_of(position)["__meta_kubernetes_pod_name"] == "web-0" for position in range(3))
    assert SLICE + "port" not in group.targets[1]


def test_an_endpoint_without_a_known_pod_stands_alone():
    endpoints = [{"addresses": ["127.1.2.3"], "targetRef": POD_REF}]
    group = build_endpoint_slice("s", _slice(endpoints, [{"port": 80}]), ALONE)
    assert group.labels_of(0)[SLICE + "address_target_kind"] == "Pod"
    assert "__meta_kubernetes_pod_name" not in group.labels_of(0)


def test_the_secondary_slice_of_a_dual_stack_service_has_no_targets():
    service = _service(ipFamilyPolicy="RequireDualStack", ipFamilies=["IPv4", "IPv6"])
    joined = Joined(service={"shop/web": service}.get)
    endpoints = [{"addresses": ["::1"]}]
    assert build_endpoint_slice("s", _slice(endpoints, [{"port": 80}], addressType="IPv6"), joined).is_empty
    assert not build_endpoint_slice("s", _slice(endpoints, [{"port": 80}]), joined).is_empty


def test_a_slice_shows_its_service_and_the_nodes_behind_its_endpoints():
    joined = Joined(
        service={"shop/web": _service()}.get,
        node={"n1": _node(labels={"zone": "z1"}), "n2": _node(labels={"zone": "z2"})}.get,
    )
    endpoints = [
        {"addresses": ["127.1.2.3"], "nodeName": "n1"},
        {"addresses": ["127.1.2.4"], "nodeName": "n1", "targetRef": {"kind": "Node", "name": "n2"}},
    ]
    group = build_endpoint_slice("s", _slice(endpoints, [{"port": 80}]), joined)
    assert group.labels[SERVICE + "name"] == "web"
    assert [t["__meta_kubernetes_node_label_zone"] for t in group.targets] == ["z1", "z2"]


def test_endpoints_show_readiness_and_the_endpoint_ports_protocol():
    raw = {
        "metadata": {"name": "web", "namespace": "shop"},
        "subsets": [
            {
                "addresses": [{"ip": "127.1.2.3", "targetRef": POD_REF, "hostname": "h", "nodeName": "n1"}],
                "notReadyAddresses": [{"ip": "127.1.2.9"}],
                "ports": [{"name": "http", "port": 80, "protocol": "UDP"}],
            }
        ],
    }
    group = build_endpoints("endpoints/shop/web", msgspec.convert(raw, Endpoints), _with_pod(_pod()))
    prefix = "__meta_kubernetes_endpoint_"
    assert [(t["__address__"], t[prefix + "ready"]) for t in group.targets] == [
        ("127.1.2.3:80", "true"),
        ("127.1.2.9:80", "false"),
    ]
    first = group.targets[0]
    assert (first[prefix + "hostname"], first[prefix + "node_name"], first[CONTAINER + "port_protocol"]) == (
        "h",
        "n1",
        "UDP",
    )


def test_owners_show_through_replica_sets_and_jobs():
    def owned(kind, name):
        owner = {"kind": kind, "name": name, "controller": True}
        return msgspec.convert({"metadata": {"name": "x", "ownerReferences": [owner]}}, Owned)

    def labels(controller_kind, joined):
        owner = {"kind": controller_kind, "name": "x", "controller": True}
        return _build(_pod(metadata__ownerReferences=[owner]), joined).labels_of(0)

    joined = Joined(
        replica_set={"shop/x": owned("Deployment", "web")}.get,
        job={"shop/x": owned("CronJob", "nightly")}.get,
        job_names=True,
    )
    assert labels("ReplicaSet", joined)["__meta_kubernetes_pod_deployment_name"] == "web"
    assert labels("Job", joined)["__meta_kubernetes_pod_job_name"] == "x"
    assert labels("Job", joined)["__meta_kubernetes_pod_cronjob_name"] == "nightly"
    assert "__meta_kubernetes_pod_deployment_name" not in labels("StatefulSet", joined)
    assert "__meta_kubernetes_pod_job_name" not in labels("Job", ALONE)


def test_a_namespaces_labels_and_annotations_show_without_its_name():
    raw = {"metadata": {"name": "shop", "labels": {"team": "a"}, "annotations": {"x/y": "z"}}}
    joined = Joined(namespace={"shop": msgspec.convert(raw, Namespace)}.get)
    labels = _build(_pod(), joined).labels_of(0)
    assert labels["__meta_kubernetes_namespace_label_team"] == "a"
    assert labels["__meta_kubernetes_namespace_annotationpresent_x_y"] == "true"
    assert "__meta_kubernetes_namespace_name" not in labels
