"""Who gets which informer, and when one ends."""

from __future__ import annotations

import asyncio

import pytest

from harness.kube_metrics import Uncounted
from promscout.httpclient.config import HTTPClientConfig
from promscout.kube.access import ClusterAccess
from promscout.kube.informer import LINGER, SharedInformers
from promscout.kube.resource import PODS, SERVICES, Scope

NOBODY = ClusterAccess("http://127.0.0.1:1", HTTPClientConfig())


@pytest.fixture
async def shared():
    async with SharedInformers(Uncounted()) as shared:
        yield shared


async def test_the_same_need_gets_the_same_informer(shared):
    one, other = shared.acquire(NOBODY, PODS, Scope()), shared.acquire(NOBODY, PODS, Scope())
    assert one is other
    assert shared.acquire(NOBODY, SERVICES, Scope()) is not one
    assert shared.acquire(NOBODY, PODS, Scope("shop")) is not one
    assert len(shared.informers) == 3


async def test_an_informer_without_users_goes_on_for_a_while_and_is_found_by_the_next(shared):
    informer = shared.acquire(NOBODY, PODS, Scope())
    for _ in range(3):
        shared.release(informer)
        assert shared.informers == ()
        await asyncio.sleep(LINGER - 0.1)
        assert shared.acquire(NOBODY, PODS, Scope()) is informer
    await asyncio.sleep(2 * LINGER)
    assert shared.informers == (informer,)


async def test_an_informer_that_nobody_wants_ends(shared):
    informer = shared.acquire(NOBODY, PODS, Scope())
    shared.release(informer)
    await asyncio.sleep(LINGER + 0.1)
    assert len(asyncio.all_tasks()) == 1
    assert shared.acquire(NOBODY, PODS, Scope()) is not informer


async def test_leaving_the_context_ends_those_without_users_too():
    async with SharedInformers(Uncounted()) as shared:
        shared.release(shared.acquire(NOBODY, PODS, Scope()))
    assert len(asyncio.all_tasks()) == 1
