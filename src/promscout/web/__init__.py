"""The HTTP side of a running agent: Prometheus's API for targets, health and reload, own metrics, and the pages.

``WebServer`` serves an ``AgentView``, which is all that it knows of the agent.
"""

from promscout.web.options import WebOptions
from promscout.web.server import ListenError, WebServer
from promscout.web.view import AgentView, ConfigStatus

__all__ = ["AgentView", "ConfigStatus", "ListenError", "WebOptions", "WebServer"]
