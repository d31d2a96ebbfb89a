"""The conductivity of a charge current from its spectrum: the results, and the curves that show how far they go."""

from __future__ import annotations

import numpy as np

from ..config import Config
from ..errors import EstimateError
from ..record import Record
from ..units import Units
from .cepstral import cepstral
from .current_spectrum import current_series, current_weights, representation_spectrum
from .result import Curve, Outcome, Result
from .series_check import doubts_of_stretches
from .spectral_part import Coefficient, conductivity, doubts, spectral_curves, spectral_result
from .spectrum import Spectrum
from .state import State
from .warped_cepstrum import bin_ordinates
from .zero_frequency import ZeroFrequency, zero_frequency

_SCANNED = 8.0
"""Highest frequency that is tried, over the highest in use."""


def spectral_results(name: str, record: Record, config: Config, state: State, units: Units) -> Outcome:
    """Conductivity of the representation ``name`` by ``spectral`` and ``cepstral`` estimates, with their curves.

    Raises EstimateError when there is too little data.
    """
    spectrum = representation_spectrum(record, name)
    kind = conductivity(state, units)
    found = zero_frequency(spectrum, cutoff=config.spectral.cutoff)
    results = [spectral_result(kind, name, "spectral", spectrum, found, units, frame=record.frame)]
    notes = doubts(f"conductivity of '{name}'", found)
    if record.series is not None:
        stretches = current_series(record.series, current_weights(record, name))
        notes += doubts_of_stretches([part[:, None, :] for part in stretches], [name])
    try:
        results.append(_cepstral(name, spectrum, config, kind, units, record.frame))
    except EstimateError as error:
        notes.append(f"conductivity of '{name}' by cepstral analysis: {error}")
    curves = [
        *spectral_curves("spectrum", name, kind, spectrum, found, units),
        _dispersion(name, kind, spectrum, found, units),
        *_scans(name, kind, spectrum, record, found, units),
    ]
    return Outcome(tuple(results), tuple(curves), tuple(notes))


def _cepstral(name: str, spectrum: Spectrum, config: Config, kind: Coefficient, units: Units, frame: str) -> Result:
    chosen = config.cepstral
    found = cepstral(spectrum, cutoff=chosen.cutoff, order=chosen.order)
    return Result(
        kind.quantity, name, "cepstral", kind.factor * found.zero_frequency, kind.factor * found.error, kind.unit,
        {
            "order": found.order, "order_origin": found.order_choice, "cutoff": found.cutoff * units.terahertz,
            "cutoff_origin": found.cutoff_origin, "cutoff_unit": units.frequency_label,
            "ordinates": len(found.frequencies), "degrees_of_freedom": spectrum.dof, "segment": spectrum.segment,
            "frame": frame,
        },
    )  # fmt: skip


def _dispersion(name: str, kind: Coefficient, spectrum: Spectrum, found: ZeroFrequency, units: Units) -> Curve:
    """Re sigma(f) with its band: the estimate up to the highest frequency in use, means over bins beyond."""
    density, shape = spectrum.matrix[1:, 0, 0].real, np.where(spectrum.halved[1:], 0.5, 1.0) * spectrum.dof
    mean, weight, centre, edges = bin_ordinates(density, shape, 1)
    beyond = edges[:-1] * spectrum.frequency[1] > max(found.cutoffs)
    x = np.append(found.frequencies, centre[beyond] * spectrum.frequency[1])
    y = np.append(found.smooth, mean[beyond])
    error = np.append(0.5 * (found.upper - found.lower), (mean / np.sqrt(weight))[beyond])
    return Curve(
        f"frequency/{name}", "frequency", name, x * units.terahertz, kind.factor * y,
        f"frequency ({units.frequency_label})", f"Re σ ({kind.unit})", kind.factor * error,
    )  # fmt: skip


def _scans(
    name: str, kind: Coefficient, spectrum: Spectrum, record: Record, found: ZeroFrequency, units: Units
) -> list[Curve]:
    """σ with other upper frequencies, an octave apart, and from every segment length.

    Segments too short for the zero-frequency plateau show in the second.
    """
    ordinates = 2 ** np.arange(4, np.log2(len(spectrum.frequency) - 1))
    cutoffs = [float(spectrum.frequency[int(index)]) for index in ordinates]
    by_cutoff = [(limit, _attempt(spectrum, limit)) for limit in cutoffs if limit <= _SCANNED * max(found.cutoffs)]
    parts = [
        (part.length * record.interval, representation_spectrum(record, name, part)) for part in record.periodograms
    ]
    by_segment = [(length, _attempt(part, max(found.cutoffs))) for length, part in parts]
    y_label = f"conductivity ({kind.unit})"
    curves = []
    for figure, x_label, factor, scan in (
        ("cutoffs", f"highest frequency in use ({units.frequency_label})", units.terahertz, by_cutoff),
        ("segments", f"length of a segment ({units.time_label})", units.picosecond, by_segment),
    ):
        known = [(x * factor, one.value * kind.factor, one.error * kind.factor) for x, one in scan if one is not None]
        if known:
            x, y, error = np.array(known).T
            curves.append(Curve(f"{figure}/{name}", figure, name, x, y, x_label, y_label, error, "points"))
    return curves


def _attempt(spectrum: Spectrum, cutoff: float) -> ZeroFrequency | None:
    try:
        return zero_frequency(spectrum, cutoff=cutoff)
    except EstimateError:
        return None
