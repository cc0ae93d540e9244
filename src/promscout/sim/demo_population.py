"""The cluster of the demo: about fifty pods of a web shop and what runs around it, annotated as people do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from promscout.sim.population import Owner, Port, hash_text, namespace, node, pod, service
from promscout.sim.store import ObjectStore
from promscout.sim.workloads import cronjob, deployment, ingress, job, replicaset

NODES: Final = 4
_NAME_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_WEB: Final = (Port("http", 8080),)
_WITH_METRICS: Final = (Port("http", 8080), Port("metrics", 9090))


@dataclass(frozen=True, slots=True)
class App:
    """One application of the demo: a deployment with its pods and, unless ``served`` is off, a service.

    ``annotations`` are the pods' own; ``scrape`` adds the usual ones for a scrape on the last port.
    """

    namespace: str
    name: str
    replicas: int
    ports: Sequence[Port] = _WITH_METRICS
    scrape: bool = True
    served: bool = True
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> dict[str, str]:
        """The labels that select its pods."""
        return {"app": self.name, "app.kubernetes.io/part-of": self.namespace}

    def pod_annotations(self) -> dict[str, str]:
        """The annotations of its pods."""
        if not self.scrape:
            return dict(self.annotations)
        usual = {"prometheus.io/scrape": "true", "prometheus.io/port": str(self.ports[-1].number)}
        return {**usual, **self.annotations}


APPS: Final = (
    App("shop", "frontend", 6),
    App("shop", "checkout", 4),
    App("shop", "cart", 3),
    App("shop", "catalog", 4, _WEB),
    App("shop", "recommendations", 3, annotations={"sim.promscout/failure": "500", "sim.promscout/failure-every": "4"}),
    App("shop", "image-resizer", 2, _WEB, scrape=False),
    App("payments", "payments", 4, annotations={"prometheus.io/path": "/internal/metrics"}),
    App("payments", "ledger", 3),
    App("payments", "fraud-check", 2, annotations={"sim.promscout/latency": "0.2"}),
    App("data", "postgres-exporter", 2, (Port("metrics", 9187),)),
    App("data", "redis-exporter", 2, (Port("metrics", 9121),)),
    App("data", "kafka-exporter", 1, (Port("metrics", 9308),)),
    App("data", "backup-agent", 1, (), scrape=False, served=False),
    App("monitoring", "kube-state-metrics", 1, (Port("http-metrics", 8080),)),
    App("monitoring", "blackbox-exporter", 1, (Port("http", 9115),)),
    App("monitoring", "grafana", 1, (Port("http", 3000),)),
    App("platform", "ingress-nginx", 2, (Port("http", 8080), Port("metrics", 10254))),
    App("platform", "cert-manager", 1, (Port("http-metrics", 9402),)),
    App("platform", "coredns", 2, (Port("dns", 5353), Port("metrics", 9153))),
    App("platform", "log-shipper", 4, _WEB, scrape=False, served=False),
)


def suffix(text: str, length: int) -> str:
    """Letters as Kubernetes appends them to generated names, always the same for the same text."""
    number, letters = hash_text(text), []
    for _ in range(length):
        number, at = divmod(number, len(_NAME_LETTERS))
        letters.append(_NAME_LETTERS[at])
    return "".join(letters)


def populate_demo(store: ObjectStore) -> None:
    """Fill ``store`` with the demo's objects; meant for a live cluster, which gives the pods their addresses."""
    for name in dict.fromkeys(("default", *(app.namespace for app in APPS))):
        store.add(namespace(name))
    for number in range(NODES):
        store.add(node(f"worker-{number + 1}", zone=f"eu-1{'ab'[number % 2]}"))
    for app in APPS:
        _add_app(store, app)
    store.add(ingress("shop", "shop", "shop.example.com", "frontend", 8080))
    store.add(cronjob("invoice-mailer", "payments"))
    store.add(job("invoice-mailer-29000000", "payments", of="invoice-mailer"))


def _add_app(store: ObjectStore, app: App) -> None:
    template_hash = suffix(f"{app.namespace}/{app.name}", 10)
    owner = f"{app.name}-{template_hash}"
    labels = {**app.labels, "pod-template-hash": template_hash}
    store.add(deployment(app.name, app.namespace, app.labels, app.replicas))
    store.add(replicaset(owner, app.namespace, labels, app.replicas, of=app.name))
    if app.served:
        scraped = {"prometheus.io/scrape": "true"} if app.scrape else {}
        ports = app.ports
        store.add(
            service(app.name, app.namespace, selector=app.labels, ports=ports, labels=app.labels, annotations=scraped)
        )
    for number in range(app.replicas):
        store.add(
            pod(
                f"{owner}-{suffix(f'{owner}/{number}', 5)}",
                app.namespace,
                labels={**labels, "version": "v1"},
                annotations=app.pod_annotations(),
                owner=Owner("ReplicaSet", owner),
                ports=app.ports,
                image=f"registry.example/{app.name}:v1",
            )
        )
