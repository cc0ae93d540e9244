"""What one target exposed last."""

from __future__ import annotations

import numpy as np
import pytest

from promscout.exposition.samples import NO_TIMESTAMP, ExposedHistograms, Exposition
from promscout.exposition.text import parse_text
from promscout.model.histogram import Exemplar, Histogram
from promscout.model.names import NameValidation
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.engine import Relabeler
from promscout.relabel.regex import Regex
from promscout.scrape.cache import Resolved, SeriesCache
from promscout.scrape.columns import Refusal
from promscout.scrape.sample_labels import SampleLabels

AT = 1_000_000


def cache(*rules, honor_timestamps=True, track_timestamps=False):
    labels = SampleLabels((("job", "j"),), Relabeler(rules), honor_labels=False)
    return SeriesCache(7, labels, honor_timestamps=honor_timestamps, track_timestamps=track_timestamps)


def scrape(series, *lines, at=AT, accept=True):
    resolved = series.resolve("".join(f"{line}\n" for line in lines).encode(), parse_text, at)
    if accept and isinstance(resolved, Resolved):
        series.accept(resolved)
    return resolved


class CountingRelabeler(Relabeler):
    """Counts how many label sets it relabels."""

    def __init__(self, *rules):
        super().__init__(rules)
        self.applied = 0

    def apply(self, labels):
        self.applied += 1
        return super().apply(labels)


def counting_cache(relabeler, **options):
    labels = SampleLabels((("job", "j"),), relabeler, honor_labels=False, **options)
    return SeriesCache(7, labels, honor_timestamps=True, track_timestamps=False)


def names(table):
    return None if table is None else [dict(labels)["__name__"] for labels in table]


def test_the_same_series_with_other_values_give_the_same_table():
    series = cache()
    first = scrape(series, "a 1", 'b{x="1"} 2')
    second = scrape(series, "a 3", 'b{x="1"} 4', at=AT + 1)
    assert second.batch.series is first.batch.series
    assert (list(first.batch.values), first.batch.timestamps) == ([1, 2], AT)
    assert (list(second.batch.values), second.batch.timestamps) == ([3, 4], AT + 1)
    assert (first.added(), second.added(), second.vanished) == (2, 0, None)
    assert first.batch.series.stream == 7
    assert list(first.batch.series) == [
        (("__name__", "a"), ("job", "j")),
        (("__name__", "b"), ("job", "j"), ("x", "1")),
    ]


def test_a_series_that_is_not_there_any_more_vanished_once():
    series = cache()
    scrape(series, "a 1", "b 1")
    second = scrape(series, "a 1")
    assert (names(second.vanished), second.added()) == (["b"], 0)
    assert scrape(series, "a 1").vanished is None


def test_new_series_are_counted_and_so_are_those_that_come_back():
    series = cache()
    assert scrape(series, "a 1").added() == 1
    second = scrape(series, "b 1", "c 1", "a 1")
    assert (second.added(), second.vanished) == (2, None)
    assert names(second.batch.series) == ["b", "c", "a"]
    scrape(series, "a 1")
    assert scrape(series, "b 1", "c 1", "a 1").added() == 2


def test_another_order_of_the_same_series_is_no_change_of_what_lives():
    series = cache()
    scrape(series, "a 1", "b 2")
    second = scrape(series, "b 2", "a 1")
    assert (second.added(), second.vanished) == (0, None)
    assert (names(second.batch.series), list(second.batch.values)) == (["b", "a"], [2, 1])


def test_what_was_not_accepted_does_not_count_as_live():
    series = cache()
    scrape(series, "a 1")
    scrape(series, "b 1", accept=False)
    third = scrape(series, "a 1")
    assert (third.added(), third.vanished) == (0, None)


def test_a_line_repeated_at_the_same_time_is_left_out_and_counted():
    resolved = scrape(cache(), "a 1", "b 1", "a 2")
    assert (names(resolved.batch.series), list(resolved.batch.values), resolved.duplicates) == (["a", "b"], [1, 1], 1)


def test_series_that_relabelling_makes_equal_are_duplicates_too():
    same = RelabelConfig(regex=Regex.parse("x"), action=Action.LABELDROP)
    resolved = scrape(cache(same), 'a{x="1"} 1', 'a{x="2"} 2')
    assert (names(resolved.batch.series), resolved.duplicates, resolved.added()) == (["a"], 1, 1)


