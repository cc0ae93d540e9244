"""The targets of one job: what a sync and a reload start, stop and leave alone."""

from __future__ import annotations

import asyncio
import weakref
from collections import Counter
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.virtual_time import VirtualClock, VirtualTimeLoop
from promscout.httpclient.config import BasicAuth
from promscout.model.duration import Duration
from promscout.model.frozendict import FrozenDict
from promscout.model.group import TargetGroup
from promscout.model.labels import label_set
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.regex import Regex
from promscout.scrape.config import ScrapeConfig
from promscout.scrape.loop import Ending, ScrapeLoop
from promscout.scrape.pool import ScrapePool
from promscout.scrape.setup import FOR_FETCHING, FOR_ONE_SCRAPE, FOR_SERIES, FOR_TARGETS
from promscout.scrape.target import Target
from promscout.scrape.target_builder import TargetBuilder
from unit.scrape.fakes import STALE, FakeTransport, Recorder, config, context

KEY = ("static/0", "0")
OTHER = ("static/0", "1")


def drop(address):
    return RelabelConfig(source_labels=("__address__",), regex=Regex.parse(address), action=Action.DROP)


def group(*targets, **labels):
    made = ({"__address__": one} if isinstance(one, str) else one for one in targets)
    return TargetGroup.of("g", made, labels)


GONE = TargetGroup("g")
RENAME = RelabelConfig(target_label="instance", replacement="renamed")
PARAMS = FrozenDict({"x": ("1",)})


class Running:
    """A pool with fakes around it."""

    def __init__(self, clock, **options):
        self.recorder = Recorder()
        self.transports = []
        self.pool = ScrapePool(config(**options), context(self.recorder, clock, self.connect))

    def connect(self, _):
        self.transports.append(FakeTransport("a 1\n"))
        return self.transports[-1]

    @property
    def addresses(self):
        return sorted(dict(target.all_labels)["__address__"] for target in self.pool.active)

    @property
    def loops(self):
        return {dict(target.all_labels)["__address__"]: one.loop for target, one in self.pool.active.items()}

    @property
    def under_way(self):
        """How many scrapes are."""
        return sum(task.get_name().startswith("scrape ") for task in asyncio.all_tasks())

    async def until(self, condition):
        async with asyncio.timeout(1000):
            while not condition():  # noqa: ASYNC110 - no event is set
                await asyncio.sleep(0.1)

    @property
    def alive(self):
        """Loops that wait for a slot or scrape, known to the pool or not."""
        timers = asyncio.get_running_loop()._scheduled
        waiting = sum(isinstance(getattr(one._callback, "__self__", None), ScrapeLoop) for one in timers)
        return waiting + self.under_way

    async def scraped(self, scrapes=1):
        async with asyncio.timeout(1000):
            while min(loop.scrapes for loop in self.loops.values()) < scrapes:  # noqa: ASYNC110 - no event is set
                await asyncio.sleep(0.5)

    def up(self, **labels):
        return [value for _, value in self.recorder.of("up", **labels)]


@asynccontextmanager
async def running(clock, ending=Ending.SHUTDOWN, **options):
    it = Running(clock, **options)
    try:
        yield it
    finally:
        await it.pool.close(ending)
    assert it.alive == 0


async def test_a_sync_starts_what_is_new_and_stops_what_is_gone(clock):
    async with running(clock) as it:
        it.pool.sync({KEY: group("a", "b")})
        assert it.addresses == ["a", "b"]
        await it.scraped()
        kept = it.loops["b"]
        it.pool.sync({KEY: group("b", "c")})
        assert it.addresses == ["b", "c"]
        assert it.loops["b"] is kept
        await it.scraped()
        assert it.alive == 2
        assert it.up(instance="a")[-1] is STALE
        assert STALE not in it.up(instance="b")


