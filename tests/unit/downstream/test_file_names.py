from __future__ import annotations

import pytest

from promscout.downstream.file_names import file_name, job_of
from promscout.downstream.shards import Shard


@pytest.mark.parametrize(
    ("job", "name"),
    [
        ("web", "web.json"),
        ("node-exporter_1.2", "node-exporter_1.2.json"),
        ("a/b c", "a%2Fb%20c.json"),
        ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd.json"),
        (".", "%2E.json"),
        ("..", "%2E..json"),
        ("a%2Fb", "a%252Fb.json"),
        ("ü~\n\0*?[", "%C3%BC%7E%0A%00%2A%3F%5B.json"),
    ],
)
def test_a_name_is_safe_and_tells_the_job(job, name):
    assert file_name(job) == name
    assert job_of(name) == job


def test_shards_of_a_job_have_numbers():
    assert file_name("a.b", Shard(2, 3)) == "a.b.2.json"


def test_a_very_long_name_is_cut_and_stays_different_from_others():
    jobs = ["ü" * 300, "ü" * 299 + "x", "ü" * 300 + "~"]
    names = {file_name(job, Shard(1023, 1024)) for job in jobs}
    assert len(names) == 3
    assert max(map(len, names)) <= 255
    assert {job_of(file_name(job)) for job in jobs} == {None}
