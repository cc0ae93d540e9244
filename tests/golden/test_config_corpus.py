"""Files as people write them, and mistakes as people make them."""

from __future__ import annotations

import pytest

from golden.config_corpus import BAD, ENVIRONMENT, GOOD, expected_problems, found_problems
from promscout.config import load_config, parse_config
from promscout.config.effective import effective
from promscout.config.layout import format_yaml
from promscout.errors import ConfigError

SECRET = "hunter2"  # stands wherever a file of the corpus has a secret


def meaning(config):
    return config.global_config, config.jobs, config.remote_write


def test_there_are_enough_of_them():
    assert len(GOOD) >= 60
    assert len(BAD) >= 120


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_a_bad_configuration_is_refused_with_all_its_problems_and_their_places(file):
    with pytest.raises(ConfigError) as caught:
        load_config(file, ENVIRONMENT)
    assert found_problems(caught.value, file) == expected_problems(file)
    assert SECRET not in str(caught.value) + repr(caught.value.problems)


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_a_good_configuration_loads_and_shows_no_secret(file):
    config = load_config(file, ENVIRONMENT)
    assert SECRET not in repr(config) + str(config) + config.text + effective(config)


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_what_is_shown_of_a_good_configuration_is_the_same_configuration(file):
    config = load_config(file, ENVIRONMENT)
    text = effective(config)
    again = parse_config(text, environment={})
    if SECRET not in file.read_text():
        assert meaning(again) == meaning(config)
    assert effective(again) == text
    as_written = parse_config(config.text, directory=file.parent, environment=ENVIRONMENT)
    assert effective(as_written) == text
    assert as_written.text == config.text


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_a_good_configuration_means_the_same_when_it_is_laid_out_anew(file):
    made = format_yaml(file.read_text(), str(file))
    again = parse_config(made, directory=file.parent, environment=ENVIRONMENT)
    assert meaning(again) == meaning(load_config(file, ENVIRONMENT))
