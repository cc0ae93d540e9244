"""``promscout query``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from promscout.cli.outcome import CANNOT_RUN, FAILED, TableFormat, say
from promscout.cli.rows import WRITERS

_ROWS_AT_ONCE: Final = 5000

_Rows: TypeAlias = Sequence[tuple[Any, ...]]


def execute(sql: str, data_dir: Path, format: str) -> int:  # noqa: A002 - the option's name
    """Print what the local store answers; the exit code.

    Rows are printed as they are found: a result may be larger than memory.
    """
    import duckdb  # noqa: PLC0415 - 50 MB that only this command needs

    from promscout.store.database import NoStoreError, open_store  # noqa: PLC0415
    from promscout.store.layout import STORE  # noqa: PLC0415

    statements = sys.stdin.read() if sql == "-" else sql
    try:
        with open_store(data_dir / STORE) as database:
            answer = database.execute(statements)
            names = [column[0] for column in answer.description or ()]
            WRITERS[TableFormat(format)](sys.stdout, names, _pieces(answer))
            sys.stdout.flush()
    except NoStoreError as error:
        say(str(error))
        return CANNOT_RUN
    except duckdb.IOException as error:
        say(f"{_first_line(error)} (files may be deleted by retention while they are read: try again)")
        return CANNOT_RUN
    except duckdb.InterruptException:
        raise KeyboardInterrupt from None
    except duckdb.Error as error:
        say(str(error).strip())
        return FAILED
    except BrokenPipeError:
        # Whoever reads has seen enough. Python would complain when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _pieces(answer: Any) -> Iterator[_Rows]:  # noqa: ANN401 - a connection, of a module imported late
    while rows := answer.fetchmany(_ROWS_AT_ONCE):
        yield rows


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
