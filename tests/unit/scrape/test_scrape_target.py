"""From groups to targets."""

from __future__ import annotations

import pytest

from promscout.model.duration import Duration
from promscout.model.frozendict import FrozenDict
from promscout.model.group import TargetGroup
from promscout.model.labels import LabelRow
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.regex import Regex
from promscout.scrape.target import Refused
from promscout.scrape.target_builder import TargetBuilder
from unit.scrape.fakes import config


def build(labels, *, group_labels=(), **options):
    """What becomes of a single target."""
    group = TargetGroup.of("g", (labels,), dict(group_labels))
    (built,) = TargetBuilder(config(**options)).build(group)
    return built


def target_label(name, value):
    return RelabelConfig(target_label=name, replacement=value)


def test_a_target_has_the_labels_and_the_url_that_the_config_gives_it():
    built = build({"__address__": "127.0.0.1:80", "__meta_x": "1", "a": "b"})
    assert built.all_labels == (
        ("__address__", "127.0.0.1:80"),
        ("__metrics_path__", "/metrics"),
        ("__scheme__", "http"),
        ("__scrape_interval__", "10s"),
        ("__scrape_timeout__", "5s"),
        ("a", "b"),
        ("instance", "127.0.0.1:80"),
        ("job", "j"),
    )
    assert built.url == "http://127.0.0.1:80/metrics"
    assert built.labels == (("a", "b"), ("instance", "127.0.0.1:80"), ("job", "j"))
    assert (built.interval, built.timeout) == (Duration(10), Duration(5))


@pytest.mark.parametrize(
    ("own", "of_group", "discovered"),
    [
        ({}, {}, "/metrics"),
        ({}, {"__metrics_path__": "/group"}, "/group"),
        ({"__metrics_path__": "/own"}, {"__metrics_path__": "/group"}, "/own"),
        ({"__metrics_path__": ""}, {"__metrics_path__": "/group"}, "/metrics"),  # an empty label is as good as none
        ({"__metrics_path__": ""}, {}, "/metrics"),
    ],
    ids=str,
)
def test_the_labels_of_the_target_win_over_those_of_the_group_and_these_over_the_config(own, of_group, discovered):
    group = TargetGroup.of("g", ({"__address__": "h", **own},), of_group)
    builder = TargetBuilder(config())
    assert builder.discovered_labels(group, 0)["__metrics_path__"] == discovered
    (built,) = builder.build(group)
    assert built.url == f"http://h{discovered}"


def test_building_leaves_the_group_as_it_is():
    group = TargetGroup.of("g", ({"__address__": "h"},), {"a": "b"})
    list(TargetBuilder(config(relabel_configs=(target_label("a", "c"),))).build(group))
    assert group == TargetGroup.of("g", ({"__address__": "h"},), {"a": "b"})


def test_relabelling_decides_address_scheme_path_interval_and_timeout():
    rules = [
        target_label("__address__", "127.0.0.2:1"),
        target_label("__scheme__", "https"),
        target_label("__metrics_path__", "/x"),
        target_label("__scrape_interval__", "1m"),
        target_label("__scrape_timeout__", "30s"),
    ]
    built = build({"__address__": "h"}, relabel_configs=tuple(rules))
    assert built.url == "https://127.0.0.2:1/x"
    assert (built.interval, built.timeout) == (Duration(60), Duration(30))
    assert ("instance", "127.0.0.2:1") in built.labels


@pytest.mark.parametrize(
    ("labels", "instance"), [({}, "h:1"), ({"instance": ""}, "h:1"), ({"instance": "own"}, "own")], ids=str
)
def test_the_instance_is_the_address_unless_there_is_one(labels, instance):
    assert ("instance", instance) in build({"__address__": "h:1", **labels}).labels


def test_dropped_targets_are_none_and_do_not_shift_the_others():
    drop = RelabelConfig(source_labels=("__address__",), regex=Regex.parse("b"), action=Action.DROP)
    group = TargetGroup.of("g", ({"__address__": "a"}, {"__address__": "b"}, {"__address__": "c"}))
    built = list(TargetBuilder(config(relabel_configs=(drop,))).build(group))
    assert [one and one.url for one in built] == ["http://a/metrics", None, "http://c/metrics"]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"__address__": ""}, "no address"),
        ({}, "no address"),
        ({"__address__": "h:1/x"}, '"h:1/x" is not a valid hostname'),
        ({"__scrape_interval__": "soon"}, 'error parsing scrape interval: not a valid duration string: "soon"'),
        ({"__scrape_interval__": "0s"}, "scrape interval cannot be 0"),
        ({"__scrape_timeout__": "0"}, "scrape timeout cannot be 0"),
        ({"__scrape_timeout__": "x"}, 'error parsing scrape timeout: not a valid duration string: "x"'),
        (
            {"__scrape_timeout__": "11s"},
            'scrape timeout cannot be greater than scrape interval ("11s" > "10s")',
        ),
    ],
    ids=str,
)
def test_what_cannot_be_scraped_is_refused_with_the_reason(labels, reason):
    address = {} if labels == {} else {"__address__": "h"}
    assert build({**address, **labels}) == Refused(reason)


