"""Real programs to test against, each an async context manager that starts one on 127.0.0.1 and stops it again.

``scripts/fetch-peers`` (``make peers``) puts them where ``find_peers`` looks.
"""

from peers.kubectl import Kubectl
from peers.node_exporter import NodeExporter
from peers.process import PeerError, PeerProcess, find_chromium, find_peers, free_loopback_port, running
from peers.prometheus import Prometheus
from peers.promtool import promtool_accepts, promtool_accepts_web_config, promtool_check
from peers.strict_receiver import StrictReceiver
from peers.victoria_metrics import VictoriaMetrics
from peers.vmagent import VMAgent

__all__ = [
    "Kubectl",
    "NodeExporter",
    "PeerError",
    "PeerProcess",
    "Prometheus",
    "StrictReceiver",
    "VMAgent",
    "VictoriaMetrics",
    "find_chromium",
    "find_peers",
    "free_loopback_port",
    "promtool_accepts",
    "promtool_accepts_web_config",
    "promtool_check",
    "running",
]
