import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from promscout import __version__
from promscout.httpclient.config import Authorization, Secret
from promscout.httpclient.secret import URL
from promscout.model.duration import Duration
from promscout.write.client import RemoteWriteClient, retry_after
from promscout.write.config import ProtobufMessage, QueueConfig, RemoteWriteConfig
from promscout.write.sender import Reject, Request, Retry, Sent, Unsupported, Written

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)


@asynccontextmanager
async def receiver(answer):
    """The URL of a server that answers with ``answer(request)``, and the requests it got."""
    requests = []

    async def handle(request):
        requests.append((request, await request.read()))
        return await answer() if asyncio.iscoroutinefunction(answer) else answer()

    app = web.Application()
    app.router.add_post("/write", handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}/write", requests
    finally:
        await runner.cleanup()


async def outcome_of(answer, *, attempt=0, message=ProtobufMessage.V1, **options):
    async with receiver(answer) as (url, _), client_for(url, **options) as client:
        return await client.send(Request(b"body", message), attempt)


def client_for(url, **options):
    return RemoteWriteClient(RemoteWriteConfig(url=URL.parse(url), **options))


@pytest.mark.real_time
async def test_a_request_has_the_headers_of_the_protocol_and_the_configured_ones():
    async with receiver(lambda: web.Response(status=204)) as (url, requests):
        token = Authorization(credentials=Secret("token"))
        async with client_for(url, headers={"X-Scope-OrgID": Secret("tenant")}, authorization=token) as client:
            assert await client.send(Request(b"first"), 0) == Sent()
            assert await client.send(Request(b"second"), 3) == Sent()
    (first, first_body), (second, second_body) = requests
    assert (first_body, second_body) == (b"first", b"second")
    expected = {
        "Content-Encoding": "snappy",
        "Content-Type": "application/x-protobuf",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
        "User-Agent": f"promscout/{__version__}",
        "X-Scope-OrgID": "tenant",
        "Authorization": "Bearer token",
    }
    assert expected.items() <= dict(first.headers).items()
    assert "Retry-Attempt" not in first.headers
    assert second.headers["Retry-Attempt"] == "3"


@pytest.mark.real_time
async def test_each_request_says_which_message_it_is():
    written = {"X-Prometheus-Remote-Write-Samples-Written": "1"}
    async with (
        receiver(lambda: web.Response(status=204, headers=written)) as (url, requests),
        client_for(url) as client,
    ):
        await client.send(Request(b"second", ProtobufMessage.V2), 0)
        await client.send(Request(b"first", ProtobufMessage.V1), 0)
    headers = ("Content-Type", "Content-Encoding", "X-Prometheus-Remote-Write-Version")
    assert [[request.headers[name] for name in headers] for request, _ in requests] == [
        ["application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy", "2.0.0"],
        ["application/x-protobuf", "snappy", "0.1.0"],
    ]


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("status", "written", "expected"),
    [
        (204, ("3", "2", "1"), Sent(Written(3, 2, 1))),
        (204, ("3", "", ""), Sent(Written(3))),
        (200, ("0", "0", "0"), Sent(Written())),
        (204, ("", "", "1"), Sent(Written(exemplars=1))),
        (204, ("many", "-1", "9" * 30), Sent(Written())),
        (204, (), Unsupported("status 204, and no word about what was written")),
        (400, ("3", "2", "0"), Reject("status 400: too old", Written(3, 2))),
        (400, (), Unsupported("status 400: too old, and no word about what was written")),
        (404, (), Reject("status 404: too old")),
        (415, (), Unsupported("status 415: too old")),
        (415, ("0", "0", "0"), Unsupported("status 415: too old")),
        (429, (), Reject("status 429: too old")),
        (500, ("3", "2", "1"), Retry("status 500: too old")),
    ],
)
async def test_an_answer_to_a_2_0_request_says_what_was_written(status, written, expected):
    headers = {
        f"X-Prometheus-Remote-Write-{kind}-Written": number
        for kind, number in zip(("Samples", "Histograms", "Exemplars"), written, strict=False)
        if number
    }
    answer = lambda: web.Response(status=status, headers=headers, text="" if status == 204 else "too old")  # noqa: E731 - short
    assert await outcome_of(answer, message=ProtobufMessage.V2) == expected


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("status", "expected"), [(204, Sent()), (400, Reject("status 400")), (415, Reject("status 415"))]
)
async def test_what_an_answer_to_a_1_0_request_says_about_writing_counts_for_nothing(status, expected):
    headers = {"X-Prometheus-Remote-Write-Samples-Written": "0"}
    assert await outcome_of(lambda: web.Response(status=status, headers=headers)) == expected


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("logs", "message", "status", "expected"),
    [
        (True, ProtobufMessage.V2, 500, [{"reason": "status 500: no", "request": "Ym9keQ=="}]),
        (True, ProtobufMessage.V1, 500, []),
        (False, ProtobufMessage.V2, 500, []),
        (True, ProtobufMessage.V2, 415, [{"reason": "status 415: no", "request": "Ym9keQ=="}]),
    ],
)
async def test_failed_2_0_requests_are_logged_where_the_section_asks_for_it(logs, message, status, expected, caplog):
    caplog.set_level("DEBUG", "promscout.write.client")
    await outcome_of(lambda: web.Response(status=status, text="no"), message=message, failed_request_logging=logs)
    facts = [record.facts for record in caplog.records if record.name == "promscout.write.client"]
    assert [{key: value for key, value in one.items() if key != "url"} for one in facts] == expected


