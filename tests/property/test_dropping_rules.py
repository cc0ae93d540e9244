"""What pages say about dropped targets is what relabelling does."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.virtual_time import VirtualClock, VirtualTimeLoop
from promscout.model.group import TargetGroup
from promscout.relabel import Relabeler
from promscout.scrape.loop import Ending
from promscout.scrape.pool import ScrapePool
from promscout.web.pages.discovered import discovered_page
from promscout.web.pages.discovery_query import DiscoveryQuery, Fate
from promscout.web.pages.drop_counts import DropCounter
from property.test_relabel_reference import RULE
from unit.scrape.fakes import FakeTransport, Recorder, config, context

VALUES = st.sampled_from(("", "a", "ab", "b;a", "5s", "h:1"))
LABELS = st.dictionaries(st.sampled_from(("a", "b", "ab", "__meta_a", "job")), VALUES)
TARGETS = st.lists(LABELS, min_size=1, max_size=12)


@given(st.lists(RULE, max_size=6), TARGETS)
@settings(max_examples=300, deadline=None)
def test_the_rule_that_drops_is_the_last_of_the_trace(rules, targets):
    relabeler = Relabeler(rules)
    for labels in targets:
        steps = relabeler.trace(labels)
        dropping = steps[-1].index if steps and not steps[-1].kept else None
        assert relabeler.dropping_rule(dict(labels)) == dropping
        assert relabeler.apply(dict(labels)) is (dropping is None)


@given(rules=st.lists(RULE, max_size=6), targets=TARGETS)
@settings(max_examples=60, deadline=None)
def test_the_page_of_a_rule_has_as_many_targets_as_the_rule_drops(rules, targets):
    async def compare():
        chosen = config(relabel_configs=tuple(rules))
        pool = ScrapePool(chosen, context(Recorder(), VirtualClock(), lambda _: FakeTransport("a 1\n")))
        rows = [{"__address__": f"127.0.0.{place + 1}:1"} | labels for place, labels in enumerate(targets)]
        pool.sync({("static/0", "0"): TargetGroup.of("0", rows)})
        counts = await DropCounter().count(pool, asked=True)
        assert sum(one.dropped for one in counts.rules) == pool.dropped_count
        for one in counts.rules:
            found = await discovered_page(pool, DiscoveryQuery(job="j", rule=one.index))
            assert found.page.found == one.dropped
            assert {shown.fate for shown in found.page.items} <= {Fate.DROPPED}
            assert {shown.dropped_by.number for shown in found.page.items} <= {one.index}
        everything = await discovered_page(pool, DiscoveryQuery(job="j"))
        assert everything.matching.total() == len(targets)
        assert everything.matching[Fate.DROPPED] == pool.dropped_count
        await pool.close(Ending.SHUTDOWN)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(compare())
