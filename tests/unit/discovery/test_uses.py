from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from promscout.discovery.kubernetes.uses import Uses


def _build(uses, key, *dependencies):
    uses.begin()
    for dependency in dependencies:
        uses.record(dependency)
    uses.end(key)


def test_users_are_the_keys_whose_build_looked_the_object_up():
    uses = Uses()
    _build(uses, "a", "node-1", "pod-1")
    _build(uses, "b", "node-1")
    assert set(uses.users("node-1")) == {"a", "b"}
    assert set(uses.users("pod-1")) == {"a"}
    assert set(uses.users("never looked up")) == set()


def test_only_the_last_build_counts():
    uses = Uses()
    _build(uses, "a", "node-1", "pod-1")
    _build(uses, "a", "node-2", "pod-1")
    assert [set(uses.users(one)) for one in ("node-1", "node-2", "pod-1")] == [set(), {"a"}, {"a"}]


def test_a_build_that_looks_nothing_up_forgets_its_key():
    uses = Uses()
    _build(uses, "a", "node-1")
    _build(uses, "a")
    _build(uses, "never built before")
    assert set(uses.users("node-1")) == set()
    assert (uses._used, uses._users) == ({}, {}), "nothing is held for what is gone"


def test_looking_an_object_up_twice_is_one_use():
    uses = Uses()
    _build(uses, "a", "node-1", "node-1")
    assert list(uses.users("node-1")) == ["a"]
    _build(uses, "a", "node-1")
    assert list(uses.users("node-1")) == ["a"]


def test_the_order_of_lookups_does_not_matter():
    uses = Uses()
    _build(uses, "a", "node-1", "pod-1")
    _build(uses, "a", "pod-1", "node-1")
    assert set(uses.users("node-1")) == set(uses.users("pod-1")) == {"a"}


def test_a_build_that_never_ended_leaves_no_trace():
    uses = Uses()
    uses.begin()
    uses.record("node-1")
    _build(uses, "a", "pod-1")
    assert set(uses.users("node-1")) == set()


def test_users_may_be_built_again_while_they_are_gone_through():
    uses = Uses()
    for key in ("a", "b", "c"):
        _build(uses, key, "node-1")
    seen = []
    for key in uses.users("node-1"):
        _build(uses, key)
        seen.append(key)
    assert seen == ["a", "b", "c"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.lists(st.sampled_from((1, 2, 3)), max_size=4))))
def test_users_are_as_in_a_plain_table_after_any_builds(builds):
    uses, table = Uses(), {}
    for key, dependencies in builds:
        _build(uses, key, *dependencies)
        table[key] = set(dependencies)
        for dependency in (1, 2, 3):
            assert set(uses.users(dependency)) == {one for one, used in table.items() if dependency in used}
    assert uses._used.keys() == {key for key, used in table.items() if used}
    assert uses._users.keys() == set().union(*table.values())