def test_dropped_series_are_not_in_the_batch_and_do_not_shift_values():
    drop = RelabelConfig(source_labels=("__name__",), regex=Regex.parse("a|c"), action=Action.DROP)
    series = cache(drop)
    first = scrape(series, "a 1", "b 2", "c 3", "d 4")
    assert (names(first.batch.series), list(first.batch.values), first.added()) == (["b", "d"], [2, 4], 2)
    second = scrape(series, "a 5", "b 6", "c 7", "d 8")
    assert second.batch.series is first.batch.series
    assert list(second.batch.values) == [6, 8]


def test_time_stamps_of_samples_are_kept_and_their_series_never_vanish():
    series = cache()
    first = scrape(series, "a 1 5000", "b 2")
    assert list(first.batch.timestamps) == [5000, AT]
    assert first.added() == 2
    second = scrape(series, "c 1")
    assert names(second.vanished) == ["b"]


def test_the_same_series_at_two_times_is_no_duplicate():
    resolved = scrape(cache(), "a 1 5000", "a 2 6000")
    assert (list(resolved.batch.values), list(resolved.batch.timestamps), resolved.duplicates) == (
        [1, 2],
        [5000, 6000],
        0,
    )


def test_time_stamps_that_come_and_go_are_noticed_although_the_series_stay():
    series = cache()
    scrape(series, "a 1")
    second = scrape(series, "a 1 5000")
    assert list(second.batch.timestamps) == [5000]
    third = scrape(series, "a 1")
    assert third.batch.timestamps == AT


def test_time_stamps_are_ignored_where_they_are_not_honoured():
    series = cache(honor_timestamps=False)
    first = scrape(series, "a 1 5000", "b 2")
    assert (first.batch.timestamps, first.added()) == (AT, 2)
    assert names(scrape(series, "b 2").vanished) == ["a"]


def test_series_with_time_stamps_vanish_where_that_is_tracked():
    series = cache(track_timestamps=True)
    assert scrape(series, "a 1 5000").added() == 1
    assert names(scrape(series, "b 2").vanished) == ["a"]


def test_the_end_gives_every_live_series_once():
    series = cache()
    first = scrape(series, "a 1", "b 2")
    assert series.end() is first.batch.series
    assert series.end() is None
    assert scrape(series, "a 1", "b 2").added() == 0, "they are known, although they turned stale"


def test_the_end_leaves_out_series_with_time_stamps_of_their_own():
    series = cache()
    scrape(series, "a 1 5000", "b 2")
    assert names(series.end()) == ["b"]


def test_a_target_that_exposed_nothing_has_nothing_to_end():
    series = cache()
    assert series.end() is None
    assert scrape(series).added() == 0
    assert series.end() is None


def test_what_another_cache_adopts_lives_on_there():
    old, new = cache(), cache()
    scrape(old, "a 1", "b 2")
    new.adopt(old)
    assert old.end() is None
    second = scrape(new, "b 2", "c 3")
    assert (names(second.vanished), second.added()) == (["a"], 2), "what lives goes on, what is known does not"


def test_what_was_adopted_ends_without_a_scrape():
    old, new = cache(), cache()
    scrape(old, "a 1")
    new.adopt(old)
    assert names(new.end()) == ["a"]


@pytest.mark.parametrize(("line", "scraped"), [('a{x="1",x="2"} 1', 2), ('{""} 1', 2), ('a{="1"} 1', 1)])
def test_a_series_text_that_is_not_valid_changes_nothing_and_counts_if_it_can_be_read(line, scraped):
    series = cache()
    scrape(series, "a 1")
    refused = scrape(series, "b 1", line)
    assert isinstance(refused, Refusal)
    assert (refused.scraped, refused.kept, refused.added) == (scraped, 1, 1)
    assert scrape(series, "a 1").added() == 0


def test_a_series_without_a_name_after_relabelling_changes_nothing():
    series = cache(RelabelConfig(source_labels=("x",), regex=Regex.parse("1"), target_label="__name__", replacement=""))
    scrape(series, "a 1")
    assert scrape(series, 'a{x="1"} 1') == Refusal("metric name missing after relabelling", scraped=1)
    assert scrape(series, "a 1").added() == 0


