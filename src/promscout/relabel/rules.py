"""Relabel rules compiled to functions.

What depends only on the configuration is decided once, when a rule is compiled: rules without source labels become
constants, and rules on label names remember what to do for each set of names they have met, since the pods of a
workload differ in values and not in names.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from hashlib import md5
from typing import Final, TypeAlias

from promscout.model.names import NameValidation
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.template import compile_template

Labels: TypeAlias = dict[str, str]

Rule: TypeAlias = Callable[[Labels], bool]
"""Changes the labels in place; False drops them."""

_LAYOUTS: Final = 1024
"""Sets of label names for which a rule on names remembers its answer."""

_WIDEST: Final = 500  # names of a set that is remembered: a thousand sets of ten thousand names would be 100 MB


def compile_rule(config: RelabelConfig) -> Rule:
    """The function that carries out ``config``."""
    return _COMPILERS[config.action](config)


def source_value(config: RelabelConfig) -> Callable[[Labels], str]:
    """A function that joins the values of the source labels."""
    names, separator = config.source_labels, config.separator
    if not names:
        return lambda _labels: ""
    if len(names) == 1:
        name = names[0]
        return lambda labels: labels.get(name, "")
    return lambda labels: separator.join([labels.get(name, "") for name in names])


def hash_mod(value: str, modulus: int) -> str:
    """The last eight bytes of the MD5 sum of ``value``, as a big-endian number modulo ``modulus``."""
    digest = md5(value.encode(), usedforsecurity=False).digest()
    return str(int.from_bytes(digest[8:], "big") % modulus)


def lower(text: str) -> str:
    """``text`` in lower case, character by character as Go does it: no character becomes two, none looks around."""
    if text.isascii():
        return text.lower()
    return "".join("i" if char == "\u0130" else char.lower() for char in text)


def upper(text: str) -> str:
    """``text`` in upper case, character by character as Go does it: ``ß`` stays what it is."""
    return text.upper() if text.isascii() else "".join(map(_upper_char, text))


def _upper_char(char: str) -> str:
    # Where Unicode's full mapping is longer, the simple one is the title case or the character itself.
    return next((mapped for mapped in (char.upper(), char.title()) if len(mapped) == 1), char)


def _replace(config: RelabelConfig) -> Rule:
    regex, target = config.regex, config.target_label
    match, source = regex.match, source_value(config)
    expand_target = compile_template(target, regex)
    expand = compile_template(config.replacement, regex)
    is_name = bool if config.name_validation is NameValidation.UTF8 else config.name_validation.is_label_name
    if not config.source_labels:
        groups = match("")
        if groups is None or not is_name(constant := expand_target(groups)):
            return lambda _labels: True
        return _set_constant(constant, expand(groups))

    def replace_in(labels: Labels) -> bool:
        groups = match(source(labels))
        if groups is None:
            return True
        if result := expand(groups):
            labels[target] = result
        else:
            labels.pop(target, None)
        return True

    def replace(labels: Labels) -> bool:
        groups = match(source(labels))
        if groups is not None and is_name(name := expand_target(groups)):
            labels[name] = expand(groups)
            if not labels[name]:
                del labels[name]
        return True

    return replace if "$" in target else replace_in


def _set_constant(name: str, value: str) -> Rule:
    def set_label(labels: Labels) -> bool:
        labels[name] = value
        return True

    def delete_label(labels: Labels) -> bool:
        labels.pop(name, None)
        return True

    return set_label if value else delete_label


def converter(config: RelabelConfig) -> Callable[[str], str]:
    """What a hashmod, lowercase or uppercase rule makes of the joined source labels."""
    modulus = config.modulus
    conversions = {Action.LOWERCASE: lower, Action.UPPERCASE: upper}
    return conversions.get(config.action, lambda value: hash_mod(value, modulus))


def _convert(config: RelabelConfig) -> Rule:
    source, target, convert = source_value(config), config.target_label, converter(config)

    def assign(labels: Labels) -> bool:
        if result := convert(source(labels)):
            labels[target] = result
        else:
            labels.pop(target, None)
        return True

    return assign


def _filter(config: RelabelConfig) -> Rule:
    match, source = config.regex.match, source_value(config)
    if config.action is Action.KEEP:
        return lambda labels: match(source(labels)) is not None
    return lambda labels: match(source(labels)) is None


def _filter_equal(config: RelabelConfig) -> Rule:
    source, target = source_value(config), config.target_label
    if config.action is Action.KEEPEQUAL:
        return lambda labels: labels.get(target, "") == source(labels)
    return lambda labels: labels.get(target, "") != source(labels)


def label_renames(config: RelabelConfig, names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Which of the labels called ``names`` a labelmap rule copies, and to which names; of two to one the later wins."""
    expand = compile_template(config.replacement, config.regex)
    # Sorted, so that of two labels mapped to one name the same wins in whatever order they came.
    matches = [(name, groups) for name in sorted(names) if (groups := config.regex.match(name)) is not None]
    return tuple((name, new) for name, groups in matches if (new := expand(groups)))


def _label_map(config: RelabelConfig) -> Rule:
    renames = lru_cache(_LAYOUTS)(partial(label_renames, config))

    def label_map(labels: Labels) -> bool:
        names = tuple(labels)
        copies = renames(names) if len(names) <= _WIDEST else label_renames(config, names)
        labels.update({new: value for name, new in copies if (value := labels[name])})
        return True

    return label_map


def unwanted_labels(config: RelabelConfig, names: tuple[str, ...]) -> tuple[str, ...]:
    """Which of the labels called ``names`` a labeldrop or labelkeep rule deletes."""
    drops_matching = config.action is Action.LABELDROP
    return tuple(name for name in names if (config.regex.match(name) is not None) is drops_matching)


def _label_filter(config: RelabelConfig) -> Rule:
    unwanted = lru_cache(_LAYOUTS)(partial(unwanted_labels, config))

    def label_filter(labels: Labels) -> bool:
        names = tuple(labels)
        for name in unwanted(names) if len(names) <= _WIDEST else unwanted_labels(config, names):
            del labels[name]
        return True

    return label_filter


_COMPILERS: Final[dict[Action, Callable[[RelabelConfig], Rule]]] = {
    Action.REPLACE: _replace,
    Action.KEEP: _filter,
    Action.DROP: _filter,
    Action.KEEPEQUAL: _filter_equal,
    Action.DROPEQUAL: _filter_equal,
    Action.HASHMOD: _convert,
    Action.LABELMAP: _label_map,
    Action.LABELDROP: _label_filter,
    Action.LABELKEEP: _label_filter,
    Action.LOWERCASE: _convert,
    Action.UPPERCASE: _convert,
}
