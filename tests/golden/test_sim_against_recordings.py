"""The simulated API server against what a real one (1.36.2) answered: apiserver/index.json, request by request."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from promscout.sim.objects import ADDED, DELETED
from promscout.sim.resources import NODES, PODS, SERVICES

RECORDINGS = Path(__file__).parent / "apiserver"
INDEX = json.loads((RECORDINGS / "index.json").read_text())
REVISION = 334
ERRORS = [name for name in INDEX if name.startswith("errors/")]
LISTS = [name for name in INDEX if name.startswith("lists/")]
WATCHES = [name for name in INDEX if name.startswith("watch/")]


def _request(name):
    method, _, target = INDEX[name]["request"].partition(" ")
    assert method == "GET"
    return re.sub(r" \(API server .*\)$", "", target)


def _recorded(name):
    return (RECORDINGS / name).read_bytes()


def _shape(value):
    """Keys and JSON types, without the values."""
    if isinstance(value, dict):
        return {key: _shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_shape(one) for one in value]
    return type(value).__name__


def _without_numbers(text):
    return re.sub(r"[0-9]+", "N", text)


@pytest.fixture
def cluster(recorded_cluster):
    return recorded_cluster


@pytest.fixture
async def session():
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


def _url(cluster, name):
    return URL(cluster.url + re.sub("timeoutSeconds=[0-9]+", "timeoutSeconds=1", _request(name)))


def _same_headers(response, name):
    expected = {**INDEX[name]["headers"]}
    length = expected.pop("Content-Length", None)
    if length is not None:
        assert "Content-Length" in response.headers
    for header, value in expected.items():
        assert response.headers.get(header) == value, header


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_is_the_recorded_one_byte_for_byte(cluster, session, name):
    async with session.get(_url(cluster, name)) as response:
        assert response.status == INDEX[name]["status"]
        _same_headers(response, name)
        assert await response.read() == _recorded(name)


@pytest.mark.parametrize("name", LISTS)
async def test_every_recorded_object_fits_the_table_of_its_kind(cluster, session, name):
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    async with session.get(_url(cluster, name), headers=accept) as response:
        table = json.loads(await response.read())
    items = json.loads(_recorded(name))["items"]
    assert [row["cells"][0] for row in table["rows"]] == [item["metadata"]["name"] for item in items]
    assert [row["object"]["metadata"] for row in table["rows"]] == [item["metadata"] for item in items]
    assert {len(row["cells"]) for row in table["rows"]} == {len(table["columnDefinitions"])}


@pytest.mark.parametrize("name", ERRORS)
async def test_an_odd_request_is_answered_as_recorded(cluster, session, name):
    if name == "errors/unauthorized.json":
        cluster.apiserver.token = "t0p"
    if name == "errors/forbidden.json":
        cluster.apiserver.faults.forbidden.add("pods")
    cluster.apiserver.faults.no_watch_list = name == "errors/watchlist-unsupported.json"
    async with session.get(_url(cluster, name)) as response:
        assert response.status == INDEX[name]["status"]
        _same_headers(response, name)
        body, recorded = await response.read(), _recorded(name)
    if not recorded:
        assert body == b""
        return
    answer, expected = json.loads(body), json.loads(recorded)
    assert _shape(answer) == _shape(expected)
    for status, wanted in ((answer, expected), (answer.get("object", {}), expected.get("object", {}))):
        for key in ("reason", "code", "kind", "type", "details"):
            assert _without_numbers(str(status.get(key))) == _without_numbers(str(wanted.get(key)))
        assert _without_numbers(status.get("message", "")) == _without_numbers(wanted.get("message", ""))
    if "items" in expected:
        assert answer == expected


async def _events(response) -> AsyncIterator[dict]:
    async for line in response.content:
        yield json.loads(line)


def _replay(store):
    """Does to the store what was done to the real server while the watches were recorded."""
    for recording, resource in (("pods", PODS), ("services", SERVICES), ("nodes", NODES)):
        for line in _recorded(f"watch/{recording}.ndjson").splitlines():
            event = json.loads(line)
            obj, metadata = event["object"], event["object"]["metadata"]
            if event["type"] == "BOOKMARK" or ("deletionTimestamp" in metadata and event["type"] != DELETED):
                continue
            metadata.pop("resourceVersion")
            if event["type"] == ADDED:
                store.create(resource, obj)
            elif event["type"] == DELETED:
                store.delete(resource, metadata["namespace"], metadata["name"])
            else:
                store.replace(resource, metadata.get("namespace", ""), metadata["name"], obj)


@pytest.mark.parametrize("name", WATCHES)
async def test_a_watch_shows_the_recorded_events(cluster, session, name):
    recorded = [json.loads(line) for line in _recorded(name).splitlines()]
    wanted = [
        event for event in recorded if event["type"] != "BOOKMARK" or event["object"]["metadata"].get("annotations")
    ]
    bookmarks = [event for event in recorded if event not in wanted]
    live, last_bookmark = [], None
    url = URL(cluster.url + _request(name))
    async with asyncio.timeout(5), session.get(url) as response:
        assert response.status == INDEX[name]["status"]
        _same_headers(response, name)
        initial = sum(1 for event in recorded if int(event["object"]["metadata"]["resourceVersion"]) <= REVISION)
        if initial == 0:
            _replay(cluster.store)
        async for event in _events(response):
            if event["type"] == "BOOKMARK" and not event["object"]["metadata"].get("annotations"):
                last_bookmark = event
            else:
                live.append(event)
                if len(live) == initial:
                    _replay(cluster.store)
            if len(live) == len(wanted) and (not bookmarks or last_bookmark):
                break
    assert [event["type"] for event in live] == [event["type"] for event in wanted]
    for event, expected in zip(live, wanted, strict=True):
        assert _shape(event) == _shape(expected)
        assert event["object"]["metadata"].get("name") == expected["object"]["metadata"].get("name")
        assert event["object"]["metadata"].get("labels") == expected["object"]["metadata"].get("labels")
        if name not in ("watch/services.ndjson", "watch/nodes.ndjson", "watch/services-watchlist.ndjson"):
            # The other resources changed in an order of their own, so only the pods' versions are the recorded ones.
            assert event["object"]["metadata"]["resourceVersion"] == expected["object"]["metadata"]["resourceVersion"]
    if bookmarks:
        assert last_bookmark is not None
        assert _shape(last_bookmark) == _shape(bookmarks[0])
