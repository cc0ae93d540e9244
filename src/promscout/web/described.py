"""What there is beside the API, for the OpenAPI document. Other modules have the routes."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from promscout.web.endpoints import TEXT, Operation, Parameter

_CHANGE: Final = ("POST", "PUT")
_Index: Final = Annotated[int, msgspec.Meta(ge=0, lt=1_000_000)]


class TargetGroupAnswer(msgspec.Struct, frozen=True):
    """Targets and the labels that they have in common."""

    targets: list[str]
    labels: dict[str, str]


OPERATIONS: Final = (
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
            Parameter(name="job", summary="The job.", required=True, where="path"),
            Parameter(name="raw", summary="1: as discovered, before relabelling.", type=Literal["0", "1"]),
            Parameter(name="shard", summary="Which part of the targets; needs of.", type=_Index),
            Parameter(name="of", summary="Into how many parts the targets are divided.", type=_Index),
        ),
        answer=list[TargetGroupAnswer],
        enveloped=False,
        errors=(400, 404, 503),
    ),
)
