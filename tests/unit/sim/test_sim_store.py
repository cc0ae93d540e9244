from __future__ import annotations

import pytest

from promscout.sim.listing import list_page
from promscout.sim.population import namespace, node, pod
from promscout.sim.query import ContinueToken, ListOptions, list_options, parse_continue
from promscout.sim.resources import NAMESPACES, NODES, PODS, SERVICES
from promscout.sim.status import Refusal
from promscout.sim.store import ObjectStore


class _Clock:
    def now_ms(self):
        return 1_700_000_000_000


@pytest.fixture
def store():
    return ObjectStore(clock=_Clock())


def _names(items):
    return [f"{one.namespace}/{one.name}" for one in items]


def _label(value):
    def change(obj):
        obj["metadata"]["labels"] = {"v": value}
        return obj

    return change


def test_a_created_object_gets_identity_and_the_next_revision(store):
    before = store.revision
    metadata = store.add(pod("web")).decode()["metadata"]
    assert metadata["resourceVersion"] == str(before + 1)
    assert metadata["creationTimestamp"] == "2023-11-14T22:13:20Z"
    assert metadata["generation"] == 1
    assert len(metadata["uid"]) == 36


def test_uids_are_repeatable_and_different(store):
    other = ObjectStore()
    uids = [one.add(pod(name)).decode()["metadata"]["uid"] for one in (store, other) for name in ("a", "b")]
    assert uids[:2] == uids[2:]
    assert len(set(uids)) == 2


def test_the_makers_object_is_left_alone(store):
    obj = pod("web")
    store.add(obj)
    assert obj == pod("web")


def test_a_generated_name_begins_as_wanted(store):
    obj = pod("x")
    obj["metadata"] = {"generateName": "web-"}
    names = {store.add(obj).name for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("web-") and len(name) == 9 for name in names)


@pytest.mark.parametrize(
    ("write", "code", "message"),
    [
        (lambda store: store.add(pod("web")), 409, 'pods "web" already exists'),
        (lambda store: store.get(PODS, "default", "db"), 404, 'pods "db" not found'),
        (lambda store: store.get(PODS, "other", "web"), 404, 'pods "web" not found'),
        (lambda store: store.delete(PODS, "default", "db"), 404, 'pods "db" not found'),
        (lambda store: store.create(PODS, {"metadata": {}}), 422, "name or generateName is required"),
        (lambda store: store.create(PODS, pod("x", "a"), "b"), 400, "does not match the namespace"),
        (lambda store: store.replace(PODS, "default", "web", pod("other")), 400, "does not match the name"),
        (
            lambda store: store.replace(PODS, "default", "web", {"metadata": {"resourceVersion": "1"}}),
            409,
            "the object has been modified",
        ),
        (lambda store: store.create(PODS, {"metadata": {"name": "x", "labels": {"a": 1}}}), 400, "metadata.labels"),
    ],
)
def test_a_refused_write_takes_no_revision(store, write, code, message):
    store.add(pod("web"))
    revision = store.revision
    with pytest.raises(Refusal, match=message) as refusal:
        write(store)
    assert refusal.value.code == code
    assert store.revision == revision


def test_an_update_that_changes_nothing_takes_no_revision(store):
    stored = store.add(pod("web", labels={"a": "b"}))
    assert store.replace(PODS, "default", "web", stored.decode()) is stored
    assert store.patch(PODS, "default", "web", lambda obj: obj) is stored


def test_only_a_changed_specification_counts_a_generation(store):
    store.add(pod("web"))
    labelled = store.patch(PODS, "default", "web", _label("1")).decode()
    assert labelled["metadata"]["generation"] == 1

    def move(obj):
        obj["spec"]["nodeName"] = "n"
        return obj

    assert store.patch(PODS, "default", "web", move).decode()["metadata"]["generation"] == 2


def test_an_update_cannot_change_identity(store):
    first = store.add(pod("web")).decode()["metadata"]
    changed = store.patch(
        PODS,
        "default",
        "web",
        lambda obj: {**obj, "metadata": {"uid": "x", "creationTimestamp": "y", "labels": {"a": "b"}}},
    ).decode()["metadata"]
    assert (changed["uid"], changed["creationTimestamp"]) == (first["uid"], first["creationTimestamp"])
    assert changed["labels"] == {"a": "b"}


def test_a_pod_is_marked_before_it_goes(store):
    store.add(pod("web"))
    seen = []
    store.subscribe(seen.append)
    store.delete(PODS, "default", "web")
    assert [(one.before is not None, one.after is not None) for one in seen] == [(True, True), (True, False)]
    assert "deletionTimestamp" in seen[0].after.decode()["metadata"]
    assert store.list(PODS) == []


def test_a_finalizer_holds_an_object_until_it_is_removed(store):
    obj = node("a", ip="127.1.1.1")
    obj["metadata"]["finalizers"] = ["example.com/hold"]
    store.add(obj)
    store.delete(NODES, "", "a")
    assert "deletionTimestamp" in store.get(NODES, "", "a").decode()["metadata"]

    def release(obj):
        obj["metadata"]["finalizers"] = []
        return obj

    store.patch(NODES, "", "a", release)
    assert store.list(NODES) == []


def test_lists_are_sorted_by_namespace_and_name(store):
    for where, name in (("b", "x"), ("a", "z"), ("a", "b"), ("b", "a")):
        store.add(pod(name, where))
    assert _names(store.list(PODS)) == ["a/b", "a/z", "b/a", "b/x"]
    assert _names(store.list(PODS, "b")) == ["b/a", "b/x"]


