"""The conductivity of a charge current from its spectrum: the results, and the curves that show how far they go."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..config import Config
from ..errors import EstimateError
from ..record import Record
from ..units import Units
from .cepstral import cepstral
from .current_spectrum import current_series, current_weights, representation_spectrum
from .result import CURVE_POINTS, Curve, Outcome, Result
from .series_check import doubts_of_means
from .spectrum import Spectrum
from .state import State
from .zero_frequency import ZeroFrequency, zero_frequency

Array = NDArray[np.float64]

_SHOWN = 4.0
"""How far beyond the frequencies in use a periodogram is shown."""


def spectral_results(name: str, record: Record, config: Config, state: State, units: Units) -> Outcome:
    """Conductivity of the representation ``name`` by ``spectral`` and ``cepstral`` estimates, with their curves.

    Raises EstimateError when there is too little data.
    """
    spectrum = representation_spectrum(record, name)
    half = 0.5 * state.conductivity_scale
    found = zero_frequency(spectrum, cutoff=config.spectral.cutoff)
    common = {"degrees_of_freedom": spectrum.dof, "segment": spectrum.segment, "frame": record.frame}
    frequency_unit = units.frequency_label
    spectral = Result(
        "conductivity", name, "spectral", half * found.value, half * found.error, units.label("S/m"),
        {
            "resolved": found.resolved, "log_error": found.log_error,
            "knee": found.knee * units.terahertz, "knee_unit": frequency_unit,
            "highest": max(found.cutoffs) * units.terahertz, "highest_unit": frequency_unit,
            "highest_origin": found.cutoff_origin, **common,
        },
    )  # fmt: skip
    notes = [f"conductivity of '{name}' is not resolved: {reason}" for reason in found.reasons]
    if record.series is not None:
        stretches = current_series(record.series, current_weights(record, name))
        notes += doubts_of_means([part[:, None, :] for part in stretches], [name])
    results = [spectral]
    try:
        results.append(_cepstral(name, spectrum, config, half, units, common))
    except EstimateError as error:
        notes.append(f"conductivity of '{name}' by cepstral analysis: {error}")
    curves = [*_spectrum(name, spectrum, found, half, units), *_scans(name, spectrum, record, found, half, units)]
    return Outcome(tuple(results), tuple(curves), tuple(notes))


def _cepstral(
    name: str, spectrum: Spectrum, config: Config, half: float, units: Units, common: dict[str, object]
) -> Result:
    chosen = config.cepstral
    found = cepstral(spectrum, cutoff=chosen.cutoff, order=chosen.order)
    return Result(
        "conductivity", name, "cepstral", half * found.zero_frequency, half * found.error, units.label("S/m"),
        {
            "order": found.order, "order_origin": found.order_choice, "cutoff": found.cutoff * units.terahertz,
            "cutoff_origin": found.cutoff_origin, "cutoff_unit": units.frequency_label,
            "ordinates": len(found.frequencies), **common,
        },
    )  # fmt: skip


def _spectrum(name: str, spectrum: Spectrum, found: ZeroFrequency, half: float, units: Units) -> list[Curve]:
    x_label, y_label = f"frequency ({units.frequency_label})", f"S(f)/(2 V kB T) ({units.label('S/m')})"
    top = min(spectrum.frequency[-1], _SHOWN * max(found.cutoffs))
    shown = spectrum.frequency <= top
    x, y = _averaged(spectrum.frequency[shown] * units.terahertz, half * spectrum.matrix[shown, 0, 0].real)
    raw = Curve(f"spectrum/{name}/periodogram", "spectrum", f"{name}, periodogram", x, y, x_label, y_label)
    smooth = Curve(
        f"spectrum/{name}/spectral", "spectrum", f"{name}, spectral", found.frequencies * units.terahertz,
        half * found.smooth, x_label, y_label, 0.5 * half * (found.upper - found.lower),
    )  # fmt: skip
    return [raw, smooth]


def _scans(
    name: str, spectrum: Spectrum, record: Record, found: ZeroFrequency, half: float, units: Units
) -> list[Curve]:
    """σ with other upper frequencies, an octave apart, and from every segment length.

    Segments too short for the zero-frequency plateau show in the second.
    """
    ordinates = 2 ** np.arange(4, np.log2(len(spectrum.frequency) - 1))
    cutoffs = [float(spectrum.frequency[int(index)]) for index in ordinates]
    by_cutoff = [(limit, _attempt(spectrum, limit)) for limit in cutoffs if limit <= 2 * _SHOWN * max(found.cutoffs)]
    parts = [
        (part.length * record.interval, representation_spectrum(record, name, part)) for part in record.periodograms
    ]
    by_segment = [(length, _attempt(part, max(found.cutoffs))) for length, part in parts]
    y_label = f"conductivity ({units.label('S/m')})"
    curves = []
    for figure, x_label, factor, scan in (
        ("cutoffs", f"highest frequency in use ({units.frequency_label})", units.terahertz, by_cutoff),
        ("segments", f"length of a segment ({units.time_label})", units.picosecond, by_segment),
    ):
        known = [(x * factor, one.value * half, one.error * half) for x, one in scan if one is not None]
        if known:
            x, y, error = np.array(known).T
            curves.append(Curve(f"{figure}/{name}", figure, name, x, y, x_label, y_label, error, "points"))
    return curves


def _attempt(spectrum: Spectrum, cutoff: float) -> ZeroFrequency | None:
    try:
        return zero_frequency(spectrum, cutoff=cutoff)
    except EstimateError:
        return None


def _averaged(x: Array, y: Array) -> tuple[Array, Array]:
    """Means over groups of neighbours, so that a periodogram has no more points than a figure shows."""
    width = -(-len(x) // CURVE_POINTS)
    whole = len(x) // width * width
    return x[:whole].reshape(-1, width).mean(axis=1), y[:whole].reshape(-1, width).mean(axis=1)
