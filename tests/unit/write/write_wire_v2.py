"""Remote write 2.0 requests read with the protobuf package, every rule of the specification checked."""

import struct

import cramjam

from harness.messages import REMOTE_WRITE_V2
from promscout.model.labels import LabelSet


class Told:
    """One ``TimeSeries``, its references resolved: what a request says about a series."""

    def __init__(self, symbols, series):
        self.labels: LabelSet = _pairs(symbols, series.labels_refs)
        names = [name for name, _ in self.labels]
        assert names == sorted(set(names)), "label names are sorted, each there once"
        assert all(name and value for name, value in self.labels), "no label is empty"
        assert bool(series.samples) != bool(series.histograms), "samples or histograms, never both or none"
        stamps = [one.timestamp for one in (*series.samples, *series.histograms)]
        assert stamps == sorted(stamps), "samples are in the order of time"
        self.samples = [(_bits(one.value), one.timestamp, one.start_timestamp) for one in series.samples]
        self.histograms = list(series.histograms)
        self.exemplars = [(_pairs(symbols, one.labels_refs), one.value, one.timestamp) for one in series.exemplars]
        assert all(one.timestamp for one in series.exemplars), "exemplars have a time stamp"
        self.metadata = (series.metadata.type, symbols[series.metadata.help_ref], symbols[series.metadata.unit_ref])

    @property
    def name(self):
        return dict(self.labels)["__name__"]


def decode_request_v2(body):
    """The ``Told`` of each ``TimeSeries`` of a compressed request."""
    message = bytes(cramjam.snappy.decompress_raw(body))
    request = REMOTE_WRITE_V2["Request"].FromString(message)
    symbols = list(request.symbols)
    assert symbols[:1] == [""], "the first symbol is the empty text"
    assert len(set(symbols)) == len(symbols), "no symbol is there twice"
    # Encoded again by the package, it is the same but for the size of numbers: there are no unknown fields.
    clean = REMOTE_WRITE_V2["Request"].FromString(request.SerializeToString())
    clean.DiscardUnknownFields()
    assert clean.SerializeToString() == request.SerializeToString(), "no unknown fields"
    return [Told(symbols, series) for series in request.timeseries]


def _pairs(symbols, references):
    assert len(references) % 2 == 0, "names and values come in pairs"
    texts = [symbols[reference] for reference in references]
    return tuple(zip(texts[::2], texts[1::2], strict=True))


def _bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]
