"""The configurations in ``config/``: good ones, and bad ones that begin with the problems they have.

A bad file's comments at the start of a line say ``line:column: path: message``, or ``file:line:column: …`` for a
problem in another file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from promscout.errors import ConfigError

CORPUS: Final = Path(__file__).parent / "config"
GOOD: Final = sorted((CORPUS / "good").glob("*.yml"))
BAD: Final = sorted((CORPUS / "bad").glob("*.yml"))
ENVIRONMENT: Final = {"CLUSTER": "prod", "REGION": "eu-1", "EMPTY": ""}
"""The variables that good files refer to; ``NOT_SET`` is not among them."""


def expected_problems(file: Path) -> list[str]:
    """What a bad file says of itself."""
    return [line[2:] for line in file.read_text().splitlines() if line.startswith("# ")]


def found_problems(error: ConfigError, file: Path) -> list[str]:
    """The problems as the comments have them: without directories, and without which mechanisms there are."""
    texts = (str(problem).removeprefix(f"{file}:").removeprefix(" ") for problem in error.problems)
    found = [
        text.replace(f"{file}:", "").replace(f"{file.parent}/../more/", "").replace(f"{file.parent}/", "")
        for text in texts
    ]
    return [re.sub(r"supported are \w+_configs.*", "supported are …", text) for text in found]
