"""The strict receiver as a program: it answers as it is told, and knows after a kill what it took before."""

from __future__ import annotations

import asyncio

import aiohttp
import cramjam
import pytest

from harness import prompb
from peers import StrictReceiver

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "User-Agent": "promscout/1.0",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
HEADERS_V2 = HEADERS | {
    "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "X-Prometheus-Remote-Write-Version": "2.0.0",
}


@pytest.fixture
async def receiver(tmp_path):
    async with StrictReceiver(tmp_path) as receiver:
        yield receiver


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


def body(at, value=1.0):
    message = prompb.WriteRequest()
    one = message.timeseries.add()
    one.labels.add(name="__name__", value="m")
    one.samples.add(timestamp=at, value=value)
    return bytes(cramjam.snappy.compress_raw(message.SerializeToString()))


def body_v2(at):
    message = prompb.Request(symbols=["", "__name__", "m"])
    message.timeseries.add(labels_refs=[1, 2]).samples.add(timestamp=at, value=1)
    return bytes(cramjam.snappy.compress_raw(message.SerializeToString()))


async def send(session, receiver, data, headers=HEADERS):
    async with session.post(receiver.remote_write_url, data=data, headers=headers) as answer:
        await answer.read()
        return answer


async def test_what_was_answered_is_there_after_a_kill(receiver, session):
    for at in range(1, 20):
        assert (await send(session, receiver, body(at))).status == 204
    receiver.kill()
    await receiver.come_back()
    assert (await send(session, receiver, body(18))).status == 204  # of the last answer it may not know
    assert (await send(session, receiver, body(20))).status == 204
    report = await receiver.report()
    assert (report["samples"], report["repeats"], report["problems"]) == (20, {"answered": 1}, {})
    assert receiver.recorded().column("stamps").tolist() == [*range(1, 20), 18, 20]


async def test_order_is_kept_over_requests_and_over_a_kill(receiver, session):
    await send(session, receiver, body(10))
    receiver.kill()
    await receiver.come_back()
    await send(session, receiver, body(9))
    await send(session, receiver, body(10, value=2.0))
    assert (await receiver.report())["problems"] == {
        "m{} goes back in time, from 10 to 9": 1,
        "m{} comes again with another value at 10": 1,
    }
    assert receiver.recorded().problems == list((await receiver.report())["problems"])


async def test_a_series_in_two_requests_at_once_is_found(receiver, session):
    await receiver.answer(kinds=["slow"], rate=1, delay=0.3)
    await asyncio.gather(send(session, receiver, body(1)), send(session, receiver, body(2)))
    problems = (await receiver.report())["problems"]
    assert "m{} is in two requests at once" in problems


@pytest.mark.parametrize("status", ["500", "503", "429", "400", "415"])
async def test_a_refused_request_is_not_taken(receiver, session, status):
    await receiver.answer(kinds=[status], rate=1, limit=1, retry_after="7")
    answer = await send(session, receiver, body(1))
    assert answer.status == int(status)
    assert answer.headers.get("Retry-After") == ("7" if status in ("503", "429") else None)
    assert (await send(session, receiver, body(2))).status == 204
    recorded = receiver.recorded()
    assert recorded.column("stamps").tolist() == [2]
    assert recorded.column("stamps", taken=False).tolist() == ([1] if status == "400" else [])


@pytest.mark.parametrize(
    ("kind", "taken"),
    [("hang", False), ("take_and_hang", True), ("reset_body", False), ("reset_answer", True), ("reset", True)],
)
async def test_a_broken_answer_is_none(receiver, session, kind, taken):
    await receiver.answer(kinds=[kind], rate=1, limit=1)
    with pytest.raises((aiohttp.ClientError, TimeoutError)):
        async with asyncio.timeout(0.5 if "hang" in kind else 5):
            await send(session, receiver, body(1))
    assert receiver.recorded().column("stamps").tolist() == [1] * taken
    await send(session, receiver, body(1))
    report = await receiver.report()
    assert (report["repeats"], report["problems"], report["faults"]) == (
        {"unanswered": 1} if taken else {},
        {},
        {kind: 1},
    )


async def test_2_0_is_told_what_was_written_unless_it_is_not_understood(receiver, session):
    names = [f"X-Prometheus-Remote-Write-{one}-Written" for one in ("Samples", "Histograms", "Exemplars")]
    for written, counts in (("honest", ["1", "0", "0"]), ("less", ["0", "0", "0"]), ("nothing", [None] * 3)):
        await receiver.answer(written=written)
        answer = await send(session, receiver, body_v2(1), HEADERS_V2)
        assert [answer.headers.get(name) for name in names] == counts
    await receiver.answer(messages=["prometheus.WriteRequest"])
    assert (await send(session, receiver, body_v2(2), HEADERS_V2)).status == 415
    assert (await send(session, receiver, body(2))).status == 204
    assert (await receiver.report())["problems"] == {}


async def test_what_cannot_be_read_is_refused(receiver, session):
    assert (await send(session, receiver, b"\xff\x06\x00\x00sNaPpY")).status == 400
    assert (await send(session, receiver, body(1), HEADERS | {"Content-Type": "text/plain"})).status == 415
    assert (await receiver.report())["problems"] == {
        "snappy is framed, not a block": 1,
        "Content-Type 'text/plain'": 1,
    }
