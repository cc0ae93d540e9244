"""An embedded miniature Kubernetes cluster on loopback: a list/watch API server, and exporters for its pods.

Used by ``promscout demo``, by tests and by benchmarks. It imports nothing of the agent, so that both cannot be wrong
in the same way; what it answers is checked against recordings of a real API server (``tests/golden``).
"""

from promscout.sim.churn import Churn
from promscout.sim.cluster import SimCluster
from promscout.sim.demo_population import populate_demo
from promscout.sim.faults import Faults
from promscout.sim.store import ObjectStore

__all__ = ["Churn", "Faults", "ObjectStore", "SimCluster", "populate_demo"]
