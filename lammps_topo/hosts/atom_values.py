"""Numbers of each atom of a LAMMPS that is reached through its Python module: forces, ``d_NAME``, ``c_ID[i]`` and such.

Computes that are summed up while forces are computed (``pe/atom``, ``stress/atom``) must know the step beforehand, what
this door cannot see to: have a fix of LAMMPS's keep them (``fix ID all ave/atom N 1 N c_ID[*]``), and take that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..representation import AtomSource
from ..stream.block import Array

_PER_ATOM, _VECTOR, _ARRAY, _COLUMNS = 1, 1, 2, 5  # LMP_STYLE_ATOM, LMP_TYPE_…, LMP_SIZE_COLS


class AtomValues:
    """The columns of some sources, of all atoms of this rank; methods are collective.

    Raises
    ------
    ConfigError
        LAMMPS does not have one.
    """

    def __init__(self, lmp: Any, sources: Sequence[AtomSource]) -> None:
        self._lmp = lmp
        self._sources = tuple(sources)
        for source in self._sources:
            self._check(source)

    @property
    def width(self) -> int:
        """Columns of all sources."""
        return sum(source.columns for source in self._sources)

    def read(self, atoms: int) -> list[Array]:
        """(``atoms``, columns) by source."""
        return [self._values(source, atoms).reshape(atoms, source.columns) for source in self._sources]

    def _check(self, source: AtomSource) -> None:
        kind, name, _ = _parts(source.source)
        if kind == "total":
            return
        if kind in ("d", "d2"):
            self._check_property(source)
            return
        category = "compute" if kind == "c" else "fix"
        if not self._lmp.has_id(category, name):
            what = "per-atom values" if source.columns == 1 else f"{source.columns} per-atom columns"
            raise _refused(source, f"there is no {category} '{name}' with {what}")

    def _check_property(self, source: AtomSource) -> None:
        known = hasattr(self._lmp, "extract_atom_size")
        if source.columns > 1 and not known:
            # older versions hand out such arrays without their shape
            raise _refused(source, "this LAMMPS cannot hand it out (LAMMPS of 2024 or later can)")
        if known:
            columns = self._lmp.extract_atom_size(source.source, _COLUMNS)
            there = columns == source.columns if source.columns > 1 else self._is_vector(source.source)
        else:
            there = self._is_vector(source.source)
        if not there:
            numbers, more = (
                ("one number", "") if source.columns == 1 else (f"{source.columns} numbers", f" {source.columns}")
            )
            raise _refused(
                source, f"atoms have no such property of {numbers} (fix ID all property/atom {source.source}{more})"
            )

    def _is_vector(self, name: str) -> bool:
        real = 2  # LAMMPS_DOUBLE
        return bool(self._lmp.extract_atom_datatype(name) == real)

    def _values(self, source: AtomSource, atoms: int) -> Any:
        kind, name, index = _parts(source.source)
        nobody = np.zeros((0, source.columns))
        if kind == "total":
            return np.asarray(self._lmp.numpy.extract_atom("f"))[:atoms] if atoms else nobody
        if kind in ("d", "d2"):
            self._check(source)
            if not atoms:
                return nobody
            shape = {"nelem": atoms, "dim": source.columns} if kind == "d2" else {"nelem": atoms}
            return np.asarray(self._lmp.numpy.extract_atom(source.source, **shape))[:atoms]
        pointer, columns = self._extracted(kind, name)
        what = f"{'compute' if kind == 'c' else 'fix'} '{name}'"
        if index:
            good = columns is not None and index <= columns
        else:
            good = columns == (0 if source.columns == 1 else source.columns)
        if not good and source.columns == 1:
            has = f"{what} has {columns} per-atom columns" if columns else f"{what} has a per-atom vector"
            chosen = "" if index else ": one of them must be chosen, [i]"
            raise _refused(source, f"there is no {what} with per-atom values" if columns is None else has + chosen)
        if not good:
            raise _refused(source, f"there is no {what} with {source.columns} per-atom columns")
        if not atoms:
            return nobody
        if not columns:
            return self._lmp.numpy.darray(pointer, atoms)
        array = self._lmp.numpy.darray(pointer, atoms, columns)
        return array[:, index - 1] if index else array

    def _extracted(self, kind: str, name: str) -> tuple[Any, int | None]:
        """Per-atom values of a compute or fix, and their columns: 0 for a vector, None if there are none.

        On all ranks: it makes a compute compute.
        """
        extra = () if kind == "c" else (0, 0)
        extract = self._lmp.extract_compute if kind == "c" else self._lmp.extract_fix
        if not self._lmp.has_id("compute" if kind == "c" else "fix", name):
            return None, None
        for form in (_ARRAY, _VECTOR):
            try:
                pointer = extract(name, _PER_ATOM, form, *extra)
                columns = int(extract(name, _PER_ATOM, _COLUMNS, *extra))
            except ValueError:  # a null pointer
                continue
            if pointer is not None and (columns > 0) == (form == _ARRAY):
                return pointer, columns
        return None, None


def _parts(source: str) -> tuple[str, str, int]:
    kind, _, name = source.partition("_")
    name, _, index = name.partition("[")
    return kind, name, int(index.rstrip("]") or 0)


def _refused(source: AtomSource, problem: str) -> ConfigError:
    return ConfigError(f"key '{source.key}' is '{source.source}', but {problem}")
