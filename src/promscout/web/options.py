"""Where and how the web server listens, and what it allows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec


class WebOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The web server's options, each with the default of ``promscout run``.

    An empty ``host`` is every address of the machine; port 0 takes a free one.
    """

    host: str = "127.0.0.1"
    port: int = 9090
    # TLS and who may come in, in the format of Prometheus's web configuration; None: neither.
    config_file: Path | None = None
    # The address that users know the server by; empty: this machine's name and the port.
    external_url: str = ""
    # What the path of every URL begins with; empty: the path of the external URL.
    route_prefix: str = ""
    # Whether other machines may ask for a reload or for the end.
    enable_lifecycle: bool = False
    enable_admin_api: bool = False
    # A regular expression for origins whose pages may read the API; empty: none but this server's own.
    cors_origin: str = ""
    page_title: str = "promscout"
    max_connections: int = 512
    # Seconds for a request to arrive, and for an idle connection.
    read_timeout: float = 300.0
    # The command line: name of the option without dashes → value in force.
    flags: Mapping[str, str] = {}
