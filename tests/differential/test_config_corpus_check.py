"""promtool and promscout agree about every file of the corpus, and about the files that configurations refer to."""

from __future__ import annotations

import os
import re

import pytest

from golden.config_corpus import BAD, CORPUS, GOOD
from peers.program import run_program
from promscout.config import check_config
from promscout.errors import ConfigError

NEWER = "an option of later versions than the promtool at hand"
REFUSED_THERE = {
    "global_everything": NEWER,
    "kubernetes_selectors": NEWER,
    "protocols": NEWER,
    "scrape_everything": NEWER,
}
"""Good files that Prometheus 3.5 refuses, with the reason."""

UNSUPPORTED = "works there, and is refused here so that nobody waits for it"
MISTAKE = "a mistake that would show later"
LATER = "refused by later versions, too"
REFUSED_HERE = {
    "external_label_name": LATER,
    "kubernetes_password_in_url": "the password would be shown in messages",
    "legacy_target_label": LATER,
    "oauth2_grant_type": UNSUPPORTED,
    "oauth2_jwt": UNSUPPORTED,
    "oauth2_url_with_password": "the password would be shown in messages",
    "remote_write_queue": LATER,
    "remote_write_queue_negative": LATER,
    "unknown_scheme": LATER,
    "yaml_two_documents": MISTAKE,
}
"""Bad files that Prometheus 3.5 accepts, with the reason."""

FURTHER_FILES = ("scrape_config_files_content", "scrape_config_files_same_job")
"""Bad files whose mistakes are in other files, which ``--syntax-only`` does not read."""


async def accepted(peers_dir, directory, files, *options):
    """The files that promtool accepts."""
    command = [str(peers_dir / "promtool"), "check", "config", *options, *map(str, files)]
    done = await run_program(command, directory, env={**os.environ, "CLUSTER": "prod"})
    assert done.out.count("Checking ") == len(files)
    return set(re.findall(r"SUCCESS: (\S+) is valid", done.out))


async def test_promtool_accepts_the_good_files(peers_dir):
    theirs = await accepted(peers_dir, CORPUS, GOOD, "--syntax-only")
    assert {file.stem for file in GOOD if str(file) not in theirs} == {*REFUSED_THERE}


async def test_promtool_refuses_the_bad_files(peers_dir):
    files = [file for file in BAD if file.stem not in FURTHER_FILES]
    theirs = await accepted(peers_dir, CORPUS, files, "--syntax-only")
    assert {file.stem for file in files if str(file) in theirs} == {*REFUSED_HERE}


async def test_promtool_refuses_the_files_whose_mistakes_are_in_other_files(peers_dir):
    assert not await accepted(peers_dir, CORPUS, [CORPUS / "bad" / f"{name}.yml" for name in FURTHER_FILES])


JOB = "scrape_configs:\n- job_name: a\n"
SAME = (
    "  bearer_token_file: gone",
    "  authorization: {credentials_file: gone}",
    "  authorization: {credentials_file: there}",
    "  tls_config: {cert_file: gone, key_file: there}",
    "  tls_config: {cert_file: there, key_file: gone}",
    "  file_sd_configs: [{files: [gone.json]}]",
    "  file_sd_configs: [{files: [good.json]}]",
    "  file_sd_configs: [{files: [bad.json]}]",
    "  file_sd_configs: [{files: [bad.yml]}]",
    "  file_sd_configs: [{files: [address.yml]}]",
    "  file_sd_configs: [{files: ['*.json']}]",
    "  static_configs: [{targets: ['']}]",
    "  static_configs: [{targets: [a], labels: {__scrape_interval__: soon}}]",
    "  static_configs: [{targets: [a], labels: {__scrape_timeout__: 2m}}]",
    "  static_configs: [{targets: [a], labels: {__scrape_interval__: 1m}}]",
    "  static_configs: [{targets: [a/b]}]\n  relabel_configs: [{target_label: x, replacement: y}]",
    "  static_configs: [{targets: [a/b]}]\n  relabel_configs: [{action: drop}]",
)
OURS_ONLY = (
    "  basic_auth: {username: u, password_file: gone}",
    "  basic_auth: {username_file: gone}",
    "  tls_config: {ca_file: gone}",
    "  tls_config: {cert_file: there, key_file: there}",
    "  authorization: {credentials_file: .}",
    "  http_headers: {X-A: {files: [gone]}}",
    "  oauth2: {client_id: c, token_url: 'http://t', client_secret_file: gone}",
    "  kubernetes_sd_configs: [{role: pod, kubeconfig_file: gone}]",
)
"""Files that promtool does not look at, or only whether they exist. Without them no scrape can work."""


@pytest.fixture
def directory(tmp_path):
    for name, content in (
        ("there", "x"),
        ("good.json", '[{"targets": ["127.0.0.1:9100"]}]'),
        ("bad.json", "{"),
        ("bad.yml", "- targets: a\n"),
        ("address.yml", "- targets: [a/b]\n"),
    ):
        (tmp_path / name).write_text(content)
    return tmp_path


def is_refused(file):
    try:
        check_config(file)
    except ConfigError:
        return True
    return False


async def verdicts(peers_dir, directory, jobs):
    """Job → whether promtool and whether promscout accepts it."""
    files = [directory / f"{index}.config" for index in range(len(jobs))]
    for file, job in zip(files, jobs, strict=True):
        file.write_text(f"{JOB}{job}\n")
    theirs = await accepted(peers_dir, directory, files)
    return {job: (str(file) in theirs, not is_refused(file)) for file, job in zip(files, jobs, strict=True)}


async def test_the_files_that_promtool_looks_at_have_the_same_verdict(peers_dir, directory):
    found = await verdicts(peers_dir, directory, SAME)
    assert {job: both for job, both in found.items() if both[0] is not both[1]} == {}
    assert {True, False} == {theirs for theirs, _ in found.values()}


async def test_further_files_are_looked_at_here_only(peers_dir, directory):
    assert set((await verdicts(peers_dir, directory, OURS_ONLY)).values()) == {(True, False)}


async def test_an_inline_key_for_a_certificate_file_is_refused_by_promtool_only(peers_dir, directory):
    text = f"{JOB}  tls_config: {{cert_file: there, key: x}}\n"
    (directory / "a.yml").write_text(text)
    assert not await accepted(peers_dir, directory, [directory / "a.yml"], "--syntax-only")
