"""Which mechanisms there are: promscout's own, and those that installed packages add by entry points.

Nothing of a mechanism is imported before a configuration names it, and installed packages are looked through only for
a section that promscout does not know itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import msgspec

from promscout.discovery.config import SDConfig
from promscout.discovery.discoverer import Discoverer, Factory, Publish
from promscout.discovery.mechanism import DiscoveryContext, Mechanism
from promscout.errors import InvalidValueError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

SUFFIX: Final = "_sd_configs"
STATIC: Final = "static_configs"
ENTRY_POINTS: Final = "promscout.discovery"
"""The entry point group; an entry point's name is the mechanism's."""


class _BuiltIn(msgspec.Struct, frozen=True):
    """Module and name of the configuration type and of the factory. No factory: the agent has it."""

    config: tuple[str, str]
    factory: tuple[str, str] | None = None


_BUILT_IN: Final = {
    "dns": _BuiltIn(
        ("promscout.discovery.dns.config", "DNSSDConfig"), ("promscout.discovery.dns.discoverer", "DNSFactory")
    ),
    "file": _BuiltIn(
        ("promscout.discovery.file.config", "FileSDConfig"), ("promscout.discovery.file.discoverer", "FileFactory")
    ),
    "http": _BuiltIn(
        ("promscout.discovery.http.config", "HTTPSDConfig"), ("promscout.discovery.http.discoverer", "HTTPFactory")
    ),
    "kubernetes": _BuiltIn(("promscout.discovery.kubernetes.config", "KubernetesSDConfig")),
}


def section(mechanism: str) -> str:
    """The key of a scrape config that has the configurations of ``mechanism``."""
    return STATIC if mechanism == "static" else f"{mechanism}{SUFFIX}"


def built_in_sections() -> tuple[str, ...]:
    """The keys of a scrape config that have configurations of promscout's own mechanisms."""
    return STATIC, *(section(mechanism) for mechanism in _BUILT_IN)


def is_built_in(mechanism: str) -> bool:
    """Whether ``mechanism`` is promscout's own."""
    return mechanism in _BUILT_IN


def config_type(mechanism: str) -> type[SDConfig]:
    """The type of one item of ``<mechanism>_sd_configs``.

    Raises:
        InvalidValueError: there is no such mechanism, or the package that adds it cannot be used.
    """
    own = _BUILT_IN.get(mechanism)
    config: type[SDConfig] = _plugin(mechanism).config if own is None else _load(*own.config)
    return config


class MechanismFactories(dict[type[SDConfig], Factory]):
    """The factories of one agent, each made when the first configuration of its type comes.

    What cannot be made for a plug-in fails when its discoverer runs, not when it is asked for: it harms no other.
    """

    def __init__(self, given: Mapping[type[SDConfig], Factory], context: DiscoveryContext) -> None:
        super().__init__(given)
        self._context = context

    def __missing__(self, config: type[SDConfig]) -> Factory:
        own = _BUILT_IN.get(config.mechanism)
        factory: Factory
        if own is None:
            factory = _PluginFactory(_plugin(config.mechanism), self._context)
        elif own.factory is None:
            raise KeyError(config)
        else:
            factory = _load(*own.factory)(self._context)
        self[config] = factory
        return factory


class _PluginFactory:
    def __init__(self, mechanism: Mechanism, context: DiscoveryContext) -> None:
        self._mechanism = mechanism
        self._context = context
        self._factory: Factory | None = None

    def __call__(self, config: SDConfig) -> Discoverer:
        return _PluginDiscoverer(partial(self._make, config))

    def _make(self, config: SDConfig) -> Discoverer:
        if self._factory is None:
            self._factory = self._mechanism.factory(self._context)
        return self._factory(config)


class _PluginDiscoverer:
    """Makes the plug-in's discoverer when it runs, so that the supervisor sees and repeats what fails."""

    def __init__(self, make: Callable[[], Discoverer]) -> None:
        self._make = make
        self._discoverer: Discoverer | None = None

    async def run(self, publish: Publish) -> None:
        if self._discoverer is None:
            self._discoverer = self._make()
        await self._discoverer.run(publish)


def _load(module: str, name: str) -> Any:  # noqa: ANN401 - whatever has that name
    return getattr(import_module(module), name)


@cache
def _entry_points() -> Mapping[str, tuple[EntryPoint, ...]]:
    """Mechanism → what packages give for it. What is installed does not change while the program runs."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - 10 ms that only plug-ins are worth

    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in entry_points(group=ENTRY_POINTS):
        found[point.name] = (*found.get(point.name, ()), point)
    return found


def _plugin(mechanism: str) -> Mechanism:
    points = _entry_points().get(mechanism, ())
    if not points:
        raise InvalidValueError(_unknown(mechanism))
    if len(points) > 1:
        raise InvalidValueError(f"added by several packages: {', '.join(sorted(map(_package, points)))}")
    (point,) = points
    try:
        found = point.load()
    except Exception as error:  # noqa: BLE001 - whatever a foreign module raises when it is imported
        reason = f"{type(error).__name__}: {error}"
    else:
        if not (reason := _unusable(found, mechanism)):
            plugin: Mechanism = found
            return plugin
    raise InvalidValueError(f"added by {_package(point)}, which cannot be used: {reason}")


def _unusable(found: object, mechanism: str) -> str:
    """What is wrong with what an entry point gives; empty if nothing is."""
    if not isinstance(found, Mechanism):
        return f"its entry point gives {type(found).__name__}, not a Mechanism"
    config: Any = found.config
    if not (isinstance(config, type) and issubclass(config, msgspec.Struct) and config.__struct_config__.frozen):
        return "its configuration type is not a frozen msgspec.Struct"
    if getattr(config, "mechanism", None) != mechanism:
        return f'the "mechanism" of its configuration type is not "{mechanism}"'
    if not callable(getattr(config, "with_directory", None)):
        return "its configuration type has no with_directory()"
    return ""


def _package(point: EntryPoint) -> str:
    return f"package {point.dist.name} {point.dist.version}" if point.dist else f"an unknown package ({point.value})"


def _unknown(mechanism: str) -> str:
    known = {*_BUILT_IN, "static", *_entry_points()}
    # Only the names are compared: the suffix makes any two sections look alike.
    near = get_close_matches(mechanism, known, n=1, cutoff=0.65)
    hint = f', did you mean "{section(near[0])}"?' if near else ";"
    return f"not supported{hint} supported are {', '.join(sorted(map(section, known)))}"
