"""What ``config downstream`` prints."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import yaml

from golden.config_corpus import ENVIRONMENT, GOOD
from promscout.config import parse_config, read_source
from promscout.discovery.file.config import FileSDConfig
from promscout.discovery.http.config import HTTPSDConfig
from promscout.downstream.scrape_configs import FileSource, HTTPSource, InlineSecretsError, read_client, scrape_configs
from promscout.downstream.shards import Shard
from promscout.errors import ConfigError, InvalidValueError
from promscout.model.duration import Duration

HTTP = HTTPSource("http://127.0.0.1:9090")
WHOLE = Shard()


def printed(text, source=HTTP, shard=WHOLE, **options):
    return yaml.safe_load(scrape_configs(parse_config(text), source, shard, **options))


def rules_of(*rules, **options):
    job = {"job_name": "a", "relabel_configs": list(rules), **options}
    (shown,) = printed(yaml.safe_dump({"scrape_configs": [job]}))["scrape_configs"]
    return [rule["target_label"] for rule in shown.get("relabel_configs", ())]


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_what_is_printed_scrapes_as_the_configuration_does(file):
    def parse(text):
        return parse_config(text, str(file), file.parent, environment=ENVIRONMENT)

    original = parse(read_source(str(file)))
    again = parse(scrape_configs(original, HTTP, Shard(1, 3), show_secrets=True))
    assert again.global_config == original.global_config
    assert [job.name for job in again.jobs] == [job.name for job in original.jobs]
    for ours, theirs in zip(original.jobs, again.jobs, strict=True):
        rules = theirs.scrape.relabel_configs
        assert msgspec.structs.replace(ours.scrape, relabel_configs=rules) == theirs.scrape
        assert all(rule.source_labels[0].startswith("__meta_promscout_without_") for rule in rules)
        (source,) = theirs.discovery
        assert isinstance(source, HTTPSDConfig)
        assert str(source.url).startswith("http://127.0.0.1:9090/sd/http/")
        assert str(source.url).endswith("?shard=1&of=3")


def test_an_option_that_says_what_is_so_anyway_is_left_out():
    text = "global: {scrape_interval: 1m}\nscrape_configs: [{job_name: a, metrics_path: /metrics, sample_limit: 5}]"
    assert printed(text) == {
        "scrape_configs": [
            {
                "job_name": "a",
                "sample_limit": 5,
                "http_sd_configs": [{"url": "http://127.0.0.1:9090/sd/http/a", "refresh_interval": "15s"}],
            }
        ]
    }


def test_options_for_asking_promscout_are_printed_and_their_secrets_when_asked_for(tmp_path):
    file = tmp_path / "client.yml"
    file.write_text("basic_auth: {username: u, password_file: p}\ntls_config: {ca_file: /ca}\n")
    source = HTTPSource("https://127.0.0.1:9090", client=read_client(file))
    (job,) = printed("scrape_configs: [{job_name: a}]", source)["scrape_configs"]
    assert job["http_sd_configs"] == [
        {
            "url": "https://127.0.0.1:9090/sd/http/a",
            "refresh_interval": "15s",
            "basic_auth": {"username": "u", "password_file": f"{tmp_path}/p"},
            "tls_config": {"ca_file": "/ca"},
        }
    ]
    file.write_text("authorization: {credentials: s3cret}")
    source = HTTPSource("https://127.0.0.1:9090", client=read_client(file))
    with pytest.raises(InlineSecretsError) as refused:
        printed("scrape_configs: [{job_name: a}]", source)
    assert refused.value.places == ("asking promscout: authorization.credentials",)
    assert "s3cret" in str(printed("scrape_configs: [{job_name: a}]", source, show_secrets=True))


@pytest.mark.parametrize("text", ["basic_auth: {pasword: a}", "[]", "url: http://a", "a: b: c"])
def test_a_file_with_other_options_is_refused(text, tmp_path):
    file = tmp_path / "client.yml"
    file.write_text(text)
    with pytest.raises(ConfigError):
        read_client(file)


def test_files_are_named_in_the_same_way_as_they_are_written():
    source = FileSource(Path("/sd"))
    for shard, name in ((WHOLE, "a%2Fb.json"), (Shard(1, 2), "a%2Fb.1.json")):
        (job,) = printed("scrape_configs: [{job_name: a/b}]", source, shard)["scrape_configs"]
        assert job["file_sd_configs"] == [{"files": [f"/sd/{name}"]}]
    (job,) = printed("scrape_configs: [{job_name: a}]", FileSource(Path("/sd"), Duration(60)))["scrape_configs"]
    assert job["file_sd_configs"] == [{"files": ["/sd/a.json"], "refresh_interval": "1m"}]
    assert parse_config(yaml.safe_dump({"scrape_configs": [job]})).jobs[0].discovery == (
        FileSDConfig(files=("/sd/a.json",), refresh_interval=Duration(60)),
    )


@pytest.mark.parametrize("directory", ["/a*", "/a[b]", "/a?", "/a\\b"])
def test_a_directory_that_prometheus_would_take_for_a_pattern_is_refused(directory):
    with pytest.raises(InvalidValueError):
        FileSource(Path(directory))


@pytest.mark.parametrize("url", ["", "promscout:9090", "ftp://a", "http://u:p@a", "http://a?b", "http://a/#b"])
def test_a_url_that_cannot_be_the_beginning_of_others_is_refused(url):
    with pytest.raises(InvalidValueError):
        HTTPSource(url)


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ("basic_auth: {password: s3cret}", "basic_auth.password"),
        ("bearer_token: s3cret", "authorization.credentials"),
        ("oauth2: {client_id: a, client_secret: s3cret, token_url: 'http://a'}", "oauth2.client_secret"),
        ("http_headers: {X-A: {secrets: [s3cret]}}", "http_headers.X-A.secrets"),
        ("proxy_url: 'http://u:s3cret@127.0.0.1'", "proxy_url"),
        ("tls_config: {key: s3cret, cert_file: a}", "tls_config.key"),
    ],
)
def test_a_secret_is_printed_when_it_is_asked_for_only(options, place):
    text = f"scrape_configs: [{{job_name: a, {options}}}]"
    with pytest.raises(InlineSecretsError) as refused:
        printed(text)
    assert refused.value.places == (f'job "a": {place}',)
    assert "s3cret" not in str(refused.value)
    assert "s3cret" in str(printed(text, show_secrets=True))


def test_secrets_of_a_jobs_own_discovery_are_not_needed():
    sd = "kubernetes_sd_configs: [{role: pod, api_server: 'http://a', basic_auth: {password: s3cret}}]"
    assert "s3cret" not in str(printed(f"scrape_configs: [{{job_name: a, {sd}}}]"))


@pytest.mark.parametrize(
    ("rule", "removed"),
    [
        ({"action": "labeldrop", "regex": "job|__scheme__"}, ["__scheme__", "job"]),
        ({"action": "labelkeep", "regex": "__.*"}, ["job"]),
        ({"source_labels": ["a"], "target_label": "job"}, ["job"]),
        ({"target_label": "__param_x", "replacement": ""}, ["__param_x"]),
        ({"action": "lowercase", "source_labels": ["a"], "target_label": "job"}, ["job"]),
        ({"source_labels": ["a"], "target_label": "${1}"}, ["__metrics_path__", "__param_x", "__scheme__", "job"]),
        ({"target_label": "job", "replacement": "b"}, []),
        ({"source_labels": ["a"], "target_label": "b"}, []),
        ({"action": "keep", "source_labels": ["job"], "regex": "a"}, []),
        ({"action": "labelmap", "regex": "__meta_(.+)"}, []),
    ],
)
def test_a_default_is_taken_away_where_a_rule_may_have_done_so(rule, removed):
    assert rules_of(rule, params={"x": ["1"], "y": []}) == removed
