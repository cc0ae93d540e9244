"""What a configuration refers to, looked at before an agent does: files, certificates, kubeconfigs, static targets.

What looks at one of them is imported when a configuration has it: most of the time of a check is imports.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from promscout.config.decode import Built, join
from promscout.config.document import Document, PlacedJob, harmless_address
from promscout.config.target_groups import parse_target_groups
from promscout.config.tree import Mapping, Node, Sequence
from promscout.discovery.config import StaticSDConfig
from promscout.discovery.kubernetes.config import KubernetesSDConfig
from promscout.errors import InvalidValueError
from promscout.httpclient.config import Authorization, BasicAuth, Header, HTTPClientConfig, OAuth2
from promscout.httpclient.reading import read_small
from promscout.httpclient.tls import TLSConfig, join_directory
from promscout.model.group import TargetGroup
from promscout.scrape.config import ScrapeConfig

_TEXT_FILES: Final[dict[type[Any], tuple[str, ...]]] = {
    BasicAuth: ("username_file", "password_file"),
    Authorization: ("credentials_file",),
    OAuth2: ("client_secret_file",),
}


def inspect(document: Document, jobs: Iterable[PlacedJob]) -> list[str]:
    """Look at everything that the document, or the jobs it has, refer to.

    Problems are added to the document's, each at the key that names the file. Gives what people should know although
    it is no problem.

    Source: prometheus v3.x cmd/promtool/main.go checkConfig, which looks at ``credentials_file``, ``cert_file``,
    ``key_file``, target files and static targets.
    """
    return [*_Inspector(document).look(jobs)]


class _Inspector:
    def __init__(self, document: Document) -> None:
        self._refuse = document.decoder.refuse
        self._document = document

    def look(self, jobs: Iterable[PlacedJob]) -> Iterator[str]:
        for built in self._document.decoder.built:
            value = built.value
            for name in _TEXT_FILES.get(type(value), ()):
                if name in built.entries:
                    yield from self._text_file(getattr(value, name), built, name)
            if isinstance(value, TLSConfig) and value != TLSConfig(server_name=value.server_name):
                yield from self._tls(value, built)
            elif isinstance(value, Header):
                for index, file in enumerate(value.files):
                    yield from self._text_file(file, built, f"files[{index}]")
            elif isinstance(value, HTTPClientConfig) and value.authorization and "bearer_token_file" in built.entries:
                yield from self._text_file(value.authorization.credentials_file, built, "bearer_token_file")
            if isinstance(value, KubernetesSDConfig) and value.kubeconfig_file:
                yield from self._kubeconfig(value.kubeconfig_file, built)
        for job in jobs:
            yield from self._targets(job)

    def _place(self, built: Built, key: str) -> tuple[Node, str]:
        """The node under a key such as ``cert_file`` or ``static_configs[0].targets[1]``, or the nearest above it."""
        node, entries = built.node, built.entries
        for part in key.split(".") if key else ():
            name, _, index = part.rstrip("]").partition("[")
            if name not in entries:
                break
            node = entries[name][1]
            if index and isinstance(node, Sequence):
                node = node.items[int(index)]
            entries = (self._document.decoder.entries(node, "") or {}) if isinstance(node, Mapping) else {}
        return node, join(built.path, key) if key else built.path

    def _joined(self, file: str) -> str:
        return join_directory(self._document.directory, file)

    def _read(self, file: str, node: Node, path: str) -> str | None:
        """The text of a file; None if it cannot be read, which is a problem then."""
        try:
            return read_small(self._joined(file))
        except OSError as error:
            self._refuse(node, path, f"cannot read {self._joined(file)}: {error.strerror}")
        except ValueError as error:
            self._refuse(node, path, str(error))
        return None

    def _text_file(self, file: str, built: Built, key: str) -> Iterator[str]:
        if not file:
            return
        node, path = self._place(built, key)
        text = self._read(file, node, path)
        if text is not None and not text.strip():
            yield _note(node, path, f"{self._joined(file)} is empty")

    def _tls(self, tls: TLSConfig, built: Built) -> Iterator[str]:
        from promscout.config.certificates import check_pair, check_usable  # noqa: PLC0415 - see the module's docstring

        yield from self._certificates(tls.ca, tls.ca_file, built, "ca")[1]
        certificates, notes = self._certificates(tls.cert, tls.cert_file, built, "cert")
        yield from notes
        node, path = self._place(built, "key_file" if tls.key_file else "key")
        key = self._read(tls.key_file, node, path) if tls.key_file else tls.key.reveal()
        if not certificates or key is None:
            return
        try:
            check_pair(certificates, key)
            check_usable(tls.with_directory(self._document.directory))
        except (InvalidValueError, OSError, ValueError) as error:
            self._refuse(node, path, f"{self._joined(tls.key_file)}: {error}" if tls.key_file else str(error))

    def _certificates(self, text: str, file: str, built: Built, key: str) -> tuple[tuple[Any, ...], list[str]]:
        """The certificates under ``key`` or ``key_file``, and what is to say of them."""
        if not text and not file:
            return (), []
        node, path = self._place(built, f"{key}_file" if file else key)
        read = self._read(file, node, path) if file else text
        name = f"{self._joined(file)}: " if file else ""
        if read is None:
            return (), []
        from promscout.config.certificates import concerns, read_certificates  # noqa: PLC0415 - see the module's docstring

        try:
            certificates = read_certificates(read)
        except InvalidValueError as error:
            self._refuse(node, path, f"{name}{error}")
            return (), []
        return certificates, [_note(node, path, f"{name}{one}") for one in concerns(certificates)]

    def _kubeconfig(self, file: str, built: Built) -> Iterator[str]:
        """A kubeconfig, and the files and the program that its current context refers to."""
        from promscout.kube.context import ContextAccess  # noqa: PLC0415 - see the module's docstring
        from promscout.kube.kubeconfig import KubeConfig  # noqa: PLC0415 - see the module's docstring

        node, path = self._place(built, "kubeconfig_file")
        try:
            context = KubeConfig.load(Path(self._joined(file))).current()
            access = ContextAccess(context)
            http, plugin = access.http_client_config(), access.plugin()
        except InvalidValueError as error:
            self._refuse(node, path, str(error))
            return
        where = f"{context.path}: context {context.name!r}"
        if plugin is not None and shutil.which(plugin.command) is None:
            self._refuse(node, path, f"{where}: the credential plugin {plugin.command!r} is not installed")
        inner = Built(http.tls_config, {}, node, f"{path}: {where}: tls")
        yield from self._tls(http.tls_config, inner)
        if http.authorization and http.authorization.credentials_file:
            inner = Built(http.authorization, {}, node, f"{path}: {where}: tokenFile")
            yield from self._text_file(http.authorization.credentials_file, inner, "")

    def _targets(self, job: PlacedJob) -> Iterator[str]:
        """Static targets and target files of a job, relabelled as the agent will."""
        here = Built(None, job.entries, job.node, job.path)
        lists = 0
        for config in job.config.discovery:
            if isinstance(config, StaticSDConfig):
                for index, group in enumerate(config.groups):
                    for position, reason in _refused(job.config.scrape, group.group("")):
                        node, path = self._place(here, f"static_configs[{index}].targets[{position}]")
                        self._refuse(node, path, harmless_address(reason))
            elif config.mechanism == "file":
                files: tuple[str, ...] = getattr(config, "files", ())
                for index, pattern in enumerate(files):
                    node, path = self._place(here, f"file_sd_configs[{lists}].files[{index}]")
                    yield from self._target_files(pattern, job, node, path)
                lists += 1

    def _target_files(self, pattern: str, job: PlacedJob, node: Node, path: str) -> Iterator[str]:
        from promscout.discovery.file.reader import NOTHING, TargetFiles  # noqa: PLC0415 - see the module's docstring

        scan = TargetFiles((pattern,), parse_target_groups).scan(NOTHING, again=True)
        for problem in scan.problems:
            self._refuse(node, path, f"{problem.path}: {problem.reason}")
        if not scan.files:
            yield _note(node, path, f"no file is there for {pattern}")
        for file, state in scan.files.items():
            for group in state.groups:
                for _, reason in _refused(job.config.scrape, group):
                    self._refuse(node, path, f"{file}: {harmless_address(reason)}")


def _refused(scrape: ScrapeConfig, group: TargetGroup) -> list[tuple[int, str]]:
    from promscout.scrape.target import Refused  # noqa: PLC0415 - see the module's docstring
    from promscout.scrape.target_builder import TargetBuilder  # noqa: PLC0415 - see the module's docstring

    built = enumerate(TargetBuilder(scrape).build(group))
    return [(position, target.reason) for position, target in built if isinstance(target, Refused)]


def _note(node: Node, path: str, message: str) -> str:
    return f"line {node.place.line}: {path}: {message}"
