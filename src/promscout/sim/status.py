"""Refusals in the API server's own words: the Status objects that it answers failures with."""

from __future__ import annotations

from typing import Any

import msgspec

from promscout.errors import PromscoutError
from promscout.sim.resources import Resource


class Refusal(PromscoutError):  # noqa: N818 - named for what it is, not for its fault: half of them are tests
    """The simulated API server refuses a request: raised by the store and the parsers, answered as a Status object.

    ``code`` is the HTTP status and the ``code`` of the body; ``reason`` is the machine-readable word; ``details`` and
    ``metadata`` are put into the body as they are (``details`` is left out when None).
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.metadata = metadata or {}

    def body(self) -> bytes:
        """The Status object as JSON, without a newline."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        return msgspec.json.encode(status)

    def headers(self) -> dict[str, str]:
        """``Retry-After`` where the details ask for a pause."""
        seconds = (self.details or {}).get("retryAfterSeconds")
        return {} if seconds is None else {"Retry-After": str(seconds)}


def _details(resource: Resource, name: str) -> dict[str, Any]:
    details = {"name": name, "group": resource.group, "kind": resource.plural}
    return {key: value for key, value in details.items() if value}


def bad_request(message: str) -> Refusal:
    """400 with reason BadRequest."""
    return Refusal(400, "BadRequest", message)


def unauthorized() -> Refusal:
    """401: no token, or not the right one."""
    return Refusal(401, "Unauthorized", "Unauthorized")


def forbidden(resource: Resource, verb: str, namespace: str, name: str, user: str) -> Refusal:
    """403 as role-based access control words it."""
    scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    subject = f'{resource.qualified} "{name}"' if name else resource.qualified
    message = (
        f'{subject} is forbidden: User "{user}" cannot {verb} resource "{resource.plural}" '
        f'in API group "{resource.group}" {scope}'
    )
    return Refusal(403, "Forbidden", message, details=_details(resource, name))


def unknown_path() -> Refusal:
    """404: no such resource or API group."""
    return Refusal(404, "NotFound", "the server could not find the requested resource", details={})


def not_found(resource: Resource, name: str) -> Refusal:
    """404: no such object."""
    return Refusal(404, "NotFound", f'{resource.qualified} "{name}" not found', details=_details(resource, name))


def method_not_allowed() -> Refusal:
    """405."""
    return Refusal(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource", details={}
    )


def already_exists(resource: Resource, name: str) -> Refusal:
    """409: an object of this name is there."""
    return Refusal(
        409, "AlreadyExists", f'{resource.qualified} "{name}" already exists', details=_details(resource, name)
    )


def conflict(resource: Resource, name: str) -> Refusal:
    """409: the writer's resource version is not the current one."""
    message = (
        f'Operation cannot be fulfilled on {resource.qualified} "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    return Refusal(409, "Conflict", message, details=_details(resource, name))


def watch_expired(revision: int, compacted: int) -> Refusal:
    """410 inside a watch: the history does not reach back to ``revision``."""
    return Refusal(410, "Expired", f"too old resource version: {revision} ({compacted})")


def list_expired() -> Refusal:
    """410: an exact list of a state that was compacted away."""
    return Refusal(410, "Expired", "The resourceVersion for the provided list is too old.")


def continue_expired(fresh_token: str) -> Refusal:
    """410: the snapshot of a continue token is gone; ``fresh_token`` goes on without consistency."""
    message = (
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )
    return Refusal(410, "Expired", message, metadata={"continue": fresh_token})


def unsupported_media_type(accepted: str) -> Refusal:
    """415: a patch of unknown type."""
    message = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    return Refusal(415, "UnsupportedMediaType", message)


def invalid(resource: Resource | None, name: str, message: str) -> Refusal:
    """422: the object, or an option of the request, does not make sense."""
    if resource is None:
        return Refusal(422, "Invalid", message)
    text = f'{resource.kind} "{name}" is invalid: {message}'
    details = {"name": name, "group": resource.group, "kind": resource.kind}
    return Refusal(422, "Invalid", text, details={key: value for key, value in details.items() if value})


def too_large_version(asked: int, current: int) -> Refusal:
    """504: the client knows a newer state than the server."""
    details = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    return Refusal(504, "Timeout", message, details=details)


def watch_list_unsupported() -> Refusal:
    """500 inside a watch: this server cannot stream a list."""
    message = (
        "a watch stream was requested by the client but the required storage feature RequestWatchProgress is disabled"
    )
    return Refusal(500, "InternalError", message)


def unavailable() -> Refusal:
    """503: the server is starting, stopping or overloaded."""
    message = "the server is currently unable to handle the request"
    return Refusal(503, "ServiceUnavailable", message, details={"retryAfterSeconds": 1})
