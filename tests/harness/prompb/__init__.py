"""Message classes of remote write 1.0 and 2.0, made from the official schemas beside this file.

They share nothing with what promscout itself knows about the wire format.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

HERE: Final = Path(__file__).parent


def files() -> Sequence[FileDescriptorProto]:
    """The compiled schemas."""
    return FileDescriptorSet.FromString((HERE / "prompb.binpb").read_bytes()).file


def _messages() -> dict[str, Any]:
    pool = DescriptorPool()  # of its own: file names as short as these may be taken in the default one
    for file in files():
        pool.Add(file)
    names = ("prometheus.WriteRequest", "io.prometheus.write.v2.Request")
    return {name: GetMessageClass(pool.FindMessageTypeByName(name)) for name in names}


MESSAGES: Final = _messages()
"""Message class by full name, as in the ``proto`` parameter of a ``Content-Type``."""

WriteRequest: Final = MESSAGES["prometheus.WriteRequest"]
Request: Final = MESSAGES["io.prometheus.write.v2.Request"]
