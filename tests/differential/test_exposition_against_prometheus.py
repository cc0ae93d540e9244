"""The same bodies, scraped by a real Prometheus and read by promscout: samples, staleness, exemplars, metadata."""

from __future__ import annotations

import math
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aiohttp import web

from e2e.promscout_process import Promscout, until
from peers import Prometheus
from promscout.errors import ExpositionError, InvalidValueError
from promscout.exposition.negotiation import ScrapeProtocol, accept_header, format_of
from promscout.exposition.parse import parse
from promscout.exposition.samples import NO_TIMESTAMP
from promscout.relabel.engine import Relabeler
from promscout.scrape.config import DEFAULT_PROTOCOLS, PROTO_FIRST_PROTOCOLS
from promscout.scrape.sample_labels import SampleLabels

from .exposition_cases import CASES

REPORTS = ("up", "scrape_")
RECENT = 60_000  # milliseconds; Prometheus's storage has no place for samples that are much older than others
ASKED = {
    "default": DEFAULT_PROTOCOLS,
    "protobuf-first": PROTO_FIRST_PROTOCOLS,
    "reverse": PROTO_FIRST_PROTOCOLS[::-1],
    **{f"only-{protocol}": (protocol,) for protocol in ScrapeProtocol},
}
"""Jobs, and the protocols that they ask for, wanted most first."""


@dataclass(frozen=True)
class Read:
    """What promscout makes of a body: ``samples`` are value and time stamp by labels, the first of a series."""

    samples: dict
    exemplars: set
    metadata: dict


def plain(value):
    """Comparable, unlike NaN."""
    return "NaN" if math.isnan(value) else float(value)


def read(body, case, job, instance):
    """None where the scrape fails."""
    fallback = case.fallback and ScrapeProtocol(case.fallback)
    body_format = format_of(case.content_type, fallback).format
    if body and body_format is None:
        return None
    finisher = SampleLabels((("instance", instance), ("job", job)), Relabeler(()), honor_labels=False)
    try:
        exposition = parse(body, body_format)
        labels = [
            finisher.finish(exposition.labels_of(key, exposition.type_at(index)))
            for index, key in enumerate(exposition.keys)
        ]
    except (ExpositionError, InvalidValueError):
        return None
    samples = {}
    for index, one in enumerate(labels):
        stamp = NO_TIMESTAMP if exposition.timestamps is None else exposition.timestamps[index]
        samples.setdefault(one, (plain(exposition.values[index]), None if stamp == NO_TIMESTAMP else int(stamp)))
    exemplars = {(labels[index], one.labels, plain(one.value), one.timestamp) for index, one in exposition.exemplars}
    metadata = {name: (one.type, one.help, one.unit) for name, one in exposition.metadata.items()}
    return Read(samples, exemplars, metadata)


