"""The receiver behind HTTP: ``/api/v1/write`` takes, ``/faults`` changes how, ``/report`` tells."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from harness.strict_receiver.faults import REFUSALS, Faults, Plan
from harness.strict_receiver.history import History
from harness.strict_receiver.reading import V2, Content, Reader, UnreadableError
from harness.strict_receiver.record import EXEMPLAR, HISTOGRAM, SAMPLE, Items, Record
from harness.strict_receiver.rules import SeriesRules, header_problems, message_of

_HANG: Final = 600.0  # seconds; the end of the connection cancels it
_KEPT: Final = 1000  # different texts about broken rules


@dataclass(frozen=True, slots=True)
class _Read:
    """A request that could be read."""

    message: str
    content: Content
    items: Items


class StrictReceiver:
    """Takes requests and checks them. What breaks a rule is noted and taken all the same, if it can be read."""

    def __init__(self, record: Path, *, utf8_names: bool = False) -> None:
        self._record = Record(record)
        self._rules = SeriesRules(utf8_names=utf8_names)
        self._reader = Reader()
        self._history = {SAMPLE: History(), HISTOGRAM: History()}
        self._faults = Faults(Plan())
        self._problems: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._busy: Counter[int] = Counter()
        for request in self._record.before.requests:
            if request.taken:
                self._keep(request.items)
                if request.answered:
                    self._answered(request.items)
        self._problems.update(self._record.before.problems)

    def close(self) -> None:
        """Close the file."""
        self._record.close()

    def application(self) -> web.Application:
        """The HTTP side of it."""
        app = web.Application(client_max_size=1 << 28)
        app.router.add_get("/-/ready", self._ready)
        app.router.add_get("/report", self._report)
        app.router.add_post("/faults", self._set_faults)
        app.router.add_route("*", "/api/v1/write", self._write)
        return app

    async def _ready(self, _: web.Request) -> web.Response:
        return web.Response(text="ready")

    async def _report(self, _: web.Request) -> web.Response:
        histories = self._history
        return web.json_response(
            {
                "counts": self._counts,
                "samples": len(histories[SAMPLE]),
                "histograms": len(histories[HISTOGRAM]),
                "repeats": histories[SAMPLE].repeats + histories[HISTOGRAM].repeats,
                "faults": self._faults.dealt,
                "problems": dict(self._problems.most_common(100)),
            }
        )

    async def _set_faults(self, request: web.Request) -> web.Response:
        self._faults = Faults(Plan.from_json(await request.json()))
        return web.Response(status=204)

    async def _write(self, request: web.Request) -> web.StreamResponse:
        self._counts["requests"] += 1
        fault = self._faults.next()
        if fault == "reset_body":
            await request.content.readany()
            return await _reset(request, b"")
        body = await request.read()
        self._note(header_problems(request.method, list(request.headers.items())))
        message = message_of(request.headers.get("Content-Type", ""))
        if message is None or message not in self._faults.plan.messages:
            self._counts["unsupported"] += 1
            return web.Response(status=415, text=f"unsupported message {message}\n")
        self._counts[message] += 1
        try:
            content = self._reader.read(body, message)
        except UnreadableError as error:
            self._note([str(error)])
            return web.Response(status=400, text=f"{error}\n")
        read = _Read(message, content, self._items(content))
        series = set(read.items.series[read.items.kinds != EXEMPLAR].tolist())
        # Which of two requests comes first is left to chance.
        self._note(f"{self._name(number)} is in two requests at once" for number in series if self._busy[number])
        self._busy.update(series)
        try:
            return await self._answer(request, read, fault)
        finally:
            self._busy.subtract(series)

    async def _answer(self, request: web.Request, read: _Read, fault: str) -> web.StreamResponse:
        if fault == "hang":
            return await _hang()
        if fault in REFUSALS:
            return self._refuse(read, fault)
        number = self._take(read)
        match fault:
            case "take_and_hang":
                return await _hang()
            case "reset" | "reset_answer":
                return await _reset(request, b"HTTP/1.1 20" if fault == "reset_answer" else b"")
            case "slow":
                await asyncio.sleep(self._faults.plan.delay)
        response = web.Response(status=204, headers=self._written(read))
        with suppress(ConnectionResetError):  # the sender has given up
            await response.prepare(request)
            await response.write_eof()
            # Not before: a kill in between must not make it look as if the sender knew.
            self._record.answered(number)
            self._answered(read.items)
        return response

    def _refuse(self, read: _Read, status: str) -> web.Response:
        if status == "400":
            self._record.request(time.time(), read.items, taken=False)
        headers = {"Retry-After": self._faults.plan.retry_after} if self._faults.plan.retry_after else {}
        if status not in ("429", "503"):
            headers = {}
        return web.Response(status=int(status), text=f"refused on purpose with {status}\n", headers=headers)

    def _take(self, read: _Read) -> int:
        """Check, remember and count; what is recorded is there even if this process is killed."""
        self._note(read.content.problems)
        for series in read.content.series:
            self._note(self._rules.problems(series, read.message))
        number = self._record.request(time.time(), read.items, taken=True)
        self._note(self._keep(read.items))
        for name, count in read.content.metadata.items():
            self._counts[f"metadata {name}"] += count
        self._counts["with start"] += sum(bool(start) for one in read.content.series for _, _, start in one.samples)
        return number

    def _keep(self, items: Items) -> list[str]:
        found = []
        for number, kind, at, bits in zip(*(column.tolist() for column in _columns(items)), strict=True):
            if kind == EXEMPLAR:
                self._counts["exemplars"] += 1
            elif problem := self._history[kind].add(number, at, bits):
                found.append(f"{self._name(number)} {problem}")
        return found

    def _answered(self, items: Items) -> None:
        for number, kind, at, _ in zip(*(column.tolist() for column in _columns(items)), strict=True):
            if kind != EXEMPLAR:
                self._history[kind].answer(number, at)

    def _items(self, content: Content) -> Items:
        rows: list[tuple[int, int, int, int]] = []
        for series in content.series:
            number = self._record.number(series.labels)
            rows += [(number, SAMPLE, at, bits) for at, bits, _ in series.samples]
            rows += [(number, HISTOGRAM, one.timestamp, _digest(one)) for one in series.histograms]
            rows += [(number, EXEMPLAR, one.timestamp, one.bits) for one in series.exemplars]
        return Items.of(rows)

    def _written(self, read: _Read) -> dict[str, str]:
        plan = self._faults.plan
        if read.message != V2 or plan.written == "nothing":
            return {}
        counts = {kind: int((read.items.kinds == kind).sum()) for kind in (SAMPLE, HISTOGRAM, EXEMPLAR)}
        if plan.written == "less":
            counts[SAMPLE] = max(0, counts[SAMPLE] - 1)
        names = {SAMPLE: "Samples", HISTOGRAM: "Histograms", EXEMPLAR: "Exemplars"}
        return {f"X-Prometheus-Remote-Write-{names[kind]}-Written": str(count) for kind, count in counts.items()}

    def _note(self, problems: Iterable[str]) -> None:
        for problem in problems:
            text = problem if problem in self._problems or len(self._problems) < _KEPT else "more"
            if text not in self._problems:
                self._record.problem(text)
            self._problems[text] += 1

    def _name(self, number: int) -> str:
        labels = self._record.labels[number]
        inner = ",".join(f"{name}={value!r}" for name, value in labels if name != "__name__")
        return f"{dict(labels).get('__name__', '')}{{{inner}}}"


def _columns(items: Items) -> tuple[Any, ...]:
    return items.series, items.kinds, items.stamps, items.bits


def _digest(histogram: Any) -> int:
    return int.from_bytes(hashlib.blake2b(histogram.SerializeToString(deterministic=True), digest_size=8).digest())


async def _hang() -> web.Response:
    await asyncio.sleep(_HANG)
    return web.Response(status=500)


async def _reset(request: web.Request, beginning: bytes) -> web.Response:
    """Send the beginning of an answer, if any, and reset the connection."""
    if request.transport is not None:
        if beginning:
            request.transport.write(beginning)
            await asyncio.sleep(0.01)  # it goes out before the reset
        request.transport.abort()
    return await _hang()  # the lost connection cancels this
