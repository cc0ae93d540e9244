"""What Prometheus accepts as a configuration is accepted here, and the other way round."""

from __future__ import annotations

from pathlib import Path

import pytest

from peers import promtool_accepts
from promscout.config import load_config
from promscout.errors import ConfigError

# A scrape config each, in flow style, without its job name.
JOBS = (
    "scheme: https",
    "scheme: [a]",
    "honor_labels: y",
    "honor_labels: 'true'",
    "honor_labels: maybe",
    "honor_timestamps: ",
    "sample_limit: 1_000",
    "sample_limit: 0x10",
    "sample_limit: 0o17",
    "sample_limit: 1e3",
    "sample_limit: -1",
    "sample_limit: '5'",
    "sample_limit: five",
    "sample_limit: ~",
    "metrics_path: ~",
    "metrics_path: true",
    "metrics_path: 0644",
    "metrics_path: 2026-01-01",
    "metrics_path: !!binary aGk=",
    "metrics_path: !!binary '*'",
    "params: {a: x}",
    "params: {a: [x, 1]}",
    "params: {a: }",
    "params: [a]",
    "scrape_interval: 10",
    "scrape_interval: 0s",
    "scrape_interval: 1h30m",
    "scrape_interval: 30m1h",
    "scrape_interval: ~",
    "scrape_interval: 5s, scrape_timeout: 6s",
    "scrape_timeout: 61s",
    "body_size_limit: 10",
    "body_size_limit: 10KB",
    "body_size_limit: 1.5MiB",
    "body_size_limit: 1GB512MB",
    "body_size_limit: 0",
    "body_size_limit: KB",
    "body_size_limit: 10kb",
    "scrape_protocols: [PrometheusText0.0.4]",
    "scrape_protocols: [PrometheusText0.0.4, PrometheusText0.0.4]",
    "scrape_protocols: [prometheustext0.0.4]",
    "fallback_scrape_protocol: PrometheusText0.0.4",
    "fallback_scrape_protocol: nothing",
    "metric_name_validation_scheme: legacy, metric_name_escaping_scheme: underscores",
    "metric_name_validation_scheme: ascii",
    "metric_name_validation_scheme: legacy, metric_name_escaping_scheme: allow-utf-8",
    "metric_name_escaping_scheme: dots",
    "unknown: 1",
    "scheme: http, scheme: https",
    "relabel_configs: [{action: keep, regex: ~}]",
    "relabel_configs: [{action: }]",
    "relabel_configs: [~]",
    "relabel_configs: [{action: KEEP}]",
    "relabel_configs: [{regex: '('}]",
    "relabel_configs: [{action: hashmod, target_label: a, modulus: 0}]",
    "relabel_configs: [{target_label: ''}]",
    "basic_auth: {username: 5, password: 6}",
    "basic_auth: {username: a, username_file: b}",
    "basic_auth: {}, authorization: {}",
    "basic_auth: ~, authorization: {}",
    "authorization: {type: basic}",
    "authorization: {type: ' Token '}",
    "bearer_token: a, authorization: {}",
    "bearer_token: a, bearer_token_file: b",
    "oauth2: {client_id: a}",
    "oauth2: {client_id: a, token_url: 'http://t'}",
    "oauth2: {client_id: a, token_url: 'http://t'}, basic_auth: {}",
    "tls_config: {min_version: TLS12}",
    "tls_config: {min_version: 1.2}",
    "tls_config: {cert: a}",
    "tls_config: {ca: a, ca_file: b}",
    "proxy_url: 'http://p', no_proxy: a",
    "no_proxy: a",
    "proxy_from_environment: true, proxy_url: 'http://p'",
    "proxy_connect_header: {a: [b]}",
    "proxy_url: 'http://p', proxy_connect_header: {a: [b]}",
    "http_headers: {a: {values: [b], secrets: [c]}}",
    "http_headers: {authorization: {values: [b]}}",
    "http_headers: {a: [b]}",
    "static_configs: [{targets: [a:1], labels: {x: ~, b: true}}]",
    "static_configs: [{targets: a}]",
    "static_configs: [{targets: ['http://a']}]",
    "static_configs: [{targets: ['http://a']}], relabel_configs: [{target_label: b}]",
    "static_configs: [~]",
    "static_configs: ~",
    "static_configs: {targets: [a]}",
    "kubernetes_sd_configs: [{role: pod}]",
    "kubernetes_sd_configs: [{role: Pod}]",
    "kubernetes_sd_configs: [{}]",
    "kubernetes_sd_configs: [{role: pod, api_server: 'http://a', namespaces: {own_namespace: true}}]",
    "kubernetes_sd_configs: [{role: pod, follow_redirects: false}]",
    "kubernetes_sd_configs: [{role: pod, tls_config: {}}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: 'a in (b,c),!d,e notin (f),g==h'}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: 'a.b/c-d_e'}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: 'a=b c'}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: 'a in ()'}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: 'a in b'}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: 'a,'}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: ',a'}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: '-a'}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: 'a>5'}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: 'a>b'}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: 'a!=b,!c'}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: 'in in (in)'}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: ' a = b '}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: 'A/b=c'}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, field: 'a.b=c,d!=e'}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, field: 'a'}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, field: 'a=b=c'}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, field: 'a=b\\,c'}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, field: ',a=b,'}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, field: '=b'}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, field: 'a='}]}]",
    "kubernetes_sd_configs: [{role: pod, selectors: [{label: a}]}]",
    "kubernetes_sd_configs: [{role: service, selectors: [{role: pod}]}]",
)

