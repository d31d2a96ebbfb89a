"""Whatever ASE reads, as frames in LAMMPS ``metal`` units."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lammps_topo.errors import FileError
from lammps_topo.hosts.trajectory.frame import FloatArray, Numbering, TrajectoryFrame, finite
from lammps_topo.hosts.trajectory.unwrap import Unwrapper

#: Arrays of molecule ids.
_MOLECULES = ("mol", "mol-id")
_HINT = "; sample more often, or say that the positions are unwrapped already"


def read_with_ase(
    path: Path, *, unwrapped: bool = False, values: Mapping[str, int] | None = None
) -> Iterator[TrajectoryFrame]:
    """Frames of a file that ``ase.io.iread`` understands (it holds one at a time for most formats).

    Lengths in Å, velocities in Å/ps, forces in eV/Å, charges in e (those of the calculator, else the
    initial ones), masses in g/mol.  ``values`` are per-atom numbers, called as in LAMMPS, and how many
    columns they have: ``d2_z`` is the array ``z``, of shape (n, 9) or (n, 3, 3), ``c_z[2]`` the second
    column of it.  Raises FileError without ASE and for what ASE cannot read; a last frame that ASE
    cannot read is left out with a warning.
    """
    try:
        ase_io: Any = importlib.import_module("ase.io")
        fs = float(importlib.import_module("ase.units").fs)
    except ImportError as error:
        raise FileError(
            f"{path.name}: not a LAMMPS text dump, and other trajectories are read by ASE, "
            "which is not installed: pip install lammps-topo[trajectories]"
        ) from error
    return _frames(path, ase_io, 1000.0 * fs, unwrapped, values or {})


def _frames(
    path: Path, ase_io: Any, velocity: float, unwrapped: bool, values: Mapping[str, int]
) -> Iterator[TrajectoryFrame]:
    unwrap = None if unwrapped else Unwrapper(path.name, _HINT)
    known: _Known | None = None
    for step, atoms in _atoms(path, ase_io):
        where = f"{path.name}: frame {step}"
        if known is None:
            if not len(atoms):
                raise FileError(f"{where} holds no atoms.")
            known = _know(atoms)
        _same(where, atoms, known)
        yield _convert(where, atoms, step, known, velocity, unwrap, values)


def _atoms(path: Path, ase_io: Any) -> Iterator[tuple[int, Any]]:
    """Frame numbers and ``ase.Atoms``; ASE's many kinds of errors become one."""
    step = 0
    frames = _iread(path, ase_io, 0)
    while True:
        try:
            atoms = next(frames)
        except StopIteration:
            break
        except Exception as error:  # each format of ASE raises what it likes
            if step and _is_last(path, ase_io, step):
                warnings.warn(
                    f"{path.name}: the last frame, number {step}, is incomplete and was left out.",
                    stacklevel=3,
                )
                return
            what = f"frame {step} of the file" if step else "the file"
            why = f"{type(error).__name__}: {error}"
            raise FileError(f"{path.name}: ASE cannot read {what} ({why}).") from error
        yield step, atoms
        step += 1
    if step == 0:
        raise FileError(f"{path.name}: ASE found no frame in it.")


def _iread(path: Path, ase_io: Any, start: int) -> Iterator[Any]:
    frames: Iterator[Any] = ase_io.iread(str(path), index=slice(start, None), do_not_split_by_at_sign=True)
    return frames


def _is_last(path: Path, ase_io: Any, step: int) -> bool:
    """Whether ASE sees no frame after number ``step``."""
    try:
        return next(_iread(path, ase_io, step + 1), None) is None
    except Exception:
        return False


@dataclass(frozen=True, eq=False)
class _Known:
    """What every frame shares with the first: [n] tags, atomic numbers, symbols, types."""

    tags: NDArray[np.int64]
    numbers: NDArray[np.int64]
    symbols: NDArray[np.str_]
    types: NDArray[np.int32]


def _know(atoms: Any) -> _Known:
    symbols = np.array(atoms.get_chemical_symbols(), dtype=np.str_)
    tags = np.arange(1, len(symbols) + 1, dtype=np.int64)
    return _Known(tags, atoms.numbers.copy(), symbols, Numbering()(symbols))


def _same(where: str, atoms: Any, known: _Known) -> None:
    if len(atoms) != len(known.tags):
        raise FileError(
            f"{where} has {len(atoms)} atoms where the first frame has {len(known.tags)}: "
            "every frame must hold the same atoms."
        )
    if not np.array_equal(atoms.numbers, known.numbers):
        raise FileError(
            f"{where} lists other elements, or in another order, than the first frame: atoms of "
            "these formats are known by their place, which must not change."
        )


def _convert(
    where: str,
    atoms: Any,
    step: int,
    known: _Known,
    velocity: float,
    unwrap: Unwrapper | None,
    values: Mapping[str, int],
) -> TrajectoryFrame:
    results: dict[str, Any] = getattr(atoms.calc, "results", {})
    charges = results.get("charges", atoms.arrays.get("initial_charges"))
    forces = results.get("forces")
    cell = np.array(atoms.cell, dtype=np.float64)
    whole = np.array(atoms.cell.complete(), dtype=np.float64)
    origin = np.array(atoms.get_celldisp(), dtype=np.float64).reshape(3)
    a, b, c = (bool(flag) and bool(vector.any()) for flag, vector in zip(atoms.pbc, cell, strict=True))
    x = np.array(atoms.positions, dtype=np.float64)
    v = atoms.get_velocities() * velocity if atoms.has("momenta") else None
    f = None if forces is None else np.array(forces, dtype=np.float64)
    q = None if charges is None else np.array(charges, dtype=np.float64)
    mass: FloatArray = np.array(atoms.get_masses(), dtype=np.float64)
    found = {
        source: array
        for source, number in values.items()
        if (array := _value(atoms.arrays, source, number, len(known.tags))) is not None
    }
    finite(where, cell=cell, x=x, v=v, f=f, q=q, mass=mass, **found)
    mol = next((atoms.arrays[name] for name in _MOLECULES if name in atoms.arrays), None)
    if abs(np.linalg.det(whole)) < 1e-9:
        raise FileError(f"{where} has a cell without volume.")
    if unwrap is not None:
        x = unwrap(x, whole, origin, (a, b, c), known.tags, step)
    # fmt: off
    return TrajectoryFrame(step, cell, origin, known.tags, known.types, x, v, f, q, mass, known.symbols,
                           None if mol is None else np.array(mol, dtype=np.int64), (a, b, c), None, "metal", found)
    # fmt: on


def _value(arrays: Mapping[str, Any], source: str, number: int, atoms: int) -> FloatArray | None:
    """[n, ``number``] of the array that ``source`` names, None where there is none of that shape."""
    name, _, index = source.partition("[")
    array = next((arrays[one] for one in (name, name.partition("_")[2]) if one in arrays), None)
    if array is None or array.dtype.kind not in "iuf":
        return None
    columns = np.array(array, dtype=np.float64).reshape(atoms, -1)
    if index:
        place = int(index.rstrip("]"))
        return columns[:, place - 1 : place] if place <= columns.shape[1] else None
    return columns if columns.shape[1] == number else None
