"""What there is beside the API, for the OpenAPI document. Other modules have the routes."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from promscout.web.api.endpoints import TEXT, Operation, Parameter
from promscout.web.api.target_list import Time

_CHANGE: Final = ("POST", "PUT")
_Index: Final = Annotated[int, msgspec.Meta(ge=0, lt=1_000_000)]


class TargetGroupAnswer(msgspec.Struct, frozen=True):
    """Targets and the labels that they have in common."""

    targets: list[str]
    labels: dict[str, str]


class JobAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A job, and where the list of its targets is."""

    job: str
    targets: int
    url: str
    available: bool
    reason: str
    """Why there is no list now; empty where there is one."""


class JobsAnswer(msgspec.Struct, frozen=True):
    """All jobs."""

    jobs: list[JobAnswer]


class ClientAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who asks for a list, and what it got last."""

    address: str
    user_agent: str
    job: str
    url: str
    refresh_interval_seconds: float | None
    last_request: Time
    last_status: int
    late: bool
    """Whether it has missed its own interval."""
    targets: int
    bytes: int


class DownstreamAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who asks for lists, and what is kept for them."""

    clients: list[ClientAnswer]
    late: int
    kept_bytes: int


OPERATIONS: Final = (
    Operation(
        path="/api/v1/status/downstream",
        summary="Who asks for lists of targets",
        group="status",
        answer=DownstreamAnswer,
    ),
    Operation(
        path="/sd/http",
        summary="The jobs that there are lists of",
        group="downstream",
        answer=JobsAnswer,
    ),
    Operation(
        path="/-/healthy",
        summary="Whether the process answers",
        group="management",
        answer=str,
        content_type=TEXT,
        enveloped=False,
    ),
    Operation(
        path="/-/ready",
        summary="Whether it has started up and is not shutting down",
        group="management",
        answer=str,
        content_type=TEXT,
        enveloped=False,
        errors=(503,),
    ),
    Operation(
        path="/-/reload",
        summary="Read the configuration again and go on with it",
        group="management",
        methods=_CHANGE,
        content_type=TEXT,
        enveloped=False,
        errors=(403, 500),
    ),
    Operation(
        path="/-/quit",
        summary="End",
        group="management",
        methods=_CHANGE,
        answer=str,
        content_type=TEXT,
        enveloped=False,
        errors=(403,),
    ),
    Operation(
        path="/metrics",
        summary="The agent's own metrics, in the format that Accept prefers",
        group="metrics",
        answer=str,
        content_type=TEXT,
        enveloped=False,
    ),
    Operation(
        path="/sd/http/{job}",
        summary="The targets of a job for http_sd_configs of another server",
        group="downstream",
        parameters=(
            Parameter(name="job", summary="The job.", example="pods", required=True, where="path"),
            Parameter(name="raw", summary="1: as discovered, before relabelling.", type=Literal["0", "1"]),
            Parameter(name="shard", summary="Which part of the targets; needs of.", type=_Index),
            Parameter(name="of", summary="Into how many parts the targets are divided.", type=_Index),
        ),
        answer=list[TargetGroupAnswer],
        enveloped=False,
        errors=(400, 404, 503),
    ),
)
