"""Jobs' names as names of files."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final
from urllib.parse import quote, unquote

from promscout.downstream.shards import Shard

ENDING: Final = ".json"

_LONGEST: Final = 200  # characters; a file's name may have 255, with shard and ending
_CUT: Final = "~"  # begins the digest of a name that was cut


def file_name(job: str, shard: Shard | None = None) -> str:
    """The name of the file with the targets of ``job``: ``<job>.json``, or ``<job>.<shard>.json``.

    Every job has another one. Letters, digits, ``_``, ``-`` and ``.`` stand for themselves, anything else as in URLs,
    also a dot at the beginning: no name is hidden, and none leads out of its directory. A very long one ends in a
    digest.
    """
    name = quote(job, safe="").replace(_CUT, "%7E")
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if len(name) > _LONGEST:
        name = f"{name[:_LONGEST]}{_CUT}{blake2b(job.encode(), digest_size=8).hexdigest()}"
    return f"{name}{ENDING}" if shard is None else f"{name}.{shard.index}{ENDING}"


def job_of(name: str) -> str | None:
    """The job whose targets are in the file that ``file_name`` named without a shard; None if it was cut."""
    return None if _CUT in name else unquote(name.removesuffix(ENDING))
