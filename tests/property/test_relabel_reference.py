"""The compiled engine agrees with a plain reading of the rules, over generated rules and labels."""

import hashlib
import re

from hypothesis import given
from hypothesis import strategies as st

from promscout.relabel import Action, Regex, RelabelConfig, Relabeler

NAMES = ("a", "b", "ab", "__meta_a", "__meta_b", "x.y")
REGEXES = (
    *("(.*)", ".*", "(.+)", "a|b", "(a|b)", "(?:a|)", "", "a", "a.*", "__meta_(.+)", "__meta_(.*)", ".*b", "(.*)b"),
    *("([^;]*);(.*)", "(a)|(b)", "(?P<n>a+)b?", "[ab]+", "x\\.y", "^a$", "(a|ab)(.*)", "(?i)A.*", "a(.+)b"),
)
TEMPLATES = ("$1", "x", "$0", "${1}", "p_$1", "${1}$2", "$$", "$", "$n", "${n}-", "$1x", "${1}x", "a")

VALUE = st.text(alphabet="ab;.\nXß", max_size=6)
LABELS = st.dictionaries(st.sampled_from(NAMES), VALUE.filter(bool), max_size=6)
FIELDS = {
    "source_labels": st.lists(st.sampled_from(NAMES), max_size=3).map(tuple),
    "separator": st.sampled_from((";", "", ".")),
    "regex": st.sampled_from(REGEXES).map(Regex.parse),
    "modulus": st.integers(1, 12),
    "target_label": st.sampled_from((*NAMES, *TEMPLATES)),
    "replacement": st.sampled_from(TEMPLATES),
}
USED = {
    Action.REPLACE: ("source_labels", "separator", "regex", "target_label", "replacement"),
    Action.KEEP: ("source_labels", "separator", "regex"),
    Action.DROP: ("source_labels", "separator", "regex"),
    Action.KEEPEQUAL: ("source_labels", "target_label"),
    Action.DROPEQUAL: ("source_labels", "target_label"),
    Action.HASHMOD: ("source_labels", "separator", "target_label", "modulus"),
    Action.LABELMAP: ("regex", "replacement"),
    Action.LABELDROP: ("regex",),
    Action.LABELKEEP: ("regex",),
    Action.LOWERCASE: ("source_labels", "separator", "target_label"),
    Action.UPPERCASE: ("source_labels", "separator", "target_label"),
}
RULE = st.sampled_from(Action).flatmap(
    lambda action: st.builds(RelabelConfig, action=st.just(action), **{name: FIELDS[name] for name in USED[action]})
)


def expand(template: str, match: re.Match[str]) -> str:
    def fill(reference: re.Match[str]) -> str:
        name = reference["name"] or reference["braced"]
        if name is None:
            return "$"
        try:
            return match[int(name) if name.isdecimal() else name] or ""
        except IndexError:
            return ""

    return re.sub(r"\$(?:\$|(?P<name>\w+)|\{(?P<braced>\w+)\})?", fill, template)


def plain_rule(  # noqa: C901, PLR0912 - one branch per action is the point of a plain reading
    config: RelabelConfig, labels: dict[str, str]
) -> dict[str, str] | None:
    """The labels after one rule, or None when it drops them."""

    def matches(text: str) -> re.Match[str] | None:
        return re.fullmatch(config.regex.text, text, re.DOTALL)

    value = config.separator.join(labels.get(name, "") for name in config.source_labels)
    target, new = config.target_label, dict(labels)
    match config.action:
        case Action.REPLACE:
            if found := matches(value):
                new[expand(target, found)] = expand(config.replacement, found)
        case Action.KEEP:
            return new if matches(value) else None
        case Action.DROP:
            return None if matches(value) else new
        case Action.KEEPEQUAL:
            return new if labels.get(target, "") == value else None
        case Action.DROPEQUAL:
            return None if labels.get(target, "") == value else new
        case Action.HASHMOD:
            new[target] = str(int(hashlib.md5(value.encode()).hexdigest()[16:], 16) % config.modulus)
        case Action.LABELMAP:
            for name in sorted(labels):
                if found := matches(name):
                    new[expand(config.replacement, found)] = labels[name]
        case Action.LABELDROP:
            new = {name: text for name, text in labels.items() if not matches(name)}
        case Action.LABELKEEP:
            new = {name: text for name, text in labels.items() if matches(name)}
        case Action.LOWERCASE:
            new[target] = value.lower()
        case Action.UPPERCASE:
            new[target] = "".join(char if char == "ß" else char.upper() for char in value)
    return {name: text for name, text in new.items() if name and text}


@given(st.lists(RULE, max_size=4), LABELS)
def test_the_compiled_engine_agrees_with_a_plain_reading_of_the_rules(rules, labels):
    expected: dict[str, str] | None = labels
    for rule in rules:
        expected = None if expected is None else plain_rule(rule, expected)
    relabeler = Relabeler(rules)
    for _ in range(2):  # the second time the answers come from memory
        actual = dict(labels)
        assert (actual if relabeler.apply(actual) else None) == expected


@given(st.lists(RULE, max_size=4), LABELS)
def test_a_trace_ends_where_relabelling_ends(rules, labels):
    relabeler = Relabeler(rules)
    after = dict(labels)
    kept = relabeler.apply(after)
    steps = relabeler.trace(labels)
    assert all(step.kept for step in steps[:-1])
    if kept:
        assert len(steps) == len(rules)
        assert (steps[-1].labels if steps else labels) == after
    else:
        assert not steps[-1].kept


@given(st.lists(RULE, max_size=4), LABELS, st.randoms())
def test_the_order_of_labels_makes_no_difference(rules, labels, random):
    relabeler = Relabeler(rules)
    shuffled = list(labels.items())
    random.shuffle(shuffled)
    one, other = dict(labels), dict(shuffled)
    assert relabeler.apply(one) == relabeler.apply(other)
    if relabeler.apply(dict(labels)):
        assert one == other
