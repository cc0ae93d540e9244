"""Files as people write them, and mistakes as people make them."""

from __future__ import annotations

import pytest

from golden.config_corpus import BAD, ENVIRONMENT, GOOD, expected_problems, found_problems
from promscout.config import load_config
from promscout.errors import ConfigError


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_a_bad_configuration_is_refused_with_all_its_problems_and_their_places(file):
    with pytest.raises(ConfigError) as caught:
        load_config(file, ENVIRONMENT)
    assert found_problems(caught.value, file) == expected_problems(file)
    assert "hunter2" not in str(caught.value) + repr(caught.value.problems)


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_a_good_configuration_loads_and_shows_no_secret(file):
    config = load_config(file, ENVIRONMENT)
    assert "hunter2" not in repr(config) + str(config) + config.text
