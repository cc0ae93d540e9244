"""Addresses of what listens."""

from __future__ import annotations


def join_host_port(host: str, port: str | int) -> str:
    """``host:port``, an IPv6 host in brackets. Source: Go net.JoinHostPort."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