@pytest.mark.real_time
async def test_one_connection_serves_many_requests():
    long = lambda: web.Response(status=400, text="no\n" * 50_000)  # noqa: E731 - short
    async with receiver(long) as (url, requests), client_for(url) as client:
        for _ in range(3):
            await client.send(Request(b"body"), 0)
    assert len({request.transport for request, _ in requests}) == 1


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("status", "headers", "options", "expected"),
    [
        (200, {}, {}, Sent()),
        (299, {}, {}, Sent()),
        (400, {}, {}, Reject("status 400: out of order sample")),
        (404, {}, {}, Reject("status 404: out of order sample")),
        (304, {}, {}, Reject("status 304")),
        (500, {}, {}, Retry("status 500: out of order sample")),
        (503, {"Retry-After": "7"}, {}, Retry("status 503: out of order sample", after=7.0)),
        (429, {"Retry-After": "7"}, {}, Reject("status 429: out of order sample")),
        (
            429,
            {"Retry-After": "7"},
            {"queue_config": QueueConfig(retry_on_http_429=True)},
            Retry("status 429: out of order sample", after=7.0),
        ),
    ],
)
async def test_the_status_decides_what_becomes_of_the_samples(status, headers, options, expected):
    answer = lambda: web.Response(status=status, headers=headers, text="out of order sample\nmore")  # noqa: E731 - short
    assert await outcome_of(answer, **options) == expected


@pytest.mark.real_time
async def test_a_reason_has_at_most_256_printable_characters():
    outcome = await outcome_of(lambda: web.Response(status=400, body=b"\n\x1b[31mbad \xff" + b"x" * 10_000))
    assert outcome.reason.startswith("status 400: [31mbad \ufffdxxx")
    assert len(outcome.reason) == len("status 400: ") + 256


@pytest.mark.real_time
async def test_no_answer_in_time_is_worth_another_attempt():
    async def answer():
        await asyncio.sleep(5)

    assert await outcome_of(answer, remote_timeout=Duration(0.1)) == Retry("no answer within 0.1 s")


@pytest.mark.real_time
async def test_a_refused_connection_is_worth_another_attempt(free_port):
    async with client_for(f"http://user:hunter2@127.0.0.1:{free_port}/write") as client:
        outcome = await client.send(Request(b"body"), 0)
    assert isinstance(outcome, Retry)
    assert str(free_port) in outcome.reason
    assert "hunter2" not in outcome.reason


@pytest.mark.real_time
async def test_a_credentials_file_that_cannot_be_read_is_worth_another_attempt(tmp_path):
    missing = Authorization(credentials_file=str(tmp_path / "missing"))
    outcome = await outcome_of(web.Response, authorization=missing)
    assert isinstance(outcome, Retry)
    assert "missing" in outcome.reason


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None),
        ("0", None),
        ("120", 120.0),
        ("-5", None),
        ("soon", None),
        ("1.5", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), None),
    ],
)
def test_retry_after_is_seconds_or_a_date_to_come(text, seconds):
    assert retry_after(text, NOW) == seconds
