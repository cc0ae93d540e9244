"""What to say about keys and values that are not known: what was probably meant, and where a key belongs."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from typing import Any, Final

import msgspec

from promscout.config.values import GlobalConfig
from promscout.discovery.config import StaticConfig
from promscout.discovery.registry import built_in_sections
from promscout.httpclient.config import Authorization, BasicAuth, OAuth2
from promscout.httpclient.tls import TLSConfig
from promscout.relabel.config import RelabelConfig
from promscout.scrape.config import ScrapeConfig
from promscout.write.config import MetadataConfig, QueueConfig, RemoteWriteConfig

_LONGEST: Final = 80
_MOST_PLACES: Final = 3
_SHORTEST_PART: Final = 4  # letters that say what was meant: "pass", "user", "timeout"

_SIGNING: Final = "is not supported: use basic_auth, authorization or oauth2, or a proxy that signs requests"
_JWT: Final = "is not supported, only the client_credentials grant with client_secret or client_secret_file is"

_UNSUPPORTED: Final[dict[type[Any], dict[str, str]]] = {
    RemoteWriteConfig: dict.fromkeys(("sigv4", "azuread", "google_iam"), _SIGNING),
    OAuth2: dict.fromkeys(
        (
            "client_certificate_key",
            "client_certificate_key_file",
            "client_certificate_key_id",
            "client_certificate_key_ref",
            "signature_algorithm",
            "iss",
            "audience",
            "claims",
        ),
        _JWT,
    )
    | {"client_secret_ref": "is not supported, use client_secret_file"},
    BasicAuth: {
        "username_ref": "is not supported, use username_file",
        "password_ref": "is not supported, use password_file",
    },
    Authorization: {"credentials_ref": "is not supported, use credentials_file"},
    TLSConfig: {f"{name}_ref": f"is not supported, use {name}_file" for name in ("ca", "cert", "key")},
}
"""Struct → keys that Prometheus has and that are refused here, with what to do instead."""

_SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {
    "global": GlobalConfig,
    "scrape_configs": ScrapeConfig,
    "remote_write": RemoteWriteConfig,
    "queue_config": QueueConfig,
    "metadata_config": MetadataConfig,
    "basic_auth": BasicAuth,
    "authorization": Authorization,
    "oauth2": OAuth2,
    "tls_config": TLSConfig,
    "relabel_configs": RelabelConfig,
    "static_configs": StaticConfig,
}


def unknown_key(key: str, known: Iterable[str], struct: type[Any] | None = None) -> str:
    """The message about a key that ``struct`` (None: a file's top level) does not have.

    It names the key that was probably meant, or the sections that the key belongs into.
    """
    for kind, keys in _UNSUPPORTED.items():
        if struct is not None and issubclass(struct, kind) and key in keys:
            return f"{key} {keys[key]}"
    if len(key) > _LONGEST:
        return "unknown key"
    known = (*known, *built_in_sections()) if struct is not None and issubclass(struct, ScrapeConfig) else tuple(known)
    longer = [one for one in known if one.endswith(f"_{key}") and "_" in key]
    if not longer and (places := _homes().get(key, ())):
        return f"unknown key here, it belongs into {' or '.join(places[:_MOST_PLACES])}"
    return f"unknown key{near(key, longer or known)}"


def near(text: str, known: Iterable[str]) -> str:
    """A question to add to a message: did you mean the most similar of ``known``? Empty if none is similar."""
    if len(text) > _LONGEST:
        return ""
    by_folded = {one.casefold(): one for one in known}
    folded = text.casefold()
    found = get_close_matches(folded, by_folded, n=1, cutoff=0.75)
    if not found and len(folded) >= _SHORTEST_PART:
        found = sorted((one for one in by_folded if folded in one.split("_") or one.startswith(folded)), key=len)
    return f', did you mean "{by_folded[found[0]]}"?' if found else ""


@cache
def _homes() -> dict[str, tuple[str, ...]]:
    """Key → the sections that have it, those of Prometheus alone included."""
    homes: dict[str, tuple[str, ...]] = {}
    for section, struct in _SECTIONS.items():
        for key in struct.__struct_fields__:
            homes[key] = (*homes.get(key, ()), section)
    for struct, keys in _UNSUPPORTED.items():
        (section,) = (name for name, kind in _SECTIONS.items() if kind is struct)
        for key in keys:
            homes[key] = (*homes.get(key, ()), section)
    del homes["name_validation"]
    return homes
