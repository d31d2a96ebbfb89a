"""Memory kernels of what exists already: results files, and tables of velocity correlation functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .errors import ConfigError, EstimateError, FileError
from .estimate.kernel_table import KernelTable, kernel_of_correlations, kernel_of_record
from .hosts.correlation_file import CorrelationTable, read_correlation
from .store import read_results
from .units import unit_style

_SUFFIX = ".topo.h5"


def kernel_of_files(
    files: Sequence[str | Path],
    *,
    species: str | None = None,
    columns: str | None = None,
    interval: float | None = None,
    timestep: float | None = None,
    origin: float = 0.0,
    units: str = "metal",
    mass: float | None = None,
    temperature: float | None = None,
) -> tuple[KernelTable, str]:
    """The memory kernel of a results file, or of tables of ⟨v(t)·v(0)⟩ of independent replicas; and whose it is.

    Parameters
    ----------
    files : one NAME.topo.h5 that was measured with the key ``correlations``; or tables: text, npy, LAMMPS's
        ``fix ave/correlate`` or ``compute vacf`` output
    species : of a results file, the first one by default
    columns : of a table, counted from 1: the lag (unless ``interval`` is given) and ⟨v(t)·v(0)⟩, of any scale
    interval, timestep : time between lags, or time of a step where lags are counted in steps
    origin : what the column of lags holds at lag 0
    units : LAMMPS unit style of a table, of ``mass`` and ``temperature``
    mass, temperature : for a table; without a temperature there is no diffusion coefficient

    Raises
    ------
    FileError, ConfigError, EstimateError
        A file cannot be read, something about it is not known, or there is too little in it.
    """
    paths = [Path(file) for file in files]
    numbers = {"interval": interval, "timestep": timestep, "mass": mass, "temperature": temperature}
    for what, value in numbers.items():
        if value is not None and not 0 < value < math.inf:
            raise ConfigError(f"--{what} is {value:g}, but must be a positive number")
    if interval is not None and timestep is not None:
        raise ConfigError("give --interval, the time between lags, or --timestep, where lags count steps, but not both")
    if any(path.name.endswith(_SUFFIX) for path in paths):
        if len(paths) > 1:
            raise ConfigError("one results file at a time has a kernel; merge replicas first (lammps-topo merge)")
        record = read_results(paths[0]).record
        if record.correlations is None:
            raise EstimateError(f"'{paths[0]}' holds no velocity correlations: measure with the key 'correlations'")
        name = species or next(
            name for name, n in zip(record.correlations.groups, record.correlations.followed, strict=True) if n
        )
        return kernel_of_record(record, name, unit_style(record.units), temperature=temperature), name
    if mass is None:
        raise ConfigError("a table does not say the mass of an atom: give a positive --mass, in the units of --units")
    chosen = None if columns is None else _columns(columns, 1 if interval is not None else 2)
    tables = [read_correlation(path, chosen, interval, origin) for path in paths]
    first = tables[0]
    for path, table in zip(paths, tables, strict=True):
        _belongs(path, table, paths[0], first)
    spacing = first.interval * (timestep or 1.0)
    replicas = np.stack([table.columns[0] for table in tables])
    found = kernel_of_correlations(spacing, replicas, unit_style(units), mass=mass, temperature=temperature)
    return found, species or paths[0].stem


def _columns(text: str, number: int) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != number or min(found) < 1:
        what = "the column of ⟨v(t)·v(0)⟩" if number == 1 else "the columns of the lag and of ⟨v(t)·v(0)⟩"
        raise ConfigError(
            f"--columns {text}: expected {what}, counted from 1, as in --columns {'2' if number == 1 else '1,2'}"
        )
    return found


def _belongs(path: Path, table: CorrelationTable, first_path: Path, first: CorrelationTable) -> None:
    """Replicas have the same lags, and begin with a variance."""
    if table.columns.shape != first.columns.shape or abs(table.interval / first.interval - 1) > 1e-9:
        raise FileError(
            f"'{path}' has {table.columns.shape[1]} lags {table.interval:g} apart, '{first_path}' has "
            f"{first.columns.shape[1]}, {first.interval:g} apart: replicas must agree"
        )
    if not table.columns[0, 0] > 0:
        raise FileError(f"'{path}': ⟨v²⟩, the correlation at lag 0, is {table.columns[0, 0]:g}, but must be positive")
