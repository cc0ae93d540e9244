"""Everything that packages need that add a mechanism. docs/plugins.md says how.

Names of this module stay; what is elsewhere in promscout may change.
"""

from promscout.discovery.discoverer import Discoverer, Publish
from promscout.discovery.mechanism import DiscoveryContext, Mechanism
from promscout.discovery.refresh import Refresher, RefreshFailed, RefreshMetrics
from promscout.discovery.target_groups import groups_from_json, numbered_groups
from promscout.errors import InvalidValueError
from promscout.httpclient.client import HTTPClient
from promscout.httpclient.config import HTTPClientConfig
from promscout.httpclient.secret import URL, Secret
from promscout.logs import EventLog
from promscout.model.duration import Duration
from promscout.model.frozendict import FrozenDict
from promscout.model.group import TargetGroup
from promscout.model.labels import ADDRESS, META_PREFIX

__all__ = [
    "ADDRESS",
    "META_PREFIX",
    "URL",
    "Discoverer",
    "DiscoveryContext",
    "Duration",
    "EventLog",
    "FrozenDict",
    "HTTPClient",
    "HTTPClientConfig",
    "InvalidValueError",
    "Mechanism",
    "Publish",
    "RefreshFailed",
    "RefreshMetrics",
    "Refresher",
    "Secret",
    "TargetGroup",
    "groups_from_json",
    "numbered_groups",
]
