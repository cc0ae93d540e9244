"""The cluster that benchmarks run against: thousands of pods as large as real ones.

10,000 pods (two containers, three ports, about 7.8 KB of JSON each) in 20 namespaces, 400 services with an Endpoints
object and an endpoint slice of 25 endpoints each, 200 nodes. Every second pod and every third service carries
``prometheus.io/scrape: "true"``. No exporter runs for them: benchmarks rewrite every target's address.
"""

from __future__ import annotations

from typing import Final

from promscout.sim.endpoints import endpoint_slice, endpoints
from promscout.sim.population import Owner, Port, hash_text, namespace, node, node_address, pod, pod_address, service
from promscout.sim.resources import JsonObject
from promscout.sim.store import ObjectStore

PODS_PER_SERVICE: Final = 25
_NAMESPACES: Final = 20
_PODS_PER_NODE: Final = 50
_PORTS: Final = (Port("http", 8080), Port("metrics", 9090))
_SIDECAR: Final = (Port("admin", 15000),)


def populate_bench(store: ObjectStore, pods: int = 10_000) -> None:
    """Fill ``store`` with ``pods`` pods and what belongs to them. Nothing in it depends on the time or on chance."""
    nodes = max(1, pods // _PODS_PER_NODE)
    services = max(1, pods // PODS_PER_SERVICE)
    for number in range(_NAMESPACES):
        store.add(namespace(f"team-{number:02d}"))
    for number in range(nodes):
        store.add(
            node(
                f"node-{number:03d}",
                ip=node_address(number % 1000, net=1 + number // 1000),
                zone=f"eu-1{'abc'[number % 3]}",
                images=20,
            )
        )
    for number in range(services):
        first = number * PODS_PER_SERVICE
        backing = [bench_pod(one, nodes) for one in range(first, min(first + PODS_PER_SERVICE, pods))]
        for one in backing:
            store.add(one)
        made = _service(number)
        store.add(made)
        store.add(endpoints(made, backing))
        store.add(endpoint_slice(made, backing))


def _app(number: int) -> tuple[str, str]:
    return f"team-{number % _NAMESPACES:02d}", f"app-{number:03d}"


def _service(number: int) -> JsonObject:
    team, app = _app(number)
    scraped = {"prometheus.io/scrape": "true"} if number % 3 == 0 else {}
    annotations = {**scraped, "example.com/owner": team}
    ip = f"127.1.250.{1 + number % 250}"
    return service(
        app, team, selector={"app": app}, ports=_PORTS, labels={"app": app}, annotations=annotations, cluster_ip=ip
    )


def bench_pod(index: int, nodes: int) -> JsonObject:
    """The pod of this index."""
    number = index // PODS_PER_SERVICE
    team, app = _app(number)
    digest = f"{hash_text(str(index)):016x}"
    replicaset = f"{app}-{hash_text(app):010x}"[:24]
    labels = {
        "app": app,
        "app.kubernetes.io/name": app,
        "app.kubernetes.io/version": "1.2.3",
        "team": team,
        "pod-template-hash": f"{hash_text(app):x}"[:10],
    }
    annotations = {
        "prometheus.io/scrape": "true" if index % 2 == 0 else "false",
        "prometheus.io/port": "9090",
        "prometheus.io/path": "/metrics",
        "example.com/config-checksum": digest * 4,
        "example.com/owner": f"{team}@example.com",
    }
    env = {f"SETTING_{one:02d}": f"a value of usual length for setting {one} of {app}" for one in range(15)}
    made = pod(
        f"{replicaset}-{digest[:5]}{index:05d}",
        team,
        labels=labels,
        annotations=annotations,
        owner=Owner("ReplicaSet", replicaset),
        node=f"node-{index % nodes:03d}",
        ip=pod_address(index % 62_500, net=1 + index // 62_500),
        ports=_PORTS,
        sidecar_ports=_SIDECAR,
        env=env,
    )
    _mount(made, app)
    made["metadata"]["managedFields"] = _managed_fields(labels, annotations, env)
    return made


def _mount(made: JsonObject, app: str) -> None:
    """Volumes, probes and tolerations as admission adds them to every pod."""
    token = {"name": "kube-api-access", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    made["spec"]["volumes"] = [token, {"name": "config", "configMap": {"name": f"{app}-config", "defaultMode": 420}}]
    for container in made["spec"]["containers"]:
        container["volumeMounts"] = [
            {"name": "kube-api-access", "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
            {"name": "config", "mountPath": "/etc/app"},
        ]
        probe = {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10}
        container["livenessProbe"] = container["readinessProbe"] = probe
    keys = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    made["spec"]["tolerations"] = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300} for key in keys
    ]


def _managed_fields(labels: dict[str, str], annotations: dict[str, str], env: dict[str, str]) -> list[JsonObject]:
    """The bookkeeping that makes up a third of a real pod: who set which field."""
    own: JsonObject = {"f:image": {}, "f:imagePullPolicy": {}, "f:name": {}, "f:resources": {".": {}, "f:requests": {}}}
    app = {
        **own,
        "f:env": {f'k:{{"name":"{key}"}}': {".": {}, "f:name": {}, "f:value": {}} for key in env},
        "f:ports": {f'k:{{"containerPort":{one.number},"protocol":"TCP"}}': {".": {}, "f:name": {}} for one in _PORTS},
    }
    metadata: JsonObject = {
        "f:labels": {f"f:{key}": {} for key in labels},
        "f:annotations": {f"f:{key}": {} for key in annotations},
        "f:ownerReferences": {},
    }
    spec = {"f:containers": {'k:{"name":"app"}': app, 'k:{"name":"sidecar"}': own}, "f:restartPolicy": {}}
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")
    conditions: JsonObject = {
        f'k:{{"type":"{kind}"}}': {".": {}, "f:lastProbeTime": {}, "f:lastTransitionTime": {}, "f:status": {}}
        for kind in kinds
    }
    status = {"f:conditions": conditions, "f:containerStatuses": {}, "f:phase": {}, "f:podIP": {}, "f:startTime": {}}
    entry = {"apiVersion": "v1", "operation": "Update", "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1"}
    return [
        {"manager": "kube-controller-manager", **entry, "fieldsV1": {"f:metadata": metadata, "f:spec": spec}},
        {"manager": "kubelet", **entry, "fieldsV1": {"f:status": status}, "subresource": "status"},
    ]
