"""One configuration file: its sections, put together from the packages' own types."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from promscout.config.aliases import check_aliases
from promscout.config.decode import FAILED, KINDS, Decoder, Entries, join
from promscout.config.display import display
from promscout.config.inert import SECTIONS
from promscout.config.inherit import inherit, name_validation
from promscout.config.scalars import quoted
from promscout.config.tree import Mapping, Node, Scalar, Sequence, parse_tree
from promscout.config.unknown import unknown_key
from promscout.config.values import GlobalConfig, JobConfig
from promscout.discovery.config import SDConfig, StaticConfig, StaticSDConfig
from promscout.discovery.file.pattern import check_pattern
from promscout.discovery.registry import STATIC, SUFFIX, config_type, is_built_in
from promscout.errors import InvalidValueError
from promscout.httpclient.tls import join_directory
from promscout.model.names import NameValidation
from promscout.scrape.config import ScrapeConfig
from promscout.write.config import RemoteWriteConfig

_Ruled = TypeVar("_Ruled", ScrapeConfig, RemoteWriteConfig)

_USER: Final = re.compile('"[^"]*@')
MAX_NODES: Final = 1_000_000
"""Keys, values and lists of a file: ten thousand jobs with a hundred each."""

MAIN_SECTIONS: Final = ("global", "scrape_configs", "scrape_config_files", "remote_write")


class PlacedJob(msgspec.Struct, frozen=True):
    """A job as one file has it, and where."""

    document: Document
    config: JobConfig
    node: Node
    entries: Entries
    path: str


class PlacedPattern(msgspec.Struct, frozen=True):
    """A pattern of further files, and where it is given."""

    pattern: str
    node: Node
    path: str


class Document:
    """One file, decoded step by step into whatever its sections say. Problems are in ``decoder.problems``.

    ``job_names`` has the names of all jobs seen so far, also of those with problems, each with its node and path.
    """

    def __init__(self, text: str, file: str, directory: Path) -> None:
        """Read the YAML.

        Raises:
            ConfigError: it is not YAML, or far larger than a configuration.
        """
        self.file = file
        self.directory = directory
        self.decoder = Decoder(file)
        self.job_names: list[tuple[str, Node, str]] = []
        self.root = parse_tree(text, file, MAX_NODES)
        if self.root is not None and "&" in text:
            check_aliases(self.root, file)
        self._sections: Entries = {}
        if self.root is not None and not (isinstance(self.root, Scalar) and self.root.is_null):
            self._sections = self.decoder.entries(self.root, "") or {}

    def check_sections(self, known: tuple[str, ...], ignored: frozenset[str] = frozenset()) -> frozenset[str]:
        """Refuse sections that are neither known nor ignored; gives the ignored ones that are there.

        Of the ignored ones only the keys are looked at, for duplicates.
        """
        for key, (key_node, node) in self._sections.items():
            if key in ignored:
                self.decoder.check_keys(node, key)
            elif key not in known:
                elsewhere = key in MAIN_SECTIONS or key in SECTIONS
                message = "belongs into the main file" if elsewhere else unknown_key(key, (*known, *ignored))
                self.decoder.refuse(key_node, join("", key), message)
        return ignored & self._sections.keys()

    def global_config(self) -> GlobalConfig:
        """The ``global`` section, or the defaults."""
        section = self._sections.get("global")
        if section is None or (isinstance(section[1], Scalar) and section[1].is_null):
            return GlobalConfig()
        value = self.decoder.value(GlobalConfig, section[1], "global")
        return GlobalConfig() if value is FAILED else value.with_directory(self.directory)

    def refuse_external_label(self, name: str, message: str) -> None:
        """Record a problem with the external label ``name``."""
        node, path = self._sections["global"][1], "global"
        for key in ("external_labels", name):
            node, path = (self.decoder.entries(node, path) or {})[key][1], join(path, key)
        self.decoder.refuse(node, path, message)

    def scrape_config_files(self) -> list[PlacedPattern]:
        """The patterns of further files, joined with this file's directory."""
        if "scrape_config_files" not in self._sections:
            return []
        section = self._sections["scrape_config_files"][1]
        patterns = self.decoder.value(tuple[str, ...], section, "scrape_config_files")
        nodes = section.items if isinstance(section, Sequence) else ()
        found = []
        for index, (pattern, node) in enumerate(zip(() if patterns is FAILED else patterns, nodes, strict=False)):
            path = f"scrape_config_files[{index}]"
            head, _, last = pattern.rpartition("/")
            message = "one * is allowed, in the last part" if "*" in head or last.count("*") > 1 else ""
            try:
                check_pattern(pattern)
            except InvalidValueError as error:
                message = str(error)
            if message:
                self.decoder.refuse(node, path, f"invalid scrape config file path {quoted(pattern)}: {message}")
            elif pattern:
                found.append(PlacedPattern(join_directory(self.directory, pattern), node, path))
        return found

    def jobs(self, defaults: GlobalConfig) -> list[PlacedJob]:
        """The scrape configs with everything inherited."""
        jobs = []
        for node, path in self._items("scrape_configs"):
            entries = self.decoder.entries(node, path)
            config = None if entries is None else self._job(entries, node, path, defaults)
            if entries is not None and "job_name" in entries:
                self._name_job(entries["job_name"][1], join(path, "job_name"))
            if entries is not None and config is not None:
                jobs.append(PlacedJob(self, config, node, entries, path))
        return jobs

    def _name_job(self, node: Node, path: str) -> None:
        name = self.decoder.value(str, node, path)
        if name is not FAILED and name:
            self.job_names.append((name, node, path))

    def remote_write(self, defaults: GlobalConfig) -> list[RemoteWriteConfig]:
        """The remote write configs."""
        found: list[RemoteWriteConfig] = []
        names: set[str] = set()
        scheme = defaults.metric_name_validation_scheme
        for node, path in self._items("remote_write"):
            entries = self.decoder.entries(node, path) or {}
            config = self.decoder.struct(RemoteWriteConfig, entries, node, path)
            if config is FAILED:
                continue
            if config.name in names:
                message = f'found multiple remote write configs with job name "{config.name}"'
                self.decoder.refuse(entries["name"][1], join(path, "name"), message)
            names |= {config.name} - {""}
            config = self._with_names(config, ("write_relabel_configs",), scheme, entries, path)
            found.append(config.with_directory(self.directory))
        return found

    def text(self) -> str:
        """The file for display; complete only after everything has been decoded."""
        return display(self.root, self.decoder.shown, self.decoder.decoded)

    def _items(self, section: str) -> list[tuple[Node, str]]:
        """The mappings of a section that is a list of them."""
        if section not in self._sections:
            return []
        node = self._sections[section][1]
        if isinstance(node, Scalar) and node.is_null:
            return []
        if not isinstance(node, Sequence):
            self.decoder.refuse(node, section, f"expected a list, got {KINDS[type(node)]}")
            return []
        items: list[tuple[Node, str]] = []
        for index, item in enumerate(node.items):
            path = f"{section}[{index}]"
            if isinstance(item, Mapping):
                items.append((item, path))
            elif isinstance(item, Scalar) and item.is_null:
                self.decoder.refuse(item, path, "empty or null section")
            else:
                self.decoder.refuse(item, path, f"expected a mapping, got {KINDS[type(item)]}")
        return items

    def _job(self, entries: Entries, node: Node, path: str, defaults: GlobalConfig) -> JobConfig | None:
        before = len(self.decoder.problems)
        own = {key: entry for key, entry in entries.items() if not _is_discovery(key)}
        scrape = self.decoder.struct(ScrapeConfig, own, node, path)
        discovery = self._discovery(entries, path)
        if scrape is FAILED:
            return None
        if not scrape.relabel_configs:
            self._check_addresses(discovery, entries, path)
        rules = ("relabel_configs", "metric_relabel_configs")
        scrape = self._with_names(scrape, rules, name_validation(scrape, defaults), entries, path)
        scrape = self.decoder.build(inherit, {"job": scrape, "defaults": defaults}, entries, node, path)
        if len(self.decoder.problems) > before:
            return None
        return JobConfig(scrape=scrape.with_directory(self.directory), discovery=tuple(discovery))

    def _with_names(
        self, config: _Ruled, keys: tuple[str, ...], scheme: NameValidation, entries: Entries, path: str
    ) -> _Ruled:
        """``config`` with the rules under ``keys`` bound to ``scheme``; those that do not go with it are problems."""
        if scheme is NameValidation.UTF8:
            return config
        changes = {}
        for key in keys:
            rules = []
            for index, rule in enumerate(getattr(config, key)):
                node, place = entries[key][1], f"{join(path, key)}[{index}]"
                if isinstance(node, Sequence):
                    node = node.items[index]
                bind = partial(msgspec.structs.replace, rule)
                fields = self.decoder.entries(node, place) or {}
                rules.append(self.decoder.build(bind, {"name_validation": scheme}, fields, node, place))
            changes[key] = getattr(config, key) if FAILED in rules else tuple(rules)
        return msgspec.structs.replace(config, **changes)

    def _discovery(self, entries: Entries, path: str) -> list[SDConfig]:
        found: list[SDConfig] = []
        for key, (key_node, node) in entries.items():
            if not _is_discovery(key):
                continue
            if key == STATIC:
                groups = self.decoder.value(tuple[StaticConfig, ...], node, join(path, key))
                if groups is not FAILED and groups:
                    found.append(StaticSDConfig(groups=groups))
            else:
                found += self._mechanism(key.removesuffix(SUFFIX), key_node, node, join(path, key))
        return found

    def _mechanism(self, name: str, key_node: Node, node: Node, path: str) -> list[SDConfig]:
        """The configurations of one ``<name>_sd_configs``."""
        try:
            wanted = config_type(name)
            configs = self.decoder.value(tuple[wanted, ...], node, path)  # type: ignore[valid-type]  # known when run
            return [] if configs is FAILED else [config.with_directory(self.directory) for config in configs]
        except InvalidValueError as error:
            self.decoder.refuse(key_node, path, str(error))
        except Exception as error:
            if is_built_in(name):
                raise
            self.decoder.refuse(node, path, f"the plug-in for it failed: {type(error).__name__}: {error}")
        return []

    def _check_addresses(self, discovery: list[SDConfig], entries: Entries, path: str) -> None:
        """Without relabelling, a URL as a target is a mistake. Source: prometheus v3.x config.go checkStaticTargets."""
        if not any("/" in address for config in discovery for address in _static_addresses(config)):
            return
        for group, place in self._children(entries[STATIC][1], join(path, STATIC)):
            fields = self.decoder.entries(group, place) or {}
            targets = self._children(fields["targets"][1], join(place, "targets")) if "targets" in fields else []
            for node, below in targets:
                if isinstance(node, Scalar) and "/" in node.text:
                    self.decoder.refuse(node, below, f"{harmless_address(quoted(node.text))} is not a valid hostname")

    def _children(self, node: Node, path: str) -> list[tuple[Node, str]]:
        items = node.items if isinstance(node, Sequence) else ()
        return [(item, f"{path}[{index}]") for index, item in enumerate(items)]


def _static_addresses(config: SDConfig) -> tuple[str, ...]:
    groups = config.groups if isinstance(config, StaticSDConfig) else ()
    return tuple([address for group in groups for address in group.targets])


def harmless_address(text: str) -> str:
    """``text`` without the user and password that an address quoted in it may have."""
    return _USER.sub('"…@', text)


def _is_discovery(key: str) -> bool:
    return key == STATIC or key.endswith(SUFFIX)


__all__ = ["MAIN_SECTIONS", "SECTIONS", "Document", "PlacedJob", "PlacedPattern"]
