"""Watches without sockets, in virtual time; and the property that a follower always ends up with the store's state."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promscout.sim.encoding import PLAIN
from promscout.sim.listing import list_page
from promscout.sim.population import pod
from promscout.sim.query import ListOptions, parse_continue, watch_options
from promscout.sim.resources import PODS
from promscout.sim.selectors import Selector, parse_label_selector
from promscout.sim.status import Refusal
from promscout.sim.store import ObjectStore
from promscout.sim.watch import Watch, event_for


def _watch(store, namespace="", *, bookmarks=True, interval=60.0, timeout=300.0, **query):
    options = watch_options(query, PODS)
    return Watch(
        store,
        PODS,
        namespace,
        options,
        PLAIN,
        bookmark_interval=interval,
        bookmarks=lambda: bookmarks,
        default_timeout=timeout,
    )


async def _events(watch):
    with watch:
        return [json.loads(line) async for chunk in watch.frames() for line in chunk.splitlines()]


def _brief(events):
    return [(one["type"], one["object"]["metadata"].get("name")) for one in events]


def _set_labels(store, name, labels):
    def change(obj):
        obj["metadata"]["labels"] = labels
        return obj

    return store.patch(PODS, "default", name, change)


@pytest.fixture
def store():
    store = ObjectStore()
    store.add(pod("a", labels={"app": "x"}))
    store.add(pod("b", labels={"app": "y"}))
    return store


@pytest.mark.parametrize("query", [{}, {"resourceVersion": "0"}])
async def test_a_watch_without_a_version_begins_with_what_is_there(store, query):
    assert _brief(await _events(_watch(store, timeoutSeconds="1", **query))) == [("ADDED", "a"), ("ADDED", "b")]


async def test_a_watch_from_a_version_begins_after_it(store):
    since = str(store.revision)
    _set_labels(store, "a", {"app": "z"})
    store.delete(PODS, "default", "b")
    events = await _events(_watch(store, resourceVersion=since, timeoutSeconds="1"))
    assert _brief(events) == [("MODIFIED", "a"), ("MODIFIED", "b"), ("DELETED", "b")]
    assert events[-1]["object"]["metadata"]["resourceVersion"] == str(store.revision)


async def test_a_watch_from_the_future_waits_for_it(store):
    since = store.revision + 2
    watch = _watch(store, resourceVersion=str(since), timeoutSeconds="10", allowWatchBookmarks="true", interval=1.0)
    reading = asyncio.create_task(_events(watch))
    await asyncio.sleep(3)
    store.add(pod("too-early-1"))
    store.add(pod("too-early-2"))
    store.add(pod("in-time"))
    events = await reading
    assert _brief(events)[0] == ("ADDED", "in-time")
    assert {one["object"]["metadata"]["resourceVersion"] for one in events} == {str(since + 1)}


async def test_a_compacted_version_ends_the_watch_with_expired(store):
    since, _ = store.revision, store.add(pod("c"))
    store.compact()
    (event,) = await _events(_watch(store, resourceVersion=str(since)))
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


async def test_a_streaming_list_ends_with_an_annotated_bookmark(store):
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    events = await _events(_watch(store, timeoutSeconds="1", interval=60.0, bookmarks=False, **query))
    assert _brief(events) == [("ADDED", "a"), ("ADDED", "b"), ("BOOKMARK", None)]
    metadata = events[-1]["object"]["metadata"]
    assert metadata == {"resourceVersion": str(store.revision), "annotations": {"k8s.io/initial-events-end": "true"}}


async def test_a_streaming_list_without_bookmarks_has_no_end_that_one_could_see(store):
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    events = await _events(_watch(store, timeoutSeconds="1", **query))
    assert _brief(events) == [("ADDED", "a"), ("ADDED", "b")]


async def test_a_streaming_list_of_the_future_is_refused_for_now(store):
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "resourceVersion": "999"}
    (event,) = await _events(_watch(store, **query))
    assert (event["type"], event["object"]["code"]) == ("ERROR", 504)


@pytest.mark.parametrize(
    "query",
    [
        {"sendInitialEvents": "true"},
        {"resourceVersionMatch": "NotOlderThan"},
        {"sendInitialEvents": "1", "resourceVersionMatch": "Exact"},
    ],
)
def test_watch_options_that_contradict_each_other_are_refused(query):
    with pytest.raises(Refusal) as refusal:
        watch_options(query, PODS)
    assert refusal.value.code == 422


async def test_bookmarks_come_at_the_interval_and_at_the_end(store):
    since = str(store.revision)
    watch = _watch(store, resourceVersion=since, timeoutSeconds="25", allowWatchBookmarks="true", interval=10.0)
    events = await _events(watch)
    assert _brief(events) == [("BOOKMARK", None)] * 3
    assert asyncio.get_running_loop().time() >= 25


async def test_no_bookmark_is_sent_to_a_client_that_does_not_ask(store):
    assert await _events(_watch(store, resourceVersion=str(store.revision), timeoutSeconds="25", interval=1.0)) == []


async def test_dropped_bookmarks_do_not_arrive(store):
    query = {"resourceVersion": str(store.revision), "allowWatchBookmarks": "true", "timeoutSeconds": "25"}
    assert await _events(_watch(store, interval=1.0, bookmarks=False, **query)) == []


async def test_a_bookmark_follows_every_event_that_it_covers(store):
    watch = _watch(
        store, resourceVersion=str(store.revision), timeoutSeconds="5", allowWatchBookmarks="1", interval=0.1
    )
    reading = asyncio.create_task(_events(watch))
    for number in range(20):
        await asyncio.sleep(0.13)
        store.add(pod(f"p{number}"))
    last = 0
    for event in await reading:
        version = int(event["object"]["metadata"]["resourceVersion"])
        assert version >= last if event["type"] == "BOOKMARK" else version == last + 1 or last == 0
        last = version


async def test_an_object_that_leaves_the_selector_is_deleted_for_the_watcher(store):
    watch = _watch(store, resourceVersion=str(store.revision), timeoutSeconds="5", labelSelector="app=x")
    reading = asyncio.create_task(_events(watch))
    await asyncio.sleep(1)
    _set_labels(store, "b", {"app": "still-not"})
    _set_labels(store, "a", {"app": "x", "more": "1"})
    left = _set_labels(store, "a", {"app": "gone"})
    _set_labels(store, "a", {"app": "gone", "more": "2"})
    _set_labels(store, "a", {"app": "x"})
    events = await reading
    assert _brief(events) == [("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "a")]
    gone = events[1]["object"]["metadata"]
    assert (gone["labels"], gone["resourceVersion"]) == ({"app": "x", "more": "1"}, str(left.revision))


async def test_a_watch_of_one_namespace_shows_no_other(store):
    watch = _watch(store, "default", resourceVersion=str(store.revision), timeoutSeconds="5")
    reading = asyncio.create_task(_events(watch))
    await asyncio.sleep(1)
    store.add(pod("c", "elsewhere"))
    store.add(pod("d"))
    assert _brief(await reading) == [("ADDED", "d")]


async def test_a_watcher_that_does_not_read_is_cut_off(store, monkeypatch):
    monkeypatch.setattr("promscout.sim.watch._MAX_WAITING", 3)
    watch = _watch(store, resourceVersion=str(store.revision))
    with watch:
        frames = watch.frames()
        first = asyncio.create_task(anext(frames))
        await asyncio.sleep(1)
        for number in range(9):
            store.add(pod(f"p{number}"))
        with pytest.raises(StopAsyncIteration):
            await first


async def test_all_watchers_share_the_bytes_of_an_event(store):
    watches = [_watch(store, resourceVersion=str(store.revision)) for _ in range(2)]
    frames = [watch.frames() for watch in watches]
    firsts = [asyncio.create_task(anext(one)) for one in frames]
    await asyncio.sleep(1)
    store.add(pod("c"))
    await asyncio.gather(*firsts)
    (change,) = store.changes(PODS, store.revision - 1)
    assert set(change.frames) == {("ADDED", "plain")}
    assert PLAIN.event("ADDED", change) is PLAIN.event("ADDED", change)
    for watch, one in zip(watches, frames, strict=True):
        watch.end()
        await one.aclose()
        watch.__exit__()


NAMES = ("a", "b", "c")
OPERATIONS = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(NAMES), st.sampled_from("xy")),
    st.tuples(st.just("label"), st.sampled_from(NAMES), st.sampled_from("xy")),
    st.tuples(st.just("delete"), st.sampled_from(NAMES), st.just("")),
    st.tuples(st.just("compact"), st.just(""), st.just("")),
    st.tuples(st.just("cut"), st.just(""), st.just("")),
    st.tuples(st.just("relist"), st.just(""), st.just("")),
)


class _Follower:
    """What every informer does: list, then changes from there; on 410 list again."""

    def __init__(self, store, selector):
        self._store, self._selector = store, selector
        self.known, self.revision, self.relists = {}, 0, 0
        self.relist()

    def relist(self):
        self.known, token, revision = {}, None, None
        while True:
            page = list_page(self._store, PODS, "", ListOptions(self._selector, limit=2, token=token))
            self.known.update((one.name, one.body) for one in page.items)
            revision = revision or page.revision
            assert page.revision == revision
            if not page.token:
                break
            token = parse_continue(page.token)
        self.revision = revision
        self.relists += 1

    def follow(self):
        try:
            changes = self._store.changes(PODS, self.revision)
        except Refusal:
            assert self.revision < self._store.compacted
            self.relist()
            return
        for change in changes:
            kind = event_for(change, self._selector)
            assert change.revision > self.revision
            self.revision = change.revision
            if kind is None:
                continue
            shown = change.shown_as(kind)
            assert (shown.name in self.known) is (kind != "ADDED")
            if kind == "DELETED":
                del self.known[shown.name]
            else:
                self.known[shown.name] = shown.body


@settings(max_examples=200, deadline=None)
@given(
    operations=st.lists(OPERATIONS, max_size=40),
    selector=st.sampled_from(["", "v=x", "v!=x", "!v"]),
    limit=st.integers(1, 8),
)
def test_a_follower_knows_what_the_store_holds_whatever_happens(operations, selector, limit):
    store = ObjectStore(history_limit=limit)
    follower = _Follower(store, Selector(parse_label_selector(selector)))
    snapshots = {}
    actions = {
        "add": lambda name, value: store.add(pod(name, labels={"v": value})),
        "label": lambda name, value: _set_labels(store, name, {"v": value}),
        "delete": lambda name, _: store.delete(PODS, "default", name),
        "compact": lambda *_: store.compact(),
        "cut": lambda *_: follower.follow(),
        "relist": lambda *_: follower.relist(),
    }
    for kind, name, value in operations:
        with suppress(Refusal):  # the object is there already, or not there
            actions[kind](name, value)
        snapshots[store.revision] = [one.body for one in store.list(PODS)]
    follower.follow()
    wanted = {one.name: one.body for one in list_page(store, PODS, "", ListOptions(follower._selector)).items}
    assert follower.known == wanted
    for revision, bodies in snapshots.items():
        if revision >= store.compacted:
            assert [one.body for one in store.state_at(PODS, revision)] == bodies


class _WatchingFollower(_Follower):
    """The same through watches, which lose what waits in them when they are cut."""

    def __init__(self, store, selector, query):
        super().__init__(store, selector)
        self._query = query
        self._watch = self._reading = None

    def start(self):
        self._watch = _watch(self._store, resourceVersion=str(self.revision), interval=1e9, **self._query)
        self._reading = asyncio.create_task(self._read(self._watch))

    async def stop(self):
        self._watch.end()
        await self._reading

    async def caught_up(self):
        """Let everything arrive; a watch that ended with 410 makes room for a list and a new watch."""
        for _ in range(10):
            await asyncio.sleep(0)
        if self._reading.done():
            await self._reading
            self.relist()
            self.start()
            await self.caught_up()

    async def _read(self, watch):
        with watch:
            async for chunk in watch.frames():
                for line in chunk.splitlines():
                    self._take(json.loads(line))

    def _take(self, event):
        obj = event["object"]
        if event["type"] == "ERROR":
            assert obj["code"] == 410
            return
        name, revision = obj["metadata"]["name"], int(obj["metadata"]["resourceVersion"])
        assert revision > self.revision
        self.revision = revision
        assert (name in self.known) is (event["type"] != "ADDED")
        if event["type"] == "DELETED":
            del self.known[name]
        else:
            self.known[name] = {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}

    def relist(self):
        super().relist()
        self.known = {name: json.loads(body) for name, body in self.known.items()}


@settings(max_examples=100, deadline=None)
@given(
    operations=st.lists(st.tuples(OPERATIONS, st.booleans()), max_size=30),
    selector=st.sampled_from(["", "v=x", "v!=x"]),
    limit=st.integers(2, 8),
)
def test_a_watching_client_knows_what_the_store_holds_whatever_is_cut(operations, selector, limit):
    async def scenario():
        store = ObjectStore(history_limit=limit)
        query = {"labelSelector": selector} if selector else {}
        follower = _WatchingFollower(store, Selector(parse_label_selector(selector)), query)
        follower.start()
        actions = {
            "add": lambda name, value: store.add(pod(name, labels={"v": value})),
            "label": lambda name, value: _set_labels(store, name, {"v": value}),
            "delete": lambda name, _: store.delete(PODS, "default", name),
            "compact": lambda *_: store.compact(),
        }
        for (kind, name, value), breathe in operations:
            if kind == "cut":
                await follower.stop()
                follower.start()
            elif kind in actions:
                with suppress(Refusal):
                    actions[kind](name, value)
            if breathe:
                await follower.caught_up()
        await follower.caught_up()
        page = list_page(store, PODS, "", ListOptions(follower._selector))
        assert follower.known == {one.name: one.decode() for one in page.items}
        await follower.stop()

    asyncio.run(scenario())
