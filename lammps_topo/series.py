"""Transport coefficients of time series that exist already: what ``lammps-topo spectrum`` does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ConfigError, EstimateError
from .estimate.result import Curve, Outcome, Result
from .estimate.series_check import doubts_of_stretches
from .estimate.series_spectrum import Estimated, estimated, mean_spectrum, shown_periodogram, shown_smooth
from .estimate.spectrum import Spectrum, block_average, schur_dof
from .estimate.transport_quantity import QUANTITIES, TransportQuantity
from .hosts.series_file import SeriesFile, open_series
from .series_samples import Given, Samples, read_samples
from .units import STYLES, Units, unit_style

__all__ = ["spectrum_of_files"]

Array = NDArray[np.float64]


def spectrum_of_files(
    files: Sequence[str | Path],
    *,
    quantity: str,
    columns: str | None = None,
    eliminate: Sequence[str] = (),
    units: str | None = None,
    temperature: float | None = None,
    volume: float | None = None,
    interval: float | None = None,
    timestep: float | None = None,
    runs: str | None = None,
    scale: float = 1.0,
    intensive: bool = False,
    remove_mean: bool = False,
    method: str | None = None,
    cutoff: float | None = None,
    order: int | None = None,
    resample: int = 1,
    segments: int = 1,
) -> Outcome:
    """A transport coefficient from the time series of a flux, other fluxes eliminated.

    Parameters
    ----------
    files : text, npy, npz, ``fix ave/time``, LAMMPS logs (:func:`.hosts.series_file.open_series`); several are replicas
    quantity : ``conductivity``, ``heat``, ``viscosity``, ``diffusion`` or ``raw`` (:mod:`.estimate.transport_quantity`)
    columns : the flux of interest, and others to eliminate (:func:`.hosts.series_columns.choose_fluxes`); by default
        the only three columns, or pxy, pxz, pyz for the viscosity
    eliminate : more fluxes to eliminate
    units : LAMMPS unit style of the series and of the numbers below; a log may say it
    temperature, volume : by default the mean of a column Temp, Volume
    interval, timestep : time between samples; or time of a step where there is a column Step. A column Time will do
    runs : of a log, see ``open_series``
    scale : factor that turns the flux into that of the quantity, such as a charge for a velocity
    intensive : the fluxes were divided by the volume
    remove_mean : subtract the mean of each stretch. It is not done by default: at equilibrium it is known to be zero
    method : ``spectral`` (the default), ``cepstral-average`` over all orders, or ``cepstral-aic``, SporTran's
    cutoff : highest frequency in use, 1/time (f* of ``cepstral-aic``, which it stands for alone); order : its P*
    resample : means over so many samples in their place, as SporTran does; f* of a cepstral estimate is then the new
        Nyquist frequency, if it is not given
    segments : parts that each stretch is cut into; more degrees of freedom, less resolution

    Returns
    -------
    Temperature, volume, duration, and the coefficient with its error; the spectrum as curves, both in SI units; and
    what to heed.

    Raises
    ------
    FileError, ConfigError, EstimateError
        A file cannot be read, something is not known, or there is too little in the series. One sentence each.
    """
    if quantity not in QUANTITIES:
        raise ConfigError(f"--quantity {quantity} is not known (allowed: {', '.join(QUANTITIES)})")
    wanted = QUANTITIES[quantity]
    positive = {
        "temperature": temperature, "volume": volume, "interval": interval, "timestep": timestep, "scale": scale,
        "cutoff": cutoff, "order": order, "resample": resample, "segments": segments,
    }  # fmt: skip
    for key, value in positive.items():
        if value is not None and not value > 0:
            raise ConfigError(f"--{key} is {value:g}, but must be positive")
    if intensive and quantity not in ("conductivity", "heat"):
        raise ConfigError(f"--intensive is for conductivity and heat; --quantity {quantity} takes its series as it is")
    opened = [open_series(path, runs) for path in files]
    if not opened:
        raise ConfigError("no file of samples is given")
    style = _units(opened, units, quantity)
    given = Given(columns, eliminate, temperature, volume, interval, timestep)
    samples = read_samples(opened, wanted, style, given)
    notes = [note for file in opened for note in file.notes]
    if remove_mean:
        samples = replace(samples, stretches=[stretch - stretch.mean(axis=0) for stretch in samples.stretches])
    else:
        labels = [flux.name for flux in samples.fluxes]
        notes += doubts_of_stretches(samples.stretches, labels)
    spectrum = _spectrum(samples, resample, segments, remove_mean)
    if cutoff is None and resample > 1 and method in ("cepstral-aic", "cepstral-average"):
        cutoff = math.inf  # as in SporTran, resampling has taken the place of f*
    found = estimated(spectrum, method, cutoff=cutoff, order=order)
    prefactor = scale**2 * wanted.prefactor(style, samples.volume, samples.temperature)
    if intensive:
        prefactor *= samples.volume**2
    notes += _verdict(found)
    results = [*_state(samples, style, wanted), _result(found, spectrum, samples, wanted, style, prefactor)]
    return Outcome(tuple(results), _curves(found, spectrum, samples, wanted, style, prefactor), tuple(notes))


def _units(opened: Sequence[SeriesFile], given: str | None, quantity: str) -> Units:
    if quantity == "raw":
        return unit_style("lj")  # nothing is converted
    said = {file.units for file in opened if file.units}
    if given is None and len(said) == 1:
        return unit_style(said.pop())
    if given is None:
        raise ConfigError(f"the units of the series are not known: give --units, one of {', '.join(STYLES)}")
    if said - {given}:
        raise ConfigError(f"--units {given}: the log says that its units are '{(said - {given}).pop()}'")
    return unit_style(given)


def _spectrum(samples: Samples, resample: int, segments: int, mean_removed: bool) -> Spectrum:
    stretches = samples.stretches
    if resample > 1:
        stretches = [block_average(stretch, resample) for stretch in stretches]
    spectrum = mean_spectrum(stretches, samples.interval * resample, segments, mean_removed=mean_removed)
    if schur_dof(spectrum) < 1:
        most = int(spectrum.dof)
        raise EstimateError(
            f"{len(samples.fluxes)} fluxes, but {most} degrees of freedom at each frequency (components times segments "
            f"and replicas) suffice for {most} only: give more replicas, or cut the series by --segments"
        )
    return spectrum


def _verdict(found: Estimated) -> list[str]:
    if found.resolved:
        return list(found.reasons)
    return [f"the zero-frequency value is not resolved: {reason}" for reason in found.reasons or ("too little data",)]


def _state(samples: Samples, units: Units, quantity: TransportQuantity) -> list[Result]:
    count = sum(len(stretch) for stretch in samples.stretches)
    interval = samples.interval * units.picosecond
    details: dict[str, Any] = {"samples": count, "interval": interval, "interval_unit": units.time_label}
    if len(samples.stretches) > 1:
        details["stretches"] = len(samples.stretches)
    results = []
    if quantity.needs_temperature:
        kelvin = samples.temperature * units.temperature
        results.append(Result("temperature", "system", samples.temperature_origin, kelvin, 0.0, units.label("K")))
    if quantity.needs_volume:
        volume = samples.volume * units.angstrom**3
        results.append(Result("volume", "system", samples.volume_origin, volume, 0.0, units.label("Å^3")))
    return [*results, Result("duration", "system", "given", count * interval, 0.0, units.label("ps"), details)]


def _result(
    found: Estimated, spectrum: Spectrum, samples: Samples, quantity: TransportQuantity, units: Units, scale: float
) -> Result:
    details: dict[str, Any] = dict(found.details)
    if "cutoff" in details:
        details |= {"cutoff": details["cutoff"] * units.terahertz, "cutoff_unit": units.frequency_label}
    others = [flux.name for flux in samples.fluxes[1:]]
    if others:
        details["eliminated"] = others
    details |= {
        "degrees_of_freedom": spectrum.dof, "segment": spectrum.segment,
        "log_error": found.log_error, "resolved": found.resolved, "reasons": list(found.reasons),
    }  # fmt: skip
    unit = quantity.unit if quantity.name == "zero_frequency" else units.label(quantity.unit)
    name = samples.fluxes[0].name
    return Result(quantity.name, name, found.method, scale * found.value, scale * found.error, unit, details)


def _curves(
    found: Estimated, spectrum: Spectrum, samples: Samples, quantity: TransportQuantity, units: Units, scale: float
) -> tuple[Curve, ...]:
    """The periodogram, and the estimate with its band."""
    name, label = samples.fluxes[0].name, units.frequency_label
    unit = units.label(quantity.unit)
    if quantity.name == "zero_frequency":
        label, unit = "1/time", quantity.unit
    x_label, y_label = f"frequency ({label})", f"{quantity.symbol} ({unit})"

    def curve(part: str, label: str, x: Array, y: Array) -> Curve:
        return Curve(f"spectrum/{name}/{part}", "spectrum", label, x * units.terahertz, scale * y, x_label, y_label)

    x, smooth, lower, upper = shown_smooth(found)
    curves = [
        curve("periodogram", f"{name}, periodogram", *shown_periodogram(spectrum)),
        curve("smooth", f"{name}, {found.method}", x, smooth),
    ]
    if lower is not None and upper is not None:
        curves += [curve("lower", f"{name}, lower", x, lower), curve("upper", f"{name}, upper", x, upper)]
    return tuple(curves)
