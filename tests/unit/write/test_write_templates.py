import gc

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from promscout.model.labels import label_set
from promscout.model.series import SampleBatch, SeriesTable
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.engine import Relabeler
from promscout.relabel.regex import Regex
from promscout.write.encoding import encode_message
from promscout.write.templates import Templates
from unit.write.write_wire import decode_message

NOW = 1_790_000_000_123


def batch(*label_dicts, timestamps=NOW):
    table = SeriesTable.from_label_sets(7, [label_set(labels) for labels in label_dicts])
    return SampleBatch(table, np.arange(len(label_dicts), dtype=np.float64), timestamps)


def sent(templates, one):
    decoded = decode_message(encode_message([templates.portion(one)]))
    return [(dict(labels), np.uint64(samples[0][0]).view(np.float64), samples[0][1]) for labels, samples in decoded]


class CountingRelabeler(Relabeler):
    """Counts how many label sets it relabels."""

    def __init__(self, rules):
        super().__init__(rules)
        self.applied = 0

    def apply(self, labels):
        self.applied += 1
        return super().apply(labels)


DROP_B = RelabelConfig(source_labels=("__name__",), regex=Regex.parse("b"), action=Action.DROP)


def test_external_labels_are_added_where_the_series_has_no_such_label():
    templates = Templates({"cluster": "c1", "zone": "z1"}, ())
    assert sent(templates, batch({"__name__": "a"}, {"__name__": "b", "zone": "own"})) == [
        ({"__name__": "a", "cluster": "c1", "zone": "z1"}, 0.0, NOW),
        ({"__name__": "b", "cluster": "c1", "zone": "own"}, 1.0, NOW),
    ]


def test_labels_are_sorted_by_name_after_external_labels_and_rules():
    rule = RelabelConfig(target_label="aa", replacement="x")
    decoded = decode_message(encode_message([Templates({"b": "1"}, (rule,)).portion(batch({"c": "1", "a": "1"}))]))
    assert [name for name, _ in decoded[0][0]] == ["a", "aa", "b", "c"]


def test_dropped_series_take_their_values_and_time_stamps_with_them():
    stamps = np.array([NOW, NOW + 1, NOW + 2], dtype=np.int64)
    one = batch({"__name__": "a"}, {"__name__": "b"}, {"__name__": "c"}, timestamps=stamps)
    assert sent(Templates({}, (DROP_B,)), one) == [({"__name__": "a"}, 0.0, NOW), ({"__name__": "c"}, 2.0, NOW + 2)]


def test_rules_see_external_labels():
    drop_cluster = RelabelConfig(source_labels=("cluster",), regex=Regex.parse("c1"), action=Action.DROP)
    assert sent(Templates({"cluster": "c1"}, (drop_cluster,)), batch({"__name__": "a"})) == []


def test_a_series_left_without_labels_is_not_sent():
    no_labels = RelabelConfig(regex=Regex.parse(".*"), action=Action.LABELDROP)
    assert sent(Templates({}, (no_labels,)), batch({"__name__": "a"})) == []


def test_an_external_label_without_a_value_is_none():
    no_labels = RelabelConfig(regex=Regex.parse("__name__"), action=Action.LABELDROP)
    assert sent(Templates({"x": ""}, ()), batch({"__name__": "a"})) == [({"__name__": "a"}, 0.0, NOW)]
    assert sent(Templates({"x": ""}, (no_labels,)), batch({"__name__": "a"})) == []


def test_every_series_of_a_table_is_relabelled_once_however_many_batches_it_has():
    templates, one = Templates({}, ()), batch({"__name__": "a"}, {"__name__": "b"})
    templates._relabeler = counting = CountingRelabeler((DROP_B,))
    for number in range(5):
        templates.portion(SampleBatch(one.series, np.full(2, float(number)), NOW + number))
    assert counting.applied == 2
    templates.portion(batch({"__name__": "a"}))
    assert counting.applied == 3


def test_a_table_is_relabelled_once_and_forgotten_with_its_last_use():
    templates, one = Templates({"x": "1"}, ()), batch({"__name__": "a"})
    again = SampleBatch(one.series, np.ones(1), NOW + 1)
    assert templates.portion(one).template is templates.portion(again).template
    assert len(templates._derived) == 1
    del one, again
    gc.collect()
    assert len(templates._derived) == 0


def test_nothing_is_copied_when_every_series_is_kept():
    one = batch({"__name__": "a"}, {"__name__": "c"})
    assert Templates({"x": "1"}, (DROP_B,)).portion(one).values is one.values


names = st.sampled_from(["__name__", "a", "b", "job", "é"]) | st.text("xyz", min_size=1, max_size=3)
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@given(st.lists(st.dictionaries(names, values, min_size=1), max_size=6), st.dictionaries(names, values, max_size=3))
@settings(max_examples=150, deadline=None)
def test_labels_sent_are_the_series_labels_over_the_external_ones(sets, external):
    sets = [labels for labels in sets if label_set(labels)]
    decoded = decode_message(encode_message([Templates(external, ()).portion(batch(*sets))]))
    assert [labels for labels, _ in decoded] == [label_set(external | dict(label_set(labels))) for labels in sets]
