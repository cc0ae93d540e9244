"""Lists of target groups in YAML, as ``file_sd_configs`` read them."""

from __future__ import annotations

from typing import Final

from promscout.config.decode import FAILED, Decoder
from promscout.config.tree import MAX_DEPTH, Node, Scalar, Sequence, parse_tree
from promscout.discovery.config import StaticConfig
from promscout.errors import ConfigError, Problem

ALIAS_RATIO: Final = 10
"""How many times more nodes a document may have with its aliases written out."""

_FREE_NODES: Final = 100_000


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
        _check_aliases(root, file)
    decoder = Decoder(file)
    groups = decoder.value(tuple[StaticConfig, ...], root, "")
    if decoder.problems or groups is FAILED:
        raise ConfigError((decoder.problems[0],))
    found: tuple[StaticConfig, ...] = groups
    return found


def _check_aliases(root: Node, file: str) -> None:
    """Refuse a document that its aliases make very large or very deep; time and memory follow its text's size."""
    sizes: dict[int, tuple[int, int]] = {}
    waiting = [root]
    while waiting:
        node = waiting[-1]
        if id(node) in sizes:
            waiting.pop()
            continue
        children = _children(node)
        unknown = [child for child in children if id(child) not in sizes]
        if unknown:
            waiting += unknown
            continue
        waiting.pop()
        below = [sizes[id(child)] for child in children]
        sizes[id(node)] = (1 + sum(size for size, _ in below), 1 + max((depth for _, depth in below), default=0))
    size, depth = sizes[id(root)]
    if size > _FREE_NODES + ALIAS_RATIO * len(sizes) or depth > MAX_DEPTH:
        raise ConfigError((Problem(file, 0, 0, "", "aliases make too much of it"),))


def _children(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Scalar):
        return ()
    if isinstance(node, Sequence):
        return node.items
    return tuple([part for entry in node.entries for part in entry])
