from __future__ import annotations

import pytest

from promscout.config.target_groups import parse_target_groups
from promscout.discovery.target_groups import groups_from_json, numbered_groups
from promscout.errors import ConfigError, InvalidValueError
from promscout.model.group import TargetGroup
from unit.discovery.group_lists import BAD_JSON, BAD_YAML, GOOD_JSON, GOOD_YAML, STRICTER_YAML, group


@pytest.mark.parametrize("text", GOOD_JSON)
def test_json_groups_are_read_as_go_reads_them(text):
    assert groups_from_json(text.encode()) == GOOD_JSON[text]


@pytest.mark.parametrize("text", BAD_JSON, ids=lambda text: text[:40])
def test_json_that_is_no_list_of_groups_is_refused_without_its_values(text):
    with pytest.raises(InvalidValueError, match=BAD_JSON[text]) as caught:
        groups_from_json(text.encode())
    assert "hunter2" not in str(caught.value)


def test_json_that_is_not_utf8_is_refused():
    with pytest.raises(InvalidValueError, match="not valid UTF-8"):
        groups_from_json(b'[{"targets": ["\xff"]}]')


@pytest.mark.parametrize("text", GOOD_YAML)
def test_yaml_groups_are_read_as_go_reads_them(text):
    assert parse_target_groups(text, "f") == GOOD_YAML[text]


@pytest.mark.parametrize("text", BAD_YAML | STRICTER_YAML, ids=lambda text: text[:40])
def test_yaml_that_is_no_list_of_groups_is_refused(text):
    with pytest.raises(ConfigError, match=(BAD_YAML | STRICTER_YAML)[text]) as caught:
        parse_target_groups(text, "f")
    assert len(caught.value.problems) == 1


def test_aliases_that_make_much_out_of_little_are_refused():
    targets = ", ".join(["a"] * 2_000)
    bomb = f"- &t {{targets: &l [{targets}]}}\n" + "- {targets: *l}\n" * 2_000
    with pytest.raises(ConfigError, match="aliases make too much of it"):
        parse_target_groups(bomb, "f")
    laughs = "".join(f"- &l{n} [{', '.join([f'*l{n - 1}'] * 9) if n else 'lol'}]\n" for n in range(30))
    with pytest.raises(ConfigError, match="aliases make too much of it"):
        parse_target_groups(laughs, "f")
    chain = "- labels: &l0 {}\n" + "".join(f"- labels: &l{n} {{<<: *l{n - 1}}}\n" for n in range(1, 2_000))
    with pytest.raises(ConfigError, match="aliases make too much of it"):
        parse_target_groups(chain, "f")


def test_aliases_of_labels_that_all_groups_share_are_fine():
    shared = "- labels: &l {" + ", ".join(f"l{n}: v" for n in range(10)) + "}\n"
    groups = parse_target_groups(shared + "- {targets: [a], labels: *l}\n" * 500, "f")
    assert len(groups) == 501
    assert len(groups[500].labels) == 10


def test_groups_get_their_number_as_source_and_their_origin_as_label():
    first, second = numbered_groups([group("a", "b", x="y"), group(m="other")], "o", "m")
    assert first == TargetGroup.of("o:0", [{"__address__": "a"}, {"__address__": "b"}], {"x": "y", "m": "o"})
    assert second == TargetGroup.of("o:1", [], {"m": "o"})