@pytest.mark.parametrize(
    ("path", "params", "labels", "url"),
    [
        ("/metrics", {}, {}, "http://h/metrics"),
        ("metrics", {}, {}, "http://h/metrics"),
        ("/a b%/ü?x", {}, {}, "http://h/a%20b%25/%C3%BC%3Fx"),
        ("/", {"b": ("2", "3"), "a": ("1",)}, {}, "http://h/?a=1&b=2&b=3"),
        ("/", {"a": ("x y", "&=ü")}, {}, "http://h/?a=x+y&a=%26%3D%C3%BC"),
        ("/", {"a": ("1", "2")}, {"__param_a": "9"}, "http://h/?a=9&a=2"),
        ("/", {}, {"__param_a": "9"}, "http://h/?a=9"),
        ("/", {"a": ()}, {}, "http://h/"),
    ],
)
def test_path_and_parameters_make_the_url(path, params, labels, url):
    built = build({"__address__": "h", **labels}, metrics_path=path, params=FrozenDict(params))
    assert built.url == url


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("127.0.0.1:80@127.0.0.2:1", "127.0.0.1:80%40127.0.0.2:1"),  # no user name: credentials stay with the target
        ("127.0.0.2:1#", "127.0.0.2:1%23"),
        ("127.0.0.2:1?x=", "127.0.0.2:1%3Fx="),
        ("[::1]:9090", "[::1]:9090"),
        ("pod_1.svc-a:80", "pod_1.svc-a:80"),
        ("h\n:1 é", "h%0A:1%20%C3%A9"),
    ],
)
def test_an_address_is_nothing_but_the_host_of_the_url(address, host):
    assert build({"__address__": address}).url == f"http://{host}/metrics"


def test_without_a_scheme_the_url_starts_at_the_host():
    rule = RelabelConfig(target_label="__scheme__", replacement="")
    assert build({"__address__": "h"}, relabel_configs=(rule,)).url == "//h/metrics"


def test_the_first_value_of_a_parameter_can_be_relabelled():
    rule = RelabelConfig(source_labels=("__param_target",), target_label="instance")
    params = FrozenDict({"target": ("example", "second")})
    built = build({"__address__": "h"}, params=params, relabel_configs=(rule,))
    assert ("instance", "example") in built.labels
    assert built.url == "http://h/metrics?target=example&target=second"


def test_equal_targets_have_equal_digests_and_others_do_not():
    one, same = build({"__address__": "h", "__meta_x": "1"}), build({"__address__": "h", "__meta_x": "2"})
    others = [
        build({"__address__": "h", "a": "1"}),
        build({"__address__": "i"}),
        build({"__address__": "h"}, params=FrozenDict({"a": ("1", "2")})),
        build({"__address__": "h"}, params=FrozenDict({"a": ("1", "3")})),
    ]
    assert one == same
    assert one.digest == same.digest
    assert len({target.digest for target in (one, *others)}) == 5


def test_a_digest_is_the_same_in_every_process():
    assert build({"__address__": "h"}).digest == 2480446698874782571


def test_targets_that_did_not_change_are_not_built_again():
    builder = TargetBuilder(config(relabel_configs=(target_label("a", "c"),)))
    x, y, z = (LabelRow.of({"__address__": address}) for address in "xyz")
    pod, other = LabelRow.of({"pod": "1"}), LabelRow.of({"pod": "2"})
    labels = LabelRow.of({"l": "1"})
    before = TargetGroup("g", (x, y), labels, (pod, pod))
    built = tuple(builder.build(before))

    def kept(now):
        return [one is old for one, old in zip(builder.build(now, before, built), built, strict=False)]

    equal = LabelRow.of({"pod": "1"})
    assert kept(TargetGroup("g", (x, y), labels, (equal, equal))) == [True, True]
    assert kept(TargetGroup("g", (x, y), labels, (pod, other))) == [True, False]
    assert kept(TargetGroup("g", (z, y, x), labels, (pod, pod, pod))) == [False, True]
    assert kept(TargetGroup("g", (x, y), LabelRow.of({"l": "2"}), (pod, pod))) == [False, False]
    assert kept(TargetGroup("g", (x, y), labels)) == [False, False]
