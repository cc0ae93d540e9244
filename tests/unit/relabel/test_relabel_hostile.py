"""Expressions, values and label sets made to cost much: four times as much of them is about four times the work."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from promscout.errors import InvalidValueError
from promscout.model.series import SampleBatch, SeriesTable, encode_label_set
from promscout.relabel import Action, Regex, RelabelConfig, Relabeler
from promscout.scrape.sample_labels import SampleLabels
from promscout.write.templates import Templates

ATTEMPTS = 12
LEAST = 0.005  # seconds of CPU: what takes less is lost in the noise of a busy machine, and harms nobody


def cpu_seconds(run):
    """The CPU time of the process for one run."""
    before = time.process_time()
    run()
    return time.process_time() - before


def assert_linear(work, size):
    """``work(n)`` gives a function to run on input of size n, made afresh for each run so that no memo answers.

    Four times the work is linear and sixteen times would be quadratic; nine is far from both. The best of some runs
    counts; there are more where it is not yet good enough.
    """
    one = four = float("inf")
    for attempt in range(ATTEMPTS):
        one, four = min(one, cpu_seconds(work(size))), min(four, cpu_seconds(work(4 * size)))
        if attempt and four < 9 * max(one, LEAST):
            return
    pytest.fail(f"{one:.4f} s for {size}, {four:.4f} s for four times as much")


CATASTROPHIC = [
    "(a+)+$",
    "(a+)+b",
    "(.*)*x",
    "(a|aa)+b",
    "(a*)*c",
    "(a|a)*b",
    "(a+a+)+b",
    "([a-z]+)*[0-9]",
    "(.*)(.*)(.*)(.*)(.*)b",
    "(.*a.{20})+",
    "(?s).*a.{500}",
    "(a?){200}a{200}",
    "(.+)+-(.+)+",
    "((a*)*)*b",
]


@pytest.mark.parametrize("text", CATASTROPHIC)
@pytest.mark.parametrize("ending", ["", "!", "b"], ids=["bare", "refused", "perhaps"])
def test_a_catastrophic_expression_takes_linear_time(text, ending):
    def work(size):
        match, value = Regex.parse(text).match, "a" * size + ending
        return lambda: match(value)

    assert_linear(work, 20_000)


@pytest.mark.parametrize("text", ["(.*)", "a(.*)z", "(a+)(.*)", "[^;]*;(.*)", "(?i)(.*)Z", "(.*)é"])
def test_a_value_of_a_megabyte_takes_linear_time(text):
    rule = RelabelConfig(source_labels=("a", "b"), regex=Regex.parse(text), target_label="c", replacement="${1}-$1")

    def work(size):
        relabeler = Relabeler([RelabelConfig(**{f: getattr(rule, f) for f in ("source_labels", "target_label")}), rule])
        labels = {"a": "a" * size, "b": "é" * (size // 4) + "z"}
        return lambda: relabeler.apply(labels)

    assert_linear(work, 250_000)


@pytest.mark.parametrize("action", [Action.LOWERCASE, Action.UPPERCASE, Action.HASHMOD])
def test_converting_a_long_value_takes_linear_time(action):
    modulus = 7 * (action is Action.HASHMOD)
    relabeler = Relabeler([RelabelConfig(action=action, source_labels=("a",), target_label="b", modulus=modulus)])

    def work(size):
        labels = {"a": "aÉß" * (size // 4)}
        return lambda: relabeler.apply(labels)

    assert_linear(work, 100_000)


@pytest.mark.parametrize("form", ["name-{}", "(?:name-{})", "name-{}.*", "[a-z]+-{}"], ids=str)
def test_ten_thousand_alternatives_match_in_linear_time(form):
    def work(size):
        regex = Regex.parse("|".join(form.format(number) for number in range(size)))
        values = ["name-0", f"name-{size - 1}", "name-", "name-x" * 100]

        def run():
            assert [regex.match(value) is not None for value in values] == [True, True, False, False]

        return run

    assert_linear(work, 2_500)


def test_ten_thousand_literal_alternatives_compile_in_linear_time():
    def work(size):
        text = "|".join(f"namespace-{number}" for number in range(size))
        return lambda: Regex.parse(text)

    assert_linear(work, 5_000)


@pytest.mark.parametrize("form", [("(", ")"), ("(?:", ")"), ("(", ")+"), ("(?:a|", ")*"), ("(?i:", ")")], ids=str)
def test_deeply_nested_groups_compile_and_match_in_linear_time(form):
    def work(size):
        regex = Regex.parse(form[0] * size + "a" + form[1] * size)

        def run():
            assert regex.match("a") is not None
            assert regex.match("b" * 100) is None

        return run

    assert_linear(work, 200)


@pytest.mark.parametrize(
    "text", ["(" * 100_000, "a" + ")" * 100_000, "[" * 100_000, "a" + "*" * 100_000, "(?" * 10_000]
)
def test_a_long_text_that_is_no_expression_is_refused_in_linear_time(text):
    def refuse(size):
        def run():
            with pytest.raises(InvalidValueError, match="error parsing regexp"):
                Regex.parse(text[:size])

        return run

    assert_linear(refuse, len(text) // 4)


# As Go has it: at most 1000 copies of anything, also by repetitions of repetitions.
TOO_OFTEN = ["a{1001}", "a{1,1001}", "a{1001,}", "(a{100}){11}", "((a{10}){10}){11}", "(a{0,501}){2}", "a{2,1}"]
OFTEN = ["a{1000}", "a{0,1000}", "(a{100}){10}", "((a{10}){10}){10}", "(a{500}b{500}){2}", "(?:a{1000}){1}"]


@pytest.mark.parametrize("text", TOO_OFTEN)
def test_a_repetition_that_go_refuses_is_refused(text):
    with pytest.raises(InvalidValueError, match="error parsing regexp: invalid repetition size: `"):
        Regex.parse(text)


@pytest.mark.parametrize("text", OFTEN)
def test_a_repetition_that_go_accepts_takes_linear_time(text):
    def work(size):
        match, value = Regex.parse(text).match, "a" * size
        return lambda: match(value)

    assert_linear(work, 50_000)


def test_a_replacement_of_very_many_references_takes_linear_time():
    def work(size):
        rule = RelabelConfig(source_labels=("a",), target_label="b", replacement="$$x$1${1}-" * size)

        def run():
            labels = {"a": "é"}
            assert Relabeler([rule]).apply(labels)
            assert len(labels["b"]) == 5 * size

        return run

    assert_linear(work, 20_000)


RULES = {
    "labelmap": RelabelConfig(action=Action.LABELMAP, regex=Regex.parse("l_(.*)")),
    "labelmap by RE2": RelabelConfig(action=Action.LABELMAP, regex=Regex.parse("l_([0-9]+)"), replacement="m_$1"),
    "labelmap to one": RelabelConfig(action=Action.LABELMAP, regex=Regex.parse("l_.*"), replacement="one"),
    "labeldrop": RelabelConfig(action=Action.LABELDROP, regex=Regex.parse("l_.*[02468]")),
    "labelkeep": RelabelConfig(action=Action.LABELKEEP, regex=Regex.parse("l_.*[02468]")),
    "replace": RelabelConfig(source_labels=("l_1", "l_2"), target_label="x"),
    "joined": RelabelConfig(
        source_labels=tuple(f"l_{number}" for number in range(20_000)), target_label="x"
    ),  # of which most are absent
}


@pytest.mark.parametrize("name", RULES)
def test_ten_thousand_labels_of_one_target_take_linear_time(name):
    def work(size):
        relabeler = Relabeler([RULES[name]])
        labels = {f"l_{number}": str(number) for number in range(size)}
        return lambda: relabeler.apply(labels)

    assert_linear(work, 5_000)


def test_ten_thousand_rules_take_linear_time():
    def work(size):
        relabeler = Relabeler([RelabelConfig(source_labels=(f"a{i}",), target_label=f"a{i + 1}") for i in range(size)])

        def run():
            labels = {"a0": "x"}
            assert relabeler.apply(labels)
            assert labels[f"a{size}"] == "x"

        return run

    assert_linear(work, 5_000)


@pytest.mark.parametrize("honor_labels", [False, True])
def test_ten_thousand_labels_of_one_metric_take_linear_time(honor_labels):
    target = tuple((f"l_{number:05}", "t") for number in range(0, 40_000, 2))

    def work(size):
        labels = SampleLabels(target[:size], Relabeler([RULES["labeldrop"]]), honor_labels=honor_labels)
        exposed = [("__name__", "m"), *((f"l_{number:05}", "e") for number in range(size))]
        return lambda: encode_label_set(labels.finish(exposed))

    assert_linear(work, 5_000)


def test_ten_thousand_labels_of_one_series_are_prepared_for_sending_in_linear_time():
    def work(size):
        table = SeriesTable.from_label_sets(1, [tuple((f"l_{number:05}", "v") for number in range(size))])
        templates = Templates({"l_x": "external"}, (RULES["labelmap by RE2"], RULES["labelkeep"]))
        return lambda: templates.portion(SampleBatch(table, [0.0], 0))

    assert_linear(work, 5_000)


def test_values_too_long_to_remember_are_not_kept():
    match = Regex.parse("([^:]+):([0-9]+)").match
    tracemalloc.start()
    for number in range(200):
        assert match(f"{number}{'a' * 50_000}:1") is not None
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_000_000


@pytest.mark.parametrize("form", [("(", ")"), ("(?:", ")"), ("(", ")+"), ("(?:a|", ")*"), ("(?:a", ")?")], ids=str)
def test_nesting_that_go_refuses_is_refused_at_once(form):
    with pytest.raises(InvalidValueError, match="error parsing regexp: expression nests too deeply"):
        Regex.parse(form[0] * 100_000 + "a" + form[1] * 100_000)


@pytest.mark.parametrize(
    "text", ["(a)" * 2000, r"\(" * 2000, "[(]" * 2000, r"\Q" + "(" * 2000 + r"\E", "[[:alpha:](]" * 2000]
)
def test_many_parentheses_that_do_not_nest_are_accepted(text):
    assert Regex.parse(text).text == text
