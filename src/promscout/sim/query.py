"""Reads the query of a list or watch request into values, refusing what the API server refuses."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from promscout.sim import status
from promscout.sim.objects import ObjectKey
from promscout.sim.resources import Resource
from promscout.sim.selectors import EVERYTHING, Selector, parse_field_selector, parse_label_selector

EXACT: Final = "Exact"
NOT_OLDER: Final = "NotOlderThan"
_TRUE: Final = frozenset({"1", "true", "True", "TRUE", "t", "T"})


@dataclass(frozen=True, slots=True)
class ContinueToken:
    """Where a chunked list goes on: behind the object ``after``, in the state of ``revision`` (-1: the current one)."""

    revision: int
    after: ObjectKey

    def encode(self) -> str:
        """The token as the server hands it out: base64 of JSON without padding."""
        namespace, name = self.after
        start = f"{namespace}/{name}" if namespace else name
        raw = msgspec.json.encode({"v": "meta.k8s.io/v1", "rv": self.revision, "start": f"/{start}\0"})
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class _TokenBody(msgspec.Struct):
    v: str
    rv: int
    start: str


def parse_continue(text: str) -> ContinueToken:
    """Read a token that :meth:`ContinueToken.encode` wrote.

    Raises:
        Refusal: 400.
    """
    prefix = "invalid continue token: continue key is not valid: "
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise status.bad_request(f"{prefix}illegal base64 data") from None
    if not raw.startswith(b"{"):
        first = repr(raw[:1])[1:] if raw else "end of input"
        raise status.bad_request(f"{prefix}invalid character {first} looking for beginning of value")
    try:
        body = msgspec.json.decode(raw, type=_TokenBody)
    except msgspec.DecodeError:
        raise status.bad_request(f"{prefix}not a continue token") from None
    namespace, _, name = body.start.strip("/\0").rpartition("/")
    return ContinueToken(body.rv, (namespace, name))


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What a list request asks for. ``revision`` None means "the most recent"; ``limit`` 0 means "everything"."""

    selector: Selector = EVERYTHING
    limit: int = 0
    token: ContinueToken | None = None
    revision: int | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What a watch request asks for. ``revision`` None or 0: begin with the current objects as ADDED events.

    ``timeout`` is in seconds (None: the server decides).
    """

    selector: Selector = EVERYTHING
    revision: int | None = None
    timeout: float | None = None
    bookmarks: bool = False
    initial_events: bool = False


def is_true(query: Mapping[str, str], key: str) -> bool:
    """Whether a boolean option is on."""
    return query.get(key, "") in _TRUE


def _revision(query: Mapping[str, str]) -> int | None:
    text = query.get("resourceVersion", "")
    if not text:
        return None
    if not re.fullmatch("[0-9]+", text):
        raise status.bad_request(
            f'invalid resource version: resourceVersion: Invalid value: "{text}": '
            f'strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    return int(text)


def _number(query: Mapping[str, str], key: str) -> int:
    text = query.get(key, "")
    if not text:
        return 0
    if not re.fullmatch(r"-?[0-9]+", text):
        raise status.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def _selector(query: Mapping[str, str], resource: Resource) -> Selector:
    return Selector(
        parse_label_selector(query.get("labelSelector", "")),
        parse_field_selector(query.get("fieldSelector", ""), resource),
    )


def _forbidden_option(option: str, why: str) -> Exception:
    return status.invalid(None, "", f'ListOptions.meta.k8s.io "" is invalid: {option}: Forbidden: {why}')


def list_options(query: Mapping[str, str], resource: Resource) -> ListOptions:
    """Read a list's options.

    Raises:
        Refusal: 400 or 422, in the server's words.
    """
    selector, limit, revision = _selector(query, resource), max(_number(query, "limit"), 0), _revision(query)
    match, token_text = query.get("resourceVersionMatch", ""), query.get("continue", "")
    if is_true(query, "sendInitialEvents"):
        raise _forbidden_option("sendInitialEvents", "sendInitialEvents is forbidden for list")
    if match and revision is None:
        raise _forbidden_option(
            "resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"
        )
    if match not in ("", EXACT, NOT_OLDER):
        message = f'resourceVersionMatch: Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
        raise status.invalid(None, "", f'ListOptions.meta.k8s.io "" is invalid: {message}')
    if match == EXACT and revision == 0:
        raise _forbidden_option(
            "resourceVersionMatch",
            'resourceVersionMatch "Exact" is forbidden for resourceVersion "0"',
        )
    if token_text:
        if revision:
            raise status.bad_request("specifying resource version is not allowed when using continue")
        return ListOptions(selector, limit, parse_continue(token_text))
    if revision == 0:
        limit = 0  # the watch cache, which may answer with any state, does not cut its answers
    # Without a match rule a limited list of a given version means exactly that version: the rule before 1.19.
    exact = match == EXACT or (not match and limit > 0 and bool(revision))
    return ListOptions(selector, limit, None, revision, exact)


def watch_options(query: Mapping[str, str], resource: Resource) -> WatchOptions:
    """Read a watch's options.

    Raises:
        Refusal: 400 or 422, in the server's words.
    """
    initial, match = is_true(query, "sendInitialEvents"), query.get("resourceVersionMatch", "")
    if initial and match != NOT_OLDER:
        raise _forbidden_option(
            "resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        )
    if match and not initial:
        raise _forbidden_option(
            "resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        )
    seconds = _number(query, "timeoutSeconds")
    return WatchOptions(
        _selector(query, resource),
        _revision(query),
        float(seconds) if seconds > 0 else None,
        is_true(query, "allowWatchBookmarks"),
        initial,
    )
