"""Role ``ingress``: one target per path of each rule, for blackbox probing."""

from __future__ import annotations

from typing import Final

from promscout.discovery.kubernetes.joined import Joined
from promscout.discovery.kubernetes.labels import NAMESPACE, PREFIX, add_namespace, add_object_meta
from promscout.kube.objects import Ingress, IngressRule
from promscout.model.group import TargetGroup
from promscout.model.labels import ADDRESS

_INGRESS: Final = PREFIX + "ingress_"
_INGRESS_CLASS_NAME: Final = _INGRESS + "class_name"
_INGRESS_SCHEME: Final = _INGRESS + "scheme"
_INGRESS_HOST: Final = _INGRESS + "host"
_INGRESS_PATH: Final = _INGRESS + "path"


def build_ingress(source: str, ingress: Ingress, joined: Joined) -> TargetGroup:
    """The target group of one ingress; empty when it has no rules.

    The scheme of a host is https when a TLS entry names it, also by a wildcard for its first part.

    Source: prometheus v3.x discovery/kubernetes/ingress.go buildIngress.
    """
    labels = {NAMESPACE: ingress.metadata.namespace}
    if ingress.spec.ingress_class_name is not None:
        labels[_INGRESS_CLASS_NAME] = ingress.spec.ingress_class_name
    add_object_meta(labels, ingress.metadata, "ingress")
    add_namespace(labels, ingress.metadata.namespace, joined)
    patterns = [host for tls in ingress.spec.tls or () for host in tls.hosts or ()]
    targets = []
    for rule in ingress.spec.rules or ():
        scheme = "https" if any(_matches(pattern, rule.host) for pattern in patterns) else "http"
        targets += [
            {ADDRESS: rule.host, _INGRESS_SCHEME: scheme, _INGRESS_HOST: rule.host, _INGRESS_PATH: path}
            for path in _paths(rule)
        ]
    return TargetGroup.of(source, targets, labels)


def _paths(rule: IngressRule) -> list[str]:
    """The paths of a rule; ``/`` for an empty path and for a rule without any."""
    if rule.http is None:
        return ["/"]
    return [path.path or "/" for path in rule.http.paths or ()]


def _matches(pattern: str, host: str) -> bool:
    """Whether a TLS host covers a rule's host. Source: ingress.go matchesHostnamePattern."""
    if pattern == host:
        return True
    first, *rest = pattern.split(".")
    return first == "*" and rest == host.split(".")[1:]
