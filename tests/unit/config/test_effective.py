"""What ``config show --effective`` prints."""

from __future__ import annotations

import yaml

from promscout.config import parse_config
from promscout.config.effective import effective
from promscout.config.layout import format_yaml


def shown(text, **more):
    return yaml.safe_load(effective(parse_config(text, **more)))


def test_defaults_and_what_is_inherited_are_written_out():
    job = shown("global: {scrape_interval: 5s}\nscrape_configs: [{job_name: a}]")["scrape_configs"][0]
    assert (job["scrape_interval"], job["scrape_timeout"], job["metrics_path"]) == ("5s", "5s", "/metrics")
    assert (job["sample_limit"], job["honor_timestamps"], job["follow_redirects"]) == (0, True, True)


def test_an_empty_configuration_is_its_globals():
    assert [*shown("")] == ["global"]
    assert shown("")["global"]["scrape_timeout"] == "10s"


def test_a_job_begins_with_its_name_and_ends_with_its_rules():

    job = shown(
        "scrape_configs: [{relabel_configs: [{target_label: a}], static_configs: [{targets: [b]}], job_name: c}]"
    )["scrape_configs"][0]
    assert next(iter(job)) == "job_name"
    assert [*job][-2:] == ["static_configs", "relabel_configs"]


def test_a_rule_shows_the_fields_that_its_action_uses():
    rules = [
        "{target_label: a}",
        "{action: labeldrop, regex: a}",
        "{action: keepequal, source_labels: [a], target_label: b}",
        "{action: keep, source_labels: [a], regex: b, replacement: c}",
    ]
    job = shown(f"scrape_configs: [{{job_name: a, relabel_configs: [{', '.join(rules)}]}}]")["scrape_configs"][0]
    assert job["relabel_configs"] == [
        {"separator": ";", "regex": "(.*)", "target_label": "a", "replacement": "$1", "action": "replace"},
        {"regex": "a", "action": "labeldrop"},
        {"source_labels": ["a"], "target_label": "b", "action": "keepequal"},
        {"source_labels": ["a"], "separator": ";", "regex": "b", "replacement": "c", "action": "keep"},
    ]


def test_variables_are_replaced_and_stay_what_they_became():
    text = "global: {external_labels: {a: '$A', b: '$$A', c: '${GONE}'}}"
    labels = shown(text, environment={"A": "$x"})["global"]["external_labels"]
    assert labels == {"a": "$$x", "b": "$$A", "c": ""}
    again = parse_config(effective(parse_config(text, environment={"A": "$x"})), environment={"x": "wrong"})
    assert again.global_config.external_labels == {"a": "$x", "b": "$A", "c": ""}


def test_file_names_are_absolute_and_jobs_of_further_files_are_there(tmp_path):
    (tmp_path / "more.yaml").write_text("scrape_configs: [{job_name: b, bearer_token_file: t}]")
    document = shown(
        "scrape_config_files: ['*.yaml']\nscrape_configs: [{job_name: a, tls_config: {ca_file: c}}]", directory=tmp_path
    )
    first, second = document["scrape_configs"]
    assert first["tls_config"]["ca_file"] == f"{tmp_path}/c"
    assert second["authorization"]["credentials_file"] == f"{tmp_path}/t"
    assert "scrape_config_files" not in document


def test_what_it_prints_is_laid_out_as_fmt_does_and_warns_of_nothing_new():
    text = effective(parse_config("scrape_configs: [{job_name: a}]\nremote_write: [{url: 'http://a'}]"))
    assert format_yaml(text, "f") == text
    assert parse_config(text).warnings == ()


def test_a_text_of_several_lines_is_a_block():
    text = effective(parse_config('scrape_configs: [{job_name: a, tls_config: {ca: "-----\\nA\\n"}}]'))
    assert "ca: |\n        -----\n        A\n" in text
