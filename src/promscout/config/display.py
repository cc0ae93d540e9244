"""A configuration as text that may be shown to anybody who may see the agent's pages."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping as MappingABC
from typing import Any, Final

import yaml

from promscout.config.tree import Mapping, Node, Scalar, Sequence

IGNORED: Final = "<ignored>"

_RESOLVER: Final = yaml.resolver.Resolver()


def display(root: Node | None, shown: MappingABC[int, str], used: Collection[int]) -> str:
    """The document as YAML without comments. Scalars are told apart by identity.

    ``shown`` has what stands for a secret. A value that is not in ``used`` shows as ``<ignored>``: nothing is known
    about it, so it might be a secret.
    """
    if root is None:
        return ""
    text: str = yaml.serialize(
        _Converter(shown, used).node(root), Dumper=yaml.CSafeDumper, allow_unicode=True, width=120
    )
    return text


class _Converter:
    """Makes PyYAML nodes; a node used twice stays one node and so becomes an alias."""

    def __init__(self, shown: MappingABC[int, str], used: Collection[int]) -> None:
        self._shown = shown
        self._used = used
        self._made: dict[int, Any] = {}

    def node(self, node: Node) -> Any:  # noqa: ANN401 - PyYAML's nodes share no typed base
        if id(node) not in self._made:
            self._made[id(node)] = self._make(node)
        return self._made[id(node)]

    def _make(self, node: Node) -> Any:  # noqa: ANN401 - as above
        if isinstance(node, Sequence):
            return yaml.SequenceNode("tag:yaml.org,2002:seq", [self.node(item) for item in node.items])
        if isinstance(node, Mapping):
            pairs = [
                (_scalar(key, key.text), self.node(value)) for key, value in node.entries if isinstance(key, Scalar)
            ]
            return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=False)
        hidden = id(node) not in self._used and not node.is_null
        return _scalar(node, IGNORED if hidden else self._shown.get(id(node), node.text))


def _scalar(node: Scalar, text: str) -> Any:  # noqa: ANN401 - as above
    if node.plain or text != node.text:
        tag = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]  # no stub
        return yaml.ScalarNode(tag, text)
    return yaml.ScalarNode(node.tag or "tag:yaml.org,2002:str", text, style=None if node.tag else "'")
