"""``promscout demo``: a small simulated cluster, discovered and scraped before your eyes."""

from promscout.demo.session import DemoFailed, run_demo

__all__ = ["DemoFailed", "run_demo"]
