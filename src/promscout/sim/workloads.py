"""Makes realistic objects around pods: what owns them and what routes to them. Like :mod:`promscout.sim.population`."""

from __future__ import annotations

from collections.abc import Mapping

from promscout.sim.population import Owner, metadata_of
from promscout.sim.resources import JsonObject


def deployment(name: str, namespace: str, labels: Mapping[str, str], replicas: int) -> JsonObject:
    """A deployment whose replicas are all available."""
    spec = {"replicas": replicas, "selector": {"matchLabels": dict(labels)}, "template": _template(labels)}
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas)
    metadata = metadata_of(name, namespace, labels)
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec, "status": counts}


def replicaset(name: str, namespace: str, labels: Mapping[str, str], replicas: int, *, of: str) -> JsonObject:
    """A replica set of the deployment ``of``."""
    spec = {"replicas": replicas, "selector": {"matchLabels": dict(labels)}, "template": _template(labels)}
    counts = dict.fromkeys(("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas"), replicas)
    metadata = metadata_of(name, namespace, labels, owner=Owner("Deployment", of))
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec, "status": counts}


def job(name: str, namespace: str, *, of: str = "") -> JsonObject:
    """A running job, of the cron job ``of`` where that is given."""
    owner = Owner("CronJob", of, "batch/v1") if of else None
    spec = {"parallelism": 1, "completions": 1, "template": _template({"job-name": name})}
    metadata = metadata_of(name, namespace, {"job-name": name}, owner=owner)
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec, "status": {"active": 1}}


def cronjob(name: str, namespace: str, schedule: str = "*/5 * * * *") -> JsonObject:
    """A cron job."""
    spec = {"schedule": schedule, "jobTemplate": {"spec": {"template": _template({"cronjob": name})}}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": metadata_of(name, namespace),
        "spec": spec,
        "status": {},
    }


def ingress(name: str, namespace: str, host: str, backend: str, port: int = 80) -> JsonObject:
    """An ingress with one host, one path and TLS."""
    target = {"service": {"name": backend, "port": {"number": port}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": target}]
    spec = {
        "ingressClassName": "nginx",
        "tls": [{"hosts": [host], "secretName": f"{name}-tls"}],
        "rules": [{"host": host, "http": {"paths": paths}}],
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata_of(name, namespace),
        "spec": spec,
        "status": {"loadBalancer": {}},
    }


def _template(labels: Mapping[str, str]) -> JsonObject:
    containers = [{"name": "app", "image": "registry.example/app:v1"}]
    return {"metadata": {"labels": dict(labels)}, "spec": {"containers": containers, "restartPolicy": "Always"}}
