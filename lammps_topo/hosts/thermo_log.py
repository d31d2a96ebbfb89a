"""Thermo output in ``log.lammps``: a table for each ``run``, of ``thermo_style`` one, custom or yaml."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import FileError
from .number_rows import read_rows

Array = NDArray[np.float64]

#: What LAMMPS writes before each table (today; before 2016), and how a table begins in a log cut down to its tables.
_MARKERS = (b"Per MPI rank memory allocation", b"Memory usage per processor")
_HEAD = re.compile(rb"^[ \t]*Step[ \t].*$", re.MULTILINE)
_END = b"\nLoop time"
#: The echoed commands (with variables replaced, where there are any), or what LAMMPS says on the screen.
_UNITS = re.compile(rb"^(?:units[ \t]+|  Unit style *: *)([a-z]+)[ \t\r]*(?:#.*)?$", re.MULTILINE)
_TIMESTEP = re.compile(rb"^(?:timestep[ \t]+|  Time step *: *)([.0-9eE+-]+)[ \t\r]*(?:#.*)?$", re.MULTILINE)


@dataclass(frozen=True)
class ThermoTable:
    """The table of one run: the names of its columns, and where it is."""

    path: Path
    names: tuple[str, ...]
    skip: int
    """Lines of the file before its first row."""
    lines: int
    """Lines of the table."""
    units: str | None
    timestep: float | None
    """As the log says before the run."""
    yaml: bytes | None = None
    """The rows of ``thermo_style yaml``."""

    def read(self, columns: list[int]) -> Array:
        """Columns of the table, (rows, columns). Raises FileError."""
        if self.yaml is None:
            return read_rows(self.path, columns, len(self.names), skip=self.skip, rows=self.lines, mixed=True)
        rows = [line.strip(b" -[],").split(b",") for line in self.yaml.split(b"\n") if line.startswith(b"  - [")]
        try:
            return np.array([[float(row[column]) for column in columns] for row in rows]).reshape(-1, len(columns))
        except (ValueError, IndexError):
            raise FileError(f"'{self.path}': a row of its yaml thermo output is not whole") from None


def is_log(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is a log of LAMMPS."""
    return head.startswith(b"LAMMPS (") or any(marker in head for marker in _MARKERS)


def thermo_tables(path: Path, data: bytes) -> list[ThermoTable]:
    """The tables of a log, in order. Raises FileError for a log without any, or in a style that is not a table."""
    starts = _starts(data)
    tables = []
    line, counted, end = 0, 0, 0
    units: str | None = None
    timestep: str | None = None
    for start, next_start in zip(starts, [*starts[1:], len(data)], strict=False):
        said = data[end:start]
        units = _last(_UNITS, said) or units
        timestep = _last(_TIMESTEP, said) or timestep
        end = data.find(_END, start, next_start)
        end = next_start if end < 0 else end + 1
        names, body, is_yaml = _heading(path, data, start, end)
        if not names:
            continue
        line += data.count(b"\n", counted, body)
        counted = body
        lines, rows = data.count(b"\n", body, end), data[body:end] if is_yaml else None
        tables.append(ThermoTable(path, names, line, lines, units, float(timestep) if timestep else None, rows))
    tables = [table for table in tables if table.lines]
    if not tables:
        raise FileError(f"'{path}' is a log of LAMMPS, but no thermo output is in it")
    return tables


def _starts(data: bytes) -> list[int]:
    """Where the headings of tables are: after what LAMMPS says of memory, else wherever a line begins with Step."""
    for marker in _MARKERS:
        found, at = [], data.find(marker)
        while at >= 0:
            end = data.find(b"\n", at)
            if end < 0:
                break
            found.append(end + 1)
            at = data.find(marker, end)
        if found:
            return found
    return [match.start() for match in _HEAD.finditer(data)]


def _heading(path: Path, data: bytes, start: int, end: int) -> tuple[tuple[str, ...], int, bool]:
    """Names of the columns, where the rows begin, and whether they are yaml."""
    stop = data.find(b"\n", start, end)
    first = data[start:stop].strip()
    if stop < 0 or not first:  # the log ends here
        return (), start, False
    if first == b"---":
        keywords = data.find(b"keywords:", start, end)
        stop = data.find(b"\n", keywords, end)
        words = data[keywords:stop].partition(b":")[2]
        return tuple(re.findall(r"'([^']*)'", words.decode("latin1"))), stop + 1, True
    if first.startswith(b"-----"):
        raise FileError(f"'{path}': thermo_style multi writes no table (use thermo_style custom, one or yaml)")
    return tuple(first.decode("latin1").split()), stop + 1, False


def _last(pattern: re.Pattern[bytes], data: bytes) -> str | None:
    found = pattern.findall(data)
    return found[-1].decode() if found else None