DOCUMENTS = (
    "",
    "global:\n",
    "global: {scrape_interval: 5s, scrape_timeout: 6s}",
    "global: {scrape_interval: 5s}",
    "global: {scrape_timeout: 2m}",
    "global: {external_labels: {a: 1, 'b c': d}}",
    "global: {external_labels: {'': d}}",
    "global: {scrape_interval: 5s, scrape_interval: 6s}",
    "global: [a]",
    "scrape_configs: {job_name: a}",
    "scrape_configs:\n- job_name: a\n- job_name: a\n",
    "scrape_configs:\n- ~\n",
    "scrape_configs:\n- {}\n",
    "scrape_configs: &a\n- &b {job_name: a, scheme: https}\n- {<<: *b, job_name: c}\n",
    "scrape_config_files: [a/*.yml]",
    "scrape_config_files: ['*/a.yml']",
    "remote_write: [{url: 'http://a'}]",
    "remote_write: [{}]",
    "remote_write: [~]",
    "remote_write: [{url: 'http://a', name: q}, {url: 'http://b', name: q}]",
    "remote_write: [{url: 'http://a'}, {url: 'http://a'}]",
    "remote_write: [{url: 'http://a', headers: {Host: b}}]",
    "remote_write: [{url: 'http://a', headers: {authorization: b}}]",
    "remote_write: [{url: 'http://a', headers: {X-Scope-OrgID: 5}}]",
    "remote_write: [{url: 'http://a', protobuf_message: prometheus.WriteRequest}]",
    "remote_write: [{url: 'http://a', protobuf_message: other}]",
    "remote_write: [{url: 'http://a', write_relabel_configs: [~]}]",
    "remote_write: [{url: 'http://a', queue_config: {batch_send_deadline: 5}}]",
    "remote_write: [{url: 'http://a', queue_config: {unknown: 5}}]",
    "unknown: 5",
    "5: 6",
    "- a",
    "a: b: c",
    "\tglobal: {}",
    "rule_files: [a.yml]",
)

STRICTER = {
    # Numbers are not cut, and a section without a value is the default one.
    "scrape_configs: [{job_name: a, sample_limit: 1.5}]": "the limit would not be the one written",
    "scrape_configs: [{job_name: a, sample_limit: 18446744073709551616}]": "likewise",
    "global: {metric_name_validation_scheme: legacy, external_labels: {a-b: d}}": "refused by later versions, too",
    "remote_write: [{url: 'localhost:9090'}]": "a URL without http or https cannot be written to",
    "scrape_configs: [{job_name: a, kubernetes_sd_configs: [{role: pod, api_server: 'kubernetes:443'}]}]": "likewise",
    "scrape_configs: [{job_name: a, proxy_url: 'socks5://p'}]": "only http and https proxies are spoken to",
    "global: {}\n---\nscrape_configs: []\n": "the second document would be lost",
    "remote_write: [{url: 'http://a', queue_config: {capacity: 0}}]": "refused by later versions, too",
}
"""Accepted by Prometheus 3.5 and refused here, with the reason."""


def refusal(path: Path) -> str:
    """Why a file is refused; empty if it is accepted."""
    try:
        load_config(path)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "texts",
    [tuple(f"scrape_configs:\n- {{job_name: a, {job}}}\n" for job in JOBS), DOCUMENTS],
    ids=["scrape configs", "documents"],
)
async def test_the_same_configurations_are_accepted(peers_dir, tmp_path, texts):
    theirs = await promtool_accepts(peers_dir, tmp_path, texts)
    assert True in theirs
    assert False in theirs
    different = [
        f"{text!r}: Prometheus {'accepts' if accepts else 'refuses'} it; here: {refused or 'accepted'}"
        for index, (text, accepts) in enumerate(zip(texts, theirs, strict=True))
        if accepts is bool(refused := refusal(tmp_path / f"{index}.yml"))
    ]
    assert different == []


async def test_some_configurations_are_refused_here_only(peers_dir, tmp_path):
    theirs = await promtool_accepts(peers_dir, tmp_path, tuple(STRICTER))
    assert all(theirs)
    assert all(refusal(tmp_path / f"{index}.yml") for index in range(len(STRICTER)))
