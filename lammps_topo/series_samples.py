"""The samples of fluxes in files, with their interval, temperature and volume; all that is checked of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import ConfigError, EstimateError, FileError
from .estimate.series_check import FEWEST_SAMPLES, equidistant
from .estimate.transport_quantity import TransportQuantity
from .hosts.series_columns import Flux, choose_fluxes
from .hosts.series_file import SeriesFile
from .units import Units

Array = NDArray[np.float64]

_COLUMNS = {"viscosity": "pxy,pxz,pyz"}
"""What is meant by default, where the file has it."""
_TEMPERATURE, _VOLUME = ("temp", "temperature", "c_thermo_temp", "v_temp"), ("volume", "vol", "v_vol", "v_volume")


@dataclass(frozen=True)
class Given:
    """What the user says of files, in the unit style of the series."""

    columns: str | None = None
    eliminate: Sequence[str] = ()
    temperature: float | None = None
    volume: float | None = None
    interval: float | None = None
    timestep: float | None = None


@dataclass(frozen=True)
class Samples:
    """The fluxes, that of interest first, in the unit style of the series."""

    stretches: list[Array]
    """(samples, fluxes, components) each."""
    fluxes: list[Flux]
    interval: float
    temperature: float
    volume: float
    """NaN where they are not needed."""
    temperature_origin: str
    volume_origin: str


@dataclass(frozen=True)
class _Stretch:
    file: SeriesFile
    flux: Array
    interval: float
    temperature: float
    volume: float


def read_samples(files: Sequence[SeriesFile], quantity: TransportQuantity, units: Units, given: Given) -> Samples:
    """Read the fluxes that are wanted from all files, and what else is known in them.

    Raises FileError, ConfigError or EstimateError: columns are missing, the temperature or the volume is not known,
    replicas do not agree, numbers are not finite, a flux does not fluctuate, samples are not equally far apart.
    """
    fluxes = _fluxes(files[0], quantity, given)
    found: list[_Stretch] = []
    for file in files:
        own = _fluxes(file, quantity, given)
        if [len(flux.columns) for flux in own] != [len(flux.columns) for flux in fluxes]:
            raise ConfigError(f"'{file.path}' has other fluxes than '{files[0].path}': replicas must agree")
        found += _read_file(file, own, quantity, units, given)
    first = found[0]
    for other in found:
        if abs(other.interval / first.interval - 1) > 1e-6:
            raise FileError(
                f"'{other.file.path}': samples are {other.interval:g} apart, but {first.interval:g} in "
                f"'{first.file.path}'"
            )
    weights = [len(stretch.flux) for stretch in found]
    return Samples(
        stretches=[stretch.flux for stretch in found],
        fluxes=fluxes,
        interval=first.interval,
        temperature=float(np.average([stretch.temperature for stretch in found], weights=weights)),
        volume=float(np.average([stretch.volume for stretch in found], weights=weights)),
        temperature_origin="mean of the series" if given.temperature is None else "given",
        volume_origin="mean of the series" if given.volume is None else "given",
    )


def _read_file(
    file: SeriesFile, fluxes: Sequence[Flux], quantity: TransportQuantity, units: Units, given: Given
) -> list[_Stretch]:
    """A stretch for each table of the file."""
    clock = _clock(file, given)
    temperature = volume = None
    if quantity.needs_temperature and given.temperature is None:
        temperature = file.find(*_TEMPERATURE)
        if temperature is None:
            raise ConfigError(f"the temperature is not known: give --temperature ('{file.path}' has no column Temp)")
    if quantity.needs_volume and given.volume is None:
        volume = file.find(*_VOLUME)
        if volume is None:
            raise ConfigError(
                f"the volume is not known: give --volume, in {units.symbols[0]}³ ('{file.path}' has no column Volume)"
            )
    wanted = [column for flux in fluxes for column in flux.columns]
    columns = [*wanted, *(column for column in (clock, temperature, volume) if column is not None)]
    found = []
    for table in file.read(columns):
        _check(file, table, columns, len(wanted))
        flux = table[:, : len(wanted)].reshape(len(table), len(fluxes), -1)
        rows: dict[int | None, Array] = {column: table[:, place] for place, column in enumerate(columns)}
        found.append(_Stretch(
            file=file,
            flux=_components(flux, quantity),
            interval=_interval(file, given, clock, rows.get(clock, flux)),
            temperature=given.temperature or (math.nan if temperature is None else float(rows[temperature].mean())),
            volume=given.volume or (math.nan if volume is None else float(rows[volume].mean())),
        ))  # fmt: skip
    return found


def _interval(file: SeriesFile, given: Given, clock: int | None, times: Array) -> float:
    """Time between samples; the column ``clock`` of steps or times must be equidistant."""
    if clock is None:
        return given.interval or math.nan
    spacing = equidistant(times)
    if isinstance(spacing, int):
        here, following = times[spacing], times[spacing + 1]
        rounded = "" if clock == file.step else "; give --interval if they are rounded"
        raise FileError(
            f"'{file.path}': samples must be equally far apart, but {file.name(clock)} {here:.10g} is followed by "
            f"{following:.10g} in row {spacing + 2}, where most are {np.median(np.diff(times)):g} apart{rounded}"
        )
    step = (given.timestep or file.timestep or math.nan) if clock == file.step else 1.0
    return given.interval or spacing * step


def _clock(file: SeriesFile, given: Given) -> int | None:
    """The column of steps, else that of times. With an interval no times are looked at: they may be rounded."""
    known = given.interval or given.timestep or file.timestep
    if file.step is not None and known:
        return file.step
    if file.time is not None or given.interval:
        return None if given.interval else file.time
    if file.step is not None:
        raise ConfigError(
            f"'{file.path}' counts steps: give --timestep, the time of a step, or --interval, that between samples"
        )
    raise ConfigError(f"'{file.path}' has no column Step or Time: give --interval, the time between samples")


def _fluxes(file: SeriesFile, quantity: TransportQuantity, given: Given) -> list[Flux]:
    """The fluxes, that of interest first; they have equally many components."""
    tensor, columns = quantity.is_tensor, given.columns
    if columns is None:
        usual = _COLUMNS.get(quantity.name, "")
        beside = {file.step, file.time, file.find(*_TEMPERATURE), file.find(*_VOLUME)}
        others = [column for column in range(file.width) if column not in beside]
        if usual and all(file.find(name) is not None for name in usual.split(",")):
            columns = usual
        elif len(others) == 3:
            columns = ",".join(str(column + 1) for column in others)
        else:
            raise ConfigError(
                f"'{file.path}' has more than one flux: give --columns, names or numbers (there are: {file.there_is()})"
            )
    fluxes = choose_fluxes(file, columns, tensor=tensor)
    for text in given.eliminate:
        fluxes += choose_fluxes(file, text, tensor=tensor)
    for flux in fluxes[1:]:
        if len(flux.columns) != len(fluxes[0].columns):
            raise ConfigError(
                f"'{flux.name}' has {len(flux.columns)} components, but '{fluxes[0].name}' has "
                f"{len(fluxes[0].columns)}: fluxes must have equally many"
            )
    return fluxes


def _check(file: SeriesFile, table: Array, columns: Sequence[int], fluxes: int) -> None:
    """The first number that is not finite, and a flux that does not fluctuate, are errors."""
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0]
        raise FileError(
            f"'{file.path}': column '{file.name(columns[column])}' is {table[row, column]:g} in row {row + 1} of "
            f"{len(table)}"
        )
    if len(table) < FEWEST_SAMPLES:
        raise EstimateError(f"'{file.path}' holds {len(table)} samples: too few, a spectrum needs {FEWEST_SAMPLES}")
    for place, column in enumerate(columns[:fluxes]):
        values = table[:, place]
        if values[0] == values[1] and (values == values[0]).all():
            raise FileError(
                f"'{file.path}': column '{file.name(column)}' is {values[0]:g} in all rows, but a flux must fluctuate"
            )


def _components(flux: Array, quantity: TransportQuantity) -> Array:
    """Six components of the pressure (xx yy zz xy xz yz) become the five independent ones of equal variance.

    These are the three off-diagonal ones, (P_xx - P_yy)/2 and (2 P_zz - P_xx - P_yy)/(2√3): an orthogonal basis of the
    symmetric traceless tensors, all of one length.
    """
    if quantity.name != "viscosity" or flux.shape[2] != 6:
        return flux
    xx, yy, zz = (flux[:, :, k] for k in range(3))
    differences = np.stack(((xx - yy) / 2, (2 * zz - xx - yy) / (2 * math.sqrt(3))), axis=2)
    return np.concatenate((flux[:, :, 3:], differences), axis=2)
