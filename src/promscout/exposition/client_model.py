"""The messages of ``io.prometheus.client`` as classes, made when this module is imported.

Texts are fields of bytes, which is the same on the wire: most of them are only compared and copied. The type of a
family is a plain number, so that one that nobody knows can be named. Time stamps of the start of a counter are not
read, like all fields that are not listed here.

The classes are in a pool of their own: another package may have messages of the same names.

Source: prometheus v3.x prompb/io/prometheus/client/metrics.proto.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_PACKAGE: Final = "io.prometheus.client"

_SCALARS: Final = {
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "sint32": FieldDescriptorProto.TYPE_SINT32,
    "sint64": FieldDescriptorProto.TYPE_SINT64,
    "uint32": FieldDescriptorProto.TYPE_UINT32,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
}

# Message → its fields with their numbers and types; a star marks those that may come several times.
_MESSAGES: Final = {
    "LabelPair": "name=1 bytes, value=2 bytes",
    "Timestamp": "seconds=1 int64, nanos=2 int32",
    "Exemplar": "label=1 LabelPair*, value=2 double, timestamp=3 Timestamp",
    "Gauge": "value=1 double",
    "Counter": "value=1 double, exemplar=2 Exemplar",
    "Quantile": "quantile=1 double, value=2 double",
    "Summary": "sample_count=1 uint64, sample_sum=2 double, quantile=3 Quantile*",
    "Untyped": "value=1 double",
    "Bucket": ("cumulative_count=1 uint64, cumulative_count_float=4 double, upper_bound=2 double, exemplar=3 Exemplar"),
    "BucketSpan": "offset=1 sint32, length=2 uint32",
    "Histogram": (
        "sample_count=1 uint64, sample_count_float=4 double, sample_sum=2 double, bucket=3 Bucket*, "
        "schema=5 sint32, zero_threshold=6 double, zero_count=7 uint64, zero_count_float=8 double, "
        "negative_span=9 BucketSpan*, negative_delta=10 sint64*, negative_count=11 double*, "
        "positive_span=12 BucketSpan*, positive_delta=13 sint64*, positive_count=14 double*, exemplars=16 Exemplar*"
    ),
    "Metric": (
        "label=1 LabelPair*, gauge=2 Gauge, counter=3 Counter, summary=4 Summary, untyped=5 Untyped, "
        "timestamp_ms=6 int64, histogram=7 Histogram"
    ),
    "MetricFamily": "name=1 bytes, help=2 bytes, type=3 int32, metric=4 Metric*, unit=5 bytes",
}


def _metric_family_class() -> Any:  # noqa: ANN401 - the class comes into being at run time
    file = FileDescriptorProto(name="metrics.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for text in fields.split(", "):
            declaration, _, kind = text.partition(" ")
            field_name, _, number = declaration.partition("=")
            field = message.field.add(name=field_name, number=int(number))
            repeated = kind.endswith("*")
            field.label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
            field.type = _SCALARS.get(kind.rstrip("*"), FieldDescriptorProto.TYPE_MESSAGE)
            if field.type == FieldDescriptorProto.TYPE_MESSAGE:
                field.type_name = f".{_PACKAGE}.{kind.rstrip('*')}"
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.MetricFamily"))


MetricFamily: Final = _metric_family_class()
"""The class of the message that a delimited body is a sequence of."""
