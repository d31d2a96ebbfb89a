"""Whatever ASE reads, as frames in LAMMPS ``metal`` units."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lammps_topo.errors import FileError
from lammps_topo.hosts.trajectory.frame import FloatArray, Numbering, TrajectoryFrame, finite
from lammps_topo.hosts.trajectory.unwrap import Unwrapper

_HINT = "; sample more often, or say that the positions are unwrapped already"


def read_with_ase(path: Path, *, unwrapped: bool = False) -> Iterator[TrajectoryFrame]:
    """Frames of a file that ``ase.io.iread`` understands (it holds one at a time for most formats).

    Lengths in Å, velocities in Å/ps, forces in eV/Å, charges in e (those of the calculator, else the
    initial ones), masses in g/mol.  Raises FileError without ASE and for what ASE cannot read; a
    last frame that ASE cannot read is left out with a warning.
    """
    try:
        ase_io: Any = importlib.import_module("ase.io")
        fs = float(importlib.import_module("ase.units").fs)
    except ImportError as error:
        raise FileError(
            f"{path.name}: not a LAMMPS text dump, and other trajectories are read by ASE, "
            "which is not installed: pip install lammps-topo[trajectories]"
        ) from error
    return _frames(path, ase_io, 1000.0 * fs, unwrapped)


def _frames(path: Path, ase_io: Any, velocity: float, unwrapped: bool) -> Iterator[TrajectoryFrame]:
    unwrap = None if unwrapped else Unwrapper(path.name, _HINT)
    known: _Known | None = None
    for step, atoms in _atoms(path, ase_io):
        where = f"{path.name}: frame {step}"
        if known is None:
            if not len(atoms):
                raise FileError(f"{where} holds no atoms.")
            known = _know(atoms)
        _same(where, atoms, known)
        yield _convert(where, atoms, step, known, velocity, unwrap)


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
    where: str, atoms: Any, step: int, known: _Known, velocity: float, unwrap: Unwrapper | None
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
    finite(where, cell=cell, x=x, v=v, f=f, q=q, mass=mass)
    if abs(np.linalg.det(whole)) < 1e-9:
        raise FileError(f"{where} has a cell without volume.")
    if unwrap is not None:
        x = unwrap(x, whole, origin, (a, b, c), known.tags, step)
    # fmt: off
    return TrajectoryFrame(step, cell, origin, known.tags, known.types, x, v, f, q, mass, known.symbols,
                           periodic=(a, b, c), units="metal")
    # fmt: on
