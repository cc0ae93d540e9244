"""Which relabel rules are accepted, wherever rules may stand; promtool is the judge."""

from __future__ import annotations

import re

import pytest

from peers import promtool_accepts
from promscout.config import parse_config
from promscout.errors import ConfigError

# A rule in flow style, and the key at fault where it is refused: empty for the rule as a whole.
RULES = {
    "{target_label: a}": None,
    "{}": "target_label",
    "~": "",
    "a": "",
    "[a]": "",
    "{target_label: a, sourcelabels: [b]}": "sourcelabels",
    "{target_label: a, target_label: b}": "target_label",
    # action
    "{action: replace, target_label: a}": None,
    "{action: REPLACE, target_label: a}": None,
    "{action: ' replace', target_label: a}": "action",
    "{action: '', target_label: a}": "action",
    "{action: 5, target_label: a}": "action",
    "{action: [keep]}": "action",
    "{action: keep}": None,
    "{action: drop}": None,
    "{action: labelmap}": None,
    "{action: labeldrop}": None,
    "{action: labelkeep}": None,
    "{action: lowercase}": "target_label",
    "{action: uppercase, target_label: ~}": "target_label",
    "{action: keepequal}": "target_label",
    "{action: dropequal, target_label: ''}": "target_label",
    "{action: hashmod, modulus: 1}": "target_label",
    # source_labels
    "{target_label: a, source_labels: b}": "source_labels",
    "{target_label: a, source_labels: {b: c}}": "source_labels",
    "{target_label: a, source_labels: []}": None,
    "{target_label: a, source_labels: ~}": None,
    "{target_label: a, source_labels: [b.c, 5, true]}": None,
    "{target_label: a, source_labels: ['']}": "source_labels",
    "{target_label: a, source_labels: [[b]]}": "source_labels",
    # separator, replacement
    "{target_label: a, separator: ''}": None,
    "{target_label: a, separator: ~}": None,
    "{target_label: a, separator: 5}": None,
    "{target_label: a, separator: [b]}": "separator",
    "{target_label: a, replacement: ~}": None,
    "{target_label: a, replacement: ''}": None,
    "{target_label: a, replacement: {b: c}}": "replacement",
    "{action: labelmap, replacement: ''}": "replacement",
    "{action: labelmap, replacement: ~}": "replacement",
    "{action: labelmap, replacement: a.b}": None,
    "{action: labelmap, source_labels: [b], target_label: c, modulus: 3, separator: d}": None,
    # modulus
    "{action: hashmod, target_label: a}": "modulus",
    "{action: hashmod, target_label: a, modulus: 0}": "modulus",
    "{action: hashmod, target_label: a, modulus: ~}": "modulus",
    "{action: hashmod, target_label: a, modulus: 18446744073709551615}": None,
    "{action: hashmod, target_label: a, modulus: 0x10}": None,
    "{action: hashmod, target_label: a, modulus: -1}": "modulus",
    "{action: hashmod, target_label: a, modulus: '5'}": "modulus",
    "{action: hashmod, target_label: a, modulus: five}": "modulus",
    "{target_label: a, modulus: 3}": None,
    "{target_label: a, modulus: 3.0}": None,
    # what an action does not use
    "{action: lowercase, target_label: a, replacement: ''}": "replacement",
    "{action: uppercase, target_label: a, replacement: b}": "replacement",
    "{action: uppercase, target_label: a, replacement: $1}": None,
    "{action: lowercase, target_label: a, regex: b, modulus: 3, separator: c}": None,
    "{action: keepequal, target_label: a, source_labels: [b]}": None,
    "{action: keepequal, target_label: a, replacement: b}": "replacement",
    "{action: keepequal, target_label: a, separator: b}": "separator",
    "{action: keepequal, target_label: a, separator: ;}": None,
    "{action: dropequal, target_label: a, modulus: 1}": "modulus",
    "{action: dropequal, target_label: a, modulus: 0}": None,
    "{action: dropequal, target_label: a, regex: b}": "regex",
    "{action: dropequal, target_label: a, regex: ~}": "regex",
    "{action: labeldrop, regex: a}": None,
    "{action: labeldrop, regex: a, source_labels: ~}": None,
    "{action: labeldrop, regex: a, target_label: ''}": None,
    "{action: labeldrop, regex: a, target_label: b}": "target_label",
    "{action: labelkeep, regex: a, source_labels: [b]}": "source_labels",
    "{action: labelkeep, regex: a, separator: ~}": "separator",
    "{action: labelkeep, regex: a, modulus: 1}": "modulus",
    "{action: labelkeep, regex: a, replacement: b}": "replacement",
    # names
    "{target_label: a.b}": None,
    "{target_label: '${1}.b'}": None,
    "{action: hashmod, modulus: 1, target_label: $1}": None,
    # regex
    "{target_label: a, regex: ''}": None,
    "{target_label: a, regex: ~}": None,
    "{target_label: a, regex: 5}": None,
    "{target_label: a, regex: 1.50}": None,
    "{target_label: a, regex: true}": None,
    "{target_label: a, regex: [b]}": "regex",
    "{target_label: a, regex: '('}": "regex",
    "{target_label: a, regex: ')'}": "regex",
    "{target_label: a, regex: '[b'}": "regex",
    "{target_label: a, regex: '*'}": "regex",
    "{target_label: a, regex: 'b**'}": "regex",
    "{target_label: a, regex: 'b\\'}": "regex",
    "{target_label: a, regex: 'b\\1'}": "regex",
    "{target_label: a, regex: '(?=b)'}": "regex",
    "{target_label: a, regex: '(?<n>b)'}": None,
    "{target_label: a, regex: '(?P<n>b)(?P<n>c)'}": None,
    "{target_label: a, regex: '(?P<n-m>b)'}": "regex",
    "{target_label: a, regex: '\\C'}": "regex",
    "{target_label: a, regex: '\\pX'}": "regex",
    "{target_label: a, regex: '\\p{Greek}'}": None,
    "{target_label: a, regex: '[[:word:]]'}": None,
    "{target_label: a, regex: '[[:wort:]]'}": "regex",
    "{target_label: a, regex: '[z-a]'}": "regex",
    "{target_label: a, regex: 'b{1000}'}": None,
    "{target_label: a, regex: 'b{1001}'}": "regex",
    "{target_label: a, regex: 'b{2,1}'}": "regex",
    "{target_label: a, regex: 'b{,5}'}": None,
    "{target_label: a, regex: '(b{100}){10}'}": None,
    "{target_label: a, regex: '(b{100}){11}'}": "regex",
    "{target_label: a, regex: '((b{0,10}){10}){11}'}": "regex",
    "{target_label: a, regex: '(b+)+$'}": None,
    "{target_label: a, regex: '(?m)^b$'}": None,
    "{target_label: a, regex: '(?x)b'}": "regex",
    "{target_label: a, regex: '(?i'}": "regex",
}