async def test_an_equal_target_in_other_labels_and_places_is_not_touched(clock):
    async with running(clock) as it:
        it.pool.sync({KEY: group("a", "b", __meta_x="1")})
        kept = it.loops
        it.pool.sync({KEY: GONE, OTHER: group("b", "a", __meta_x="2")})
        assert it.loops == kept
        (active,) = [one for one in it.pool.active.values() if one.loop is kept["a"]]
        assert dict(it.pool.discovered_labels(active))["__meta_x"] == "2"


async def test_equal_targets_are_one_loop_until_the_last_is_gone(clock):
    async with running(clock) as it:
        it.pool.sync({KEY: group("a", "a"), OTHER: group("a")})
        loop = it.loops["a"]
        await it.scraped()
        assert it.alive == 1
        it.pool.sync({KEY: GONE})
        assert it.loops == {"a": loop}
        it.pool.sync({OTHER: group("b")})
        assert it.addresses == ["b"]
        await it.scraped()
        assert it.up(instance="a")[-1] is STALE
        assert it.alive == 1


async def test_whoever_looks_at_targets_while_nothing_changes_shares_one_list_that_nobody_keeps(clock):
    async with running(clock) as it:
        it.pool.sync({KEY: group("a", "b")})
        first = it.pool.snapshot()
        assert [active.loop for active in first] == list(it.loops.values())
        assert it.pool.snapshot() is first
        it.pool.sync({OTHER: group("c")})
        second = it.pool.snapshot()
        assert [active.loop for active in second] == list(it.loops.values())
        assert len(first) == 2
        gone = weakref.ref(second)
        del second
        assert gone() is None


async def test_removing_what_was_never_there_is_nothing(clock):
    async with running(clock) as it:
        it.pool.sync({KEY: GONE})
        assert (it.addresses, it.pool.dropped_count) == ([], 0)


async def test_dropped_targets_are_counted_and_shown_with_their_discovered_labels(clock):
    async with running(clock, relabel_configs=(drop("b|c"),)) as it:
        it.pool.sync({KEY: group("a", "b", "c", x="1")})
        assert (it.addresses, it.pool.dropped_count) == (["a"], 2)
        assert [dict(labels)["__address__"] for labels in it.pool.dropped()] == ["b", "c"]
        assert {dict(labels)["x"] for labels in it.pool.dropped()} == {"1"}
        it.pool.sync({KEY: group("b")})
        assert (it.addresses, it.pool.dropped_count) == ([], 1)
        it.pool.sync({KEY: GONE})
        assert (it.pool.dropped_count, list(it.pool.dropped())) == (0, [])


async def test_the_last_place_of_a_target_is_the_one_that_is_shown(clock):
    async with running(clock) as it:
        first, last = {"__address__": "a", "__meta_p": "1"}, {"__address__": "a", "__meta_p": "2"}
        it.pool.sync({KEY: group(first, last)})
        (active,) = it.pool.active.values()
        assert dict(it.pool.discovered_labels(active))["__meta_p"] == "2"


async def test_a_refused_target_harms_no_other_and_is_counted(clock):
    async with running(clock) as it:
        it.pool.sync({KEY: group("a", "b/c", "d")})
        assert (it.addresses, it.pool.dropped_count) == (["a", "d"], 0)
        it.pool.sync({KEY: group("d")})
        assert it.addresses == ["d"]


async def test_all_removed_targets_with_equal_labels_are_stopped(clock):
    """Their labels differ only in what samples do not carry."""
    async with running(clock) as it:
        same = [{"__address__": "a", "__metrics_path__": path} for path in ("/1", "/2", "/3")]
        it.pool.sync({KEY: group(*same)})
        await asyncio.sleep(0)
        assert it.alive == 3
        it.pool.sync({KEY: GONE})
        await asyncio.sleep(0.1)
        assert it.alive == 0


async def test_a_target_that_moves_under_the_same_labels_leaves_no_marker(clock):
    async with running(clock) as it:
        it.pool.sync({KEY: group({"__address__": "a", "instance": "i"})})
        await it.scraped()
        it.pool.sync({KEY: group({"__address__": "b", "instance": "i"})})
        await it.scraped()
        assert it.alive == 1
        assert it.up() == [1, 1]
        assert it.recorder.names(STALE) == []


