"""The columns of a LAMMPS dump: which are read, as what, and how their rows are parsed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lammps_topo.hosts.trajectory.frame import FloatArray

_INTEGERS = {"id", "type", "ix", "iy", "iz", "mol"}
_NUMBERS = {"vx", "vy", "vz", "fx", "fy", "fz", "q", "mass"}
_TEXT = {"element"}
_POSITIONS = (("xu", "yu", "zu"), ("xsu", "ysu", "zsu"), ("x", "y", "z"), ("xs", "ys", "zs"))
_IMAGES = ("ix", "iy", "iz")


def value_columns(source: str, number: int) -> list[str]:
    """Names of the ``number`` columns in which a dump has the per-atom numbers ``source`` of LAMMPS."""
    return [source] if number == 1 else [f"{source}[{i}]" for i in range(1, number + 1)]


class Columns:
    """The columns named after ``ITEM: ATOMS``.

    Raises ValueError, with what is missing, without ``id``, without both ``type`` and ``element``, or
    without three position columns of one kind (``xu yu zu`` is taken first, then ``xsu ysu zsu``,
    ``x y z``, ``xs ys zs``). ``wanted`` are other columns, by what they are called in the configuration.
    """

    def __init__(self, names: Sequence[str], wanted: Mapping[str, Sequence[str]] | None = None) -> None:
        self.names = list(names)
        self._wanted = dict(wanted or {})
        if "id" not in self.names:
            raise ValueError("column 'id' is missing")
        if not {"type", "element"} & set(self.names):
            raise ValueError("column 'type' or 'element' is missing")
        found = [kind for kind in _POSITIONS if set(kind) <= set(self.names)]
        if not found:
            raise ValueError("position columns are missing (xu yu zu, xsu ysu zsu, x y z or xs ys zs)")
        self.position = found[0]
        self.scaled = "s" in self.position[0]
        self.continuous = self.position[0].endswith("u")
        kinds = dict.fromkeys(_INTEGERS, "i8") | dict.fromkeys({*_NUMBERS, *self.position}, "f8")
        kinds |= dict.fromkeys((name for group in self._wanted.values() for name in group), "f8")
        kinds |= dict.fromkeys(_TEXT, "S16")
        # what is not needed is read as one byte of text: checked to be there, not converted
        self._kinds = [kinds.get(name, "S1") for name in self.names]
        self._dtype = np.dtype([(f"c{i}", kind) for i, kind in enumerate(self._kinds)])

    def parse(self, lines: list[bytes]) -> NDArray[Any]:
        """Structured array [len(lines)] of the rows.  Raises ValueError where a row is not as it must be."""
        if not lines[0].strip():
            raise ValueError("empty line")
        with warnings.catch_warnings():  # numpy 1 reads 1.5 as the whole number 1, and only warns
            warnings.simplefilter("error", DeprecationWarning)
            try:
                table = np.loadtxt(lines, dtype=self._dtype, comments=None, ndmin=1)
            except DeprecationWarning as error:
                raise ValueError(str(error)) from error
        if table.size != len(lines):
            raise ValueError("empty line")
        return table

    def fault(self, line: bytes) -> str | None:
        """What is wrong with one row, or None."""
        words = line.split()
        if len(words) != len(self.names):
            return f"{len(self.names)} columns expected, {len(words)} found"
        for name, kind, word in zip(self.names, self._kinds, words, strict=True):
            try:
                if kind == "f8":
                    float(word)
                elif kind == "i8":
                    np.int64(int(word))
            except (ValueError, OverflowError):
                what = "whole number" if kind == "i8" else "number"
                return f"column {name} holds {word.decode('latin-1')!r}, which is not a {what}"
        return None

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def one(self, table: NDArray[Any], name: str) -> NDArray[Any]:
        """Column ``name`` [n], contiguous, of a parsed table."""
        return np.ascontiguousarray(table[f"c{self.names.index(name)}"])

    def three(self, table: NDArray[Any], names: Sequence[str]) -> FloatArray:
        """Three columns side by side [n, 3]."""
        return np.stack([table[f"c{self.names.index(name)}"] for name in names], axis=1)

    def maybe_one(self, table: NDArray[Any], name: str) -> NDArray[Any] | None:
        """As ``one``, or None where the file lacks the column."""
        return self.one(table, name) if name in self else None

    def maybe_three(self, table: NDArray[Any], names: Sequence[str]) -> FloatArray | None:
        """As ``three``, or None where the file lacks one of the columns."""
        return self.three(table, names) if all(name in self for name in names) else None

    def wanted(self, table: NDArray[Any]) -> dict[str, FloatArray]:
        """By what they are called in the configuration, [n, columns], where the file has all columns."""
        return {
            source: np.stack([table[f"c{self.names.index(name)}"] for name in names], axis=1)
            for source, names in self._wanted.items()
            if all(name in self for name in names)
        }

    def images(self, table: NDArray[Any], periodic: tuple[bool, bool, bool]) -> FloatArray | None:
        """Image flags [n, 3], or None where a periodic direction has none; 0 along the others."""
        known = [name in self for name in _IMAGES]
        if not all(have or not loops for have, loops in zip(known, periodic, strict=True)):
            return None
        flags = np.zeros((len(table), 3))
        for axis, name in enumerate(_IMAGES):
            if known[axis]:
                flags[:, axis] = table[f"c{self.names.index(name)}"]
        return flags
