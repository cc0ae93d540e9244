"""Names of series that stay: a number for each label set."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from promscout.write.portion import SeriesTemplate


def series_id(encoded_label_set: bytes) -> int:
    """The number of a series, the same in every process and version: BLAKE2b-64 of its encoded label set.

    The digest is little-endian and signed. Two of a million series get the same number with a probability of one to
    37 million.
    """
    return int.from_bytes(blake2b(encoded_label_set, digest_size=8).digest(), "little", signed=True)


def series_ids(template: SeriesTemplate) -> NDArray[np.int64]:
    """The numbers of all series of a template."""
    digests = b"".join([blake2b(encoded, digest_size=8).digest() for encoded in template.label_sets(0, len(template))])
    return np.frombuffer(digests, dtype="<i8").astype(np.int64, copy=False)
