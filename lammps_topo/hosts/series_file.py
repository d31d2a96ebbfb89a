"""Time series that exist already: text, npy and npz, LAMMPS's ``fix ave/time`` and thermo output."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, FileError
from .number_rows import is_numbers, read_bytes, read_rows
from .thermo_log import ThermoTable, is_log, thermo_tables

Array = NDArray[np.float64]

_HEAD_BYTES = 1 << 18
_HDF5 = b"\x89HDF\r\n"
_STEP, _TIME = ("step", "timestep"), ("time", "v_time")
_NAMED = 24
"""Names of columns that a message lists at most."""


@dataclass(frozen=True)
class SeriesFile:
    """A file of samples in columns; they are read when they are asked for.

    Attributes
    ----------
    names : of the columns, empty where the file has none
    width : number of columns
    units, timestep : unit style and time of a step where a log of LAMMPS says them
    notes : which of several runs is meant
    """

    path: Path
    names: tuple[str, ...]
    width: int
    _read: Callable[[list[int]], list[Array]]
    units: str | None = None
    timestep: float | None = None
    notes: tuple[str, ...] = ()

    def read(self, columns: Sequence[int]) -> list[Array]:
        """Columns counted from 0: an array (samples, columns) for each stretch without a gap. Raises FileError."""
        return self._read(list(columns))

    def name(self, column: int) -> str:
        """``c_flux[1]``, or ``2`` counted from 1."""
        return self.names[column] if self.names else str(column + 1)

    def find(self, *names: str) -> int | None:
        """The first column with one of these names, in any case of letters."""
        lower = [name.lower() for name in self.names]
        return next((lower.index(name) for name in names if name in lower), None)

    @property
    def step(self) -> int | None:
        """The column that counts time steps."""
        return self.find(*_STEP)

    @property
    def time(self) -> int | None:
        """The column of the time."""
        return self.find(*_TIME)

    def there_is(self) -> str:
        """What columns there are, for a message."""
        if not self.names:
            return f"{self.width} columns without names"
        more = f", … ({self.width} columns)" if self.width > _NAMED else ""
        return ", ".join(self.names[:_NAMED]) + more


def open_series(path: str | Path, runs: str | None = None) -> SeriesFile:
    """Find out what is in a file of samples.

    Parameters
    ----------
    path : ``.npy`` (samples × columns, memory-mapped), ``.npz`` (arrays by name), a log of LAMMPS, or text: numbers in
        columns, with the names of the columns in the line before them (with or without ``#``: ``fix ave/time`` and
        SporTran's tables are such files) or without; text may be packed (``.gz``)
    runs : of a log, counted from 1: ``3``, ``2-4``, ``all``; by default the longest, the last of equally long ones

    Raises
    ------
    FileError, ConfigError
        The file cannot be read or is not of that kind; there is no such run.
    """
    path = Path(path)
    if path.suffix in (".npy", ".npz"):
        found = _open_numpy(path)
    else:
        head = read_bytes(path, _HEAD_BYTES)
        if head.startswith(_HDF5):
            raise FileError(
                f"'{path}' is an HDF5 file; of a results file of fix topo, see lammps-topo show and estimate"
            )
        if is_log(head):
            return _open_log(path, runs)
        found = _open_text(path, head.decode("latin1"))
    if runs is not None:
        raise ConfigError(f"--runs {runs}: '{path}' is not a log of LAMMPS, so there are no runs to choose from")
    return found


# ---- text -----------------------------------------------------------------------------------------------------------


def _open_text(path: Path, head: str) -> SeriesFile:
    lines = head.split("\n")
    delimiter = None
    skip = 0
    for skip, line in enumerate(lines):  # noqa: B007
        stripped = line.strip()
        delimiter = "," if "," in stripped else None
        if stripped and not stripped.startswith("#") and is_numbers(stripped.rstrip(","), delimiter):
            break
    else:
        raise FileError(f"'{path}' holds no numbers" if not head.strip() else f"'{path}' is not a table of numbers")
    width = len(lines[skip].split("#")[0].strip().split(delimiter))
    before = [line.strip().lstrip("#").strip() for line in lines[:skip] if line.strip()]
    if any("Number-of-rows" in line for line in before):
        raise FileError(
            f"'{path}' is the output of fix ave/time in mode vector: a series needs mode scalar, as in "
            "fix ID group ave/time 1 1 1 c_flux[1] c_flux[2] c_flux[3] file flux.txt"
        )
    named = (_names(line) for line in reversed(before))
    names = next((found for found in named if len(found) == width), ())
    if len(set(names)) < len(names):
        names = ()

    def read(columns: list[int]) -> list[Array]:
        return [read_rows(path, columns, width, skip=skip, delimiter=delimiter)]

    return SeriesFile(path, names, width, read)


def _names(line: str) -> tuple[str, ...]:
    return tuple(word.strip().strip("\"'") for word in (line.split(",") if "," in line else line.split()))


# ---- numpy ----------------------------------------------------------------------------------------------------------


def _open_numpy(path: Path) -> SeriesFile:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of files that Python 2 wrote
            arrays = _arrays(path)
    except OSError as error:
        raise FileError(f"'{path}' cannot be read: {error.strerror or error}") from None
    except Exception:  # numpy's parser of headers, and zipfile, raise what they like
        raise FileError(
            f"'{path}' holds no arrays of numbers (Python objects are not read: save arrays, as with numpy.savez)"
        ) from None
    found = [column for name, array in arrays.items() for column in _array_columns(name, array)]
    names, columns = [name for name, _ in found], [column for _, column in found]
    if not columns:
        raise FileError(f"'{path}' must hold series of real numbers")

    def read(chosen: list[int]) -> list[Array]:
        lengths = {names[k] or str(k + 1): len(columns[k]) for k in chosen}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise FileError(f"'{path}': columns must have equally many samples, but {said}")
        return [_gathered([columns[k] for k in chosen])]

    return SeriesFile(path, tuple(names) if all(names) else (), len(columns), read)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """By name; that of an npy is empty."""
    if path.suffix == ".npy":
        return {"": np.load(path, mmap_mode="r", allow_pickle=False)}
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _array_columns(name: str, array: NDArray[Any]) -> list[tuple[str, NDArray[Any]]]:
    """Names and columns of one array; none of what cannot be a series (scalars and words in an npz)."""
    if array.dtype.names:
        return [(field, array[field]) for field in array.dtype.names if array.dtype[field].kind in "fiu"]
    if array.dtype.kind not in "fiu" or array.ndim == 0 or not array.size:
        return []
    if array.ndim == 1:
        return [(name, array)]
    table = array.reshape(len(array), -1)
    if table.shape[0] < table.shape[1]:
        table = table.T  # a series has more samples than columns: these are the rows
    return [(f"{name}[{k + 1}]" if name else "", column) for k, column in enumerate(table.T)]


def _gathered(columns: list[NDArray[Any]]) -> Array:
    table = np.empty((len(columns[0]), len(columns)))
    for k, column in enumerate(columns):
        table[:, k] = column
    return table


# ---- logs of LAMMPS -------------------------------------------------------------------------------------------------


def _open_log(path: Path, runs: str | None) -> SeriesFile:
    tables = thermo_tables(path, read_bytes(path))
    chosen = _chosen_runs(path, tables, runs)
    first = tables[chosen[0]]
    for index in chosen[1:]:
        if tables[index].names != first.names:
            raise FileError(f"'{path}': runs {chosen[0] + 1} and {index + 1} have different columns: choose among them")
    step = next((k for k, name in enumerate(first.names) if name.lower() == "step"), None)

    def read(columns: list[int]) -> list[Array]:
        wanted = [*columns, step] if step is not None else columns
        parts = [tables[index].read(wanted) for index in chosen]
        return parts if step is None else [part[:, :-1] for part in _joined([_regular(part) for part in parts])]

    notes: tuple[str, ...] = ()
    if len(tables) > 1 and runs is None:
        notes = (
            f"'{path.name}' holds {len(tables)} runs: run {chosen[0] + 1} is taken, the longest (--runs takes others)",
        )
    return SeriesFile(path, first.names, len(first.names), read, first.units, first.timestep, notes)


def _chosen_runs(path: Path, tables: list[ThermoTable], runs: str | None) -> list[int]:
    if runs is None:
        return [max(range(len(tables)), key=lambda index: (tables[index].lines, index))]
    if runs == "all":
        return list(range(len(tables)))
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", runs)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= first <= last <= len(tables):
        raise ConfigError(
            f"--runs {runs}: expected a number, as in 2, a range, as in 2-3, or all ('{path}' holds {len(tables)} runs)"
        )
    return list(range(first - 1, last))


def _regular(rows: Array) -> Array:
    """Without the first and the last row, if they are not as far from the others as these from one another.

    Thermo output begins and ends with the steps of the run, whether or not they are multiples of its interval. The
    steps are the last column.
    """
    spacing = np.diff(rows[:, -1])
    if len(spacing) < 4:
        return rows
    usual = np.median(spacing)
    return rows[int(spacing[0] < usual) : len(rows) - int(spacing[-1] < usual)]


def _joined(parts: list[Array]) -> list[Array]:
    """Runs that continue one another as one stretch; their common step is in it once. The steps are the last column."""
    stretches = [parts[0]]
    for part in parts[1:]:
        before = stretches[-1]
        spacing = before[-1, -1] - before[-2, -1] if len(before) > 1 else 0.0
        if len(part) and before[-1, -1] == part[0, -1]:
            part = part[1:]
        if len(part) and len(before) and part[0, -1] - before[-1, -1] == spacing > 0:
            stretches[-1] = np.concatenate((before, part))
        else:
            stretches.append(part)
    return stretches
