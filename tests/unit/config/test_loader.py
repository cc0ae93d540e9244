from __future__ import annotations

from pathlib import Path

import pytest

from promscout.config import Config, GlobalConfig, load_config, parse_config
from promscout.discovery.config import StaticConfig, StaticSDConfig
from promscout.discovery.kubernetes.config import KubernetesSDConfig, NamespaceDiscovery, Role, Selector
from promscout.errors import ConfigError, ConfigUnreadable
from promscout.exposition.negotiation import ScrapeProtocol
from promscout.model.duration import Duration
from promscout.scrape.config import DEFAULT_PROTOCOLS, PROTO_FIRST_PROTOCOLS, ScrapeConfig
from promscout.write.config import QueueConfig

CORPUS = Path(__file__).parents[2] / "golden" / "config"


def full() -> Config:
    return load_config(CORPUS / "good" / "full.yml", {"CLUSTER": "prod"})


def job(text: str) -> ScrapeConfig:
    return parse_config(f"scrape_configs:\n- {{job_name: a, {text}}}\n").jobs[0].scrape


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "f")
    return [str(problem) for problem in caught.value.problems]


def test_an_empty_file_is_the_default_configuration():
    for text in ("", "# nothing\n", "---\n", "~\n", "{}", "global:\nscrape_configs:\nremote_write:\n"):
        config = parse_config(text)
        assert (config.global_config, config.jobs, config.remote_write) == (GlobalConfig(), (), ())
    assert GlobalConfig().scrape_interval == Duration(60)
    assert GlobalConfig().scrape_timeout == Duration(10)


def test_a_file_that_is_not_there_is_unreadable(tmp_path):
    with pytest.raises(ConfigUnreadable, match=r"none\.yml: cannot read the file: No such file or directory"):
        load_config(tmp_path / "none.yml")


def test_bytes_that_are_not_utf8_are_refused_with_their_place():
    with pytest.raises(ConfigError, match=r"f:2:4: not valid UTF-8"):
        parse_config(b"a: b\nc: \xff", "f")


def test_a_byte_order_mark_is_no_problem():
    assert parse_config(b"\xef\xbb\xbfglobal: {}").jobs == ()


def test_control_characters_are_refused_with_their_line():
    assert problems("a: b\nc: \x01") == ["f:2:1: not valid YAML: control characters are not allowed"]


def test_everything_in_a_full_file_arrives():
    config = full()
    assert [job.name for job in config.jobs] == ["kubernetes", "static", "further"]
    pods, nodes = config.jobs[0].discovery
    assert isinstance(pods, KubernetesSDConfig)
    assert isinstance(nodes, KubernetesSDConfig)
    assert (pods.role, nodes.role) == (Role.POD, Role.NODE)
    assert pods.namespaces == nodes.namespaces == NamespaceDiscovery(names=("default", "kube-system"))
    assert pods.selectors == (Selector(role=Role.POD, label="app in (web, db),!canary", field="spec.nodeName=n1"),)
    assert nodes.selectors == ()
    assert nodes.attach_metadata.node
    assert config.remote_write[0].queue_config == QueueConfig(capacity=256, max_backoff=Duration(60))
    assert config.remote_write[0].url.reveal() == "https://agent:hunter2@127.0.0.1:9090/api/v1/write"


def test_static_configs_of_a_job_are_one_configuration():
    assert full().jobs[1].discovery == (
        StaticSDConfig(
            groups=(
                StaticConfig(
                    targets=("127.0.0.1:9100", "127.0.0.1:9101"),
                    labels={"enabled": "on", "empty": "", "version": "1.10"},
                ),
                StaticConfig(targets=("127.0.0.1:9102",)),
            )
        ),
    )


def test_a_string_field_gets_the_text_as_written():
    first, second = full().jobs[0].scrape.relabel_configs
    assert first.regex.text == "true"
    assert second.regex.text == "0644"
    assert second.replacement == "2026-01-01"
    assert full().jobs[1].scrape.params == {"module": ("http_2xx", "2")}
    assert full().jobs[1].scrape.basic_auth.username == "1234"
    for text in ("1_000", "0x1F", "yes", "1:30", "2026-01-01T00:00:00Z", ".inf", "!!int 7", "=", "'~'"):
        assert job(f"metrics_path: {text}").metrics_path == text.removeprefix("!!int ").strip("'")


