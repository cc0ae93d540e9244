"""Relabel rules compiled for one layout of labels: the names are known, so only the values are left to look at.

Targets of a cluster have few layouts (which labels they have, in which order), and thousands of values for each. Under
one layout every rule on label names is decided, every rule's source is a position, and a rule's result is needed only
where a later rule or the outcome reads it. What is left is generated as one Python function.

``Relabeler`` is the plain form of the same rules: for any labels a plan gives what ``Relabeler.apply`` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.rules import converter, label_renames, unwanted_labels
from promscout.relabel.template import compile_template

Values: TypeAlias = tuple[str, ...]

_EVERYTHING: Final = frozenset({"(.*)", ".*"})
_ANYTHING: Final = "(.+)"
_WHOLE: Final = frozenset({"$1", "${1}"})


class Plan(msgspec.Struct, frozen=True):
    """Rules for one layout.

    ``run`` takes the values of each layer, in the layout's order, and gives the values of ``names``, which are sorted;
    an empty value means that the label is absent. It gives None when a rule drops the labels.
    """

    names: tuple[str, ...]
    run: Callable[[Values, Values, Values], Values | None]


class Outcome(msgspec.Struct, frozen=True):
    """What a plan's caller does around the rules, as part of the plan.

    Before them, labels that are absent get the values of ``defaults``; after them, an absent label ``fallback[0]`` gets
    the value of ``fallback[1]``. Only labels that ``keeps`` accepts are given, and always those of ``always``.
    """

    defaults: Mapping[str, str]
    fallback: tuple[str, str]
    keeps: Callable[[str], bool]
    always: tuple[str, ...]


def compile_plan(configs: Iterable[RelabelConfig], layers: Sequence[Sequence[str]], outcome: Outcome) -> Plan | None:
    """The plan of ``configs`` for labels of which ``layers`` are the names, three layers, the later over the earlier.

    None where a rule makes label names out of values, so that no layout tells which labels there are.
    """
    work = _Work(layers, outcome.defaults)
    try:
        for config in configs:
            work.add(config)
    except _NamesFromValuesError:
        return None
    name, other = outcome.fallback
    work.labels[name] = work.either(work.get(name), work.get(other))
    given = {one for one, value in work.labels.items() if value.constant != "" and outcome.keeps(one)}
    names = tuple(sorted(given.union(outcome.always)))
    return Plan(names, work.function(names))


class _NamesFromValuesError(Exception):
    """A rule sets a label whose name depends on values."""


class _Value(msgspec.Struct, frozen=True):
    """The value of a label while a plan is made: an expression, and what it gives where that is known."""

    code: str
    constant: str | None = None

    @classmethod
    def of(cls, constant: str) -> _Value:
        return cls(repr(constant), constant)


_ABSENT: Final = _Value.of("")


class _Work:
    """A plan in the making: what each label's value is at this point, and the statements so far.

    Every variable is assigned once, and label names and values stand in the code as Python literals only.
    """

    def __init__(self, layers: Sequence[Sequence[str]], defaults: Mapping[str, str]) -> None:
        self.labels: dict[str, _Value] = {}
        self._lines: list[str] = []
        self._scope: dict[str, object] = {}
        for number, names in enumerate(layers):
            self.labels |= {name: _Value(f"r{number}[{position}]") for position, name in enumerate(names)}
        for name, value in defaults.items():
            self.labels[name] = self.either(self.get(name), _Value.of(value))

    def get(self, name: str) -> _Value:
        return self.labels.get(name, _ABSENT)

    def either(self, first: _Value, second: _Value) -> _Value:
        """The first of two values that is not empty."""
        if first.constant is not None:
            return first if first.constant else second
        return first if second.constant == "" else self._let(f"{first.code} or {second.code}")

    def add(self, config: RelabelConfig) -> None:
        """Do what ``config`` says."""
        match config.action:
            case Action.REPLACE:
                self._replace(config)
            case Action.KEEP | Action.DROP | Action.KEEPEQUAL | Action.DROPEQUAL:
                self._filter(config)
            case Action.HASHMOD | Action.LOWERCASE | Action.UPPERCASE:
                self.labels[config.target_label] = self._call(converter(config), self._source(config))
            case Action.LABELMAP:
                self._map_labels(config)
            case Action.LABELDROP | Action.LABELKEEP:
                for name in unwanted_labels(config, tuple(self.labels)):
                    del self.labels[name]

    def function(self, names: Iterable[str]) -> Callable[[Values, Values, Values], Values | None]:
        """The function that gives the values of ``names``."""
        result = "".join(f"{self.get(name).code}, " for name in names)
        code = "\n    ".join(["def run(r0, r1, r2):", *self._lines, f"return ({result})"])
        exec(compile(code, "<relabel plan>", "exec"), self._scope)  # noqa: S102 - made here, of literals and names
        run: Callable[[Values, Values, Values], Values | None] = self._scope["run"]  # type: ignore[assignment]
        return run

    def _replace(self, config: RelabelConfig) -> None:
        if "$" in config.target_label:
            raise _NamesFromValuesError
        source, before = self._source(config), self.get(config.target_label)
        expand = compile_template(config.replacement, config.regex)
        matches_all = config.regex.text in _EVERYTHING
        if source.constant is not None:
            groups = config.regex.match(source.constant)
            result = before if groups is None else _Value.of(expand(groups))
        elif matches_all and "$" not in config.replacement:
            result = _Value.of(config.replacement)
        elif config.regex.text == "(.*)" and config.replacement in _WHOLE:
            result = source
        elif config.regex.text == _ANYTHING and config.replacement in _WHOLE:
            result = self.either(source, before)
        elif "$" not in config.replacement:
            match = self._bind(config.regex.match)
            result = self._let(f"{before.code} if {match}({source.code}) is None else {config.replacement!r}")
        else:
            groups_of = self._let(f"{self._bind(config.regex.match)}({source.code})").code
            result = self._let(f"{before.code} if {groups_of} is None else {self._bind(expand)}({groups_of})")
        self.labels[config.target_label] = result

    def _filter(self, config: RelabelConfig) -> None:
        source = self._source(config)
        if config.action in {Action.KEEPEQUAL, Action.DROPEQUAL}:
            drops = "!=" if config.action is Action.KEEPEQUAL else "=="
            condition = f"{self.get(config.target_label).code} {drops} {source.code}"
        else:
            drops = "is" if config.action is Action.KEEP else "is not"
            condition = f"{self._bind(config.regex.match)}({source.code}) {drops} None"
        self._lines.append(f"if {condition}: return None")

    def _map_labels(self, config: RelabelConfig) -> None:
        present = tuple(name for name, value in self.labels.items() if value.constant != "")
        mapped: dict[str, _Value] = {}
        for name, new in label_renames(config, present):
            mapped[new] = self.either(self.labels[name], mapped.get(new) or self.get(new))
        self.labels |= mapped

    def _source(self, config: RelabelConfig) -> _Value:
        """The values of the source labels, joined."""
        values = [self.get(name) for name in config.source_labels]
        if len(values) == 1:
            return values[0]
        constants = [value.constant for value in values if value.constant is not None]
        if len(constants) == len(values):
            return _Value.of(config.separator.join(constants))
        return self._let(f" + {config.separator!r} + ".join(value.code for value in values))

    def _call(self, function: Callable[[str], str], source: _Value) -> _Value:
        if source.constant is not None:
            return _Value.of(function(source.constant))
        return self._let(f"{self._bind(function)}({source.code})")

    def _let(self, code: str) -> _Value:
        """A variable with the value of ``code``."""
        name = f"v{len(self._lines)}"
        self._lines.append(f"{name} = {code}")
        return _Value(name)

    def _bind(self, value: object) -> str:
        """A name under which the code finds ``value``."""
        name = f"k{len(self._scope)}"
        self._scope[name] = value
        return name
