"""An account of what was delivered finds each way in which samples can be missing, doubled or out of place."""

import numpy as np
import pytest

from e2e.counting import CountingTargets, account
from harness.strict_receiver.record import SAMPLE, Items, Recorded, Request
from harness.strict_receiver.rules import STALE

SERIES = 3
BEGIN = 1_000_000  # milliseconds
STALE_VALUE = np.array([STALE], np.uint64).view(np.float64)[0]


def stored(scrapes, *, up=(), taken=True):
    """What a receiver recorded of one target; scrapes are (milliseconds, values of the series), one request each."""
    labels = [(("__name__", "c"), ("i", str(index)), ("instance", "target-0")) for index in range(SERIES)]
    labels.append((("__name__", "up"), ("instance", "target-0")))
    rows = [[(index, at, value) for index, value in enumerate(values)] for at, values in scrapes]
    rows += [[(SERIES, at, value)] for at, value in up]
    return Recorded(labels, [Request(0.0, taken, items(one)) for one in rows])


def items(rows):
    return Items.of([(series, SAMPLE, at, int(np.float64(value).view(np.uint64))) for series, at, value in rows])


def values(scrape):
    return [scrape * 10_000 + index for index in range(SERIES)]


def found(recorded, scrapes=3, **options):
    targets = CountingTargets(1, SERIES)
    targets.served["target-0"] += [BEGIN / 1000 + number for number in range(scrapes)]
    return account(targets, recorded, **options)


def scrape(number):
    return BEGIN + 1000 * number - 1000, values(number)


def test_what_arrives_once_and_in_order_is_delivered():
    result = found(stored([scrape(1), scrape(2), scrape(3), (BEGIN + 3000, [STALE_VALUE] * SERIES)]))
    assert (result.scraped, result.delivered, result.failed, result.repeated) == (3, 3, 0, 0)
    assert (result.lost, result.wrong) == ({}, [])


def test_a_scrape_that_is_missing_is_lost_unless_it_failed_or_was_under_way():
    recorded = stored([scrape(1), scrape(3)])
    result = found(recorded)
    assert result.lost == {("target-0", 2): BEGIN / 1000 + 1}
    assert result.lost_outside([(BEGIN / 1000 + 0.5, BEGIN / 1000 + 1.5)]) == {}
    assert result.lost_outside([(BEGIN / 1000 + 1.1, BEGIN / 1000 + 1.5)]) == result.lost
    failed = stored([scrape(1), scrape(3)], up=[(BEGIN + 900, 0.0), (BEGIN, 1.0)])
    assert (found(failed).failed, found(failed).lost) == (1, {})


def test_a_scrape_of_which_a_part_is_missing_is_lost():
    recorded = stored([scrape(1), (BEGIN + 1000, values(2)[:2]), scrape(3)])
    result = found(recorded)
    assert (result.delivered, result.torn, list(result.lost)) == (2, 1, [("target-0", 2)])


def test_repeats_are_counted_and_are_not_out_of_order():
    result = found(stored([scrape(1), scrape(2), scrape(1), scrape(2), scrape(3)]))
    assert (result.delivered, result.repeated, result.wrong) == (3, 2 * SERIES, [])


@pytest.mark.parametrize(
    "scrapes",
    [
        [scrape(1), scrape(3), scrape(2)],
        [scrape(1), (BEGIN + 1000, [20_001, 20_001, 20_002]), scrape(3)],
        [scrape(1), scrape(2), (BEGIN + 1500, values(2)), scrape(3)],
    ],
    ids=["not in order", "of another series", "twice at two times"],
)
def test_values_out_of_place_are_found(scrapes):
    assert found(stored(scrapes)).wrong


def test_what_was_refused_counts_only_if_asked_for():
    taken, refused = stored([scrape(1), scrape(3)]), stored([scrape(2)], taken=False)
    recorded = Recorded(taken.labels, [taken.requests[0], *refused.requests, taken.requests[1]])
    assert list(found(recorded).lost) == [("target-0", 2)]
    assert found(recorded, refused=True).delivered == 3
