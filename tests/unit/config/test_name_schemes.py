"""Which names a job may use, and how it asks for them: global, own, inherited."""

import pytest

from promscout.config import parse_config
from promscout.errors import ConfigError
from promscout.exposition.negotiation import NameEscaping
from promscout.model.names import NameValidation

UTF8, LEGACY = NameValidation
ALLOW, UNDERSCORES, DOTS, VALUES = NameEscaping


def text(own, defaults):
    def options(names, escaping):
        yield from [f"metric_name_validation_scheme: {names}"] * (names is not None)
        yield from [f"metric_name_escaping_scheme: {escaping}"] * (escaping is not None)

    job = ", ".join(("job_name: a", *options(*own)))
    return f"global: {{{', '.join(options(*defaults))}}}\nscrape_configs: [{{{job}}}]\n"


@pytest.mark.parametrize(
    ("defaults", "own", "expected"),
    [
        ((None, None), (None, None), (UTF8, ALLOW)),
        ((UTF8, None), (None, None), (UTF8, ALLOW)),
        ((LEGACY, None), (None, None), (LEGACY, UNDERSCORES)),
        ((LEGACY, DOTS), (None, None), (LEGACY, DOTS)),
        ((LEGACY, DOTS), (None, VALUES), (LEGACY, VALUES)),
        ((None, DOTS), (None, None), (UTF8, DOTS)),
        ((None, DOTS), (None, ALLOW), (UTF8, ALLOW)),
        ((None, None), (LEGACY, None), (LEGACY, UNDERSCORES)),
        ((None, DOTS), (LEGACY, None), (LEGACY, UNDERSCORES)),
        ((None, None), (LEGACY, VALUES), (LEGACY, VALUES)),
        ((LEGACY, None), (UTF8, None), (UTF8, ALLOW)),
        ((LEGACY, DOTS), (UTF8, None), (UTF8, ALLOW)),
        ((LEGACY, None), (UTF8, ALLOW), (UTF8, ALLOW)),
        (("''", "''"), ("''", "''"), (UTF8, ALLOW)),
        (("~", "~"), ("~", "~"), (UTF8, ALLOW)),
    ],
)
def test_a_job_has_its_own_schemes_or_those_that_follow_from_global(defaults, own, expected):
    (job,) = parse_config(text(own, defaults)).jobs
    assert (job.scrape.metric_name_validation_scheme, job.scrape.metric_name_escaping_scheme) == expected


@pytest.mark.parametrize(
    ("defaults", "own"),
    [
        ((None, None), (LEGACY, ALLOW)),
        ((LEGACY, None), (None, ALLOW)),
        ((LEGACY, ALLOW), (None, None)),
    ],
)
def test_names_beyond_legacy_cannot_be_asked_for_where_they_are_not_valid(defaults, own):
    with pytest.raises(ConfigError, match="utf8 metric names requested but validation scheme is not set to UTF8"):
        parse_config(text(own, defaults))


@pytest.mark.parametrize("option", ["metric_name_validation_scheme: UTF8", "metric_name_escaping_scheme: allow-utf8"])
@pytest.mark.parametrize("section", ["global: {%s}", "scrape_configs: [{job_name: a, %s}]"])
def test_an_unknown_scheme_is_refused_with_those_that_there_are(section, option):
    with pytest.raises(ConfigError, match=r"unknown value .* expected one of: (utf8, legacy|allow-utf-8, underscores)"):
        parse_config(section % option)


def test_rules_of_a_job_have_the_jobs_scheme_and_those_of_remote_write_the_global_one():
    config = parse_config(
        "global: {metric_name_validation_scheme: legacy}\n"
        "scrape_configs:\n"
        "- {job_name: a, relabel_configs: [{target_label: b}], metric_relabel_configs: [{target_label: b}]}\n"
        "- {job_name: c, metric_name_validation_scheme: utf8, relabel_configs: [{target_label: d.e}]}\n"
        "remote_write: [{url: 'http://127.0.0.1/', write_relabel_configs: [{target_label: b}]}]\n"
    )
    a, c = (job.scrape for job in config.jobs)
    schemes = [rules[0].name_validation for rules in (a.relabel_configs, a.metric_relabel_configs, c.relabel_configs)]
    assert schemes == [LEGACY, LEGACY, UTF8]
    assert config.remote_write[0].write_relabel_configs[0].name_validation is LEGACY


def test_the_scheme_of_a_rule_is_no_option_of_the_file():
    with pytest.raises(ConfigError, match=r"relabel_configs\[0\]\.name_validation: unknown key"):
        parse_config("scrape_configs: [{job_name: a, relabel_configs: [{target_label: b, name_validation: legacy}]}]")


def test_neither_scheme_is_said_to_have_no_effect():
    assert parse_config(text((LEGACY, DOTS), (None, None))).warnings == ()
