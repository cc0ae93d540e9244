"""Relabel rules as configuration values."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Self

import msgspec

from promscout.errors import InvalidValueError
from promscout.relabel.regex import Regex


class Action(StrEnum):
    """What a relabel rule does."""

    REPLACE = "replace"
    KEEP = "keep"
    DROP = "drop"
    KEEPEQUAL = "keepequal"
    DROPEQUAL = "dropequal"
    HASHMOD = "hashmod"
    LABELMAP = "labelmap"
    LABELDROP = "labeldrop"
    LABELKEEP = "labelkeep"
    LOWERCASE = "lowercase"
    UPPERCASE = "uppercase"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The action of that name, in whatever case it is written.

        Raises:
            InvalidValueError: no such action.
        """
        try:
            return cls(text.lower())
        except ValueError:
            raise InvalidValueError(f'unknown relabel action "{text}"') from None


DEFAULT_SEPARATOR: Final = ";"
DEFAULT_REGEX: Final = Regex.parse("(.*)")
DEFAULT_REPLACEMENT: Final = "$1"

_NEED_TARGET: Final = frozenset(
    {Action.REPLACE, Action.HASHMOD, Action.LOWERCASE, Action.UPPERCASE, Action.KEEPEQUAL, Action.DROPEQUAL}
)
_NO_REPLACEMENT: Final = frozenset({Action.LOWERCASE, Action.UPPERCASE, Action.KEEPEQUAL, Action.DROPEQUAL})


class RelabelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One relabel rule.

    The values of ``source_labels``, joined by ``separator``, are matched against ``regex``; ``action`` decides what
    follows. ``replacement``, and ``target_label`` of a replace rule, may refer to groups: ``$1``, ``${name}``, ``$$``
    for a dollar sign. Label names are any non-empty UTF-8 text.

    Raises:
        InvalidValueError: fields that do not go together.

    Source: prometheus v3.x model/relabel/relabel.go Config, Validate.
    """

    source_labels: tuple[str, ...] = ()
    separator: str = DEFAULT_SEPARATOR
    regex: Regex = DEFAULT_REGEX
    modulus: int = 0  # needed by hashmod; unsigned, 64 bits
    target_label: str = ""
    replacement: str = DEFAULT_REPLACEMENT
    action: Action = Action.REPLACE

    def __post_init__(self) -> None:
        """Check the fields against each other."""
        if "" in self.source_labels:
            raise InvalidValueError('"" is not a valid label name', key="source_labels")
        if not 0 <= self.modulus < 1 << 64:
            raise InvalidValueError("modulus must fit in 64 bits, unsigned", key="modulus")
        if self.action is Action.HASHMOD and self.modulus == 0:
            raise InvalidValueError("relabel configuration for hashmod requires non-zero modulus", key="modulus")
        if self.action in _NEED_TARGET and not self.target_label:
            raise InvalidValueError(
                f"relabel configuration for {self.action} action requires 'target_label' value", key="target_label"
            )
        if self.action in _NO_REPLACEMENT and self.replacement != DEFAULT_REPLACEMENT:
            raise InvalidValueError(f"'replacement' can not be set for {self.action} action", key="replacement")
        if self.action is Action.LABELMAP and not self.replacement:
            raise InvalidValueError("\"\" is invalid 'replacement' for labelmap action", key="replacement")
        self._check_unused_fields()

    def _check_unused_fields(self) -> None:
        """Refuse fields that the action would silently ignore, for the actions where Prometheus does."""
        ignored = {
            "regex": self.regex != DEFAULT_REGEX,
            "modulus": self.modulus != 0,
            "separator": self.separator != DEFAULT_SEPARATOR,
            "replacement": self.replacement != DEFAULT_REPLACEMENT,
            "source_labels": bool(self.source_labels),
            "target_label": bool(self.target_label),
        }
        if self.action in {Action.KEEPEQUAL, Action.DROPEQUAL}:
            used, wording = {"source_labels", "target_label"}, "'source_labels' and `target_label`"
        elif self.action in {Action.LABELDROP, Action.LABELKEEP}:
            used, wording = {"regex"}, "'regex'"
        else:
            return
        for name, is_set in ignored.items():
            if is_set and name not in used:
                raise InvalidValueError(f"{self.action} action requires only {wording}, and no other fields", key=name)
