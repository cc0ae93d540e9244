import struct

import numpy as np

from promscout.model.histogram import CUSTOM_BUCKETS_SCHEMA, CounterReset, Exemplar, Histogram, Span
from promscout.model.metadata import KnownFamilies, MetricMetadata
from promscout.model.series import STALE_NAN_BITS, SeriesTable
from promscout.write.journal import Journal
from promscout.write.portion import Items, Portion, SeriesTemplate
from promscout.write.record import Record
from promscout.write.status import Kind

NOW = 1_790_000_000_000
ALL = 1 << 30
STALE = struct.pack("<Q", STALE_NAN_BITS)
HISTOGRAM = Histogram(
    schema=3,
    count=(1 << 60) + 1,
    sum=-0.0,
    zero_threshold=1e-128,
    zero_count=7,
    positive_spans=(Span(-3, 2), Span(4, 1)),
    positive_buckets=(5, -2, 1),
    negative_spans=(Span(0, 1),),
    negative_buckets=(9,),
    counter_reset=CounterReset.GAUGE,
)
CUSTOM = Histogram(schema=CUSTOM_BUCKETS_SCHEMA, is_float=True, count=1.5, custom_values=(0.5, 1.0))


def template(stream=1, series=3, families=()):
    table = SeriesTable.from_label_sets(stream, [(("__name__", "m"), ("i", f"é{i}")) for i in range(series)])
    return SeriesTemplate(stream, table.encoded, table.offsets, KnownFamilies(dict(families)))


def portion(series, *, values=None, first=0, count=None, timestamps=NOW):
    count = len(series) - first if count is None else count
    values = np.arange(count, dtype=float) if values is None else np.asarray(values, dtype=float)
    return Portion(series, first, values, timestamps)


def facts(portion):
    """Everything that a portion says, as a value."""
    series = portion.template
    families = dict(series.families.by_family())
    labels = series.label_sets(0, len(series))
    if isinstance(portion, Portion):
        stamps = portion.timestamps
        stamps = stamps if isinstance(stamps, int) else tuple(stamps.tolist())
        return Kind.SAMPLES, series.stream, labels, families, portion.first, portion.values.tobytes(), stamps
    items = [repr(item) for item in portion.items]
    return portion.kind, series.stream, labels, families, portion.series, items, portion.timestamps


def opened(directory, **options):
    journal = Journal(directory, **options)
    journal.open()
    return journal


def everything(journal, held=()):
    records, _ = journal.read(0, held, ALL)
    return records


def numbers(records):
    return [record.number for record in records]


def segment_files(directory):
    return sorted(path.name for path in directory.glob("*.segment"))


def every_kind():
    one = template(families={"m": MetricMetadata("counter", "What it counts.", "bytes")})
    stamps = np.array([NOW, NOW - 5, -1], dtype=np.int64)
    stale = np.frombuffer(STALE * 2 + struct.pack("<d", -0.0), dtype=np.float64)
    exemplars = (Exemplar((("trace_id", "ü"),), 2.5, NOW), Exemplar((), 1.0))
    return [
        portion(one),
        portion(one, values=stale),
        portion(one, timestamps=stamps),
        portion(one, first=1, count=1),
        portion(template(stream=(1 << 64) - 1, series=2), first=1, count=1),
        Items(Kind.HISTOGRAMS, one, (0, 2), (HISTOGRAM, CUSTOM), (NOW, NOW + 1)),
        Items(Kind.EXEMPLARS, one, (1, 1), exemplars, (NOW, 0)),
    ]


def test_a_record_of_every_kind_is_read_again_as_it_was_by_the_next_process(tmp_path):
    written = [Record(7 * i, NOW + i, one) for i, one in enumerate(every_kind(), 1)]
    opened(tmp_path).append(written)
    journal = Journal(tmp_path)
    backlog, damage = journal.open()
    read, looked = journal.read(0, (), ALL)
    assert [(one.number, one.since_ms, facts(one.portion)) for one in read] == [
        (one.number, one.since_ms, facts(one.portion)) for one in written
    ]
    assert (looked, damage, backlog.records, backlog.next_number) == (49, [], 7, 50)
    assert backlog.streams == {1: 6, (1 << 64) - 1: 1}
    assert backlog.kinds == {Kind.SAMPLES: 11, Kind.HISTOGRAMS: 2, Kind.EXEMPLARS: 2}
    assert backlog.oldest_ms == NOW + 1


def test_whole_numbers_of_a_histogram_stay_whole(tmp_path):
    journal = opened(tmp_path)
    journal.append([Record(1, NOW, Items(Kind.HISTOGRAMS, template(), (0,), (HISTOGRAM,), (NOW,)))])
    (record,) = everything(journal)
    assert repr(record.portion.items[0].count) == str((1 << 60) + 1)
