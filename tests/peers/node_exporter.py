"""node_exporter: a real exporter to scrape."""

from __future__ import annotations

from peers.process import PeerProcess


class NodeExporter(PeerProcess):
    """Serves this machine's metrics at ``metrics_url``."""

    program = "prometheus-node-exporter"
    ready_path = "/"

    def arguments(self) -> list[str]:
        return [f"--web.listen-address=127.0.0.1:{self.port}"]

    @property
    def address(self) -> str:
        """``127.0.0.1:port``, as a target's ``__address__``."""
        return f"127.0.0.1:{self.port}"

    @property
    def metrics_url(self) -> str:
        return f"{self.url}/metrics"