def test_an_earlier_state_is_exact(store):
    store.add(pod("a"))
    store.add(pod("b"))
    before, expected = store.revision, [one.body for one in store.list(PODS)]
    store.patch(PODS, "default", "a", _label("1"))
    store.delete(PODS, "default", "b")
    store.add(pod("b"))
    store.add(pod("c"))
    store.add(namespace("other"))
    assert [one.body for one in store.state_at(PODS, before)] == expected


def test_a_full_history_compacts_the_oldest_changes():
    store = ObjectStore(history_limit=3)
    store.add(pod("a"))
    for number in range(5):
        store.patch(PODS, "default", "a", _label(str(number)))
    assert len(store.changes(PODS, store.compacted)) == 3
    with pytest.raises(Refusal) as refusal:
        store.changes(PODS, store.compacted - 1)
    assert refusal.value.code == 410
    with pytest.raises(Refusal) as refusal:
        store.state_at(PODS, store.compacted - 1)
    assert refusal.value.code == 410


def test_a_subscriber_that_left_hears_nothing(store):
    seen = []
    unsubscribe = store.subscribe(seen.append)
    store.add(pod("a"))
    unsubscribe()
    unsubscribe()
    store.add(pod("b"))
    assert [one.key for one in seen] == [("default", "a")]


def test_pages_of_one_list_are_of_one_state(store):
    for name in "abcdef":
        store.add(pod(name))
    first = list_page(store, PODS, "", ListOptions(limit=2))
    assert (_names(first.items), first.remaining) == (["default/a", "default/b"], 4)
    store.delete(PODS, "default", "c")
    store.add(pod("bb"))
    store.patch(PODS, "default", "d", _label("new"))
    second = list_page(store, PODS, "", ListOptions(limit=2, token=parse_continue(first.token)))
    assert (_names(second.items), second.remaining) == (["default/c", "default/d"], 2)
    assert second.items[1].labels == {}
    assert second.revision == first.revision
    third = list_page(store, PODS, "", ListOptions(limit=2, token=parse_continue(second.token)))
    assert (_names(third.items), third.token, third.remaining) == (["default/e", "default/f"], "", None)


def test_an_expired_page_offers_to_go_on_in_the_current_state(store):
    for name in "abcd":
        store.add(pod(name))
    first = list_page(store, PODS, "", ListOptions(limit=2))
    store.add(pod("bb"))
    store.compact()
    with pytest.raises(Refusal) as refusal:
        list_page(store, PODS, "", ListOptions(limit=2, token=parse_continue(first.token)))
    assert (refusal.value.code, refusal.value.reason) == (410, "Expired")
    fresh = parse_continue(refusal.value.metadata["continue"])
    assert _names(list_page(store, PODS, "", ListOptions(limit=9, token=fresh)).items) == [
        "default/bb",
        "default/c",
        "default/d",
    ]


def test_a_token_survives_its_encoding():
    for token in (ContinueToken(7, ("shop", "web-1")), ContinueToken(-1, ("", "node-1"))):
        assert parse_continue(token.encode()) == token


def test_objects_are_listed_and_paged_in_the_order_of_their_paths(store):
    for where in ("a", "a-b", "ab"):
        store.add(pod("x", where))
    seen, token = [], None
    for _ in range(3):
        page = list_page(store, PODS, "", ListOptions(limit=1, token=token))
        seen += _names(page.items)
        token = parse_continue(page.token) if page.token else None
    assert seen == _names(store.list(PODS)) == ["a-b/x", "a/x", "ab/x"]
    assert token is None


def test_a_state_at_an_exact_revision_is_listed(store):
    store.add(pod("a"))
    revision = store.revision
    store.add(pod("b"))
    exact = list_options({"resourceVersion": str(revision), "resourceVersionMatch": "Exact"}, PODS)
    assert _names(list_page(store, PODS, "", exact).items) == ["default/a"]
    not_older = list_options({"resourceVersion": str(revision), "resourceVersionMatch": "NotOlderThan"}, PODS)
    assert len(list_page(store, PODS, "", not_older).items) == 2
    limited = list_options({"resourceVersion": str(revision), "limit": "5"}, PODS)
    assert _names(list_page(store, PODS, "", limited).items) == ["default/a"]
    store.compact()
    with pytest.raises(Refusal) as refusal:
        list_page(store, PODS, "", exact)
    assert refusal.value.code == 410


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ({"resourceVersionMatch": "Exact"}, 422, "forbidden unless resourceVersion is provided"),
        ({"resourceVersionMatch": "Exact", "resourceVersion": "0"}, 422, "forbidden for resourceVersion"),
        ({"resourceVersionMatch": "Newer", "resourceVersion": "1"}, 422, "Unsupported value"),
        ({"limit": "many"}, 400, "invalid syntax"),
        (
            {"continue": ContinueToken(1, ("", "a")).encode(), "resourceVersion": "5"},
            400,
            "not allowed when using continue",
        ),
        ({"continue": "!"}, 400, "invalid continue token"),
        ({"continue": "e30"}, 400, "invalid continue token"),
        ({"sendInitialEvents": "true"}, 422, "sendInitialEvents is forbidden for list"),
    ],
)
def test_options_that_contradict_each_other_are_refused(query, code, message):
    with pytest.raises(Refusal, match=message) as refusal:
        list_options(query, PODS)
    assert refusal.value.code == code


def test_a_loaded_backup_keeps_its_versions_and_has_no_history(store):
    store.load(SERVICES, [{"metadata": {"name": "a", "namespace": "x", "uid": "u", "resourceVersion": "40"}}], 50)
    assert store.list(SERVICES)[0].revision == 40
    assert store.revision == store.compacted == 50
    assert store.add(namespace("n")).revision == 51
    assert _names(store.list(NAMESPACES)) == ["/n"]
