"""Whatever a configuration accepts relabels whatever text labels hold, without an exception.

Texts here are what UTF-8 can hold. Lone surrogates are not: no label has one, since every way in refuses them (JSON of
the API server, YAML, exposed bodies, environment variables), as the last test shows.
"""

import msgspec
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from promscout.config import parse_config
from promscout.errors import ConfigError, ExpositionError, InvalidValueError
from promscout.exposition.series import parse_series
from promscout.model.labels import label_set
from promscout.model.names import NameValidation
from promscout.model.series import decode_label_set, encode_label_set
from promscout.relabel import Action, Regex, RelabelConfig, Relabeler

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ODD = st.sampled_from(
    ["", "\0", "\n", "\U0010ffff", "\ufeff", "é", "e\u0301", "$1", "İ", "ß", "\u2028", "a;b", "__name__"]
)
VALUE = TEXT | ODD
NAME = VALUE.filter(bool)
PIECES = (
    *(
        "a",
        "b",
        ".",
        ".*",
        ".+",
        "(.*)",
        "(a|b)",
        "(?P<n>.)",
        "[^;]*",
        r"\d",
        r"\pL",
        "(?i)",
        "(?s:.)",
        "a{2,3}",
        "{1,2}",
    ),
    *("^", "$", "|", "(", ")", "*", "+", "?", "\\", "[", "]", r"\Q", r"\E", "é", "\n", " "),
)
EXPRESSION = VALUE | st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
TEMPLATE = VALUE | st.lists(st.sampled_from(["$1", "${n}", "$$", "$", "{", "}", "x", "é", "$0", "."]), max_size=5).map(
    "".join
)
LABELS = st.dictionaries(NAME | st.sampled_from(["a", "b", "__meta_a"]), VALUE, max_size=6)


@st.composite
def rules(draw):
    """A rule that a configuration accepts; most texts make one."""
    action = draw(st.sampled_from(Action))
    fields = {
        "source_labels": st.lists(NAME | st.sampled_from(["a", "b"]), max_size=3).map(tuple),
        "separator": VALUE,
        "regex": EXPRESSION,
        "target_label": NAME | TEMPLATE | st.just("a"),
        "replacement": TEMPLATE,
        "modulus": st.integers(1, (1 << 64) - 1),
    }
    chosen = {name: draw(values) for name, values in fields.items() if draw(st.booleans()) or name in NEEDED[action]}
    if action in {Action.KEEPEQUAL, Action.DROPEQUAL}:
        chosen = {name: chosen[name] for name in ("source_labels", "target_label") if name in chosen}
    elif action in {Action.LABELDROP, Action.LABELKEEP}:
        chosen = {"regex": chosen["regex"]}
    elif action in {Action.LOWERCASE, Action.UPPERCASE}:
        chosen.pop("replacement", None)
    try:
        if "regex" in chosen:
            chosen["regex"] = Regex.parse(chosen["regex"])
        return RelabelConfig(action=action, name_validation=draw(st.sampled_from(NameValidation)), **chosen)
    except InvalidValueError:
        reject()


NEEDED = {
    **dict.fromkeys(Action, ()),
    **dict.fromkeys([Action.REPLACE, Action.LOWERCASE, Action.UPPERCASE], ("target_label",)),
    **dict.fromkeys([Action.KEEPEQUAL, Action.DROPEQUAL], ("target_label", "source_labels")),
    **dict.fromkeys([Action.LABELDROP, Action.LABELKEEP], ("regex",)),
    Action.HASHMOD: ("target_label", "modulus"),
}


@given(st.lists(rules(), min_size=1, max_size=4), LABELS)
def test_relabelling_never_raises(configs, labels):
    relabeler = Relabeler(configs)
    for _ in range(2):
        work = dict(labels)
        if relabeler.apply(work):
            assert "" not in work
            assert all(isinstance(text, str) for pair in work.items() for text in pair)
            finished = label_set(work)
            assert decode_label_set(encode_label_set(finished)) == finished
    assert len(relabeler.trace(labels)) <= len(configs)


@given(EXPRESSION, VALUE)
def test_an_expression_is_refused_with_a_reason_or_matches_without_one(text, value):
    try:
        regex = Regex.parse(text)
    except InvalidValueError as error:
        reason = str(error)
    else:
        reason = ""
    if reason:
        assert reason.startswith("error parsing regexp: ")
        return
    groups = regex.match(value)
    assert groups is None or (groups[0] == value and len(groups) == len(regex.group_names))


LONE = "\ud800"


def test_no_way_leads_from_outside_to_a_label_with_a_lone_surrogate():
    with pytest.raises(msgspec.DecodeError):  # how objects and lists of targets are read
        msgspec.json.decode(b'{"labels": {"a": "\\ud800"}}')
    with pytest.raises(ConfigError, match="invalid Unicode character escape code"):
        parse_config('scrape_configs: [{job_name: a, static_configs: [{targets: [a], labels: {b: "\\ud800"}}]}]')
    with pytest.raises(ConfigError, match="not valid UTF-8"):
        parse_config(f"scrape_configs: [{{job_name: a, static_configs: [{{targets: [a], labels: {{b: {LONE}}}}}]}}]")
    with pytest.raises(ConfigError, match="not valid UTF-8"):
        parse_config("global: {external_labels: {a: $A}}", environment={"A": b"\xff".decode(errors="surrogateescape")})
    with pytest.raises(ExpositionError, match="not valid UTF-8"):
        parse_series(b'm{a="' + LONE.encode(errors="surrogatepass") + b'"}')