async def test_a_target_that_comes_back_is_scraped_again_after_its_markers(clock):
    async with running(clock) as it:
        it.pool.sync({KEY: group("a")})
        await it.scraped()
        it.pool.sync({KEY: GONE})
        it.pool.sync({KEY: group("a")})
        await it.scraped()
        assert it.up() == [1, STALE, 1]
        assert it.alive == 1


async def test_a_reload_keeps_loops_whose_identity_stays_and_their_slots(clock):
    async with running(clock) as it:
        it.pool.sync({KEY: group("a", "b")})
        await it.scraped()
        before = it.loops
        it.pool.reload(config(enable_compression=False, relabel_configs=(drop("b"),)))
        assert it.loops == {"a": before["a"]}
        assert it.pool.dropped_count == 1
        await it.scraped(3)
        times = [at for at, _ in it.recorder.of("up", instance="a")]
        assert [later - times[0] for later in times] == [0, 10_000, 20_000]
        assert STALE not in it.up(instance="a")
        assert it.up(instance="b")[-1] is STALE
        old, new = it.transports
        assert old.retired
        assert not new.retired
        assert {target.url for _, target in new.fetched} == {"http://a/metrics"}


async def test_a_reload_that_adds_a_label_ends_the_old_series_and_begins_new_ones(clock):
    async with running(clock) as it:
        it.pool.sync({KEY: group("a")})
        await it.scraped()
        it.pool.reload(config(relabel_configs=(RelabelConfig(target_label="env", replacement="x"),)))
        await it.scraped()
        assert it.up(env="x") == [1]
        assert [labels.get("env") for labels, _, value in it.recorder.samples if value is STALE] == [None] * 6


@pytest.mark.parametrize(("before", "after"), [(10, 60), (60, 10), (10, 15), (15, 10), (60, 59), (10, 10)])
async def test_a_reload_with_another_interval_goes_on_with_the_same_series_and_without_a_gap(before, after, clock):
    targets = [f"h{number}" for number in range(30)]
    async with running(clock, scrape_interval=Duration(before)) as it:
        it.pool.sync({KEY: group(*targets)})
        await it.scraped(2)
        it.pool.reload(config(scrape_interval=Duration(after)))
        reloaded = clock.now_ms()
        await asyncio.sleep(4 * after)
        assert it.recorder.names(STALE) == []
        assert it.alive == 30
        for target in targets:
            times = [at for at, _ in it.recorder.of("up", instance=target)]
            steps = [later - earlier for earlier, later in pairwise(times)]
            assert min(steps) > 0
            assert max(steps) <= max(before, after) * 1000 + 1000
            new = [at for at in times if at >= reloaded][1:]
            assert {later - earlier for earlier, later in pairwise(new)} == {after * 1000}, "then at their slots"


@pytest.mark.parametrize(("ending", "stale"), [(Ending.SHUTDOWN, False), (Ending.REMOVED, True)])
async def test_closing_ends_every_loop_with_markers_only_when_the_job_is_gone(ending, stale, clock):
    async with running(clock, ending) as it:
        it.pool.sync({KEY: group("a", "b")})
        await it.scraped()
    assert (it.recorder.names(STALE) != []) is stale
    assert it.alive == 0


async def test_a_reload_that_adds_a_label_keeps_the_slots(clock):
    async with running(clock) as it:
        it.pool.sync({KEY: group(*[f"h{number}" for number in range(20)])})
        await it.scraped()
        it.pool.reload(config(relabel_configs=(RelabelConfig(target_label="env", replacement="x"),)))
        await it.scraped(2)
        for number in range(20):
            times = [at for at, value in it.recorder.of("up", instance=f"h{number}") if value is not STALE]
            assert {later - earlier for earlier, later in pairwise(times)} == {10_000}


