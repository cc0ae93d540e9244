"""The HTTP API: Prometheus's as its agent has it, and what is beyond it."""
