"""Objects of all nine kinds in the odd shapes that the API allows, and a random script that changes them."""

from __future__ import annotations

import random

from promscout.sim import resources as sim

NAMESPACES = ("shop", "data", "infra")
TOUCHED = "touched"


class OddObjects:
    """Random objects in every shape that the API allows; few names, so that references meet what they refer to."""

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def maybe(self, chance=0.5):
        return self.rng.random() < chance

    def pick(self, *choices):
        return self.rng.choice(choices)

    def some(self, make, most):
        return [make() for _ in range(self.rng.randrange(most + 1))]

    def present(self, **fields):
        """Only the fields that have a value; null and missing are both legal, too."""
        return {name: value for name, value in fields.items() if value is not None or self.maybe(0.2)}

    def labels(self):
        names = ("app", "app.kubernetes.io/name", "tier", "1st", "é-x")
        return {name: self.pick("a", "b", "c", "", "ü 1") for name in names if self.maybe(0.4)}

    def metadata(self, name, namespace=None, owners=None):
        return self.present(
            name=name,
            namespace=namespace,
            labels=self.labels() or None,
            annotations={"note": self.pick("x", "y"), "a/b": "{}"} if self.maybe(0.4) else None,
            ownerReferences=owners,
        )

    def ipv4(self):
        return f"192.0.2.{self.rng.randrange(1, 250)}"

    def ipv6(self):
        return f"2001:db8::{self.rng.randrange(1, 250):x}"

    # Kinds

    def node(self, name, _namespace):
        kinds = ("Hostname", "InternalIP", "InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS")
        addresses = [{"type": one, "address": self.pick(self.ipv4(), self.ipv6(), name)} for one in kinds]
        # A node that loses its last address keeps its target: that would depend on what was seen in between.
        shown = [] if name == "n-addressless" else self.rng.sample(addresses, self.rng.randrange(1, 6))
        return {
            "metadata": self.metadata(name),
            "spec": self.present(providerID=self.pick(None, f"sim://{name}")),
            "status": {
                "addresses": shown,
                "conditions": [{"type": "Ready", "status": self.pick("True", "False", "Unknown")}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": self.pick(10250, 10251)}},
            },
        }

    def namespace(self, name, _namespace):
        return {"metadata": self.metadata(name), "status": {"phase": "Active"}}

    def container(self):
        return {
            "name": self.pick("app", "proxy", "init"),
            "image": self.pick("app:1", "app:2"),
            **self.present(ports=self.some(self.container_port, 3) or None),
        }

    def container_port(self):
        return {
            "containerPort": self.pick(80, 81, 9090),
            **self.present(name=self.pick(None, "http", "metrics")),
            "protocol": self.pick("TCP", "UDP"),
        }

    def container_status(self):
        return {
            "name": self.pick("app", "proxy", "init"),
            "containerID": self.pick("", "containerd://1", "containerd://2"),
            "image": "app:1",
            "imageID": "",
            "ready": True,
            "restartCount": 0,
        }

    def owner(self):
        kind = self.pick("ReplicaSet", "Job", "Node", "DaemonSet")
        name = self.pick("w-0", "w-1", "w-2")
        return {"apiVersion": "v1", "kind": kind, "name": name, "uid": "u", **self.present(controller=self.maybe(0.8))}

    def pod(self, name, namespace):
        return {
            "metadata": self.metadata(name, namespace, self.some(self.owner, 2) or None),
            "spec": {
                "containers": self.some(self.container, 2) or [{"name": "app", "image": "app:1"}],
                **self.present(
                    nodeName=self.pick(None, "n-0", "n-1", "n-2", "n-gone"),
                    initContainers=self.some(self.container, 1) or None,
                ),
            },
            "status": self.present(
                phase=self.pick("Pending", "Running", "Succeeded", "Failed"),
                podIP=self.pick(None, self.ipv4(), self.ipv4(), self.ipv6()),
                hostIP=self.pick(None, self.ipv4()),
                conditions=[{"type": "Ready", "status": self.pick("True", "False")}] if self.maybe() else None,
                containerStatuses=self.some(self.container_status, 2) or None,
                initContainerStatuses=self.some(self.container_status, 1) or None,
            ),
        }

    def service_port(self):
        return {
            "port": self.pick(80, 443),
            "protocol": self.pick("TCP", "UDP"),
            **self.present(name=self.pick(None, "http")),
        }

    def service(self, name, namespace):
        spec = {
            "type": "ClusterIP",
            "clusterIP": self.pick("None", self.ipv4()),
            "ports": self.some(self.service_port, 3),
        }
        status = {"loadBalancer": {}}
        if name == "dual":
            spec |= {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv4", "IPv6"]}
        elif name == "lb-given":
            spec["type"] = "LoadBalancer"
            status = {
                "loadBalancer": {"ingress": [{"ip": self.ipv4()}, {"hostname": "lb.example"}, {"ip": self.ipv4()}]}
            }
        elif self.maybe(0.2):
            spec |= {"type": "LoadBalancer", "loadBalancerIP": self.pick("", self.ipv4())}
        elif self.maybe(0.2):
            spec |= {"type": "ExternalName", "externalName": self.pick("a.example", "b.example")}
        return {"metadata": self.metadata(name, namespace), "spec": spec, "status": status}

    def reference(self, namespace):
        kind = self.pick(None, "Pod", "Pod", "Pod", "Pod", "Node", "Job")
        names = {"Pod": [f"p-{n}" for n in range(7)], "Node": ["n-0", "n-1", "n-gone"]}.get(kind, ["w-0"])
        where = {} if kind == "Node" else {"namespace": self.pick(namespace, namespace, namespace, "data")}
        return None if kind is None else {"kind": kind, "name": self.pick(*names), **where}

    def endpoint_port(self):
        return {
            "port": self.pick(80, 81, 9090, 7000),
            "protocol": self.pick("TCP", "UDP"),
            **self.present(name=self.pick(None, "http")),
        }

    def endpoints(self, name, namespace):
        def address():
            return {
                "ip": self.pick(self.ipv4(), self.ipv6()),
                **self.present(
                    hostname=self.pick(None, "h-0"),
                    nodeName=self.pick(None, "n-0", "n-1", "n-2", "n-gone"),
                    targetRef=self.reference(namespace),
                ),
            }

        def subset():
            return self.present(
                addresses=self.some(address, 3) or None,
                notReadyAddresses=self.some(address, 1) or None,
                ports=self.some(self.endpoint_port, 2) or None,
            )

        return {"metadata": self.metadata(name, namespace), **self.present(subsets=self.some(subset, 2) or None)}

    def endpoint_slice(self, name, namespace):
        v6 = self.maybe(0.3)

        def endpoint():
            addresses = [self.ipv6() if v6 else self.ipv4() for _ in range(self.pick(1, 1, 2))]
            conditions = self.present(
                ready=self.pick(None, True, False), serving=self.pick(None, True), terminating=self.pick(None, False)
            )
            return {
                "addresses": addresses,
                "conditions": conditions,
                **self.present(
                    hostname=self.pick(None, "h-0"),
                    nodeName=self.pick(None, "n-0", "n-1", "n-2", "n-gone"),
                    zone=self.pick(None, "eu-1a"),
                    targetRef=self.reference(namespace),
                    deprecatedTopology=self.pick(None, {"topology.kubernetes.io/region": "eu"}),
                ),
            }

        def port():
            return self.present(
                name=self.pick(None, "", "http"),
                port=self.pick(None, 80, 81, 9090, 7000),
                protocol=self.pick(None, "TCP"),
                appProtocol=self.pick(None, "h2c"),
            )

        made = {"metadata": self.metadata(name, namespace), "addressType": "IPv6" if v6 else "IPv4"}
        if self.maybe(0.8):
            of = {"kubernetes.io/service-name": self.pick("s-0", "s-1", "dual", "gone")}
            made["metadata"]["labels"] = {**(made["metadata"].get("labels") or {}), **of}
        return {**made, "endpoints": self.some(endpoint, 3), "ports": self.some(port, 2)}

    def ingress(self, name, namespace):
        hosts = ("a.example", "b.example", "x.wild.example", "wild.example")

        def path():
            backend = {"service": {"name": "s-0", "port": {"number": 80}}}
            return {"pathType": "Prefix", "backend": backend, **self.present(path=self.pick(None, "/", "/a"))}

        def rule():
            return self.present(
                host=self.pick(None, *hosts), http=self.pick(None, {"paths": self.some(path, 2)}, {"paths": [path()]})
            )

        def tls():
            return self.present(hosts=self.pick(None, ["a.example"], ["*.wild.example"], [*hosts]))

        spec = self.present(
            ingressClassName=self.pick(None, "", "nginx"),
            rules=self.some(rule, 3) or None,
            tls=self.some(tls, 1) or None,
        )
        return {"metadata": self.metadata(name, namespace), "spec": spec}

    def replica_set(self, name, namespace):
        return self.owned(name, namespace, "Deployment")

    def job(self, name, namespace):
        return self.owned(name, namespace, "CronJob")

    def owned(self, name, namespace, kind):
        owner = {"apiVersion": "v1", "kind": self.pick(kind, "Other"), "name": self.pick("o-0", "o-1"), "uid": "u"}
        owners = [{**owner, "controller": self.maybe(0.8)}] if self.maybe(0.8) else None
        return {"metadata": self.metadata(name, namespace, owners), "spec": {}}


def _names(prefix, count, *more):
    return (*(f"{prefix}-{number}" for number in range(count)), *more)


KINDS = {
    # resource: (how often, names, maker)
    sim.PODS: (8, _names("p", 6), OddObjects.pod),
    sim.NODES: (3, _names("n", 4, "n-addressless"), OddObjects.node),
    sim.NAMESPACES: (1, NAMESPACES, OddObjects.namespace),
    sim.SERVICES: (3, _names("s", 3, "dual", "lb-given"), OddObjects.service),
    sim.ENDPOINTS: (4, _names("s", 4), OddObjects.endpoints),
    sim.ENDPOINTSLICES: (5, _names("e", 5), OddObjects.endpoint_slice),
    sim.INGRESSES: (2, _names("i", 3), OddObjects.ingress),
    sim.REPLICASETS: (2, _names("w", 3), OddObjects.replica_set),
    sim.JOBS: (2, _names("w", 3), OddObjects.job),
}


class Script:
    """Creates, replaces, patches and deletes objects at random."""

    def __init__(self, store, seed):
        self.store = store
        self.odd = OddObjects(seed)

    def step(self):
        odd = self.odd
        resource = odd.rng.choices(list(KINDS), [often for often, _, _ in KINDS.values()])[0]
        _, names, make = KINDS[resource]
        name, namespace = odd.pick(*names), odd.pick(*NAMESPACES) if resource.namespaced else ""
        if not any(one.name == name for one in self.store.list(resource, namespace)):
            self.store.create(resource, make(odd, name, namespace or None), namespace)
        elif odd.maybe(0.3):
            self.store.delete(resource, namespace, name)
        elif odd.maybe(0.6):
            self.store.replace(resource, namespace, name, make(odd, name, namespace or None))
        else:
            self.store.patch(resource, namespace, name, self._relabelled)

    def touch(self, mark):
        """Change something in every object that Prometheus may hold an outdated group of."""

        def touched(obj):
            obj["metadata"].setdefault("annotations", {})[TOUCHED] = mark
            return obj

        for resource in (sim.ENDPOINTS, sim.ENDPOINTSLICES):
            for stored in self.store.list(resource):
                self.store.patch(resource, *stored.key, touched)

    def _relabelled(self, obj):
        kept = {name: value for name, value in obj["metadata"].get("labels", {}).items() if "service-name" in name}
        obj["metadata"]["labels"] = {**self.odd.labels(), **kept}
        return obj
