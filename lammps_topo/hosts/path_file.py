"""A file of frames as a path: what ASE reads, or a LAMMPS text dump."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from ..errors import FileError
from ..topology.path import Array, Integers, Path, one_cell
from .trajectory import TrajectoryFrame, open_trajectory

#: Numbers that a path may have: positions of all particles at all points.
_MOST = 1 << 26


@dataclass(frozen=True)
class PathFile:
    """The points of a file.

    Attributes
    ----------
    path : positions, species and cell
    types : (n,) LAMMPS types, or numbers that stand for element symbols
    elements : (n,) element symbols, None where the file has none
    charges : (K, n) those of the file, None where it has none
    tensors : (K, n, 3, 3) those that were asked for, None if none were
    units : LAMMPS unit style, where the file tells
    """

    path: Path
    types: Integers
    elements: tuple[str, ...] | None
    charges: Array | None
    tensors: Array | None = None
    units: str | None = None


def read_path(
    file: FilePath, *, species: Mapping[int | str, str] | None = None, centres: tuple[str, ...] = (),
    tensors: str | None = None,
) -> PathFile:  # fmt: skip
    """All frames of a file.

    Parameters
    ----------
    species : names by LAMMPS type or element symbol; by default element symbols, or types where there are none
    centres : species whose particles are not told apart
    tensors : name of a per-atom array of nine numbers (xx xy xz yx …) in a file that ASE reads

    Raises
    ------
    FileError, EstimateError
        The file cannot be read, or its frames have different atoms or cells.
    """
    frames: list[TrajectoryFrame] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # a frame that was left out would open the loop
        try:
            for frame in open_trajectory(file, unwrapped=True):
                frames.append(frame)
                if len(frames) * frame.x.size > _MOST:
                    raise FileError(f"'{file}' has more than the {_MOST} coordinates that a path may have")
        except UserWarning as warning:
            raise FileError(str(warning)) from None
    first = frames[0]
    names = _names(frames)
    cell = one_cell([frame.cell for frame in frames], names)
    if abs(np.linalg.det(cell)) == 0.0 or not any(first.periodic):
        raise FileError(f"'{file}' has no periodic cell, and a loop needs one")
    elements = None if first.element is None else tuple(str(symbol) for symbol in first.element)
    return PathFile(
        path=Path(
            species=_species(file, first, elements, species),
            tags=first.tags,
            cell=cell,
            positions=np.array([frame.x for frame in frames]),
            names=names,
            centres=centres,
            periodic=first.periodic,
        ),
        types=first.types.astype(np.int64),
        elements=elements,
        charges=_charges(file, frames),
        tensors=None if tensors is None else _tensors(file, tensors, len(frames), len(first.tags)),
        units=first.units,
    )


def _names(frames: list[TrajectoryFrame]) -> tuple[str, ...]:
    """``step 100`` in a dump, ``frame 3`` (from 0) elsewhere."""
    steps = [frame.step for frame in frames]
    if len(set(steps)) == len(steps) and steps != list(range(len(steps))):
        return tuple(f"step {step}" for step in steps)
    return tuple(f"frame {place}" for place in range(len(steps)))


def _species(
    file: FilePath, frame: TrajectoryFrame, elements: tuple[str, ...] | None, names: Mapping[int | str, str] | None
) -> tuple[str, ...]:
    types = [int(kind) for kind in frame.types]
    if names is None:
        return elements or tuple(str(kind) for kind in types)
    found = []
    for place, kind in enumerate(types):
        symbol = kind if elements is None else elements[place]
        name = names.get(symbol, names.get(kind))
        if name is None:
            allowed = ", ".join(dict.fromkeys(names.values()))
            raise FileError(f"'{file}': atoms of type {symbol} belong to no species of the configuration ({allowed})")
        found.append(name)
    return tuple(found)


def _charges(file: FilePath, frames: list[TrajectoryFrame]) -> Array | None:
    values = [frame.q for frame in frames if frame.q is not None]
    if values and len(values) < len(frames):
        raise FileError(f"'{file}': some frames have charges, others have none")
    return np.array(values) if values else None


def _tensors(file: FilePath, name: str, number: int, particles: int) -> Array:
    """Per-atom arrays of nine numbers, which only ASE's files have."""
    try:
        from ase.io import iread
    except ImportError:
        raise FileError(f"'{file}': tensors are read by ASE: pip install lammps-topo[trajectories]") from None
    found: list[Any] = []
    try:
        for atoms in iread(str(file), do_not_split_by_at_sign=True):
            found.append(np.asarray(atoms.arrays[name], dtype=np.float64).reshape(particles, 3, 3))
    except (LookupError, ValueError, TypeError):
        raise FileError(
            f"'{file}': frame {len(found)} has no array '{name}' of nine numbers an atom (xx xy xz yx yy yz zx zy zz)"
        ) from None
    if len(found) != number:
        raise FileError(f"'{file}': {len(found)} of {number} frames have tensors '{name}'")
    tensors: Array = np.array(found)
    if not np.isfinite(tensors).all():
        raise FileError(f"'{file}': a tensor of '{name}' is not finite")
    return tensors
