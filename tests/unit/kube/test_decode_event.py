from __future__ import annotations

import msgspec
import pytest

from promscout.errors import ApiUnreachableError
from promscout.kube.client import decode_event
from promscout.kube.resource import ENDPOINT_SLICES, PODS


def _line(obj):
    return msgspec.json.encode({"type": "ADDED", "object": obj})


@pytest.mark.parametrize(
    ("resource", "with_nulls", "without"),
    [
        (
            PODS,
            {
                "metadata": {"name": "p", "labels": None, "ownerReferences": None},
                "spec": {
                    "nodeName": None,
                    "containers": [{"name": "a", "ports": [{"containerPort": 80, "name": None}]}],
                },
                "status": {"podIP": None, "conditions": None},
            },
            {
                "metadata": {"name": "p"},
                "spec": {"containers": [{"name": "a", "ports": [{"containerPort": 80}]}]},
                "status": {},
            },
        ),
        (PODS, {"metadata": {"name": "p"}, "spec": None, "status": None}, {"metadata": {"name": "p"}}),
        (
            ENDPOINT_SLICES,
            {"metadata": {"name": "e"}, "endpoints": [{"addresses": None, "conditions": None}], "ports": None},
            {"metadata": {"name": "e"}, "endpoints": [{}]},
        ),
    ],
)
def test_a_null_counts_as_a_missing_field(resource, with_nulls, without):
    decoded, expected = decode_event(_line(with_nulls), resource), decode_event(_line(without), resource)
    assert _filled(decoded.object) == _filled(expected.object)


def test_a_value_of_the_wrong_kind_is_refused_and_the_message_says_where():
    with pytest.raises(ApiUnreachableError, match=r"not a watch event of pods: .*\$\.object\.metadata\.name"):
        decode_event(_line({"metadata": {"name": 1, "namespace": None}}), PODS)


def _filled(obj):
    """``obj`` as JSON without what is empty: a collection that was null may stay None."""
    return _pruned(msgspec.to_builtins(obj))


def _pruned(value):
    if isinstance(value, dict):
        return {key: kept for key, one in value.items() if (kept := _pruned(one))}
    return [_pruned(one) for one in value] if isinstance(value, list | tuple) else value
