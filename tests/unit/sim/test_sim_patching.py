from __future__ import annotations

import pytest

from promscout.sim.patching import APPLY, JSON, MERGE, STRATEGIC, apply_patch
from promscout.sim.status import Refusal


@pytest.mark.parametrize(
    ("obj", "patch", "expected"),
    [
        ({"a": 1}, {"a": None}, {}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": "x"}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
    ],
)
def test_a_merge_patch_follows_rfc_7386(obj, patch, expected):
    assert apply_patch(obj, patch, MERGE) == expected


@pytest.mark.parametrize(
    ("obj", "patch", "expected"),
    [
        pytest.param(
            {"containers": [{"name": "a", "image": "1"}, {"name": "b"}]},
            {"containers": [{"name": "a", "image": "2"}, {"name": "c"}]},
            {"containers": [{"name": "a", "image": "2"}, {"name": "b"}, {"name": "c"}]},
            id="containers-merge-by-name",
        ),
        pytest.param(
            {"containers": [{"name": "a"}, {"name": "b"}]},
            {"containers": [{"name": "a", "$patch": "delete"}]},
            {"containers": [{"name": "b"}]},
            id="delete-directive",
        ),
        pytest.param(
            {"conditions": [{"type": "Ready", "status": "True"}]},
            {"conditions": [{"type": "Ready", "status": "False"}]},
            {"conditions": [{"type": "Ready", "status": "False"}]},
            id="conditions-merge-by-type",
        ),
        pytest.param(
            {"ports": [{"port": 80, "name": "a"}]},
            {"ports": [{"port": 81}]},
            {"ports": [{"port": 80, "name": "a"}, {"port": 81}]},
            id="service-ports-merge-by-port",
        ),
        pytest.param({"args": ["a"]}, {"args": ["b"]}, {"args": ["b"]}, id="plain-lists-are-replaced"),
        pytest.param({"finalizers": ["a"]}, {"finalizers": ["b"]}, {"finalizers": ["a", "b"]}, id="finalizers-add-up"),
        pytest.param(
            {"finalizers": ["a", "b"]},
            {"$deleteFromPrimitiveList/finalizers": ["a"]},
            {"finalizers": ["b"]},
            id="prune",
        ),
        pytest.param({"s": {"a": 1}}, {"s": {"$patch": "replace", "b": 2}}, {"s": {"b": 2}}, id="replace-directive"),
        pytest.param({"s": {"a": 1, "b": 2}}, {"s": {"$retainKeys": ["b"]}}, {"s": {"b": 2}}, id="retain-keys"),
        pytest.param(
            {"labels": {"a": "1", "b": "2"}}, {"labels": {"a": None}}, {"labels": {"b": "2"}}, id="null-removes"
        ),
    ],
)
@pytest.mark.parametrize("media_type", [STRATEGIC, APPLY])
def test_a_strategic_merge_knows_the_lists_that_merge(obj, patch, expected, media_type):
    assert apply_patch(obj, patch, media_type) == expected


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([{"op": "add", "path": "/a/b", "value": 1}], {"a": {"b": 1, "x/y": 0}, "l": [1, 2]}),
        ([{"op": "replace", "path": "/a/x~1y", "value": 5}], {"a": {"x/y": 5}, "l": [1, 2]}),
        ([{"op": "remove", "path": "/l/0"}], {"a": {"x/y": 0}, "l": [2]}),
        ([{"op": "add", "path": "/l/-", "value": 3}], {"a": {"x/y": 0}, "l": [1, 2, 3]}),
        ([{"op": "add", "path": "/l/0", "value": 0}], {"a": {"x/y": 0}, "l": [0, 1, 2]}),
        ([{"op": "replace", "path": "/l/0", "value": 9}], {"a": {"x/y": 0}, "l": [9, 2]}),
        ([{"op": "move", "from": "/l", "path": "/m"}], {"a": {"x/y": 0}, "m": [1, 2]}),
        ([{"op": "copy", "from": "/l", "path": "/m"}], {"a": {"x/y": 0}, "l": [1, 2], "m": [1, 2]}),
        ([{"op": "test", "path": "/l/1", "value": 2}, {"op": "remove", "path": "/l"}], {"a": {"x/y": 0}}),
    ],
)
def test_a_json_patch_follows_rfc_6902(operations, expected):
    assert apply_patch({"a": {"x/y": 0}, "l": [1, 2]}, operations, JSON) == expected


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "remove", "path": "/missing"}],
        [{"op": "replace", "path": "/missing", "value": 1}],
        [{"op": "test", "path": "/a", "value": 2}],
        [{"op": "add", "path": "/l/7", "value": 1}],
        [{"op": "nonsense", "path": "/a"}],
        [{"op": "add", "path": "a", "value": 1}],
        [{"path": "/a"}],
        ["remove"],
    ],
)
def test_a_json_patch_that_does_not_apply_is_refused(operations):
    with pytest.raises(Refusal) as refusal:
        apply_patch({"a": 1, "l": []}, operations, JSON)
    assert refusal.value.code == 422


@pytest.mark.parametrize(("patch", "media_type"), [([], MERGE), ("x", STRATEGIC), ({}, JSON), (None, MERGE)])
def test_a_patch_of_the_wrong_shape_is_refused(patch, media_type):
    with pytest.raises(Refusal) as refusal:
        apply_patch({}, patch, media_type)
    assert refusal.value.code == 400
