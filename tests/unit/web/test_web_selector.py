"""Series selectors: which are valid, and which labels they select."""

from __future__ import annotations

import pytest

from promscout.errors import InvalidValueError
from promscout.web.selector import Selector

NODE = (("instance", "127.0.0.1:9100"), ("job", "node"), ("my.label", "ü"))


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ('{job="node"}', True),
        ("{job='node'}", True),
        ("{job=`node`}", True),
        (' { job = "node" , instance=~".*:9100" , } # all', True),
        ("{}", True),
        ('{job!="node"}', False),
        ('{job=~"no"}', False),  # regexes match whole values
        ('{job=~"no.*"}', True),
        ('{job!~"x.*|y"}', True),
        ('{gone=""}', True),
        ('{gone!=""}', False),
        ('{gone=~".*"}', True),
        ('{"my.label"="ü"}', True),
        ('{"my.label"="\\u00fc"}', True),
        ('{"my.label"="\\303"}', False),
        ('up{__name__=""}', False),
        ("up", False),  # a target has no metric name
        ('{"up"}', False),
        ('up{job="node"}', False),
        ('{__name__="",job="node"}', True),
        ('{job="n\\x6fde"}', True),
        ('{job="\\156ode"}', True),
        ('{job="node\\n"}', False),
    ],
)
def test_a_selector_selects_what_meets_all_conditions(text: str, selected: bool) -> None:
    assert Selector.parse(text).accepts(NODE) is selected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: parse error: unexpected end of input, expected a metric selector"),
        ("{", "1:2: parse error: unexpected end of input, expected a label name"),
        ("{job}", '1:5: parse error: unexpected "}", expected a label matching operator'),
        ("{job=}", '1:6: parse error: unexpected "}", expected a string'),
        ("{job=node}", '1:6: parse error: unexpected "n", expected a string'),
        ('{job="a" x="b"}', '1:10: parse error: unexpected "x", expected "," or "}"'),
        ('{job="a"', '1:9: parse error: unexpected end of input, expected "," or "}"'),
        ("{,}", '1:2: parse error: unexpected ",", expected a label name'),
        ("{job='a\n'}", '1:6: parse error: unexpected "\'", expected a string'),
        ('a\n{b="c"} + 1', '2:9: parse error: unexpected "+", expected the end'),
        ('{job="\\q"}', "1:10: parse error: invalid escape sequence in a string"),
        ('{job="\\ud800"}', "1:14: parse error: invalid escape sequence in a string"),
        ('{9="a"}', '1:2: parse error: unexpected "9", expected a label name'),
    ],
)
def test_what_is_no_selector_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        Selector.parse(text)
    assert str(caught.value) == message


def test_a_regex_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"^1:10: parse error: "):
        Selector.parse('{job=~"("}')


@pytest.mark.parametrize("pattern", [r"\pL?" * 2000, "(.*a.*b){300}" * 70, r"\pL{500}" * 10, "x" * 990 + "[ab]" * 10])
def test_an_expression_that_takes_long_to_compile_is_refused(pattern: str) -> None:
    # Some of these take seconds where nothing limits them.
    with pytest.raises(InvalidValueError, match=r"^1:\d+: parse error: error parsing regexp: "):
        Selector.parse(f"{{a=~`{pattern}`}}")


def test_a_long_choice_of_names_is_no_such_expression() -> None:
    selector = Selector.parse(f'{{pod=~"{"|".join(f"web-{number}" for number in range(2000))}"}}')
    assert selector.accepts((("pod", "web-1999"),))
    assert not selector.accepts((("pod", "web-2000"),))
