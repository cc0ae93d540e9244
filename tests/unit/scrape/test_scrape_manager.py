from __future__ import annotations

from promscout.model.group import TargetGroup
from promscout.scrape.manager import SYNC_SLICE, sync_slices


def _group(source, targets):
    return TargetGroup.of(source, ({"__address__": f"{source}:{number}"} for number in range(targets)))


def _slices(*groups):
    return list(sync_slices({("p", group.source): group for group in groups}))


def test_slices_hold_every_group_once_and_are_bounded_by_targets_not_by_groups():
    groups = [_group(f"slice{number}", 75) for number in range(100)]
    parts = _slices(*groups)
    assert [group for part in parts for group in part.values()] == groups
    sizes = [sum(len(group.targets) for group in part.values()) for part in parts]
    assert all(SYNC_SLICE <= size < SYNC_SLICE + 75 for size in sizes[:-1])


def test_additions_come_before_deletions():
    parts = _slices(_group("gone", 0), _group("large", SYNC_SLICE), _group("also gone", 0))
    assert [[group.source for group in part.values()] for part in parts] == [["large"], ["gone", "also gone"]]


def test_no_groups_are_one_empty_slice():
    assert _slices() == [{}]