def test_a_null_is_the_zero_value():
    config = job("metrics_path: ~, honor_timestamps: , sample_limit: null, scrape_interval: ~, tls_config: , params: ~")
    assert config.metrics_path == ""
    assert not config.honor_timestamps
    assert config.scrape_interval == Duration(60)
    rule = job("relabel_configs: [{action: keep, source_labels: [a], regex: }]").relabel_configs[0]
    assert rule.regex.text == ""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("007", 7),
        ("0o17", 15),
        ("0x1f", 31),
        ("0b11", 3),
        ("1_000", 1000),
        ("+5", 5),
        ("1e3", 1000),
        ("5.0", 5),
    ],
)
def test_integers_are_read_as_yaml_1_1_writes_them(text, value):
    assert job(f"sample_limit: {text}").sample_limit == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("yes", True), ("On", True), ("y", True), ("TRUE", True), ("no", False), ("n", False), ("off", False)],
)
def test_booleans_are_read_as_yaml_1_1_writes_them(text, value):
    assert job(f"honor_labels: {text}").honor_labels is value


def test_relative_file_names_are_taken_from_the_directory_of_their_own_file(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more.yml").write_text(
        "scrape_configs: [{job_name: b, bearer_token_file: t, http_headers: {X-A: {files: [h]}}}]"
    )
    main = tmp_path / "main.yml"
    main.write_text(
        "scrape_config_files: ['sub/*.yml']\n"
        "scrape_configs:\n"
        "- job_name: a\n"
        "  tls_config: {ca_file: ca, cert_file: /abs, key_file: k}\n"
        "  oauth2: {client_id: i, token_url: 'http://t', client_secret_file: s, tls_config: {ca_file: x}}\n"
        "  kubernetes_sd_configs: [{role: pod, kubeconfig_file: kc}]\n"
        "remote_write: [{url: 'http://x', basic_auth: {username_file: u, password_file: p}}]\n"
    )
    config = load_config(main)
    first, second = config.jobs
    assert first.scrape.tls_config.ca_file == str(tmp_path / "ca")
    assert first.scrape.tls_config.cert_file == "/abs"
    assert first.scrape.tls_config.key_file == str(tmp_path / "k")
    assert first.scrape.oauth2.client_secret_file == str(tmp_path / "s")
    assert first.scrape.oauth2.tls_config.ca_file == str(tmp_path / "x")
    assert first.discovery[0].kubeconfig_file == str(tmp_path / "kc")
    assert second.scrape.authorization.credentials_file == str(tmp_path / "sub" / "t")
    assert second.scrape.http_headers["X-A"].files == (str(tmp_path / "sub" / "h"),)
    assert config.remote_write[0].basic_auth.username_file == str(tmp_path / "u")
    assert config.remote_write[0].basic_auth.password_file == str(tmp_path / "p")
    assert config.files == (str(main), str(tmp_path / "sub" / "more.yml"))


def test_a_job_in_a_further_file_may_not_have_the_name_of_another(tmp_path):
    (tmp_path / "more.yml").write_text("scrape_configs:\n- job_name: a\n")
    (tmp_path / "main.yml").write_text("scrape_config_files: [more.yml]\nscrape_configs: [{job_name: a}]\n")
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "main.yml")
    (problem,) = caught.value.problems
    assert problem.file == str(tmp_path / "more.yml")
    assert problem.line == 2
    assert problem.message.endswith(f'job name "a", first found in {tmp_path}/main.yml:2')


def test_a_pattern_that_matches_no_file_gives_no_jobs(tmp_path):
    assert parse_config("scrape_config_files: ['none*.yml']", directory=tmp_path).jobs == ()


def test_a_job_inherits_what_it_does_not_say():
    first, second, _ = (job.scrape for job in full().jobs)
    assert (first.scrape_interval, first.scrape_timeout) == (Duration(30), Duration(5))
    assert (second.scrape_interval, second.scrape_timeout) == (Duration(3), Duration(3))
    assert (first.sample_limit, second.sample_limit) == (1000, 5)
    assert first.body_size_limit == second.body_size_limit == 10 << 20
    assert first.scrape_protocols == (ScrapeProtocol.PROMETHEUS_TEXT_0_0_4,)


def test_the_default_protocols_depend_on_native_histograms():
    assert job("scheme: http").scrape_protocols == DEFAULT_PROTOCOLS
    assert job("scrape_native_histograms: true").scrape_protocols == PROTO_FIRST_PROTOCOLS


def test_a_global_timeout_is_cut_to_a_short_global_interval():
    assert parse_config("global: {scrape_interval: 3s}").global_config.scrape_timeout == Duration(3)


def test_equal_files_give_equal_and_hashable_jobs():
    first, second = full(), full()
    assert first == second
    assert hash(first.jobs) == hash(second.jobs)
    assert {config: "provider" for job in first.jobs for config in job.discovery} == {
        config: "provider" for job in second.jobs for config in job.discovery
    }


def test_comments_and_key_order_do_not_make_a_difference():
    one = parse_config("# a\nscrape_configs: [{job_name: a, scheme: https}]")
    other = parse_config("scrape_configs: [{scheme: https, job_name: a}]  # b")
    assert one.jobs == other.jobs


