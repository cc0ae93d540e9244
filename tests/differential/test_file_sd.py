"""The same files: promscout and Prometheus find the same targets in them, whatever is wrong with them."""

from __future__ import annotations

import json
from collections import Counter

from e2e.promscout_process import Promscout, until
from unit.discovery.group_lists import BAD_JSON, BAD_YAML, GOOD_JSON, GOOD_YAML

PATTERNS = (
    "a.json",
    "none.json",
    "*.yml",
    "*.json",
    "?.json",
    "[ab].json",
    "[a-b].json",
    "[^a].json",
    "[!a].json",
    "[b-a].json",
    "[^b-a].json",
    r"[\*].json",
    r"\[x].json",
    r"a[\-b]b.json",
    "a*b*.json",
    "sub?/*.json",
    "sub[2]/*.json",
    "./b.json",
    "../patterns/b.json",
    "sub/../b.json",
    "sub/../b.jso[n].json",
    "a.json/*.json",
)
NAMES = (
    "a.json",
    "b.json",
    ".c.json",
    "ab.json",
    "[x].json",
    "a-b.json",
    "*.json",
    "d.yml",
    "sub/a.json",
    "sub2/b.json",
)


def write(path, content):
    """Replaces a file as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.write_text(content if isinstance(content, str) else json.dumps(content))
    new.rename(path)


def listed(*addresses):
    return [{"targets": [address], "labels": {"__meta_group": address, "empty": ""}} for address in addresses]


def configuration(jobs):
    """Jobs that drop all they discover: it is looked at, not scraped."""
    return {
        "scrape_configs": [
            {"job_name": name, "file_sd_configs": [{"files": files}], "relabel_configs": [{"action": "drop"}]}
            for name, files in jobs.items()
        ]
    }


async def discovered(peer):
    """Job and discovered labels of all targets, those that have several in common counted."""
    targets = (await peer.targets())["droppedTargets"]
    return Counter(
        (labels["job"], *sorted(pair for pair in labels.items() if pair[1]))
        for labels in (one["discoveredLabels"] for one in targets)
    )


async def agreed(ours, theirs, condition=bool):
    """What both have discovered, as soon as it is the same and as the condition wants it."""

    async def same():
        mine, other = await discovered(ours), await discovered(theirs)
        found.update(mine=mine, other=other)
        return mine == other and condition(mine)

    found = {}
    try:
        await until(same, 20, "both have discovered the same")
    except AssertionError:
        assert found["mine"] == found["other"]
        raise
    return found["mine"]


def has(address, wanted=True):
    return lambda found: wanted is any(("__address__", address) in one for one in found)


async def test_the_same_contents_are_read_and_the_same_refused(prometheus, tmp_path):
    texts = {"json": (GOOD_JSON, BAD_JSON), "yml": (GOOD_YAML, BAD_YAML)}
    jobs = {}
    for ending, (good, bad) in texts.items():
        for name, contents in (("good", good), ("bad", bad)):
            jobs[f"{name}-{ending}"] = [f"{tmp_path}/{name}/*.{ending}"]
            for index, text in enumerate(contents):
                write(tmp_path / name / f"{index}.{ending}", text)
    theirs = await prometheus(configuration(jobs))
    async with Promscout(tmp_path, configuration(jobs)) as ours:
        found = await agreed(ours, theirs)
        good = [one for groups in (GOOD_JSON, GOOD_YAML) for texts in groups.values() for one in texts]
        assert found.total() == sum(len(group.targets) for group in good)
        assert {one[0] for one in found} == {"good-json", "good-yml"}
        assert await ours.metric("prometheus_sd_file_read_errors_total") == len(BAD_JSON) + len(BAD_YAML)


async def test_the_same_files_match(prometheus, tmp_path):
    directory = tmp_path / "patterns"
    for name in NAMES:
        write(directory / name, listed("127.0.0.1:1") if name.endswith("json") else "- targets: [127.0.0.1:1]")
    jobs = {f"absolute {pattern}": [f"{directory}/{pattern}"] for pattern in PATTERNS}
    jobs |= {f"relative {pattern}": [f"../patterns/{pattern}"] for pattern in PATTERNS}
    theirs = await prometheus(configuration(jobs))
    async with Promscout(tmp_path, configuration(jobs)) as ours:
        found = await agreed(ours, theirs)
        assert len(found) > 2 * len(PATTERNS)


async def test_files_that_change_break_and_vanish_have_the_same_targets(prometheus, tmp_path):
    directory = tmp_path / "files"
    write(directory / "a.json", listed("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"))
    write(directory / "b.yml", "- targets: [127.0.0.2:1]\n")
    write(directory / "..1" / "c.json", listed("127.0.0.3:1"))
    write(directory / "..2" / "c.json", listed("127.0.0.3:2"))
    (directory / "..data").symlink_to("..1")
    (directory / "c.json").symlink_to("..data/c.json")
    jobs = {"all": [f"{directory}/*.json", f"{directory}/*.yml"], "one": [f"{directory}/b.yml"]}
    theirs = await prometheus(configuration(jobs))
    async with Promscout(tmp_path, configuration(jobs)) as ours:
        before = await agreed(ours, theirs, has("127.0.0.3:1"))
        assert before.total() == 6
        write(directory / "a.json", listed("127.0.0.1:4"))
        await agreed(ours, theirs, has("127.0.0.1:1", wanted=False))
        (directory / "..new").symlink_to("..2")
        (directory / "..new").rename(directory / "..data")
        await agreed(ours, theirs, has("127.0.0.3:2"))
        write(directory / "b.yml", "- targets: [127.0.0.2:9")
        write(directory / "d.json", listed("127.0.0.4:1"))
        found = await agreed(ours, theirs, has("127.0.0.4:1"))
        assert has("127.0.0.2:1")(found)  # of the broken file
        (directory / "b.yml").unlink()
        (directory / "d.json").unlink()
        after = await agreed(ours, theirs, has("127.0.0.2:1", wanted=False))
        assert after.total() == 2
        errors = "prometheus_sd_file_read_errors_total"
        assert await ours.metric(errors) > 0
        assert float((await theirs.request("GET", "/metrics")).partition(f"\n{errors} ")[2].split()[0]) > 0
