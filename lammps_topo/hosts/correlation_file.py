"""Correlation functions that exist already: text, npy, and what LAMMPS's own fixes write."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import FileError

Array = NDArray[np.float64]

#: Relative difference of the spacing of lags that is rounding.
_EQUIDISTANT = 1e-3


@dataclass(frozen=True)
class CorrelationTable:
    """Columns of a file: lags 0, interval, … and what is correlated.

    Attributes
    ----------
    interval : spacing of the lags, as in the file
    columns : (C, L) the chosen ones
    """

    interval: float
    columns: Array


def read_correlation(
    path: str | Path, columns: Sequence[int] | None = None, interval: float | None = None, origin: float = 0.0
) -> CorrelationTable:
    """Read correlation functions at equidistant lags from 0 on.

    Parameters
    ----------
    path : numbers in columns (``#`` begins a comment; commas or blanks between them), ``.npy``, or the output of
        ``fix ave/correlate`` (the last of its tables), ``fix ave/time`` of ``compute vacf``, …
    columns : the lag, then the correlation functions, counted from 1; without lags where ``interval`` is given. By
        default the first ones, 2 and 4 in a table of ``fix ave/correlate``
    interval : spacing of the lags, for files without a column of lags
    origin : what the column of lags holds at lag 0

    Raises
    ------
    FileError
        The file cannot be read, lacks a column, or its lags are not 0, h, 2h, …
    """
    path = Path(path)
    table, is_ave_correlate = _last_table(path)
    if columns is None:
        columns = [1] if interval is not None else [2, 4] if is_ave_correlate else [1, 2]
    if max(columns) > table.shape[1]:
        raise FileError(f"'{path}' has {table.shape[1]} columns: there is no column {max(columns)}")
    chosen = table[:, [column - 1 for column in columns]].T
    if not np.isfinite(chosen).all():
        raise FileError(f"'{path}' holds a number that is not finite")
    if interval is not None:
        return CorrelationTable(interval, chosen)
    lag, chosen = chosen[0] - origin, chosen[1:]
    if len(lag) < 2 or not len(chosen):
        raise FileError(f"'{path}' needs a column of lags, a column of correlations and two rows at least")
    steps = np.diff(lag)
    if not steps[0] > 0 or np.abs(steps - steps[0]).max() > _EQUIDISTANT * steps[0]:
        odd = int(np.argmax(np.abs(steps - steps[0]) > _EQUIDISTANT * abs(steps[0])))
        raise FileError(
            f"'{path}': lags must be equidistant, but {lag[odd]:g} is followed by {lag[odd + 1]:g} where the first two "
            f"are {steps[0]:g} apart"
        )
    if abs(lag[0]) > _EQUIDISTANT * steps[0]:
        raise FileError(
            f"'{path}': lags must begin at 0, not at {lag[0]:g}; for compute vacf in a run that went on, --origin is "
            "the step at which it was defined"
        )
    return CorrelationTable(float(np.mean(steps)), chosen)


def _last_table(path: Path) -> tuple[Array, bool]:
    """All numbers, and whether they are those of ``fix ave/correlate``, whose last table is taken.

    Each of its tables is headed by a row of two numbers.
    """
    try:
        if path.suffix == ".npy":
            table = np.load(path, allow_pickle=False)
            if table.ndim not in (1, 2) or table.dtype.kind not in "fiu":
                raise FileError(f"'{path}' must hold a table of real numbers")
            return np.atleast_2d(np.asarray(table, dtype=np.float64).T).T, False
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else "not text"
        raise FileError(f"'{path}' cannot be read: {reason}") from None
    except ValueError:
        raise FileError(f"'{path}' is not a table of numbers") from None
    lines = [line.replace(",", " ") for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    heads = [number for number, line in enumerate(lines) if len(line.split()) == 2]
    several = bool(heads) and any(len(line.split()) > 2 for line in lines)
    if several := several and lines[heads[-1]].replace(" ", "").isdigit():
        lines = lines[heads[-1] + 1 :]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of an empty table, which is said below
            table = np.loadtxt(lines, ndmin=2)
    except ValueError:
        raise FileError(f"'{path}' is not a table of numbers") from None
    if not table.size:
        raise FileError(f"'{path}' holds no numbers")
    return np.asarray(table, dtype=np.float64), several
