"""How many labels a stored sample may have, and how long their names and values may be."""

from __future__ import annotations

import json
from typing import Final, Self

import msgspec

from promscout.errors import LabelLimitError
from promscout.model.labels import METRIC_NAME, LabelSet
from promscout.scrape.config import ScrapeConfig

_SHOWN: Final = 50
"""Characters of a name or value in a message. Source: prometheus v3.x scrape/scrape.go verifyLabelLimits."""


class LabelLimits(msgspec.Struct, frozen=True):
    """Limits of one sample's labels; lengths are bytes of UTF-8, 0 means no limit. The metric name is a label, too.

    Source: prometheus v3.x scrape/scrape.go verifyLabelLimits.
    """

    count: int = 0
    name_length: int = 0
    value_length: int = 0

    @classmethod
    def of(cls, config: ScrapeConfig) -> Self:
        """What a job asks for; ``NO_LIMITS`` itself where that is nothing."""
        limits = cls(config.label_limit, config.label_name_length_limit, config.label_value_length_limit)
        return NO_LIMITS if limits == NO_LIMITS else limits

    def check(self, labels: LabelSet) -> None:
        """Refuse ``labels`` when they exceed a limit.

        Raises:
            LabelLimitError: they do; it says which limit, which metric, and by how much.
        """
        if self.count and len(labels) > self.count:
            raise LabelLimitError(
                f"label_limit exceeded (metric: {_metric(labels)}, number of labels: {len(labels)}, "
                f"limit: {self.count})"
            )
        for name, value in labels:
            # A character is at most four bytes: what is that short need not be encoded.
            if self.name_length and len(name) * 4 > self.name_length:
                self._check_name(name, labels)
            if self.value_length and len(value) * 4 > self.value_length:
                self._check_value(name, value, labels)

    def _check_name(self, name: str, labels: LabelSet) -> None:
        length = len(name.encode())
        if length > self.name_length:
            raise LabelLimitError(
                f"label_name_length_limit exceeded (metric: {_metric(labels)}, label name: {name[:_SHOWN]}, "
                f"length: {length}, limit: {self.name_length})"
            )

    def _check_value(self, name: str, value: str, labels: LabelSet) -> None:
        length = len(value.encode())
        if length > self.value_length:
            shown = json.dumps(value[:_SHOWN], ensure_ascii=False)
            raise LabelLimitError(
                f"label_value_length_limit exceeded (metric: {_metric(labels)}, label name: {name[:_SHOWN]}, "
                f"value: {shown}, length: {length}, limit: {self.value_length})"
            )


NO_LIMITS: Final = LabelLimits()
"""Whatever the labels are."""


def _metric(labels: LabelSet) -> str:
    return dict(labels).get(METRIC_NAME, "")[:_SHOWN]