async def test_a_reload_finishes_the_scrapes_that_are_under_way(clock):
    async with running(clock) as it:
        it.transports[0].bodies = [3]  # seconds
        it.pool.sync({KEY: group("a")})
        await it.scraped()
        renamed = {"relabel_configs": (RENAME,)}
        for options in ({"scrape_interval": Duration(20)}, renamed, renamed | {"params": PARAMS}):
            await it.until(lambda: it.under_way)
            it.pool.reload(config(**options))
            await asyncio.sleep(4)
        await it.scraped()
        assert it.up(instance="a") == [1, 1, 1, STALE]
        assert it.up(instance="renamed") == [1, 1]


async def test_reloads_and_syncs_while_a_last_scrape_is_finished_end_in_one_loop_with_one_series(clock):
    async with running(clock) as it:
        it.transports[0].bodies = [4]  # seconds
        it.pool.sync({KEY: group("a")})
        await it.until(lambda: it.under_way)
        for interval in (20, 30, 10, 20):
            it.pool.reload(config(scrape_interval=Duration(interval)))
            await asyncio.sleep(0.5)
            assert it.alive == 1, "the one that finishes its scrape"
        await it.scraped(3)
        assert it.up() == [1] * 4
        await it.until(lambda: it.under_way)
        it.pool.reload(config(scrape_interval=Duration(10)))
        it.pool.sync({KEY: GONE})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert it.alive == 0
        assert it.up()[-1] is STALE


async def test_closing_stops_a_scrape_that_was_to_be_finished_for_another_loop(clock):
    for ending, last in ((Ending.SHUTDOWN, 1), (Ending.REMOVED, STALE)):
        async with running(clock, ending) as it:
            it.transports[0].bodies = [4]  # seconds
            it.pool.sync({KEY: group("a")})
            await it.scraped()
            await it.until(lambda: it.under_way)
            it.pool.reload(config(scrape_interval=Duration(20)))
        assert it.up()[-1] is last or it.up()[-1] == last


async def test_options_that_concern_no_target_leave_targets_series_and_connections_alone(clock):
    async with running(clock) as it:
        it.pool.sync({KEY: group("a")})
        await it.scraped()
        it.pool.reload(config(sample_limit=100))
        await it.scraped(2)
        it.pool.reload(config(sample_limit=100, relabel_configs=(drop("b"),)))
        await it.scraped(3)
        (_,) = it.transports
        assert not it.transports[0].retired
        tables = {id(batch.series) for batch in it.recorder.batches}
        assert len(tables) == 2, "what the target exposes, and the report"


def test_what_options_concern_names_options_that_there_are():
    lists = (FOR_TARGETS, FOR_FETCHING, FOR_SERIES, FOR_ONE_SCRAPE)
    assert frozenset().union(*lists) <= frozenset(ScrapeConfig.__struct_fields__)
    assert sum(map(len, lists)) == len(frozenset().union(*lists))


class Groups(TargetBuilder):
    """Counts the targets that it builds."""

    built = 0

    def build(self, *args):
        for one in super().build(*args):
            Groups.built += 1
            yield one


async def test_targets_are_built_again_only_when_an_option_concerns_them(clock, monkeypatch):
    monkeypatch.setattr("promscout.scrape.setup.TargetBuilder", Groups)
    async with running(clock) as it:
        it.pool.sync({KEY: group("a", "b")})
        Groups.built = 0
        it.pool.reload(config(basic_auth=BasicAuth(username="u")))
        it.pool.reload(config(metric_relabel_configs=(drop("x"),), label_limit=3))
        assert Groups.built == 0
        it.pool.reload(config(metrics_path="/m"))
        assert Groups.built == 2


# The model: whatever came before, the pool is what the groups that are there now make of it.

