"""Reads ``prometheus.yml``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from promscout.config.document import MAIN_SECTIONS, SECTIONS, Document, PlacedJob, PlacedPattern
from promscout.config.environment import expand
from promscout.config.inert import has_no_effect
from promscout.config.source import decode_source, read_source
from promscout.config.values import Config, GlobalConfig
from promscout.discovery.file.pattern import expand as expand_pattern
from promscout.errors import ConfigError, InvalidValueError, Problem
from promscout.model.frozendict import FrozenDict

MOST_PROBLEMS: Final = 1000
"""Problems of one configuration that are told; nobody reads more, and a hostile file has a million."""

_INDEX: Final = re.compile(r"\[[0-9]+\]")


def load_config(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Load a configuration file and the ``scrape_config_files`` it names.

    Relative file names are taken from the directory of the file that has them. External labels may refer to
    ``environment``.

    Raises:
        ConfigUnreadable: ``path`` cannot be read.
        ConfigError: with every problem found, each with its place; no message has a secret in it.
    """
    return _Loader(environment).load(read_source(str(path)), str(path), path.parent)


def check_config(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Load a configuration and look at what it refers to: files, certificates, kubeconfigs, static targets.

    What is found there is among the problems, or among the warnings where it may be meant.

    Raises:
        ConfigUnreadable, ConfigError: as for :func:`load_config`.
    """
    from promscout.config.inspection import inspect  # noqa: PLC0415 - an agent needs none of what this imports

    return _Loader(environment, inspect).load(read_source(str(path)), str(path), path.parent)


def parse_config(
    text: str | bytes,
    file: str = "<text>",
    directory: Path = Path(),
    environment: Mapping[str, str] = os.environ,
) -> Config:
    """Load a configuration from memory; ``file`` is its name in messages.

    Raises:
        ConfigError: as for :func:`load_config`.
    """
    return _Loader(environment).load(text if isinstance(text, str) else decode_source(text, file), file, directory)


Inspect: TypeAlias = Callable[[Document, Sequence[PlacedJob]], list[str]]
"""Adds to the problems of a document, and gives warnings."""


class _Loader:
    """Puts one configuration together from its files."""

    def __init__(self, environment: Mapping[str, str], inspect: Inspect | None = None) -> None:
        self._environment = environment
        self._inspect = inspect
        self._problems: list[Problem] = []
        self._warnings: list[str] = []
        self._documents: list[Document] = []
        self._names: dict[str, str] = {}

    def load(self, text: str, file: str, directory: Path) -> Config:
        main = self._open(text, file, directory)
        ignored = main.check_sections(MAIN_SECTIONS, SECTIONS)
        defaults = main.global_config()
        jobs = self._jobs(main, defaults)
        remote_write = tuple(main.remote_write(defaults))
        for pattern in main.scrape_config_files():
            jobs += self._further_jobs(main, pattern, defaults)
        defaults = self._expand_labels(main, defaults)
        if self._inspect is not None:
            for document in self._documents:
                notes = self._inspect(document, [job for job in jobs if job.document is document])
                self._warnings += notes if document is main else [f"{document.file}: {note}" for note in notes]
        for document in self._documents:
            self._problems += document.decoder.problems
        if self._problems:
            raise ConfigError(self._all_problems(file))
        self._warn(ignored)
        return Config(
            global_config=defaults,
            jobs=tuple(job.config for job in jobs),
            remote_write=remote_write,
            warnings=tuple(self._warnings),
            files=tuple(document.file for document in self._documents),
            text=main.text(),
        )

    def _all_problems(self, main: str) -> tuple[Problem, ...]:
        """In the order of their places, the main file's first."""
        found = sorted(self._problems, key=lambda p: (p.file != main, p.file, p.line, p.column))
        more = len(found) - MOST_PROBLEMS + sum(document.decoder.untold for document in self._documents)
        del found[MOST_PROBLEMS:]
        if more > 0:
            found.append(Problem(main, 0, 0, "", f"{more} further problems"))
        return tuple(found)

    def _open(self, text: str, file: str, directory: Path) -> Document:
        document = Document(text, file, directory)
        self._documents.append(document)
        return document

    def _further_jobs(self, main: Document, placed: PlacedPattern, defaults: GlobalConfig) -> list[PlacedJob]:
        jobs: list[PlacedJob] = []
        try:
            files = expand_pattern(placed.pattern)
        except OSError as error:
            main.decoder.refuse(placed.node, placed.path, f"cannot look for {placed.pattern}: {error.strerror}")
            return jobs
        if not files and "*" not in placed.pattern:
            self._warnings.append(
                f"line {placed.node.place.line}: {placed.path}: no file is there for {placed.pattern}"
            )
        for file in files:
            try:
                document = self._open(read_source(file), file, Path(file).parent)
            except ConfigError as error:
                self._problems += error.problems
                continue
            document.check_sections(("scrape_configs",))
            jobs += self._jobs(document, defaults)
        return jobs

    def _jobs(self, document: Document, defaults: GlobalConfig) -> list[PlacedJob]:
        jobs = document.jobs(defaults)
        for name, node, path in document.job_names:
            if name in self._names:
                message = f'found multiple scrape configs with job name "{name}", first found in {self._names[name]}'
                document.decoder.refuse(node, path, message)
            self._names.setdefault(name, f"{document.file}:{node.place.line}")
        return jobs

    def _expand_labels(self, main: Document, defaults: GlobalConfig) -> GlobalConfig:
        labels = {}
        for name, text in defaults.external_labels.items():
            try:
                labels[name], missing = expand(text, self._environment)
            except InvalidValueError as error:
                main.refuse_external_label(name, str(error))
                continue
            self._warnings += (
                f"external label {name}: the environment variable {variable} is empty" for variable in missing
            )
        return msgspec.structs.replace(defaults, external_labels=FrozenDict(labels))

    def _warn(self, ignored: frozenset[str]) -> None:
        if ignored:
            self._warnings.append(f"these sections do not apply and are ignored: {', '.join(sorted(ignored))}")
        options = {
            _INDEX.sub("", path)
            for document in self._documents
            for struct, option, path, value in document.decoder.written
            if has_no_effect(struct, option, value)
        }
        if options:
            self._warnings.append(f"these options are accepted but have no effect: {', '.join(sorted(options))}")
