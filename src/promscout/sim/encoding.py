"""How objects are shown: as themselves, as rows of a table, or as their metadata only.

An encoding turns a stored object into the bytes of a list item, a single answer, or a watch event. Everything is
bytes made from bytes; a change is encoded once for all watchers of the same encoding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

import msgspec

from promscout.sim.listing import ListPage
from promscout.sim.objects import Change, Stored
from promscout.sim.resources import Resource

INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


class Encoding(ABC):
    """One representation of objects. ``name`` tells encodings apart."""

    name: str

    @abstractmethod
    def item(self, stored: Stored) -> bytes:
        """The object as an item of a list."""

    @abstractmethod
    def single(self, stored: Stored) -> bytes:
        """The object as an answer of its own and inside a watch event."""

    @abstractmethod
    def list_opening(self, resource: Resource, metadata: bytes) -> bytes:
        """A list up to and with the bracket that opens the items; ``metadata`` is the encoded list metadata."""

    def list_parts(self, resource: Resource, page: ListPage) -> list[bytes]:
        """The JSON of a list in pieces to be joined; it ends with a newline."""
        metadata: dict[str, str | int] = {"resourceVersion": str(page.revision)}
        if page.token:
            metadata["continue"] = page.token
        if page.remaining is not None:
            metadata["remainingItemCount"] = page.remaining
        parts = [self.list_opening(resource, msgspec.json.encode(metadata))]
        for stored in page.items:
            parts += (self.item(stored), b",")
        if page.items:
            parts.pop()
        parts.append(b"]}\n")
        return parts

    def initial_event(self, stored: Stored) -> bytes:
        """A synthetic ADDED event: one line."""
        return self._frame("ADDED", self.single(stored))

    def event(self, event_type: str, change: Change) -> bytes:
        """An event about a change: one line."""
        frame = change.frames.get((event_type, self.name))
        if frame is None:
            frame = self._frame(event_type, self.single(change.shown_as(event_type)))
            change.frames[event_type, self.name] = frame
        return frame

    def bookmark(self, resource: Resource, revision: int, *, ends_initial_events: bool) -> bytes:
        """A bookmark event: one line."""
        note = b',"annotations":{"%s":"true"}' % INITIAL_EVENTS_END.encode() if ends_initial_events else b""
        metadata = b'"metadata":{"resourceVersion":"%d"%s}' % (revision, note)
        return self._frame("BOOKMARK", self.empty(resource, metadata))

    def empty(self, resource: Resource, metadata: bytes) -> bytes:
        """What a bookmark carries: the kind's zero value with ``metadata`` (encoded, with its key)."""
        return resource.opening + metadata + resource.empty + b"}"

    @staticmethod
    def _frame(event_type: str, shown: bytes) -> bytes:
        return b'{"type":"%s","object":%s}\n' % (event_type.encode(), shown)


class Plain(Encoding):
    """Objects as they are."""

    name = "plain"

    def item(self, stored: Stored) -> bytes:
        """The stored bytes."""
        return stored.body

    def single(self, stored: Stored) -> bytes:
        """The stored bytes after kind and apiVersion."""
        return stored.single

    def list_opening(self, resource: Resource, metadata: bytes) -> bytes:
        """``PodList`` and the like."""
        return b'{"kind":"%s","apiVersion":"%s","metadata":%s,"items":[' % (
            resource.list_kind.encode(),
            resource.api_version.encode(),
            metadata,
        )


class MetadataOnly(Encoding):
    """``PartialObjectMetadata``: what a client gets that asks for metadata only."""

    name = "metadata"
    _opening = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",'

    def item(self, stored: Stored) -> bytes:
        """Items of such a list carry their kind."""
        return self.single(stored)

    def single(self, stored: Stored) -> bytes:
        """The metadata under the kind PartialObjectMetadata."""
        return self._opening + b'"metadata":%s}' % msgspec.json.decode(stored.body, type=_OnlyMetadata).metadata

    def list_opening(self, resource: Resource, metadata: bytes) -> bytes:  # noqa: ARG002 - one kind for all resources
        """``PartialObjectMetadataList``."""
        return b'{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":%s,"items":[' % metadata

    def empty(self, resource: Resource, metadata: bytes) -> bytes:  # noqa: ARG002 - one kind for all resources
        """Metadata have no further fields."""
        return self._opening + metadata + b"}"


class _OnlyMetadata(msgspec.Struct):
    metadata: msgspec.Raw


PLAIN: Final = Plain()
METADATA_ONLY: Final = MetadataOnly()
