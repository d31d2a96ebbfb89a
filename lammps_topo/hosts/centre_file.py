"""Snapshots of ions and electronic centres from files that ASE reads: extended XYZ, plain or gzipped."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..centres.snapshot import CentreSnapshot, assign
from ..errors import ConfigError, FileError


def read_centres(
    path: str | Path, *, symbol: str = "X", where: Mapping[str, str] | None = None
) -> list[CentreSnapshot]:
    """Snapshots of a file, in its order.

    Parameters
    ----------
    path : ions, and centres as atoms named ``symbol``; a column ``ion`` says which row, from 0, is the ion of each row,
        else a centre belongs to the nearest ion
    where : kept are snapshots whose ``info`` has these values, as text, ``{"kind": "md-750"}``, or numbers from one to
        before another, ``{"index": "0:1000"}``; either end may be missing

    Raises
    ------
    FileError, ConfigError
        The file cannot be read, holds no centres or no cell; no snapshot is left.
    """
    try:
        ase_io: Any = importlib.import_module("ase.io")
    except ImportError as error:
        raise FileError(
            f"'{path}' is read with ASE, which is missing: pip install lammps-topo[trajectories]"
        ) from error
    try:
        frames = list(ase_io.iread(str(path), index=slice(None), do_not_split_by_at_sign=True))
    except OSError as error:
        raise FileError(f"'{path}' cannot be read: {error.strerror or error}") from None
    except Exception as error:  # each format of ASE raises what it likes
        raise FileError(f"'{path}' cannot be read by ASE ({type(error).__name__}: {error})") from None
    if not frames:
        raise FileError(f"'{path}' holds no snapshots")
    wanted = dict(where or {})
    chosen = [frame for frame in frames if all(_is(frame.info.get(key), value) for key, value in wanted.items())]
    if not chosen:
        key, value = next(iter(wanted.items()))
        there = sorted({str(frame.info.get(key)) for frame in frames})
        raise ConfigError(f"no snapshot of '{path}' has {key}={value} (there are: {', '.join(there)})")
    return [_snapshot(frame, f"'{path}', snapshot {place + 1}", symbol) for place, frame in enumerate(chosen)]


def _is(found: Any, wanted: str) -> bool:
    first, colon, last = wanted.partition(":")
    if str(found) == wanted or not colon or found is None:
        return str(found) == wanted
    try:
        return (not first or float(found) >= float(first)) and (not last or float(found) < float(last))
    except (TypeError, ValueError):
        return False


def _snapshot(frame: Any, name: str, symbol: str) -> CentreSnapshot:
    symbols = np.array(frame.get_chemical_symbols())
    is_centre = symbols == symbol
    cell = np.asarray(frame.cell.array, dtype=np.float64)
    positions = np.asarray(frame.positions, dtype=np.float64)
    if not is_centre.any() or is_centre.all():
        raise FileError(f"{name} holds no {'ions' if is_centre.all() else f'centres (atoms named {symbol})'}")
    if not abs(np.linalg.det(cell)) > 0:
        raise FileError(f"{name} has no cell of three lattice vectors")
    if not np.isfinite(positions).all():
        raise FileError(f"{name} holds positions that are not finite")
    ions, centres = np.flatnonzero(~is_centre), positions[is_centre]
    if "ion" in frame.arrays:
        new_row = np.full(len(frame), -1)
        new_row[ions] = np.arange(len(ions))
        given = np.asarray(frame.arrays["ion"])[is_centre]
        inside = (given >= 0) & (given < len(frame))
        ion = np.where(inside, new_row[np.where(inside, given, 0)], -1)
        if (ion < 0).any():
            raise FileError(f"{name}: the column 'ion' names a row that is no ion")
    else:
        centres, ion = assign(positions[ions], centres, cell)
    species = tuple(str(one) for one in symbols[ions])
    return CentreSnapshot(cell, species, positions[ions], centres, ion.astype(np.int64), dict(frame.info))
