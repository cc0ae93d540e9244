"""Documents that are small as text and very large as what they mean."""

from __future__ import annotations

from typing import Final

from promscout.config.tree import MAX_DEPTH, Node, Scalar, Sequence
from promscout.errors import ConfigError, Problem

ALIAS_RATIO: Final = 10
"""How many times more nodes a document may have with its aliases written out."""

FREE_NODES: Final = 400_000
"""Nodes with all aliases written out that are always allowed, as by Go's yaml.v2."""


def check_aliases(root: Node, file: str) -> None:
    """Refuse a document that its aliases make very large or very deep; time and memory follow its text's size.

    Raises:
        ConfigError: it is such a document.
    """
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
    if size > FREE_NODES + ALIAS_RATIO * len(sizes) or depth > MAX_DEPTH:
        raise ConfigError((Problem(file, 0, 0, "", "aliases make too much of it"),))


def _children(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Scalar):
        return ()
    if isinstance(node, Sequence):
        return node.items
    return tuple([part for entry in node.entries for part in entry])
