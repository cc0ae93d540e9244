from __future__ import annotations

import asyncio
import itertools
import sys

import pytest
from prometheus_client import CollectorRegistry

from harness.waiting import until
from peers.program import run_program
from promscout.config import load_config, parse_config
from promscout.config.target_groups import parse_target_groups
from promscout.discovery import registry
from promscout.discovery.config import StaticConfig, StaticSDConfig
from promscout.discovery.dns.config import DNSSDConfig
from promscout.discovery.file.config import FileSDConfig
from promscout.discovery.http.config import HTTPSDConfig
from promscout.discovery.kubernetes.config import KubernetesSDConfig
from promscout.discovery.manager import DiscoveryManager
from promscout.discovery.mechanism import DiscoveryContext
from promscout.discovery.metrics import DiscoveryMetrics
from promscout.discovery.refresh import RefreshMetrics
from promscout.discovery.registry import MechanismFactories
from promscout.discovery.static import StaticDiscoverer
from promscout.errors import ConfigError
from promscout.supervisor import RESTART_DELAY

PLUGIN = """
import asyncio
from pathlib import Path
from typing import ClassVar
import msgspec
from promscout.discovery.plugin import *

class Config(msgspec.Struct, frozen=True, kw_only=True):
    mechanism: ClassVar[str] = "plugged"
    address: str = ""
    file: str = ""
    def with_directory(self, directory):
        return msgspec.structs.replace(self, file=str(directory / self.file))

class Discoverer:
    def __init__(self, config):
        self.config = config
    async def run(self, publish):
        publish([TargetGroup.of("all", [{ADDRESS: self.config.address}])])
        await asyncio.Event().wait()

def factory(context):
    return Discoverer

MECHANISM = Mechanism(config=Config, factory=factory)
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a package on the path that gives the ``MECHANISM`` of a module with some code as an entry point."""
    numbers = itertools.count()
    before = set(sys.modules)
    registry._entry_points.cache_clear()
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(code=PLUGIN, *, mechanism="plugged", package="plug-in", value="MECHANISM"):
        module = f"plugged_{next(numbers)}"
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{package.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[promscout.discovery]\n{mechanism} = {module}:{value}\n")

    yield install
    registry._entry_points.cache_clear()
    for name in set(sys.modules) - before:
        if name.startswith("plugged_"):
            del sys.modules[name]


def configured(section):
    (job,) = parse_config(f"scrape_configs:\n- {{job_name: a, {section}}}\n").jobs
    return job.discovery


def problem(section):
    with pytest.raises(ConfigError) as caught:
        configured(section)
    (only,) = caught.value.problems
    return f"{only.path.removeprefix('scrape_configs[0].')}: {only.message}"


def test_promscout_s_own_mechanisms_are_sections():
    text = """
scrape_configs:
- job_name: a
  dns_sd_configs: [{names: [a]}]
  file_sd_configs: [{files: [a.json]}, {files: [b.yml]}]
  http_sd_configs: [{url: 'http://a', bearer_token_file: t}]
  kubernetes_sd_configs: [{role: pod}]
  static_configs: [{targets: [a]}]
"""
    (job,) = parse_config(text).jobs
    dns, first, second, http, kubernetes, static = job.discovery
    assert dns == DNSSDConfig(names=("a",))
    assert (first, second) == (FileSDConfig(files=("a.json",)), FileSDConfig(files=("b.yml",)))
    assert isinstance(http, HTTPSDConfig)
    assert http.authorization.credentials_file == "t"
    assert isinstance(kubernetes, KubernetesSDConfig)
    assert static == StaticSDConfig(groups=(StaticConfig(targets=("a",)),))


def test_an_unknown_section_is_refused_with_those_that_there_are(install):
    known = "dns_sd_configs, file_sd_configs, http_sd_configs, kubernetes_sd_configs"
    assert problem("consul_sd_configs: [{}]") == (
        f"consul_sd_configs: not supported; supported are {known}, static_configs"
    )
    registry._entry_points.cache_clear()
    install()
    assert problem("pluged_sd_configs: [{}]") == (
        'pluged_sd_configs: not supported, did you mean "plugged_sd_configs"? '
        f"supported are {known}, plugged_sd_configs, static_configs"
    )
    assert 'did you mean "file_sd_configs"?' in problem("files_sd_configs: [{}]")
    assert 'did you mean "static_configs"?' in problem("static_sd_configs: [{}]")


def test_a_package_s_section_is_read_by_its_own_type(install, tmp_path):
    install()
    (first, second) = configured("plugged_sd_configs: [{address: x, file: f}, {}]")
    assert (first.address, first.file) == ("x", "f")
    assert (second.mechanism, second.file) == ("plugged", ".")
    (tmp_path / "c.yml").write_text("scrape_configs: [{job_name: a, plugged_sd_configs: [{file: f}]}]")
    assert load_config(tmp_path / "c.yml").jobs[0].discovery[0].file == f"{tmp_path}/f"
    assert problem("plugged_sd_configs: [{adress: x}]") == (
        'plugged_sd_configs[0].adress: unknown key, did you mean "address"?'
    )


UNUSABLE = {
    "import no_such_module": "ModuleNotFoundError: No module named 'no_such_module'",
    "raise RuntimeError('not today')": "RuntimeError: not today",
    "": "AttributeError: module 'plugged_0' has no attribute 'MECHANISM'",
    "syntax error": "SyntaxError: invalid syntax",
    "MECHANISM = 5": "its entry point gives int, not a Mechanism",
    PLUGIN.replace('= "plugged"', '= "other"'): 'the "mechanism" of its configuration type is not "plugged"',
    PLUGIN.replace(
        "mechanism: ClassVar", "kind: ClassVar"
    ): 'the "mechanism" of its configuration type is not "plugged"',
    PLUGIN.replace("frozen=True", "frozen=False"): "its configuration type is not a frozen msgspec.Struct",
    PLUGIN.replace("config=Config", "config=dict"): "its configuration type is not a frozen msgspec.Struct",
    PLUGIN.replace("def with_directory", "def another"): "its configuration type has no with_directory()",
}


@pytest.mark.parametrize("code", UNUSABLE, ids=UNUSABLE.values())
def test_a_package_that_cannot_be_used_is_named_where_its_section_is(install, code):
    install(code)
    assert problem("plugged_sd_configs: [{}]").startswith(
        f"plugged_sd_configs: added by package plug-in 1.2, which cannot be used: {UNUSABLE[code]}"
    )
    assert configured("file_sd_configs: [{files: [a.json]}]")  # others are not harmed


def test_two_packages_with_the_same_mechanism_are_named(install):
    install(package="one")
    install(package="two")
    assert problem("plugged_sd_configs: [{}]") == (
        "plugged_sd_configs: added by several packages: package one 1.2, package two 1.2"
    )


def test_a_package_cannot_replace_promscout_s_own_mechanism(install):
    install("raise RuntimeError('imported')", mechanism="file")
    assert configured("file_sd_configs: [{files: [a.json]}]") == (FileSDConfig(files=("a.json",)),)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("    def __post_init__(self): raise ValueError('a bug')\n", "the plug-in for it failed: ValueError: a bug"),
        ("    def __post_init__(self): raise InvalidValueError('no', key='file')\n", "no"),
    ],
)
def test_whatever_a_package_s_type_raises_is_a_problem_of_its_section(install, code, expected):
    install(PLUGIN.replace("    def with_directory", f"{code}    def with_directory"))
    found = problem("plugged_sd_configs: [{file: x}]")
    assert found.startswith("plugged_sd_configs")
    assert found.endswith(f": {expected}")


