"""fmt moves blanks and line ends, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from promscout.config.layout import format_yaml
from promscout.errors import ConfigError

CORPUS = Path(__file__).parents[2] / "golden" / "config"
FILES = tuple(path.read_text() for path in sorted(CORPUS.rglob("*.y*ml")))


def formatted(text: str) -> str:
    made = format_yaml(text, "f")
    assert format_yaml(made, "f") == made
    return made


MESSY = """\


# of the file
global:
    scrape_interval:   15s   # of the interval


    external_labels : {a: b,
        c: d}

scrape_configs:
# of the first job
- job_name: "a"
  tls_config:
     ca: |
         text
          more

  # of the rules
  relabel_configs:
  -   source_labels: [a,
                      b]
      regex: "q
         r"
  # - action: drop
  #   regex: x
-   &x
    job_name: b
# of nothing
    params: &p
       a: [1]
#- job_name: gone
-
  job_name: c
  params: *p
  keep: |+
    a

  deep: >2-
      indented
    x
  # of the list's end
# of the file's end


"""

NEAT = """\
# of the file
global:
  scrape_interval: 15s  # of the interval

  external_labels: {a: b,
      c: d}

scrape_configs:
  # of the first job
  - job_name: "a"
    tls_config:
      ca: |
          text
           more

    # of the rules
    relabel_configs:
      - source_labels: [a,
                        b]
        regex: "q
           r"
      # - action: drop
      #   regex: x
  - &x
    job_name: b
    # of nothing
    params: &p
      a: [1]
  #- job_name: gone
  -
    job_name: c
    params: *p
    keep: |+
      a

    deep: >2-
        indented
      x
    # of the list's end
# of the file's end
"""


def test_a_messy_file_becomes_a_neat_one():
    assert formatted(MESSY) == NEAT


def test_a_neat_file_stays_as_it_is():
    assert format_yaml(NEAT, "f") == NEAT


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("", ""),
        ("\n\n", ""),
        ("# only a comment", "# only a comment\n"),
        ("  # only a comment\n\n\n# and another\n", "# only a comment\n\n# and another\n"),
        ("a: b", "a: b\n"),
        ("\ufeffa: b\r\nc:\r\n- d\r\n", "a: b\nc:\n  - d\n"),
        ("---\n\n\na: b\n...\n", "---\n\na: b\n...\n"),
        ("%YAML 1.1\n---\na:   b\n", "%YAML 1.1\n---\na: b\n"),
        ("a:\n- - b\n  - c\n", "a:\n  - - b\n    - c\n"),
        ("a:\n    - b: 1\n      c: 2\n", "a:\n  - b: 1\n    c: 2\n"),
        ("a:\n\n\n\n- b\n", "a:\n\n  - b\n"),
        ("a: !!str   b\nc:   &d   e\n*d : f\n", "a: !!str b\nc: &d e\n*d : f\n"),
        ("a:\n      b\n      c\n", "a:\n  b\n  c\n"),
        ("a:\n  - b   # c\n  -    d # e\n", "a:\n  - b  # c\n  - d  # e\n"),
        ("a: [\n  b,  # c\n\n  d\n]\n", "a: [\n  b,  # c\n\n  d\n]\n"),
        ("a: |\n  b  \n\n\nc: d\n", "a: |\n  b  \n\nc: d\n"),
        ("a:\n- |\n x\n   y\n", "a:\n  - |\n   x\n     y\n"),
        ("<<:   {a: b}\n", "<<: {a: b}\n"),
        ('"a" :   1\n', '"a": 1\n'),
        ("a: 'b\n\n\n  c'\n", "a: 'b\n\n\n  c'\n"),
        ("🙂:   a\nä:\n- ö # ü\n", "🙂: a\nä:\n  - ö  # ü\n"),
    ],
)
def test_every_form_has_one_layout(text, made):
    assert formatted(text) == made


def test_what_is_not_yaml_is_refused_with_its_place():
    with pytest.raises(ConfigError, match="f:1:5: not valid YAML: mapping values are not allowed in this context"):
        format_yaml("a: b: c", "f")
    with pytest.raises(ConfigError, match=r"f:1:1: explicit keys \(\?\) are not formatted"):
        format_yaml("? a\n: b\n", "f")


@pytest.mark.parametrize("text", FILES)
def test_every_file_of_the_corpus_keeps_its_meaning_and_its_characters(text):
    try:
        made = formatted(text)
    except ConfigError:
        return
    assert "".join(made.split()) == "".join(text.split())


def keys() -> st.SearchStrategy[str]:
    return st.sampled_from(["a", "b1", '"c d"', "'e'", "f-g"])


def blocks(children):
    """Lines of a mapping or list, with random indentation, blanks and comments between them."""
    blank = st.sampled_from(["", "\n", "\n\n\n", "# c\n", "   # - c\n", "\n  # c\n\n"])

    def mapping(draw):
        width = draw(st.integers(1, 5))
        lines = ""
        for key in draw(st.lists(keys(), min_size=1, max_size=3, unique=True)):
            child = draw(children)
            lines += draw(blank) + key + draw(st.sampled_from([":", " :"]))
            is_list, is_block = child.lstrip("\n# c-").startswith("-"), "\n" in child
            by = 0 if is_list and draw(st.booleans()) else width
            lines += "\n" + indented(child, by) if is_block else draw(st.sampled_from([" ", "   "])) + child + "\n"
        return lines

    def items(draw):
        lines = ""
        for child in draw(st.lists(children, min_size=1, max_size=3)):
            gap = draw(st.integers(1, 3))
            lines += draw(blank) + "-" + (indented(child, gap + 1)[1:] if "\n" in child else " " * gap + child + "\n")
        return lines

    return st.composite(mapping)() | st.composite(items)()


def indented(text: str, by: int) -> str:
    return "".join(" " * by + line if line.strip() else line for line in text.splitlines(keepends=True))


LEAVES = st.sampled_from(["x", "'y'", '"z"', "[1, 2]", "{k: v}", "x # c", "[1,\n    2]"])


@settings(max_examples=300, deadline=None)
@given(st.recursive(LEAVES, blocks, max_leaves=12))
def test_any_layout_of_blocks_is_made_neat_without_a_change_of_meaning(text):
    try:
        before = yaml.safe_load(text)
    except yaml.YAMLError:
        return
    made = formatted(text)
    assert yaml.safe_load(made) == before
    assert "\n\n\n" not in made
    assert "  :" not in made


def test_a_large_file_is_laid_out_in_time_that_follows_its_size():
    text = "scrape_configs:\n" + "- job_name: a\n  static_configs:\n  - targets: [a, b]\n" * 20_000
    assert format_yaml(text, "f").count("\n  - job_name: a\n    static_configs:\n      - targets: [a, b]") == 20_000
