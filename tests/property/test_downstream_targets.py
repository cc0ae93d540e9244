"""Whoever reads a list has the same targets, whatever rules made them."""

from __future__ import annotations

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from promscout.discovery.target_groups import groups_from_json
from promscout.downstream.defaults import defaulted, restoring_rules
from promscout.downstream.entries import _final
from promscout.model.frozendict import FrozenDict
from promscout.relabel import Action, Regex, RelabelConfig
from promscout.scrape.target import Target
from promscout.scrape.target_builder import TargetBuilder
from property.test_relabel_reference import RULE
from property.test_target_plans import LAYER, LAYOUT, group_of
from unit.scrape.fakes import config

SOURCES = st.sampled_from(((), ("a",), ("b", "a")))
DEFAULTS = st.sampled_from(("job", "__param_a", "__metrics_path__", "__scheme__"))
EXPRESSIONS = st.sampled_from(("job", "__param_.*", "__scheme__|job", ".*[a-z_]", "__.*")).map(Regex.parse)
TOUCHES_DEFAULTS = st.one_of(
    st.builds(RelabelConfig, action=st.sampled_from((Action.LABELDROP, Action.LABELKEEP)), regex=EXPRESSIONS),
    st.builds(RelabelConfig, action=st.just(Action.LOWERCASE), source_labels=SOURCES, target_label=DEFAULTS),
    st.builds(
        RelabelConfig,
        source_labels=SOURCES,
        regex=st.sampled_from(("(.*)", "(a)?.*")).map(Regex.parse),
        target_label=st.one_of(DEFAULTS, st.just("$1")),
        replacement=st.sampled_from(("", "$1", "x")),
    ),
)


@given(
    st.lists(st.one_of(RULE, TOUCHES_DEFAULTS), max_size=5),
    LAYOUT,
    st.lists(st.tuples(LAYER, LAYER, LAYER), min_size=1, max_size=4),
    st.sampled_from((FrozenDict(), FrozenDict({"a": ("1", "2")}))),
)
@example(
    [RelabelConfig(source_labels=("a",), target_label="job")],
    (["job"], ["b"], ["__address__"]),
    [(("j",) * 6, ("",) * 6, ("h:1",) * 6)],
    FrozenDict(),
)
@settings(max_examples=400, deadline=None)
def test_a_job_without_rules_makes_the_same_targets_of_a_list(rules, layout, targets, params):
    job = config(relabel_configs=tuple(rules), params=params)
    served = [one for one in TargetBuilder(job).build(group_of(layout, targets)) if isinstance(one, Target)]
    text = b"[" + b",".join(_final(target, defaulted(job)) for target in served) + b"]"
    reader = TargetBuilder(msgspec.structs.replace(job, relabel_configs=tuple(restoring_rules(job))))
    groups = [one.group("http", __meta_url="http://127.0.0.1") for one in groups_from_json(text)]
    assert [target for group in groups for target in reader.build(group)] == served
