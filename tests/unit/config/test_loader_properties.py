from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promscout.config import Config, parse_config
from promscout.errors import ConfigError

CORPUS = Path(__file__).parents[2] / "golden" / "config"
GOOD = tuple(path.read_text() for path in sorted((CORPUS / "good").glob("*.yml")))
PIECES = (
    "*",
    "&a ",
    "<<: ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ": ",
    "\n",
    "  ",
    "!!binary ",
    "!!null",
    "~",
    "'",
    '"',
    ">\n",
    "0",
    "é",
)


def outcome(text: str | bytes) -> Config | ConfigError:
    try:
        return parse_config(text, "f", environment={})
    except ConfigError as error:
        return error


def assert_usable(result: Config | ConfigError) -> None:
    if isinstance(result, Config):
        assert parse_config(result.text).global_config is not None
        return
    assert result.problems
    assert list(result.problems) == sorted(result.problems, key=lambda problem: (problem.line, problem.column))
    assert all(problem.message and "\n" not in str(problem) for problem in result.problems)


@given(st.binary(max_size=200))
def test_any_bytes_load_or_are_refused(data):
    assert_usable(outcome(data))


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"\n #<~0"), max_size=80))
def test_any_yaml_like_text_loads_or_is_refused(text):
    assert_usable(outcome(text))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(GOOD), st.data())
def test_any_damaged_configuration_loads_or_is_refused(text, data):
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        until = data.draw(st.integers(at, min(len(text), at + 30)))
        kept = text[at:until] if data.draw(st.booleans()) else ""
        text = text[:at] + data.draw(st.sampled_from(PIECES)) + kept + text[until:]
    assert_usable(outcome(text))


@pytest.mark.parametrize(
    "option",
    [
        "basic_auth: {password: %s}",
        "bearer_token: %s",
        "authorization: {credentials: %s}",
        "oauth2: {client_id: a, token_url: 'http://t', client_secret: %s}",
        "tls_config: {cert: c, key: %s}",
        "proxy_url: %s",
        "proxy_url: http://u:%s@p",
        "http_headers: {X-A: {secrets: [%s]}}",
        "proxy_connect_header: {X-A: [%s]}",
    ],
)
@pytest.mark.parametrize(
    "written",
    [
        *("hunter2", "'hunter2'", '"hunter2"', "[hunter2]", "*hunter2", "&hunter2 x", "&x hunter2", "!hunter2 x"),
        *("{hunter2: x}", "@hunter2", "`hunter2", "%hunter2", "hunter2: x", "!!binary aHVudGVyMg==", "|\n   hunter2"),
        *("!!int hunter2", "'hunter2", "{hunter2", "<<: hunter2", "hunter2 hunter2", "hunter2\x01"),
    ],
)
def test_a_secret_is_never_shown_however_it_is_written(option, written):
    never_shown(outcome(f"scrape_configs:\n- job_name: a\n  {option.replace('%s', written)}\n"))


@pytest.mark.parametrize("option", ["headers: {X-A: %s}", "url: http://u:%s@p", "basic_auth: {password: %s}"])
@pytest.mark.parametrize("written", ["hunter2", "[hunter2]", "*hunter2", "{hunter2: x}", "hunter2: x", "'hunter2"])
def test_a_secret_of_a_receiver_is_never_shown_however_it_is_written(option, written):
    never_shown(outcome(f"remote_write:\n- name: a\n  {option.replace('%s', written)}\n"))


def never_shown(result: Config | ConfigError) -> None:
    shown = str(result) + repr(result) + (result.text if isinstance(result, Config) else repr(result.problems))
    assert "hunter2" not in shown
