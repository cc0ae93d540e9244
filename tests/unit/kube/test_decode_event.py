from __future__ import annotations

import msgspec
import pytest

from promscout.errors import ApiUnreachableError, ExpiredError, KubeError
from promscout.kube.events import decode_event, decode_events
from promscout.kube.resource import ENDPOINT_SLICES, PODS, REPLICA_SETS


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


_END = {"metadata": {"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}}}


def _event(kind, name, **more):
    return msgspec.json.encode({"type": kind, "object": {"metadata": {"name": name} | more}}) + b"\n"


def _types(events):
    return [(event.type, event.object.metadata.name, event.ends_list) for event in events]


@pytest.mark.parametrize("resource", [PODS, REPLICA_SETS])
@pytest.mark.parametrize("view", [bytes, memoryview])
def test_of_several_bookmarks_in_a_block_only_the_one_after_the_list_ends_it(resource, view):
    end = msgspec.json.encode({"type": "BOOKMARK", "object": _END}) + b"\n"
    block = (
        _event("ADDED", "a") + _event("BOOKMARK", "") + b"\n" + end + _event("MODIFIED", "a") + _event("BOOKMARK", "")
    )
    events, failure = decode_events(view(block), resource)
    assert failure is None
    assert _types(events) == [
        ("ADDED", "a", False),
        ("BOOKMARK", "", False),
        ("BOOKMARK", "", True),
        ("MODIFIED", "a", False),
        ("BOOKMARK", "", False),
    ]


_GONE = msgspec.json.encode({"type": "ERROR", "object": {"kind": "Status", "status": "Failure", "code": 410}}) + b"\n"


@pytest.mark.parametrize(
    ("bad", "kind"),
    [(_GONE, ExpiredError), (b"garbage\n", ApiUnreachableError), (b'{"type":"ADDED","obj\n', ApiUnreachableError)],
)
def test_events_before_a_failure_in_the_same_block_are_given_out(bad, kind):
    events, failure = decode_events(_event("ADDED", "a") + bad + _event("ADDED", "lost"), PODS)
    assert _types(events) == [("ADDED", "a", False)]
    assert isinstance(failure, KubeError)
    assert type(failure) is kind


def test_a_null_in_one_event_of_a_block_harms_none_of_them():
    events, failure = decode_events(_event("ADDED", "a") + _event("ADDED", "b", labels=None, uid=None), PODS)
    assert failure is None
    assert _types(events) == [("ADDED", "a", False), ("ADDED", "b", False)]


def _filled(obj):
    """``obj`` as JSON without what is empty: a collection that was null may stay None."""
    return _pruned(msgspec.to_builtins(obj))


def _pruned(value):
    if isinstance(value, dict):
        return {key: kept for key, one in value.items() if (kept := _pruned(one))}
    return [_pruned(one) for one in value] if isinstance(value, list | tuple) else value
