"""Which metric and label names are valid: any text, or only what Prometheus 2 had."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from promscout.model.labels import is_label_name

_METRIC_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


class NameValidation(StrEnum):
    """A ``metric_name_validation_scheme``. Texts are taken to be encodable as UTF-8.

    Source: prometheus/common model/metric.go ValidationScheme.
    """

    UTF8 = "utf8"
    LEGACY = "legacy"

    def is_label_name(self, name: str) -> bool:
        """Whether ``name`` is a label name: not empty, and in the legacy scheme ``[a-zA-Z_][a-zA-Z0-9_]*``."""
        return name != "" and (self is NameValidation.UTF8 or is_label_name(name))

    def is_metric_name(self, name: str) -> bool:
        """Whether ``name`` is a metric name: not empty, and in the legacy scheme ``[a-zA-Z_:][a-zA-Z0-9_:]*``."""
        return name != "" and (self is NameValidation.UTF8 or _METRIC_NAME.fullmatch(name) is not None)