class Running:
    """A discovery manager with an agent's factories: what its jobs have, and since when they have any."""

    def __init__(self):
        metrics = CollectorRegistry()
        context = DiscoveryContext(registry=metrics, refresh=RefreshMetrics(metrics), parse_groups=parse_target_groups)
        self.manager = DiscoveryManager(
            MechanismFactories({StaticSDConfig: StaticDiscoverer}, context), DiscoveryMetrics(metrics)
        )
        self.groups = {}
        self.times = {}

    async def receive(self):
        while True:
            for job, groups in (await self.manager.receive()).items():
                self.times.setdefault(job, asyncio.get_running_loop().time())
                self.groups.setdefault(job, {}).update({source: group for (_, source), group in groups.items()})


async def discovered(jobs, condition):
    """What there is once ``condition`` holds, and since when."""
    running = Running()
    async with running.manager as manager:
        receiving = asyncio.create_task(running.receive())
        try:
            manager.apply_config(jobs)
            await until(lambda: condition(running.groups))
        finally:
            receiving.cancel()
    return running.groups, running.times


async def test_what_a_package_discovers_arrives(install):
    install()
    found, _ = await discovered({"a": configured("plugged_sd_configs: [{address: x}, {address: y}]")}, bool)
    assert found["a"]["all"].targets[0]["__address__"] in ("x", "y")


@pytest.mark.parametrize(
    ("before", "indent"),
    [("def factory(context):", 4), ("def __init__(self, config):", 8), ("async def run(self, publish):", 8)],
)
async def test_a_package_that_fails_is_tried_again_and_harms_no_other(install, before, indent):
    failing = ["if not TRIED:", "    TRIED.append(1)", "    raise ValueError('a bug')"]
    code = "\n".join([before, *(" " * indent + line for line in failing)])
    install("TRIED = []\n" + PLUGIN.replace(before, code))
    jobs = {"a": configured("plugged_sd_configs: [{address: x}]"), "b": configured("static_configs: [{targets: [s]}]")}
    found, times = await discovered(jobs, lambda groups: groups.keys() == {"a", "b"})
    assert found["a"]["all"].targets[0]["__address__"] == "x"
    assert times["b"] == 0
    assert times["a"] == pytest.approx(RESTART_DELAY)


async def test_nothing_of_a_mechanism_is_imported_and_no_package_looked_for_before_it_is_named(tmp_path):
    code = """
import sys
from promscout.config import parse_config
def loaded():
    heavy = ('importlib.metadata', 'dns', 'promscout.discovery.file.config', 'aiohttp')
    return [name for name in heavy if name in sys.modules]
parse_config("scrape_configs: [{job_name: a, kubernetes_sd_configs: [{role: pod}], static_configs: [{targets: [a]}]}]")
print(loaded())
parse_config("scrape_configs: [{job_name: a, file_sd_configs: [{files: [a.json]}], dns_sd_configs: [{names: [a]}]}]")
print(loaded())
"""
    outcome = await run_program([sys.executable, "-c", code], tmp_path)
    assert outcome.out.splitlines() == ["[]", "['promscout.discovery.file.config']"], outcome.err