def test_with_honor_labels_an_exposed_empty_label_keeps_the_targets_away():
    labels = SampleLabels((("instance", "i"), ("job", "j")), Relabeler(()), honor_labels=True)
    cache = SeriesCache(1, labels, honor_timestamps=True, track_timestamps=False)
    resolved = cache.resolve(b'push_time{instance=""} 1\n', parse_text, 1000)
    assert list(resolved.batch.series) == [(("__name__", "push_time"), ("job", "j"))]


def test_metric_relabelling_looks_at_a_series_once_however_often_it_is_scraped():
    relabeler = CountingRelabeler(RelabelConfig(target_label="x", replacement="y"))
    series = counting_cache(relabeler)
    for at in range(5):
        scrape(series, f"a {at}", f"b {at}", at=AT + at)
    assert relabeler.applied == 2


def test_a_dropped_series_is_not_looked_at_again_either():
    drop = RelabelConfig(source_labels=("__name__",), regex=Regex.parse("b"), action=Action.DROP)
    relabeler = CountingRelabeler(drop)
    series = counting_cache(relabeler)
    for at in range(5):
        assert names(scrape(series, f"a {at}", f"b {at}", at=AT + at).batch.series) == ["a"]
    assert relabeler.applied == 2


def test_series_that_come_go_and_change_places_cost_only_what_is_new():
    relabeler = CountingRelabeler()
    series = counting_cache(relabeler)
    for lines, applied in [("abc", 3), ("cab", 3), ("abcd", 4), ("bd", 4), ("abd", 5)]:
        scrape(series, *(f"{name} 1" for name in lines))
        assert relabeler.applied == applied, lines


def test_a_scrape_that_fails_again_and_again_looks_only_at_the_series_that_fails_it():
    relabeler = CountingRelabeler()
    series = counting_cache(relabeler, names=NameValidation.LEGACY)
    scrape(series, "a 1", "b 1")
    for _ in range(3):
        refused = scrape(series, "c 1", '{"x.y"} 1', "a 1", "b 1")
        assert "invalid metric name" in refused.reason
    assert relabeler.applied == 2 + 1 + 3
    assert names(scrape(series, "a 1", "b 1", "c 1").batch.series) == ["a", "b", "c"]
    assert relabeler.applied == 6


def test_a_line_repeated_counts_as_left_by_relabelling():
    resolved = scrape(cache(), "a 1", "a 2", "b 1")
    assert (resolved.scraped, resolved.kept, resolved.appended, resolved.duplicates) == (3, 3, 2, 1)


def test_a_body_with_another_reader_is_not_compared_with_the_one_before():
    series, read = cache(), []

    def another(body):
        read.append(body)
        return parse_text(body)

    scrape(series, "a 1")
    resolved = series.resolve(b"a 2\n", another, AT)
    assert (read, list(resolved.batch.values), resolved.added()) == ([b"a 2\n"], [2], 0)


def test_a_body_with_other_numbers_is_not_parsed_again():
    series, read = cache(), []

    def reading(body):
        read.append(body)
        return parse_text(body)

    for body in (b"a 1\nb 2\n", b"a 10\nb 2\n", b"a 11\nb NaN\n"):
        resolved = series.resolve(body, reading, AT)
        series.accept(resolved)
    assert len(read) == 1
    assert resolved.batch.values[0] == 11


def exposing(*, exemplars=(), histograms=None):
    """A reader that gives these beside the samples of a text body."""

    def read(body):
        samples = parse_text(body)
        return Exposition(samples.keys, samples.values, samples.timestamps, exemplars=exemplars, histograms=histograms)

    return read


def exemplar(trace, value=1.0, timestamp=None):
    return Exemplar((("trace", trace),), value, timestamp)


def test_exemplars_are_given_once_with_the_time_of_their_sample():
    series = cache()
    first = series.resolve(b"a 1\nb 1 5000\n", exposing(exemplars=[(0, exemplar("x")), (1, exemplar("y"))]), AT)
    series.accept(first)
    assert names(first.exemplars.series) == ["b", "a"]
    assert [one.timestamp for one in first.exemplars.exemplars] == [5000, AT]
    second = series.resolve(b"a 2\nb 2 6000\n", exposing(exemplars=[(0, exemplar("x")), (1, exemplar("z"))]), AT + 1)
    assert [one.labels for one in second.exemplars.exemplars] == [(("trace", "z"),)]


