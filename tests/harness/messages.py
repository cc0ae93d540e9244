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
