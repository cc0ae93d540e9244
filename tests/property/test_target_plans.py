"""Targets built by a plan are those that the plain rules give."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from promscout.model.frozendict import FrozenDict
from promscout.model.group import TargetGroup
from promscout.model.labels import LabelRow
from promscout.relabel import Action, Regex, RelabelConfig
from promscout.scrape.target_builder import PLANNED_AFTER, TargetBuilder
from property.test_relabel_reference import RULE
from unit.scrape.fakes import config

OWN = ("__address__", "a", "__meta_a", "x.y", "__param_a")
OF_BASE = ("b", "__meta_b", "a", "instance")
OF_GROUP = ("ab", "__scheme__", "__metrics_path__", "__scrape_interval__", "b", "job")
VALUES = st.sampled_from(("", "a", "ab", "b;a", "5s", "h:1", "ß\n", "/x"))

LAYER = st.tuples(VALUES, VALUES, VALUES, VALUES, VALUES, VALUES)
LAYOUT = st.tuples(
    st.lists(st.sampled_from(OF_GROUP), unique=True),
    st.lists(st.sampled_from(OF_BASE), unique=True),
    st.lists(st.sampled_from(OWN), unique=True),
)


def group_of(layout, targets):
    """A group whose targets all have the same layout; its own labels are those of the first target."""
    of_group, of_base, own = (tuple(names) for names in layout)
    rows = [LabelRow(own, values[2][: len(own)]) for values in targets]
    bases = [LabelRow(of_base, values[1][: len(of_base)]) for values in targets]
    return TargetGroup("g", tuple(rows), LabelRow(of_group, targets[0][0][: len(of_group)]), tuple(bases))


@given(
    st.lists(RULE, max_size=6),
    LAYOUT,
    st.lists(st.tuples(LAYER, LAYER, LAYER), min_size=1, max_size=8),
    st.sampled_from((FrozenDict(), FrozenDict({"a": ("1", "2")}))),
)
@example(
    [
        RelabelConfig(action=Action.LABELMAP, regex=Regex.parse("__meta_(.+)")),
        RelabelConfig(source_labels=("a",), regex=Regex.parse("(.+)"), target_label="__address__"),
    ],
    (["job"], ["a", "__meta_b"], ["__address__", "__meta_a"]),
    [(("j",) * 6, ("", "b", "", "", "", ""), ("h:1", "", "", "", "", ""))],
    FrozenDict(),
)
@settings(max_examples=400, deadline=None)
def test_for_any_rules_and_labels_a_plan_gives_what_the_plain_rules_give(rules, layout, targets, params):
    builder = TargetBuilder(config(relabel_configs=tuple(rules), params=params))
    group = group_of(layout, targets)
    plain = [builder.build_plainly(group, position) for position in range(len(targets))]
    for _ in range(PLANNED_AFTER + 1):
        assert list(builder.build(group)) == plain
