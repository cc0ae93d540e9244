"""From the labels that a target exposes to the labels that are stored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from promscout.errors import InvalidValueError
from promscout.model.labels import EXPORTED_PREFIX, METRIC_NAME, LabelSet, label_set
from promscout.model.names import NameValidation
from promscout.relabel.engine import Relabeler
from promscout.scrape.label_limits import NO_LIMITS, LabelLimits

_SHOWN: Final = 80
"""Characters of a target's text in a message."""


class SampleLabels:
    """Adds a target's labels to exposed ones and applies ``metric_relabel_configs``.

    ``names`` says which names may come out, ``limits`` how many labels of what length; the target's own labels count,
    its report samples do not.

    Source: prometheus v3.x scrape/scrape.go mutateSampleLabels, resolveConflictingExposedLabels,
    mutateReportSampleLabels; model/labels/labels_common.go Labels.IsValid.
    """

    __slots__ = ("_honor_labels", "_limits", "_names", "_relabeler", "_target_labels")

    def __init__(
        self,
        target_labels: LabelSet,
        relabeler: Relabeler,
        *,
        honor_labels: bool,
        names: NameValidation = NameValidation.UTF8,
        limits: LabelLimits = NO_LIMITS,
    ) -> None:
        self._names = names
        self._target_labels = target_labels
        self._relabeler = relabeler
        self._honor_labels = honor_labels
        self._limits = limits

    def finish(self, exposed: Iterable[tuple[str, str]]) -> LabelSet | None:
        """The labels to store for a sample with the labels ``exposed``; None when relabelling drops it.

        Raises:
            InvalidValueError: relabelling left a sample without a metric name, or with a name that is not valid.
            LabelLimitError: they exceed a limit.
        """
        labels = dict(exposed)
        if self._honor_labels:
            for name, value in self._target_labels:
                labels.setdefault(name, value)
        else:
            self._override(labels)
        if not self._relabeler.apply(labels):
            return None
        finished = label_set(labels)
        if finished and not labels.get(METRIC_NAME):
            raise InvalidValueError("metric name missing after relabelling")
        if self._names is not NameValidation.UTF8:  # no text is an invalid name there
            self._check_names(finished)
        if finished and self._limits is not NO_LIMITS:
            self._limits.check(finished)
        return finished or None

    def _check_names(self, labels: LabelSet) -> None:
        scheme = self._names
        invalid = [name for name, _ in labels if not scheme.is_label_name(name)]
        invalid += [value for name, value in labels if name == METRIC_NAME and not scheme.is_metric_name(value)]
        if invalid:
            shown = invalid[0] if len(invalid[0]) <= _SHOWN else invalid[0][:_SHOWN] + "…"
            raise InvalidValueError(
                f'invalid metric name or label names: "{shown}" (metric_name_validation_scheme is {scheme})'
            )

    def report(self, metric: str) -> LabelSet:
        """The labels of a report sample such as ``up``: the target's own; nothing exposed can conflict."""
        return label_set({**dict(self._target_labels), METRIC_NAME: metric})

    def _override(self, labels: dict[str, str]) -> None:
        """The target's labels win; what they displace is kept under a name with ``exported_`` in front."""
        displaced = {}
        for name, value in self._target_labels:
            if labels.get(name):
                displaced[name] = labels[name]
            labels[name] = value
        # Shortest first, so that of "a" and "exported_a" the one that was exposed as such ends up with more prefixes.
        for name in sorted(displaced, key=len):
            exported = EXPORTED_PREFIX + name
            while labels.get(exported):
                exported = EXPORTED_PREFIX + exported
            labels[exported] = displaced[name]