def test_external_labels_take_variables_from_the_environment():
    config = full()
    assert config.global_config.external_labels == {"cluster": "prod-eu", "price": "5$", "gone": ""}
    assert "external label gone: the environment variable NOT_SET is empty" in config.warnings


def test_sections_and_options_without_effect_are_named_once():
    config = parse_config(
        "alerting: {alertmanagers: [{basic_auth: {password: hunter2}}]}\nrule_files: [a]\n"
        "global: {query_log_file: q}\n"
        "scrape_configs:\n- {job_name: a, enable_http2: true, label_limit: 3}\n"
        "- {job_name: b, http_sd_configs: [{url: 'http://y', enable_http2: true}], label_limit: 0}\n"
        "remote_write: [{url: 'http://x', enable_http2: true}]\n"
    )
    assert config.warnings == (
        "these sections do not apply and are ignored: alerting, rule_files",
        (
            "these options are accepted but have no effect: global.query_log_file, "
            "scrape_configs.http_sd_configs.enable_http2"
        ),
    )
    assert "hunter2" not in config.text


def test_a_configuration_never_prints_its_secrets():
    config = full()
    assert "hunter2" not in repr(config) + str(config) + config.text
    assert "https://agent:xxxxx@127.0.0.1:9090/api/v1/write" in config.text


def test_an_external_label_cannot_hold_bytes_of_the_environment_that_are_no_text():
    text = "global:\n  external_labels:\n    a: $A\n    b: x-$B\n"
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "f", environment={"A": "ä", "B": b"\xff".decode(errors="surrogateescape")})
    assert str(caught.value) == "f:4:8: global.external_labels.b: the environment variable B is not valid UTF-8"


def test_a_text_that_is_no_text_is_refused_with_its_place():
    assert problems("global:\n  external_labels: {a: \udcff}") == ["f:2:24: not valid UTF-8"]
    assert "invalid Unicode character escape code" in problems('global: {external_labels: {a: "\\ud800"}}')[0]


def test_the_text_for_display_means_the_same_but_for_the_secrets():
    config = full()
    again = parse_config(config.text, directory=CORPUS / "good", environment={"CLUSTER": "prod"})
    assert [job.discovery for job in again.jobs] == [job.discovery for job in config.jobs]
    assert again.jobs[0] == config.jobs[0]
    assert again.global_config == config.global_config
    assert again.text == config.text


def test_a_value_that_a_merge_key_lost_to_another_is_not_displayed():
    config = parse_config(
        "scrape_configs:\n- job_name: a\n  basic_auth:\n    <<: {username: u, password: hunter2}\n    password: other\n"
    )
    assert config.jobs[0].scrape.basic_auth.password.reveal() == "other"
    assert "hunter2" not in config.text


def test_own_keys_win_over_merged_ones_and_earlier_merges_over_later_ones():
    config = parse_config(
        "scrape_configs:\n"
        "- &one {job_name: one, scheme: https, metrics_path: /one}\n"
        "- &two {job_name: two, scheme: http, metrics_path: /two}\n"
        "- {<<: [*one, *two], job_name: three}\n"
        "- {job_name: four, metrics_path: /four, <<: *one}\n"
    )
    third, fourth = config.jobs[2].scrape, config.jobs[3].scrape
    assert (third.scheme, third.metrics_path) == ("https", "/one")
    assert (fourth.job_name, fourth.metrics_path) == ("four", "/four")


def test_aliases_that_make_much_out_of_little_are_refused():
    merges = ["scrape_configs:", "- &m0 {scheme: http}"]
    merges += [f"- &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}" for n in range(1, 40)]
    assert problems("\n".join(merges)) == ["f: aliases make too much of it"]


def test_one_rule_under_two_thousand_aliases_is_fine():
    rules = ["  - &r {action: labeldrop, regex: a}", *["  - *r"] * 2000]
    text = "\n".join(["scrape_configs:", "- job_name: a", "  metric_relabel_configs:", *rules])
    assert len(parse_config(text).jobs[0].scrape.metric_relabel_configs) == 2001


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_nesting_is_bounded(opening):
    assert "nested more than 100 levels deep" in problems(opening * 20_000)[0]


@pytest.mark.parametrize(("name", "jobs"), [("every_role", 15), ("annotations", 4)])
def test_configurations_as_people_write_them_load_without_a_warning(name, jobs):
    config = load_config(CORPUS / "good" / f"{name}.yml")
    assert len(config.jobs) == jobs
    assert all(isinstance(found, KubernetesSDConfig) for job in config.jobs for found in job.discovery)
    assert config.warnings == ()
