"""Protobuf message classes made at run time, as tests need them: by the protobuf package, not by promscout."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_TYPES = {
    "double": descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE,
    "int32": descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
    "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    "uint32": descriptor_pb2.FieldDescriptorProto.TYPE_UINT32,
    "uint64": descriptor_pb2.FieldDescriptorProto.TYPE_UINT64,
    "sint32": descriptor_pb2.FieldDescriptorProto.TYPE_SINT32,
    "sint64": descriptor_pb2.FieldDescriptorProto.TYPE_SINT64,
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "bytes": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
}


def message_classes(package, syntax):
    """Classes by name for messages written as in a .proto file: ``[repeated] type name = number;``."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    message = None
    for line in filter(None, map(str.strip, syntax.splitlines())):
        words = line.rstrip(";{").split()
        if words[0] == "message":
            message = file.message_type.add(name=words[1])
        elif words[0] != "}":
            *label, kind, name, _, number = words
            field = message.field.add(name=name, number=int(number))
            field.label = field.LABEL_REPEATED if label else field.LABEL_OPTIONAL
            if kind in _TYPES:
                field.type = _TYPES[kind]
            else:
                field.type, field.type_name = field.TYPE_MESSAGE, f".{package}.{kind}"
            if not label and field.type != field.TYPE_MESSAGE:
                field.proto3_optional = True
                field.oneof_index = len(message.oneof_decl)
                message.oneof_decl.add(name=f"_{name}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        one.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{one.name}"))
        for one in file.message_type
    }


REMOTE_WRITE = message_classes(
    "prometheus",
    """
    message WriteRequest {
      repeated TimeSeries timeseries = 1;
      repeated MetricMetadata metadata = 3;
    }
    message MetricMetadata {
      int32 type = 1;
      string metric_family_name = 2;
      string help = 4;
      string unit = 5;
    }
    message TimeSeries {
      repeated Label labels = 1;
      repeated Sample samples = 2;
      repeated Exemplar exemplars = 3;
      repeated Histogram histograms = 4;
    }
    message Label {
      string name = 1;
      string value = 2;
    }
    message Sample {
      double value = 1;
      int64 timestamp = 2;
    }
    message Exemplar {
      repeated Label labels = 1;
      double value = 2;
      int64 timestamp = 3;
    }
    message BucketSpan {
      sint32 offset = 1;
      uint32 length = 2;
    }
    message Histogram {
      uint64 count_int = 1;
      double count_float = 2;
      double sum = 3;
      sint32 schema = 4;
      double zero_threshold = 5;
      uint64 zero_count_int = 6;
      double zero_count_float = 7;
      repeated BucketSpan negative_spans = 8;
      repeated sint64 negative_deltas = 9;
      repeated double negative_counts = 10;
      repeated BucketSpan positive_spans = 11;
      repeated sint64 positive_deltas = 12;
      repeated double positive_counts = 13;
      int32 reset_hint = 14;
      int64 timestamp = 15;
      repeated double custom_values = 16;
    }
    """,
)
"""The messages of remote write 1.0."""

REMOTE_WRITE_V2 = message_classes(
    "io.prometheus.write.v2",
    """
    message Request {
      repeated string symbols = 4;
      repeated TimeSeries timeseries = 5;
    }
    message TimeSeries {
      repeated uint32 labels_refs = 1;
      repeated Sample samples = 2;
      repeated Histogram histograms = 3;
      repeated Exemplar exemplars = 4;
      Metadata metadata = 5;
    }
    message Exemplar {
      repeated uint32 labels_refs = 1;
      double value = 2;
      int64 timestamp = 3;
    }
    message Sample {
      double value = 1;
      int64 timestamp = 2;
      int64 start_timestamp = 3;
    }
    message Metadata {
      int32 type = 1;
      uint32 help_ref = 3;
      uint32 unit_ref = 4;
    }
    message BucketSpan {
      sint32 offset = 1;
      uint32 length = 2;
    }
    message Histogram {
      uint64 count_int = 1;
      double count_float = 2;
      double sum = 3;
      sint32 schema = 4;
      double zero_threshold = 5;
      uint64 zero_count_int = 6;
      double zero_count_float = 7;
      repeated BucketSpan negative_spans = 8;
      repeated sint64 negative_deltas = 9;
      repeated double negative_counts = 10;
      repeated BucketSpan positive_spans = 11;
      repeated sint64 positive_deltas = 12;
      repeated double positive_counts = 13;
      int32 reset_hint = 14;
      int64 timestamp = 15;
      repeated double custom_values = 16;
      int64 start_timestamp = 17;
    }
    """,
)
"""The messages of remote write 2.0."""

CLIENT_MODEL = message_classes(
    "io.prometheus.client",
    """
    message LabelPair {
      string name = 1;
      string value = 2;
    }
    message Timestamp {
      int64 seconds = 1;
      int32 nanos = 2;
    }
    message Exemplar {
      repeated LabelPair label = 1;
      double value = 2;
      Timestamp timestamp = 3;
    }
    message Gauge {
      double value = 1;
    }
    message Counter {
      double value = 1;
      Exemplar exemplar = 2;
      Timestamp start_timestamp = 3;
    }
    message Quantile {
      double quantile = 1;
      double value = 2;
    }
    message Summary {
      uint64 sample_count = 1;
      double sample_sum = 2;
      repeated Quantile quantile = 3;
      Timestamp start_timestamp = 4;
    }
    message Untyped {
      double value = 1;
    }
    message Bucket {
      uint64 cumulative_count = 1;
      double upper_bound = 2;
      Exemplar exemplar = 3;
      double cumulative_count_float = 4;
    }
    message BucketSpan {
      sint32 offset = 1;
      uint32 length = 2;
    }
    message Histogram {
      uint64 sample_count = 1;
      double sample_sum = 2;
      repeated Bucket bucket = 3;
      double sample_count_float = 4;
      sint32 schema = 5;
      double zero_threshold = 6;
      uint64 zero_count = 7;
      double zero_count_float = 8;
      repeated BucketSpan negative_span = 9;
      repeated sint64 negative_delta = 10;
      repeated double negative_count = 11;
      repeated BucketSpan positive_span = 12;
      repeated sint64 positive_delta = 13;
      repeated double positive_count = 14;
      Timestamp start_timestamp = 15;
      repeated Exemplar exemplars = 16;
    }
    message Metric {
      repeated LabelPair label = 1;
      Gauge gauge = 2;
      Counter counter = 3;
      Summary summary = 4;
      Untyped untyped = 5;
      int64 timestamp_ms = 6;
      Histogram histogram = 7;
    }
    message MetricFamily {
      string name = 1;
      string help = 2;
      int32 type = 3;
      repeated Metric metric = 4;
      string unit = 5;
    }
    """,
)
"""The messages of protobuf exposition."""

COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM = range(6)


def family(name, kind, *metrics, **fields):
    """A ``MetricFamily``; each metric is a dict of its fields, whose ``label`` is a dict of names and values."""
    made = [
        one | {"label": [{"name": label, "value": value} for label, value in one.get("label", {}).items()]}
        for one in metrics
    ]
    return CLIENT_MODEL["MetricFamily"](name=name, type=kind, metric=made, **fields)


def delimited(*messages):
    """A body of these messages, which are bytes or have a ``SerializeToString``."""
    body = b""
    for message in messages:
        content = message if isinstance(message, bytes) else message.SerializeToString()
        size = len(content)
        while size > 0x7F:
            body += bytes([size & 0x7F | 0x80])
            size >>= 7
        body += bytes([size]) + content
    return body