STRICTER = {
    "{target_label: a, regex: 'b)|(c'}": "the parentheses only fit those around the expression",
    "{target_label: a, source_labels: [~]}": "a label without a name",
    "{target_label: a, modulus: 18446744073709551616}": "too large, which would be cut",
}
"""Accepted by Prometheus and refused here, with the reason."""

LOOSER = {
    "{action: keepequal, source_labels: [a], target_label: b, regex: (.*)}": "what is written is the default",
    "{action: labeldrop, source_labels: [], regex: a}": "likewise",
}
"""Refused by Prometheus and accepted here, with the reason."""

PLACES = {
    "scrape_configs[0].relabel_configs": "scrape_configs: [{job_name: j, relabel_configs: [%s]}]",
    "scrape_configs[0].metric_relabel_configs": "scrape_configs: [{job_name: j, metric_relabel_configs: [%s]}]",
    "remote_write[0].write_relabel_configs": "remote_write: [{url: 'http://127.0.0.1/', write_relabel_configs: [%s]}]",
}


def refusal(text):
    """The first problem, or None."""
    try:
        parse_config(text)
    except ConfigError as error:
        return error.problems[0]
    return None


@pytest.mark.parametrize("place", PLACES)
async def test_the_same_rules_are_accepted_and_the_others_named_with_their_key(peers_dir, tmp_path, place):
    texts = [PLACES[place] % rule for rule in RULES]
    theirs = await promtool_accepts(peers_dir, tmp_path, texts)
    different = [rule for rule, accepts in zip(RULES, theirs, strict=True) if accepts is not (RULES[rule] is None)]
    assert different == [], "Prometheus disagrees with the table"
    for text, (rule, key) in zip(texts, RULES.items(), strict=True):
        problem = refusal(text)
        if key is None:
            assert problem is None, rule
        else:
            assert problem is not None, rule
            path = re.sub(r"(?<=source_labels)\[0\]$", "", problem.path)
            assert path == f"{place}[0]" + (f".{key}" if key else ""), rule
            assert (problem.line, problem.file) == (1, "<text>"), rule
            assert problem.column > text.index(rule), rule


@pytest.mark.parametrize("place", PLACES)
async def test_some_rules_are_refused_here_only_and_some_by_prometheus_only(peers_dir, tmp_path, place):
    rules = [*STRICTER, *LOOSER]
    theirs = await promtool_accepts(peers_dir, tmp_path, [PLACES[place] % rule for rule in rules])
    assert dict(zip(rules, theirs, strict=True)) == dict.fromkeys(STRICTER, True) | dict.fromkeys(LOOSER, False)
    ours = {rule: refusal(PLACES[place] % rule) is None for rule in rules}
    assert ours == dict.fromkeys(STRICTER, False) | dict.fromkeys(LOOSER, True)
