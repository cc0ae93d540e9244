"""Label names and label sets.

While labels are being made (discovery, relabelling) they are a plain ``dict[str, str]``. Once final they are a
``LabelSet``: pairs sorted by name, hashable, equal by value, without empty values (an empty value means that the
label is absent).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

LabelSet: TypeAlias = tuple[tuple[str, str], ...]

METRIC_NAME: Final = "__name__"
ADDRESS: Final = "__address__"
SCHEME: Final = "__scheme__"
METRICS_PATH: Final = "__metrics_path__"
SCRAPE_INTERVAL: Final = "__scrape_interval__"
SCRAPE_TIMEOUT: Final = "__scrape_timeout__"
PARAM_PREFIX: Final = "__param_"
META_PREFIX: Final = "__meta_"
RESERVED_PREFIX: Final = "__"
JOB: Final = "job"
INSTANCE: Final = "instance"
EXPORTED_PREFIX: Final = "exported_"

_LABEL_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_UNSAFE: Final = re.compile(r"[^a-zA-Z0-9_]")


def label_set(labels: Mapping[str, str]) -> LabelSet:
    """The canonical form of ``labels``: sorted by name, empty values left out."""
    return tuple(sorted([pair for pair in labels.items() if pair[1]]))


def is_label_name(name: str) -> bool:
    """Whether ``name`` is a label name of the legacy scheme: ``[a-zA-Z_][a-zA-Z0-9_]*``."""
    return _LABEL_NAME.fullmatch(name) is not None


def sanitize_label_name(name: str) -> str:
    """``name`` with every character that a label name cannot hold replaced by ``_``.

    Source: prometheus v3.x util/strutil SanitizeLabelName.
    """
    return _UNSAFE.sub("_", name)