ADDRESSES = st.sampled_from(["a", "b", "c", "d", "e/refused", "f"])
TARGETS = st.fixed_dictionaries(
    {"__address__": ADDRESSES},
    optional={"__meta_x": st.sampled_from("12"), "label": st.sampled_from("12"), "instance": st.just("same")},
)
GROUPS = st.builds(
    lambda targets, labels: TargetGroup.of("g", targets, labels),
    st.lists(TARGETS, max_size=4),
    st.dictionaries(st.sampled_from(["label", "__metrics_path__", "__meta_y"]), st.sampled_from(["", "x"]), max_size=2),
)
KEYS = st.sampled_from([("p", "1"), ("p", "2"), ("q", "1")])
RULES = st.sampled_from([(), (drop("a"),), (drop("b|c"), RelabelConfig(target_label="__address__", replacement="one"))])
STEPS = st.lists(st.one_of(st.dictionaries(KEYS, GROUPS, min_size=1), RULES), max_size=10)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_after_any_changes_the_pool_is_what_a_rebuild_would_make(steps):
    async def run():
        async with running(VirtualClock()) as it:
            groups, rules = {}, ()
            for number, step in enumerate(steps):
                if isinstance(step, tuple):
                    rules = step
                    it.pool.reload(config(relabel_configs=rules))
                else:
                    groups |= step
                    it.pool.sync(step)
                await asyncio.sleep(0.001 + number % 3 * 7)
                _compare(it, groups, TargetBuilder(config(relabel_configs=rules)))

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


SLICED = st.lists(
    st.one_of(
        st.dictionaries(KEYS, GROUPS, min_size=1),
        RULES,
        st.sampled_from([10, 20]).map(Duration),
        st.integers(0, 4),
        st.just("all"),
    ),
    max_size=25,
)


@given(SLICED)
@settings(max_examples=150, deadline=None)
def test_changes_in_the_midst_of_others_end_in_what_a_rebuild_would_make(steps):
    async def run():
        async with running(VirtualClock()) as it:
            groups, chosen, mixed = {}, {}, False
            held = _holders(it)
            for step in (*steps, "all"):
                if step == "all":
                    while not it.pool.settle():
                        pass
                    await asyncio.sleep(0)
                    _compare(it, groups, TargetBuilder(config(**chosen)))
                    before, held = held, _holders(it)
                    if not mixed:
                        _no_marker(it, [one for one in held if before[one] == 1])
                    mixed = False
                    it.recorder.batches.clear()
                    await asyncio.sleep(25)
                elif isinstance(step, int):
                    mixed = True  # loops may have been stopped in the meantime
                    for _ in range(step):
                        it.pool.settle()
                    await asyncio.sleep(step * 3)
                elif isinstance(step, dict):
                    groups |= step
                    it.pool.put(step)
                else:
                    chosen["relabel_configs" if isinstance(step, tuple) else "scrape_interval"] = step
                    it.pool.use(it.pool.setup.changed_to(config(**chosen), it.connect))
                for active in it.pool.active.values():
                    it.pool.discovered_labels(active)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner, pytest.MonkeyPatch.context() as patch:
        patch.setattr("promscout.scrape.pool.SLICE_SECONDS", 0)
        runner.run(run())


def _holders(it):
    """How many targets have each set of labels."""
    return Counter(target.labels for target in it.pool.active)


def _no_marker(it, kept):
    ended = [labels for labels, _, value in it.recorder.samples if value is STALE and labels["__name__"] == "up"]
    for labels in kept:
        assert {"__name__": "up", **dict(labels)} not in ended, "its series live on"


def _compare(it, groups, builder):
    places, where, dropped = Counter(), {}, 0
    for one in groups.values():
        for position, built in enumerate(builder.build(one)):
            if isinstance(built, Target):
                places[built] += 1
                where.setdefault(built, set()).add(label_set(builder.discovered_labels(one, position)))
            dropped += built is None
    assert {target: one.places for target, one in it.pool.active.items()} == places
    for target, one in it.pool.active.items():
        assert it.pool.discovered_labels(one) in where[target]
    assert it.pool.dropped_count == dropped == len(list(it.pool.dropped()))
    assert it.pool.duplicate_count == places.total() - len(places)
    assert it.alive == len(it.pool.active)
