"""Targets that do their worst: each fails its own scrapes, in time and with a reason, and the rest goes on."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from collections import defaultdict
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from e2e.promscout_process import Promscout, until

TIMEOUT = 1.0
SLACK = 1.0  # seconds, on a busy machine
BOMB = gzip.compress(bytes(64 << 20), 9) * 8  # 512 MiB in half a megabyte
TEXT = "Content-Type: text/plain; version=0.0.4\r\n"


class HostileServer:
    """One server for all; the first part of a path says what it does. ``hits`` counts requests by that."""

    def __init__(self):
        self.hits = defaultdict(int)
        self.address = ""
        self._tasks = set()

    @asynccontextmanager
    async def running(self):
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.sleep(0)

    async def _accept(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    name = head.split()[1].decode().lstrip("/")
                    self.hits[name] += 1
                    if not await getattr(self, f"do_{name}")(writer):
                        break
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    async def _say(self, writer, *parts):
        for part in parts:
            writer.write(part if isinstance(part, bytes) else part.encode())
            await writer.drain()

    async def _body(self, writer, body, headers=TEXT):
        await self._say(writer, f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{headers}\r\n", body)
        return True

    async def do_good(self, writer):
        return await self._body(writer, b"good 1\n")

    async def do_endless_body(self, writer):
        await self._say(writer, f"HTTP/1.1 200 OK\r\n{TEXT}\r\n")
        while True:
            await self._say(writer, b"a 1\n" * 16_384)

    async def do_endless_line(self, writer):
        await self._say(writer, f"HTTP/1.1 200 OK\r\nContent-Length: {1 << 30}\r\n{TEXT}\r\n")
        for _ in range(1 << 14):
            await self._say(writer, b"a" * 65_536)

    async def do_bomb(self, writer):
        return await self._body(writer, BOMB, TEXT + "Content-Encoding: gzip\r\n")

    async def do_endless_header(self, writer):
        await self._say(writer, "HTTP/1.1 200 OK\r\nX: ")
        while True:
            await self._say(writer, b"x" * 65_536)

    async def do_slow_header(self, writer):
        for character in "HTTP/1.1 200 OK\r\n" + "X: y\r\n" * 10_000:
            await self._say(writer, character)
            await asyncio.sleep(0.02)

    async def do_slow_body(self, writer):
        await self._say(writer, f"HTTP/1.1 200 OK\r\n{TEXT}\r\n")
        while True:
            await self._say(writer, b"a")
            await asyncio.sleep(0.02)

    async def do_silent(self, writer):
        await asyncio.Event().wait()

    async def do_hangs_up(self, writer):
        return False

    async def do_reset(self, writer):
        await self._say(writer, "HTTP/1.1 200 OK\r\n")
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    async def do_garbage(self, writer):
        await self._say(writer, b"SSH-2.0-OpenSSH_9.2p1\r\n")

    async def do_nul(self, writer):
        return await self._body(writer, b"a 1\n\0\0\0\nb 2\n")

    async def do_not_utf8(self, writer):
        return await self._body(writer, b'a{b="\xff\xfe"} 1\n')

    async def do_not_gzip(self, writer):
        return await self._body(writer, b"a 1\n" * 100, TEXT + "Content-Encoding: gzip\r\n")

    async def do_cut_gzip(self, writer):
        return await self._body(writer, gzip.compress(b"a 1\n" * 1000)[:-20], TEXT + "Content-Encoding: gzip\r\n")

    async def do_redirects(self, writer):
        await self._say(writer, "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /redirects\r\n\r\n")
        return True

    async def do_bad_length(self, writer):
        await self._say(writer, "HTTP/1.1 200 OK\r\nContent-Length: 7e3\r\n\r\n")

    async def do_html(self, writer):
        return await self._body(writer, b"<html></html>", "Content-Type: text/html\r\n")

    async def do_changing(self, writer):
        kinds = ["text/plain; version=0.0.4", "text/html", "application/json"]
        kind = kinds[self.hits["changing"] % len(kinds)]
        return await self._body(writer, b"changing 1\n", f"Content-Type: {kind}\r\n")

    async def do_error(self, writer):
        await self._say(writer, f"HTTP/1.1 503 Service Unavailable\r\nContent-Length: {1 << 30}\r\n\r\n")
        while True:
            await self._say(writer, b"x" * 65_536)


REASONS = {
    "endless_body": "body size limit exceeded",
    "endless_line": "body size limit exceeded",
    "bomb": "body size limit exceeded",
    "endless_header": "more than 65536 bytes of headers",
    "slow_header": "scrape timed out after 1s",
    "slow_body": "scrape timed out after 1s",
    "silent": "scrape timed out after 1s",
    "hangs_up": "the server closed the connection without an answer",
    "reset": "the server reset the connection within its answer",
    "garbage": "malformed HTTP response",
    "not_utf8": "label value is not valid UTF-8",
    "not_gzip": "body is not gzip",
    "cut_gzip": "gzip body is cut short",
    "redirects": "stopped after 10 redirects",
    "bad_length": "malformed HTTP response",
    "html": "text/html",
    "error": "server returned HTTP status 503 Service Unavailable",
}


def configuration(server, jobs):
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [
            {
                "job_name": job,
                **options,
                "static_configs": [
                    {"targets": [server.address], "labels": {"__metrics_path__": f"/{name}", "instance": name}}
                    for name in names
                ],
            }
            for job, (names, options) in jobs.items()
        ],
    }


def resident(agent):
    (line,) = [
        line
        for line in Path(f"/proc/{agent._process.pid}/status").read_text().splitlines()
        if line.startswith("VmRSS:")
    ]
    return int(line.split()[1]) / 1024


async def scraped(agent, names):
    """instance → its target, once each of ``names`` was scraped."""

    async def found():
        targets = {one["labels"]["instance"]: one for one in await agent.active()}
        return targets if all(targets[name]["lastScrape"][:4] != "0001" for name in names if name in targets) else None

    return await until(found, 15, "every target was scraped")


async def test_hostile_targets_fail_alone_in_time_and_with_a_reason(tmp_path):
    hostile = HostileServer()
    jobs = {"hostile": (list(REASONS), {"body_size_limit": "8MB"}), "good": (["good", "changing", "nul"], {})}
    async with hostile.running(), Promscout(tmp_path, configuration(hostile, jobs)) as agent:
        targets = await scraped(agent, [*REASONS, "good"])
        for name, reason in REASONS.items():
            assert targets[name]["health"] == "down", name
            assert reason in targets[name]["lastError"], name
            assert targets[name]["lastScrapeDuration"] < TIMEOUT + SLACK, name
        before, good = resident(agent), hostile.hits["good"]
        await asyncio.sleep(5)  # five more scrapes of everything
        assert hostile.hits["good"] - good >= 4
        assert resident(agent) < before + 60
        assert (await scraped(agent, ["good"]))["good"]["health"] == "up"


async def test_without_a_limit_the_timeout_and_a_hard_cap_bound_a_body(tmp_path):
    hostile = HostileServer()
    names = ["bomb", "endless_line", "good"]
    async with hostile.running(), Promscout(tmp_path, configuration(hostile, {"unlimited": (names, {})})) as agent:
        targets = await scraped(agent, names)
        for name in names[:2]:
            assert targets[name]["health"] == "down"
            error = targets[name]["lastError"]
            assert "without body_size_limit" in error or "scrape timed out" in error
            assert targets[name]["lastScrapeDuration"] < TIMEOUT + SLACK
        await asyncio.sleep(3)
        assert resident(agent) < 1024
        assert (await scraped(agent, ["good"]))["good"]["health"] == "up"