@asynccontextmanager
async def exporter(cases, asked):
    """Serves each case below its number; ``asked`` counts requests, and gets the Accept headers of other paths."""

    async def answer(request):
        name = request.match_info["name"]
        if name in ASKED:
            asked[name] = request.headers["Accept"]
            return web.Response(body=b"", content_type="text/plain")
        case = cases[int(name)]
        body = case.then if asked[name] else case.first
        asked[name] += 1
        return web.Response(body=body, headers={"Content-Type": case.content_type})

    application = web.Application()
    application.router.add_get("/{name}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def configuration(cases, address):
    options = {str(number): {"fallback_scrape_protocol": one.fallback} for number, one in enumerate(cases)}
    options |= {
        name: {"scrape_protocols": None if name == "default" else [str(one) for one in protocols]}
        for name, protocols in ASKED.items()
    }
    return {
        "global": {"scrape_interval": "2s"},
        "scrape_configs": [
            {
                "job_name": name,
                "metrics_path": f"/{name}",
                "static_configs": [{"targets": [address]}],
                **{key: value for key, value in given.items() if value is not None},
            }
            for name, given in options.items()
        ],
    }


class Stored:
    """What Prometheus has of all jobs, fetched once."""

    def __init__(self, ranges, exemplars, metadata):
        self._scrapes, self._samples, self.exemplars, self.metadata = {}, {}, {}, {}
        for series in ranges:
            labels, values = series["metric"], {round(at * 1000): plain(float(text)) for at, text in series["values"]}
            if labels["__name__"].startswith(REPORTS):
                if labels["__name__"] == "up":
                    self._scrapes[labels["job"]] = values
            else:
                self._samples.setdefault(labels["job"], {})[tuple(sorted(labels.items()))] = values
        for series in exemplars:
            labels = tuple(sorted(series["seriesLabels"].items()))
            self.exemplars.setdefault(series["seriesLabels"]["job"], set()).update(
                (
                    labels,
                    tuple(sorted(one["labels"].items())),
                    plain(float(one["value"])),
                    round(one["timestamp"] * 1000),
                )
                for one in series["exemplars"]
            )
        for one in metadata:
            self.metadata.setdefault(one["target"]["job"], {})[one.get("metric", "")] = (
                one["type"],
                one["help"],
                one["unit"],
            )

    @classmethod
    async def of(cls, peer, start):
        ranges = await peer.query("{job!=''}[1h]")
        window = {"start": f"{start / 1000:.3f}", "end": f"{time.time() + 1:.3f}"}
        exemplars = await peer.get_json("/api/v1/query_exemplars", query="{job!=''}", **window)
        metadata = await peer.get_json("/api/v1/targets/metadata")
        return cls(ranges, exemplars["data"], metadata["data"])

    def scrapes(self, job):
        """The times of the first two scrapes, and whether each worked."""
        return [(at, up == 1) for at, up in sorted(self._scrapes[job].items())[:2]]

    def at(self, job, when, timed):
        """The samples of one moment, but for those of the series ``timed``."""
        found = self._samples.get(job, {}).items()
        return {labels: values[when] for labels, values in found if when in values and labels not in timed}

    def has(self, job, labels, when, value):
        return self._samples.get(job, {}).get(labels, {}).get(when) == value


async def scraped(asked, cases, times):
    """Waits until each target was scraped so many times, so that all scrapes but the last are stored."""
    await until(lambda: all(asked[str(number)] >= times for number in range(len(cases))), 40, "scrapes of each")
    await until(lambda: len(asked) == len(cases) + len(ASKED), 10, "all headers")


def differences(case, job, instance, stored, fresh):
    """What Prometheus has of one job, and promscout not, or the other way round."""
    for body, (when, up) in zip((case.first, case.then), stored.scrapes(job), strict=True):
        ours = read(body, case, job, instance)
        if up != (ours is not None):
            yield f"Prometheus {'accepts' if up else 'refuses'} it"
        if ours is None or not up:
            if stored.at(job, when, ()):
                yield f"Prometheus stores {stored.at(job, when, ())}"
            continue
        timed = {labels: sample for labels, sample in ours.samples.items() if sample[1] is not None}
        expected = {labels: value for labels, (value, stamp) in ours.samples.items() if stamp is None}
        if stored.at(job, when, timed) != expected:
            yield f"samples {expected}, in Prometheus {stored.at(job, when, timed)}"
        for labels, (value, stamp) in timed.items():
            if stored.has(job, labels, stamp, value) != (abs(stamp - when) < RECENT):
                yield f"{labels} has {value} at {stamp}, in Prometheus not, or it is not recent"
        yield from metadata_differences(job, ours, stored)
    yield from exemplar_differences(case, job, instance, stored)
    yield from staleness_differences(case, job, instance, fresh.get(job, set()))


def staleness_differences(case, job, instance, fresh):
    first, then = (read(body, case, job, instance) for body in (case.first, case.then))
    # Series with time stamps of their own get no staleness markers.
    untracked = {labels for labels, (_, stamp) in first.samples.items() if stamp is not None} if first else set()
    if then is None:
        # Prometheus leaves those fresh that stood before the error.
        if not fresh <= (set(first.samples) if first else set()):
            yield f"Prometheus has {fresh}"
        return
    expected = set(then.samples)
    if expected - untracked != fresh - untracked:
        yield f"{expected} are not stale, in Prometheus {fresh}"


def metadata_differences(job, ours, stored):
    found = stored.metadata.get(job, {})
    for name, one in ours.metadata.items():
        if found.get(name) != one:
            yield f"metadata of {name} {one}, in Prometheus {found.get(name)}"


def exemplar_differences(case, job, instance, stored):
    found = stored.exemplars.get(job, set())
    reads = [one for body in (case.first, case.then) if (one := read(body, case, job, instance)) is not None]
    expected = set().union(*(one.exemplars for one in reads))
    # Those without a time stamp have that of their scrape.
    stamped = {one for one in expected if one[3] is not None}
    if {one[:3] for one in found} != {one[:3] for one in expected} or not stamped <= found:
        yield f"exemplars {expected}, in Prometheus {found}"


@pytest.fixture
async def peer_and_cases(peers_dir, tmp_path):
    now = int(time.time() * 1000)
    cases = [case.served(now) for case in CASES]
    asked = Counter()
    async with exporter(cases, asked) as address:
        config = configuration(cases, address)
        async with Prometheus(peers_dir, tmp_path, config, "--enable-feature=exemplar-storage") as peer:
            await scraped(asked, cases, times=3)
            yield peer, cases, asked, address, now


async def test_every_body_means_what_it_means_to_prometheus(peer_and_cases):
    peer, cases, asked, address, now = peer_and_cases
    stored = await Stored.of(peer, now - 60_000)
    fresh = {}
    for series in await peer.query("{job!=''}"):
        labels = series["metric"]
        if not labels["__name__"].startswith(REPORTS):
            fresh.setdefault(labels["job"], set()).add(tuple(sorted(labels.items())))
    wrong = {
        number: [case, *found]
        for number, case in enumerate(cases)
        if (found := list(differences(case, str(number), address, stored, fresh)))
    }
    assert not wrong, "\n".join(str(one) for one in wrong.values())
    assert {name: asked[name] for name in ASKED} == {
        name: accept_header(protocols) for name, protocols in ASKED.items()
    }
    # The cases are worth their time: of everything there is something.
    assert sum(up for number in range(len(cases)) for _, up in stored.scrapes(str(number))) > 200
    assert sum(not up for number in range(len(cases)) for _, up in stored.scrapes(str(number))) > 200
    assert len(stored.exemplars) > 10
    assert len(stored.metadata) > 40


async def test_the_same_scrapes_work_with_as_many_samples(peers_dir, tmp_path):
    now = int(time.time() * 1000)
    cases = [case.served(now) for case in CASES if case.first == case.then]
    theirs, ours = Counter(), Counter()
    async with (
        exporter(cases, theirs) as their_address,
        exporter(cases, ours) as our_address,
        Prometheus(peers_dir, tmp_path, configuration(cases, their_address)) as peer,
        Promscout(tmp_path, configuration(cases, our_address)) as agent,
    ):
        await scraped(theirs, cases, times=2)
        await scraped(ours, cases, times=2)
        up = {one["metric"]["job"]: one["value"][1] == "1" for one in await peer.query("up")}
        counts = {one["metric"]["job"]: int(one["value"][1]) for one in await peer.query("scrape_samples_scraped")}
        expected = {job: up[job] and counts[job] for job in up if job not in ASKED}
        found = {
            one["scrapePool"]: one["health"] == "up" and one["lastScrapeSamples"]
            for one in (await agent.targets())["activeTargets"]
        }
    wrong = {job: (cases[int(job)], found[job], expected[job]) for job in expected if found[job] != expected[job]}
    assert not wrong, "\n".join(str(one) for one in wrong.values())
    assert {name: ours[name] for name in ASKED} == {name: theirs[name] for name in ASKED}
