"""Lists of target groups in YAML, as ``file_sd_configs`` read them."""

from __future__ import annotations

from promscout.config.aliases import check_aliases
from promscout.config.decode import FAILED, Decoder
from promscout.config.tree import parse_tree
from promscout.discovery.config import StaticConfig
from promscout.errors import ConfigError


def parse_target_groups(text: str, file: str) -> tuple[StaticConfig, ...]:
    """The groups of a YAML document: a list of mappings with ``targets`` and ``labels``, and nothing else.

    Source: prometheus v3.x discovery/targetgroup/targetgroup.go Group.UnmarshalYAML.

    Raises:
        ConfigError: anything else, with the first problem; also aliases that make much out of little.
    """
    root = parse_tree(text, file)
    if root is None:
        return ()
    if "&" in text:
        check_aliases(root, file)
    decoder = Decoder(file)
    groups = decoder.value(tuple[StaticConfig, ...], root, "")
    if decoder.problems or groups is FAILED:
        raise ConfigError((decoder.problems[0],))
    found: tuple[StaticConfig, ...] = groups
    return found
