"""Rows of numbers in text, at the speed of numpy's own C parser.

A million rows and seven columns (60 MB) take ``numpy.loadtxt`` 0.4-0.5 s on one core. Parsers of pandas, pyarrow and
polars take 0.35-0.6 s and 0.05-0.5 s more to be imported: none of them is worth a dependency. ``loadtxt`` is fastest by
file name (a StringIO or a list of lines takes 0.8 s), and with ``usecols``.
"""

from __future__ import annotations

import gzip
import re
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileError

Array = NDArray[np.float64]

_WORDS = re.compile(rb"^[ \t]*[^-+.0-9nNiI \t\r\n].*$", re.MULTILINE)
"""Lines that do not begin with a number (nan and inf are numbers)."""


def read_bytes(path: Path, limit: int = -1) -> bytes:
    """The contents of a file, unpacked if its name ends in ``.gz``; FileError if that fails."""
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as packed:
                return packed.read(limit)
        with path.open("rb") as plain:
            return plain.read(limit)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(f"'{path}' cannot be read: {reason}") from None


def is_numbers(line: str, delimiter: str | None = None) -> bool:
    """Whether every word of a line, one at least, is a number."""
    words = line.split(delimiter)
    try:
        return bool([float(word) for word in words])
    except ValueError:
        return False


def read_rows(
    path: Path,
    columns: Sequence[int],
    width: int,
    *,
    skip: int = 0,
    rows: int | None = None,
    delimiter: str | None = None,
    mixed: bool = False,
) -> Array:
    """Some columns of a table in a text file, (rows, columns).

    Parameters
    ----------
    columns : from 0; width : of the table
    skip, rows : lines before the table, and in it (to the end of the file without ``rows``)
    mixed : words may stand between the rows (warnings in a log): lines that do not begin with a number are left out

    A last row that is not whole, as a program leaves it that is killed or still writes, is left out. Raises FileError
    for anything else that is not a row of ``width`` numbers.
    """
    # the last column, too, so that a row with fewer ones is noticed
    wanted = [*columns, width - 1]
    options: dict[str, Any] = {"usecols": wanted, "delimiter": delimiter, "ndmin": 2, "encoding": "latin1"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of an empty table, which callers speak of
        try:
            table = np.loadtxt(path, skiprows=skip, max_rows=rows, **options)
        except (ValueError, OSError, EOFError, zlib.error):
            lines = _whole_lines(read_bytes(path), skip, rows, mixed)
            try:
                table = np.loadtxt(lines, **options)
            except ValueError as error:
                raise FileError(f"'{path}' is not a table of numbers: {_sentence(error)}") from None
    return np.asarray(table[:, :-1], dtype=np.float64).reshape(-1, len(columns))


def _whole_lines(data: bytes, skip: int, rows: int | None, mixed: bool) -> list[str]:
    lines = data.split(b"\n")
    unfinished = len(lines) - 1  # what follows the last end of a line
    end = unfinished if rows is None else min(skip + rows, unfinished)
    body = b"\n".join(lines[skip:end])
    return (_WORDS.sub(b"", body) if mixed else body).decode("latin1").split("\n")


def _sentence(error: ValueError) -> str:
    """numpy's own words, which name row and column, without its advice."""
    return str(error).partition(";")[0].strip().rstrip(".")
