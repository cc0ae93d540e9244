"""The OpenAPI document tells of every endpoint, and of nothing else."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from promscout.web.api import routes as api
from promscout.web.api.described import OPERATIONS
from promscout.web.api.endpoints import Operation
from unit.web.agent_view import Site, agent_view, serving

pytestmark = pytest.mark.real_time

DESCRIBED = ("/api/", "/-/", "/metrics", "/sd/", "/version")
"""What paths begin with that are no pages."""

UNDESCRIBED = {("GET", "/-/reload"), ("GET", "/-/quit"), ("GET", "/api/v1/notifications/live")}
"""The first two answer 405, as to any other method; OpenAPI 3.1 has no words for the stream."""


async def document(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = await site.json("/api/v1/openapi.json")
    return found


def routes(site: Site) -> set[tuple[str, str]]:
    """Method and path of everything that the server answers and that is no page."""
    app: web.Application = site.server._runner.app  # type: ignore[union-attr]
    return {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD" and route.resource.canonical.startswith(DESCRIBED)
    }


async def test_every_route_that_is_no_page_is_described_and_nothing_else(site: Site) -> None:
    paths = (await document(site))["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert described == routes(site) - UNDESCRIBED


async def test_yaml_and_json_say_the_same(site: Site) -> None:
    async with site.client.get("/api/v1/openapi.yaml") as response:
        assert response.content_type == "application/yaml"
        text = await response.text()
    assert yaml.safe_load(text) == await document(site)
    assert "&id" not in text


async def test_every_reference_leads_to_a_schema_and_every_schema_is_needed(site: Site) -> None:
    found = await document(site)
    text = json.dumps(found)
    names = set(found["components"]["schemas"])
    assert names == {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}


async def test_every_operation_tells_of_refusals_at_the_door(site: Site) -> None:
    found = await document(site)
    kinds = found["components"]["responses"]
    for methods in found["paths"].values():
        for one in methods.values():
            for status in ("401", "429"):
                assert one["responses"][status]["$ref"].rpartition("/")[2] in kinds
            assert "403" in one["responses"]
    assert set(found["components"]["securitySchemes"]) == {name for one in found["security"] for name in one}


async def test_operations_have_names_of_their_own_and_a_group_that_is_told(site: Site) -> None:
    found = await document(site)
    operations = [one for methods in found["paths"].values() for one in methods.values()]
    assert len({one["operationId"] for one in operations}) == len(operations)
    assert {tag for one in operations for tag in one["tags"]} == {tag["name"] for tag in found["tags"]}
    assert found["openapi"] == "3.1.0"


@pytest.mark.parametrize("operation", [*api.ENDPOINTS, *OPERATIONS], ids=lambda one: one.path)
def test_parameters_in_the_path_are_those_of_the_path(operation: Operation) -> None:
    named = {part[1:-1] for part in operation.path.split("/") if part.startswith("{")}
    assert {one.name for one in operation.parameters if one.where == "path"} == named
    assert all(one.required for one in operation.parameters if one.where == "path")


async def test_the_document_names_the_program_and_where_it_is(site: Site) -> None:
    found = await document(site)
    assert found["info"]["title"] == "promscout"
    assert found["servers"] == [{"url": "/"}]


async def test_below_a_prefix_the_document_says_where_everything_is() -> None:
    async with (
        agent_view() as view,
        serving(view, route_prefix="/scout", external_url="http://127.0.0.1/outside") as server,
        aiohttp.ClientSession() as client,
        client.get(f"{server.url}/api/v1/openapi.json") as response,
    ):
        found = await response.json()
    assert found["servers"] == [{"url": "/outside"}]
    assert "/api/v1/targets" in found["paths"]
    assert "/-/healthy" in found["paths"]
