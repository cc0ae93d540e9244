"""Where the tests put what people look at afterwards."""

from __future__ import annotations

import os
from pathlib import Path


def screenshots_dir() -> Path:
    """The directory for pictures of the pages: $PROMSCOUT_SCREENSHOTS, else .ci/artifacts/screenshots."""
    return Path(os.environ.get("PROMSCOUT_SCREENSHOTS") or Path(__file__).parents[2] / ".ci/artifacts/screenshots")
