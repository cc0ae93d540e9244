"""Label names, label sets and label rows.

While labels are being made they are a plain ``dict[str, str]``. What is kept of them for thousands of targets is a
``LabelRow``. Final labels that are shown or sent are a ``LabelSet``: pairs sorted by name, hashable, equal by value,
without empty values (an empty value means that the label is absent).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import chain
from typing import Final, Self, TypeAlias

import msgspec

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


@lru_cache(maxsize=8192)
def shared_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """``names`` as one object for all who have the same: the targets of a workload differ in values only."""
    return names


@lru_cache(maxsize=8192)
def _joined_names(parts: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    return shared_names(tuple(chain.from_iterable(parts)))


class LabelRow(msgspec.Struct, frozen=True, gc=False):
    """Labels as two tuples of equal length, names that many rows share, and values; immutable and equal by value.

    A third of the size of a dict. Names are in the order in which they were given, each at most once; values may be
    empty.
    """

    names: tuple[str, ...] = ()
    values: tuple[str, ...] = ()

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> Self:
        """The row of ``labels``."""
        return cls(shared_names(tuple(labels)), tuple(labels.values()))

    @classmethod
    def joined(cls, *rows: LabelRow) -> Self:
        """All labels of ``rows``, of which no two have a name in common."""
        names = _joined_names(tuple([row.names for row in rows]))
        return cls(names, tuple(chain.from_iterable([row.values for row in rows])))

    def as_dict(self) -> dict[str, str]:
        """The same labels as a new dict."""
        return dict(zip(self.names, self.values, strict=True))

    def __getitem__(self, name: str) -> str:
        """The value of ``name``, found by looking through the names."""
        try:
            return self.values[self.names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def __contains__(self, name: str) -> bool:
        return name in self.names


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
