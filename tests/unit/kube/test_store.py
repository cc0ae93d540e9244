from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from promscout.kube.objects import ObjectMeta, Pod, PodSpec, PodStatus
from promscout.kube.store import SLICE, Store


def _pod(name, node="", ip=""):
    return Pod(ObjectMeta(name=name, namespace="ns"), PodSpec(node_name=node), PodStatus(pod_ip=ip))


def _watched():
    store, seen = Store(), []
    store.subscribe(lambda key, before, now: seen.append((key, before, now)))
    return store, seen


def test_handlers_hear_of_additions_updates_and_deletions_in_order():
    store, seen = _watched()
    first, second = _pod("a"), _pod("a", ip="127.0.0.2")
    store.put("ns/a", first)
    store.put("ns/a", second)
    store.delete("ns/a")
    assert seen == [("ns/a", None, first), ("ns/a", first, second), ("ns/a", second, None)]


def test_an_equal_object_is_reported_to_nobody_and_the_first_one_stays():
    store, seen = _watched()
    first = _pod("a")
    store.put("ns/a", first)
    store.put("ns/a", _pod("a"))
    store.replace({"ns/a": _pod("a")})
    assert len(seen) == 1
    assert store.get("ns/a") is first


def test_deleting_what_is_not_there_is_silent():
    store, seen = _watched()
    store.delete("ns/a")
    assert seen == []


def test_replace_reports_only_the_difference():
    store, seen = _watched()
    store.put("ns/gone", _pod("gone"))
    store.put("ns/same", _pod("same"))
    store.put("ns/other", _pod("other"))
    seen.clear()
    store.replace({"ns/same": _pod("same"), "ns/other": _pod("other", ip="127.0.0.9"), "ns/new": _pod("new")})
    assert sorted((key, before is None, now is None) for key, before, now in seen) == [
        ("ns/gone", False, True),
        ("ns/new", True, False),
        ("ns/other", False, False),
    ]


def test_a_replacement_in_steps_shows_all_or_nothing_and_gives_others_a_turn_between_handlers():
    store, seen = _watched()
    names = [f"p{number}" for number in range(3 * SLICE)]
    reported, contents = [], []
    for ip in ("", "127.0.0.9"):
        for _ in store.replacing({name: _pod(name, ip=ip) for name in names}):
            reported.append(len(seen))
            contents.append({store.get(name).status.pod_ip if name in store else None for name in names})
    assert reported == [SLICE * one for one in (1, 2, 3)] + [SLICE * one for one in (3, 3, 3, 4, 5, 6)]
    assert contents == [{""}] * 6 + [{"127.0.0.9"}] * 3


def test_what_was_derived_of_an_object_is_forgotten_when_it_is_replaced():
    store, _ = _watched()
    store.put("ns/a", _pod("a", ip="127.0.0.1"))
    store.put("ns/b", _pod("b", ip="127.0.0.1"))
    assert store.derived("ns/a", _ip) == store.derived("ns/b", _ip) == "127.0.0.1"
    store.replace({"ns/a": _pod("a", ip="127.0.0.2")})
    assert (store.derived("ns/a", _ip), store.derived("ns/b", _ip)) == ("127.0.0.2", None)


def _ip(pod):
    return pod.status.pod_ip


def test_a_handler_that_unsubscribed_hears_nothing():
    store, seen = Store(), []
    unsubscribe = store.subscribe(lambda *change: seen.append(change))
    unsubscribe()
    store.put("ns/a", _pod("a"))
    assert seen == []


_NAMES = st.sampled_from("abcd")
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), _NAMES, st.sampled_from(["", "n1", "n2"])),
        st.tuples(st.just("delete"), _NAMES, st.none()),
        st.tuples(st.just("replace"), st.dictionaries(_NAMES, st.sampled_from(["", "n1"])), st.none()),
    )
)


@given(_STEPS)
def test_a_replica_fed_by_handlers_equals_the_store_after_any_history(steps):
    store, replica = Store(), {}

    def follow(key, before, now):
        assert replica.get(key) == before
        if now is None:
            del replica[key]
        else:
            replica[key] = now

    store.subscribe(follow)
    for what, which, node in steps:
        if what == "put":
            store.put(which, _pod(which, node))
        elif what == "delete":
            store.delete(which)
        else:
            store.replace({name: _pod(name, one) for name, one in which.items()})
    assert replica == {key: store.get(key) for key in store}
