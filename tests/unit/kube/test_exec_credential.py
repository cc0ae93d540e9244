"""How often a credential plugin runs."""

from __future__ import annotations

import asyncio
import datetime as dt
import json

import aiohttp
import pytest

from harness.waiting import until
from promscout.httpclient.config import HTTPClientConfig
from promscout.kube.access import ClusterAccess
from promscout.kube.exec_credential import ExecCredentials
from promscout.kube.exec_plugin import ExecPlugin

pytestmark = pytest.mark.real_time

V1 = "client.authentication.k8s.io/v1"
START = 1_900_000_000_000


class Clock:
    def __init__(self):
        self.now = START

    def now_ms(self):
        return self.now

    def advance(self, seconds):
        self.now += int(seconds * 1000)


class Plugin:
    """A plugin that counts its runs, and prints the token and expiry of the moment."""

    def __init__(self, directory, name="plugin", before=""):
        self._directory = directory
        self._runs = directory / f"{name}.runs"
        self._answer = directory / f"{name}.answer"
        path = directory / name
        path.write_text(f"#!/bin/sh\necho run >> '{self._runs}'\n{before}\ncat '{self._answer}'\n")
        path.chmod(0o755)
        self.plugin = ExecPlugin(str(path), V1)
        self.prints("t1")

    def prints(self, token, lifetime=None):
        status = {"token": token}
        if lifetime is not None:
            until = dt.datetime.fromtimestamp(START / 1000, dt.UTC) + dt.timedelta(seconds=lifetime)
            status["expirationTimestamp"] = until.isoformat()
        self._answer.write_text(json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": status}))

    def breaks(self):
        self._answer.write_text("broken")

    @property
    def runs(self):
        return self._runs.read_text().count("run") if self._runs.exists() else 0


@pytest.fixture
def program(tmp_path):
    return Plugin(tmp_path)


async def token(source):
    return (await source.credential()).header.removeprefix("Bearer ")


async def test_a_credential_without_an_expiry_is_kept(program):
    clock = Clock()
    async with ExecCredentials(program.plugin, clock) as source:
        assert await token(source) == "t1"
        program.prints("t2")
        clock.advance(365 * 86400)
        assert await token(source) == "t1"
    assert program.runs == 1


async def test_a_credential_is_replaced_shortly_before_it_expires(program):
    clock = Clock()
    program.prints("t1", lifetime=3600)
    async with ExecCredentials(program.plugin, clock) as source:
        assert await token(source) == "t1"
        program.prints("t2", lifetime=7200)
        clock.advance(3600 - 10.001)
        assert (await token(source), program.runs) == ("t1", 1)
        clock.advance(0.002)
        assert (await token(source), program.runs) == ("t2", 2)
        assert (await token(source), program.runs) == ("t2", 2)


async def test_a_short_lived_credential_is_used_for_half_its_life(program):
    clock = Clock()
    program.prints("t1", lifetime=4)
    async with ExecCredentials(program.plugin, clock) as source:
        await token(source)
        clock.advance(1.9)
        await token(source)
        assert program.runs == 1
        clock.advance(0.2)
        await token(source)
        assert program.runs == 2


async def test_a_credential_that_has_expired_already_is_used_once(program):
    program.prints("old", lifetime=-60)
    async with ExecCredentials(program.plugin, Clock()) as source:
        assert [await token(source), await token(source)] == ["old", "old"]
    assert program.runs == 2


async def test_callers_at_the_same_time_wait_for_one_run(tmp_path):
    program = Plugin(tmp_path, before="sleep 0.2")
    async with ExecCredentials(program.plugin) as one, ExecCredentials(program.plugin) as other:
        tokens = await asyncio.gather(*(token(source) for source in (one, other) for _ in range(5)))
    assert tokens == ["t1"] * 10
    assert program.runs == 1


async def test_callers_at_the_same_time_hear_of_one_failure(tmp_path):
    program = Plugin(tmp_path, before="sleep 0.2; exit 1")
    async with ExecCredentials(program.plugin) as source:
        results = await asyncio.gather(*(token(source) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [aiohttp.ClientError] * 5
    assert program.runs == 1


async def test_a_failure_is_not_kept(program):
    async with ExecCredentials(program.plugin) as source:
        program.breaks()
        with pytest.raises(aiohttp.ClientError, match="printed no ExecCredential"):
            await token(source)
        program.prints("t2")
        assert await token(source) == "t2"


async def test_a_rejected_credential_is_replaced_once_for_all_that_had_it(program):
    async with ExecCredentials(program.plugin) as source, ExecCredentials(program.plugin) as other:
        old = await source.credential()
        program.prints("t2")
        new = await asyncio.gather(*(one.rejected(old) for one in (source, other, source)))
        assert {one.header for one in new} == {"Bearer t2"}
        assert program.runs == 2
        late = await other.rejected(old)
        assert late.header == "Bearer t2"
        assert program.runs == 2


async def test_a_plugin_that_gives_the_rejected_credential_again_is_no_second_try(program):
    async with ExecCredentials(program.plugin) as source:
        old = await source.credential()
        assert await source.rejected(old) is None
        assert await source.rejected(old) is None
        assert program.runs == 2


async def test_a_rejected_credential_is_not_used_again_while_the_plugin_fails(program):
    async with ExecCredentials(program.plugin) as source:
        old = await source.credential()
        program.breaks()
        for _ in range(2):
            with pytest.raises(aiohttp.ClientError):
                await source.rejected(old)
        program.prints("t2")
        assert await token(source) == "t2"


async def test_plugins_that_differ_run_each_for_itself(tmp_path):
    one, other = Plugin(tmp_path, "one"), Plugin(tmp_path, "other")
    async with ExecCredentials(one.plugin) as first, ExecCredentials(other.plugin) as second:
        await token(first)
        await token(second)
    assert (one.runs, other.runs) == (1, 1)


async def test_a_credential_is_forgotten_with_its_last_user(program):
    async with ExecCredentials(program.plugin) as first:
        await token(first)
        async with ExecCredentials(program.plugin) as second:
            await token(second)
        await token(first)
    assert program.runs == 1
    async with ExecCredentials(program.plugin) as third:
        await token(third)
    assert program.runs == 2


async def test_a_caller_that_gives_up_does_not_cost_the_others_their_credential(tmp_path):
    program = Plugin(tmp_path, before="sleep 0.3")
    async with ExecCredentials(program.plugin) as source:
        impatient, patient = (asyncio.create_task(token(source)) for _ in range(2))
        await asyncio.sleep(0.1)
        impatient.cancel()
        assert await patient == "t1"
    assert program.runs == 1


async def test_the_last_user_leaving_ends_the_plugin(tmp_path):
    program = Plugin(tmp_path, before="exec sleep 100")
    async with asyncio.timeout(5):
        async with ExecCredentials(program.plugin) as source:
            waiting = asyncio.create_task(token(source))
            await until(lambda: program.runs)
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_credentials_outside_their_context_are_refused(program):
    with pytest.raises(RuntimeError, match="outside their context"):
        await ExecCredentials(program.plugin).credential()


async def test_a_failing_plugin_is_an_error_of_the_request(program):
    program.breaks()
    access = ClusterAccess("https://127.0.0.1:1", HTTPClientConfig(), plugin=program.plugin)
    async with access.client() as client:
        with pytest.raises(aiohttp.ClientError, match=r"credential plugin .* printed no ExecCredential"):
            async with client.request("GET", access.url):
                pass