def test_exemplars_of_a_scrape_that_was_not_accepted_come_again():
    series = cache()
    for _ in range(2):
        resolved = series.resolve(b"a 1\n", exposing(exemplars=[(0, exemplar("x"))]), AT)
        assert len(resolved.exemplars) == 1


def test_exemplars_of_dropped_series_are_dropped():
    drop = RelabelConfig(source_labels=("__name__",), regex=Regex.parse("a"), action=Action.DROP)
    resolved = cache(drop).resolve(b"a 1\nb 1\n", exposing(exemplars=[(0, exemplar("x"))]), AT)
    assert resolved.exemplars is None


def test_an_exemplar_older_than_the_one_before_is_left_out():
    series = cache()
    series.accept(series.resolve(b"a 1\n", exposing(exemplars=[(0, exemplar("x", timestamp=2000))]), AT))
    assert series.resolve(b"a 2\n", exposing(exemplars=[(0, exemplar("y", timestamp=1000))]), AT).exemplars is None


def native(*keys, timestamps=None, exemplars=()):
    histograms = [Histogram(schema=3, count=position) for position in range(len(keys))]
    return ExposedHistograms([key.encode() for key in keys], histograms, timestamps, exemplars)


def test_native_histograms_are_series_beside_the_samples():
    series = cache()
    first = series.resolve(b"a 1\n", exposing(histograms=native("h", "i")), AT)
    series.accept(first)
    assert names(first.histograms.series) == ["h", "i"]
    assert ([one.count for one in first.histograms.histograms], first.histograms.timestamps) == ([0, 1], AT)
    assert (first.scraped, first.kept, first.added(), first.appended) == (3, 3, 3, 3)
    again = series.resolve(b"a 2\n", exposing(histograms=native("h", "i")), AT + 1)
    assert again.histograms.series is first.histograms.series
    series.accept(again)
    fewer = series.resolve(b"a 2\n", exposing(histograms=native("i")), AT + 2)
    assert (names(fewer.vanished), fewer.added()) == (["h"], 0)
    assert sorted(names(series.end())) == ["a", "h", "i"]


def test_dropped_native_histograms_do_not_shift_the_others():
    drop = RelabelConfig(source_labels=("__name__",), regex=Regex.parse("h"), action=Action.DROP)
    times = np.array([5000, NO_TIMESTAMP, 6000])
    resolved = cache(drop).resolve(b"", exposing(histograms=native("i", "h", "j", timestamps=times)), AT)
    assert names(resolved.histograms.series) == ["i", "j"]
    assert ([one.count for one in resolved.histograms.histograms], list(resolved.histograms.timestamps)) == (
        [0, 2],
        [5000, 6000],
    )


def test_exemplars_of_native_histograms_need_a_time_stamp():
    found = native(
        "h", exemplars=[(0, exemplar("x")), (0, exemplar("z", timestamp=7)), (0, exemplar("y", timestamp=5))]
    )
    resolved = cache().resolve(b"", exposing(histograms=found), AT)
    assert [one.labels[0][1] for one in resolved.exemplars.exemplars] == ["y", "z"]


def test_bodies_that_fail_again_and_again_leave_nothing_but_the_last():
    series = cache(RelabelConfig(source_labels=("x",), regex=Regex.parse("1"), target_label="__name__", replacement=""))
    for number in range(50):
        lines = [f"s{number}_{one} 1" for one in range(20)]
        assert isinstance(scrape(series, *lines, 'a{x="1"} 1'), Refusal)
    assert len(series._failed_known) == 20


def test_exemplars_of_series_that_vanished_are_forgotten():
    series = cache()
    for number in range(20):
        body = f"s{number} 1\n".encode()
        series.accept(series.resolve(body, exposing(exemplars=[(0, exemplar("x"))]), AT + number))
    assert len(series._exemplars._latest) == 1


def test_exemplars_are_not_new_to_a_cache_that_adopts_another():
    old, new = cache(), cache()
    read = exposing(exemplars=[(0, exemplar("x"))])
    old.accept(old.resolve(b"a 1\n", read, AT))
    new.adopt(old)
    assert new.resolve(b"a 1\n", read, AT + 1).exemplars is None


def test_a_series_with_several_samples_turns_stale_once():
    series = cache(track_timestamps=True)
    scrape(series, "a 1 1000", "a 2 2000", "b 1")
    assert names(series.end()) == ["a", "b"]
