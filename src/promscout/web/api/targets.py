"""The endpoints below ``/api/v1`` about targets, their jobs and their metrics."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from aiohttp import web

from promscout.config import JobConfig
from promscout.config.effective import effective_job
from promscout.errors import InvalidValueError
from promscout.scrape.pool import ScrapePool
from promscout.web.answers import stream, success
from promscout.web.api.endpoints import Endpoint, Parameter
from promscout.web.api.metadata import (
    MetadataAnswer,
    MetadataFilter,
    TargetMetadataAnswer,
    encode_target_metadata,
    metric_metadata,
)
from promscout.web.api.relabel_steps import StepsAnswer, parse_labels, relabel_steps
from promscout.web.api.target_filter import TargetFilter
from promscout.web.api.target_list import Health, TargetsAnswer, encode_targets
from promscout.web.view import EXTERNAL, VIEW

_RULES_PER_TURN: Final = 20  # a rule may have hundreds of labels to look at

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=10**18)]
Limit: TypeAlias = Annotated[int, msgspec.Meta(gt=-(10**18), lt=10**18)]


class PoolsAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """The names of all pools, sorted."""

    scrape_pools: list[str]


class YAMLAnswer(msgspec.Struct, frozen=True):
    """A configuration without its secrets."""

    yaml: str


async def targets(request: web.Request) -> web.StreamResponse:
    """Active and dropped targets."""
    wanted = TargetFilter.from_query(request.query)
    return await stream(request, encode_targets(request.app[VIEW].scrape, request.app[EXTERNAL], wanted))


async def targets_metadata(request: web.Request) -> web.StreamResponse:
    """What targets say about their metrics."""
    wanted = MetadataFilter.from_query(request.query)
    return await stream(request, encode_target_metadata(request.app[VIEW].scrape, wanted))


async def targets_relabel_steps(request: web.Request) -> web.Response:
    """What each rule of a pool does to labels."""
    name, text = request.query.get("scrapePool", ""), request.query.get("labels", "")
    if not name:
        raise InvalidValueError("no scrapePool parameter provided")
    if not text:
        raise InvalidValueError("no labels parameter provided")
    labels = parse_labels(text)
    steps = []
    for number, step in enumerate(relabel_steps(_pool(request, name).config.relabel_configs, labels), 1):
        steps.append(step)
        if number % _RULES_PER_TURN == 0:
            await asyncio.sleep(0)
    return success(StepsAnswer(steps))


async def metadata(request: web.Request) -> web.Response:
    """What is said about metrics, by whatever target."""
    return success(await metric_metadata(request.app[VIEW].scrape, MetadataFilter.from_query(request.query)))


async def scrape_pools(request: web.Request) -> web.Response:
    """The names of all pools, sorted."""
    return success(PoolsAnswer(sorted(request.app[VIEW].scrape.pools)))


async def scrape_pool_config(request: web.Request) -> web.Response:
    """The configuration of one pool's job with all defaults, without secrets."""
    name = request.query.get("scrapePool", "")
    if not name:
        raise InvalidValueError("no scrapePool parameter provided")
    config = request.app[VIEW].config
    job = next((job for job in config.jobs if job.name == name), None)
    if job is None:
        # A pool whose job is not in the configuration any more ends in this moment.
        job = JobConfig(scrape=_pool(request, name).config)
    # In a thread: a job may have thousands of static targets.
    return success(YAMLAnswer(await asyncio.to_thread(effective_job, job, config.global_config)))


def _pool(request: web.Request, name: str) -> ScrapePool:
    pool = request.app[VIEW].scrape.pools.get(name)
    if pool is None:
        raise InvalidValueError(f'error retrieving scrape config: scrape pool "{name}" not found')
    return pool


_PAGING: Final = (
    Parameter(
        name="match",
        summary="A selector of labels; with several, one has to match. Also match[].",
        example='{job="pods"}',
        many=True,
    ),
    Parameter(
        name="search", summary="Words that all have to occur in labels, URL or last error. Also q.", example="job=pods"
    ),
    Parameter(name="health", summary="Active targets of this health only.", type=Health, example="down", many=True),
    Parameter(
        name="limit", summary="The most targets that are listed, active and dropped; 0: all.", type=Count, example=100
    ),
    Parameter(name="offset", summary="How many of the targets that match are passed over.", type=Count, example=0),
)

ENDPOINTS: Final = (
    Endpoint(
        path="/api/v1/targets",
        handler=targets,
        summary="Active and dropped targets",
        group="targets",
        parameters=(
            Parameter(name="state", summary="Which targets.", type=Literal["active", "dropped", "any"]),
            Parameter(name="scrapePool", summary="Targets of this pool only.", example="pods"),
            *_PAGING,
        ),
        answer=TargetsAnswer,
        tagged=False,
        errors=(400,),
    ),
    Endpoint(
        path="/api/v1/targets/metadata",
        handler=targets_metadata,
        summary="What targets say about their metrics",
        group="targets",
        parameters=(
            Parameter(name="match_target", summary="A selector of targets by their labels.", example='{job="pods"}'),
            Parameter(name="metric", summary="This metric family only; its name is left out of the answer."),
            Parameter(name="limit", summary="The number of entries from which on no target is added.", type=Limit),
        ),
        answer=list[TargetMetadataAnswer],
        tagged=False,
        errors=(400,),
    ),
    Endpoint(
        path="/api/v1/targets/relabel_steps",
        handler=targets_relabel_steps,
        summary="What each relabel rule of a job does to labels",
        group="targets",
        parameters=(
            Parameter(name="scrapePool", summary="The job.", example="pods", required=True),
            Parameter(
                name="labels",
                summary="The labels before, a JSON object of texts.",
                example='{"job":"pods"}',
                required=True,
            ),
        ),
        answer=StepsAnswer,
        errors=(400,),
    ),
    Endpoint(
        path="/api/v1/metadata",
        handler=metadata,
        summary="What is said about metrics, by whatever target",
        group="metadata",
        parameters=(
            Parameter(name="metric", summary="This metric family only."),
            Parameter(name="limit", summary="The most families.", type=Limit),
            Parameter(name="limit_per_metric", summary="The most entries of a family.", type=Limit),
        ),
        answer=dict[str, list[MetadataAnswer]],
        errors=(400,),
    ),
    Endpoint(
        path="/api/v1/scrape_pools",
        handler=scrape_pools,
        summary="The names of all pools",
        group="targets",
        answer=PoolsAnswer,
    ),
    Endpoint(
        path="/api/v1/scrape_pools/config",
        handler=scrape_pool_config,
        summary="The configuration of one job with all defaults",
        group="targets",
        parameters=(Parameter(name="scrapePool", summary="The job.", example="pods", required=True),),
        answer=YAMLAnswer,
        errors=(400,),
    ),
)
