"""The answers of an API server, decoded: lists, events of a watch, and failures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec

from promscout.errors import ApiStatusError, ApiUnreachableError, ExpiredError, KubeError
from promscout.kube.objects import KubeObject
from promscout.kube.resource import Resource

T = TypeVar("T", bound=KubeObject)

Lines: TypeAlias = bytes | memoryview
"""Whole lines, each with its line feed."""


class Status(msgspec.Struct):
    """A ``v1.Status``: the API's way to say no."""

    class Details(msgspec.Struct, rename="camel"):
        """``details``."""

        retry_after_seconds: int = 0

    message: str = ""
    reason: str = ""
    code: int = 0
    details: Details | None = None

    def error(self, code: int = 0, retry_after: float | None = None) -> ApiStatusError:
        """The status as an exception; ``code`` is used where the body names none."""
        code = self.code or code
        if retry_after is None and self.details is not None and self.details.retry_after_seconds:
            retry_after = float(self.details.retry_after_seconds)
        kind = ExpiredError if code == 410 or self.reason in ("Expired", "Gone") else ApiStatusError
        return kind(code, self.reason, self.message, retry_after=retry_after)


class ListMeta(msgspec.Struct, rename="camel"):
    """``metadata`` of a list."""

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list. ``next`` continues it, or is empty on the last page."""

    items: list[T]
    resource_version: str
    next: str
    bytes: int


class WatchEvent(msgspec.Struct, Generic[T], gc=False):
    """One event of a watch: ``type`` is ADDED, MODIFIED, DELETED or BOOKMARK (errors are raised).

    ``ends_list`` marks the bookmark after the last object of a streaming list.
    """

    type: str
    object: T
    ends_list: bool = False


class _ErrorEvent(msgspec.Struct):
    type: str
    object: Status


class _List(msgspec.Struct, Generic[T]):
    metadata: ListMeta = msgspec.field(default_factory=ListMeta)
    items: list[T] | None = None


def _of(generic: Any, item: type[Any]) -> msgspec.json.Decoder[Any]:  # noqa: ANN401 - a class made at run time
    return msgspec.json.Decoder(generic[item])


@lru_cache(maxsize=64)
def _list_decoder(item: type[Any]) -> msgspec.json.Decoder[Any]:
    return _of(_List, item)


@lru_cache(maxsize=64)
def _event_decoder(item: type[Any]) -> msgspec.json.Decoder[Any]:
    return _of(WatchEvent, item)


def _decode(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:  # noqa: ANN401 - as its decoder says
    """``body`` decoded; a null counts as a missing field, as in Go.

    Kubernetes leaves empty fields out, but what stands in for an API server may write null. Only then is the slower
    way taken.

    Raises:
        msgspec.DecodeError: ``body`` is not of the decoder's type.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        return msgspec.convert(_without_nulls(msgspec.json.decode(body)), decoder.type)


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value if one is not None] if isinstance(value, list) else value


_END_OF_LIST: Final = b'"k8s.io/initial-events-end":"true"'
_STATUS: Final = msgspec.json.Decoder(Status)
_ERROR_EVENT: Final = msgspec.json.Decoder(_ErrorEvent)


def decode_page(body: bytes, resource: Resource[T]) -> Page[T]:
    """Decode one page of a list.

    Raises:
        ApiUnreachableError: ``body`` is no list of the resource.
    """
    try:
        listing = _decode(_list_decoder(resource.type), body)
    except msgspec.DecodeError as error:
        raise ApiUnreachableError(f"not a list of {resource.plural}: {error}") from error
    return Page(listing.items or [], listing.metadata.resource_version, listing.metadata.continue_, len(body))


def decode_status(body: bytes, default: str) -> Status:
    """Decode the body of a failure; ``default`` is the message where it is no Status."""
    try:
        return _STATUS.decode(body)
    except msgspec.DecodeError:
        return Status(message=default)


def decode_event(line: bytes, resource: Resource[T]) -> WatchEvent[T]:
    """Decode one line of a watch.

    Raises:
        ExpiredError, ApiStatusError: the line is an ERROR event.
        ApiUnreachableError: the line is not a watch event.
    """
    try:
        event: WatchEvent[T] | None = _decode(_event_decoder(resource.type), line)
    except msgspec.DecodeError as error:
        # A Status does not fit the resource's type ("status" is a word, not an object); neither does garbage.
        event = None
        cause = error
    if event is None or event.type == "ERROR":
        try:
            failure = _ERROR_EVENT.decode(line)
        except msgspec.DecodeError as error:
            raise ApiUnreachableError(f"not a watch event of {resource.plural}: {cause}") from error
        if failure.type != "ERROR":
            raise ApiUnreachableError(f"not a watch event of {resource.plural}: {cause}")
        raise failure.object.error()
    event.ends_list = event.type == "BOOKMARK" and _END_OF_LIST in line
    return event


def decode_events(lines: Lines, resource: Resource[T]) -> tuple[list[WatchEvent[T]], KubeError | None]:
    """The events of ``lines`` up to the first that is a failure, and that failure. Empty lines are skipped."""
    try:
        events: list[WatchEvent[T]] = _event_decoder(resource.type).decode_lines(lines)
    except msgspec.DecodeError:
        return _one_by_one(lines, resource)
    for event in events:
        if event.type in _NEED_THEIR_LINE:
            return _one_by_one(lines, resource)
    return events, None


_NEED_THEIR_LINE: Final = ("BOOKMARK", "ERROR")


def _one_by_one(lines: Lines, resource: Resource[T]) -> tuple[list[WatchEvent[T]], KubeError | None]:
    events: list[WatchEvent[T]] = []
    for line in bytes(lines).split(b"\n"):
        if line:
            try:
                events.append(decode_event(line, resource))
            except KubeError as error:
                return events, error
    return events, None
