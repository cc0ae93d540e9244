"""What ``config downstream`` prints is accepted by promtool, for every good configuration of the corpus."""

from __future__ import annotations

from pathlib import Path

from differential.test_config_corpus_check import NEWER, REFUSED_THERE
from golden.config_corpus import ENVIRONMENT, GOOD
from peers import promtool_accepts
from promscout.config import parse_config, read_source
from promscout.downstream.scrape_configs import FileSource, HTTPSource, scrape_configs
from promscout.downstream.shards import Shard

DISCOVERY_ONLY = {"kubernetes_selectors"}
"""Files that promtool refuses for what is not printed."""


async def test_promtool_accepts_what_is_printed(peers_dir, tmp_path):
    configs = {
        file.stem: parse_config(read_source(str(file)), str(file), file.parent, environment=ENVIRONMENT)
        for file in GOOD
    }
    assert set(REFUSED_THERE.values()) == {NEWER}
    for source, shard in ((HTTPSource("http://127.0.0.1:1"), Shard(0, 2)), (FileSource(Path("/sd")), Shard())):
        texts = [scrape_configs(config, source, shard, show_secrets=True) for config in configs.values()]
        accepted = await promtool_accepts(peers_dir, tmp_path, texts)
        refused = {name for name, good in zip(configs, accepted, strict=True) if not good}
        assert refused == REFUSED_THERE.keys() - DISCOVERY_ONLY
