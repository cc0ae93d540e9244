"""Templates, portions and records for the tests of the journal, and what they say as values."""

import struct
from contextlib import ExitStack, closing

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


def records(*numbers, stream=1, series=3, since=NOW):
    """Records of one stream with these numbers; the first value of each is its number."""
    one = template(stream, series)
    return [Record(n, since + n, portion(one, values=[n, *range(1, series)], timestamps=NOW + n)) for n in numbers]


def every_kind():
    one = template(families={"m": MetricMetadata("counter", "What it counts.", "bytes")})
    stamps = np.array([NOW, NOW - 5, -1], dtype=np.int64)
    stale = np.frombuffer(struct.pack("<QQd", STALE_NAN_BITS, STALE_NAN_BITS, -0.0), dtype=np.float64)
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


def facts(record):
    """Everything that a record says, as a value."""
    series = record.portion.template
    said = (
        record.number,
        record.since_ms,
        record.portion.kind,
        series.stream,
        tuple(series.label_sets(0, len(series))),
        tuple(sorted((name, repr(one)) for name, one in series.families.by_family().items())),
    )
    if isinstance(record.portion, Items):
        return *said, record.portion.series, repr(record.portion.items), record.portion.timestamps
    stamps = record.portion.timestamps
    stamps = stamps if isinstance(stamps, int) else tuple(stamps.tolist())
    return *said, record.portion.first, record.portion.values.tobytes(), stamps


class Journals:
    """Opens journals, each as another process would, and closes them in the end."""

    def __init__(self):
        self.backlog = None
        """Of the journal opened last, like ``damage``."""
        self.damage = []
        self._stack = ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._stack.close()

    def __call__(self, directory, **options):
        journal = self._stack.enter_context(closing(Journal(directory, **options)))
        self.backlog, self.damage = journal.open()
        return journal


def everything(journal, held=()):
    found, _ = journal.read(0, held, ALL)
    return found


def numbers(found):
    return [record.number for record in found]


def segment_files(directory):
    return sorted(directory.glob("*.segment"))
