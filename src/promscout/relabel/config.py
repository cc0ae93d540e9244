"""Relabel rules as configuration values."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Final, Self

import msgspec

from promscout.errors import InvalidValueError
from promscout.model.names import NameValidation
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
_LEGACY_TEMPLATE: Final = re.compile(r"(?:[a-zA-Z_]|\$(?:\{\w+\}|\w))(?:\w|\$(?:\{\w+\}|\w))*", re.ASCII)


class RelabelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One relabel rule.

    The values of ``source_labels``, joined by ``separator``, are matched against ``regex``; ``action`` decides what
    follows. ``replacement``, and ``target_label`` of a replace rule, may refer to groups: ``$1``, ``${name}``, ``$$``
    for a dollar sign. Label names are any non-empty UTF-8 text, or legacy names where ``name_validation`` says so:
    names that are set are checked here, and where the ``target_label`` of a replace rule comes out as no valid name,
    the rule does nothing.

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
    # Not written with the rule, but for the whole job (or globally, for remote write).
    name_validation: Annotated[NameValidation, msgspec.Meta(extra={"derived": True})] = NameValidation.UTF8

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
        if self.action in _NEED_TARGET:
            self._check_name(self.target_label, "target_label", is_template=self.action is Action.REPLACE)
        if self.action in _NO_REPLACEMENT and self.replacement != DEFAULT_REPLACEMENT:
            raise InvalidValueError(f"'replacement' can not be set for {self.action} action", key="replacement")
        if self.action is Action.LABELMAP:
            self._check_name(self.replacement, "replacement", is_template=True)
        self._check_unused_fields()

    def _check_name(self, name: str, key: str, *, is_template: bool) -> None:
        """Refuse a name that the scheme does not have; a template is a name that may have references in it."""
        legacy = self.name_validation is NameValidation.LEGACY
        if legacy and is_template and "$" in name:
            valid = _LEGACY_TEMPLATE.fullmatch(name) is not None
        else:
            valid = self.name_validation.is_label_name(name)
        if not valid:
            scheme = " under metric_name_validation_scheme legacy" if legacy else ""
            raise InvalidValueError(f"\"{name}\" is invalid '{key}' for {self.action} action{scheme}", key=key)

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
