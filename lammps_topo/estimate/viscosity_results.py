"""Shear viscosity from the pressure tensor, and what it says of the diffusion in a larger box.

In an isotropic fluid the three off-diagonal elements and two independent combinations of diagonal ones have one and the
same spectral density: (sum over shear + sum over normal components)/5, of five degrees of freedom a segment. The
diffusion coefficient of a periodic cube of edge L lies below that of an infinite system by 2.837297 kB T/(6 pi eta L)
(Yeh and Hummer, J. Phys. Chem. B 108, 15873, 2004).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..errors import EstimateError
from ..record import Record
from ..representation import STRESS_NAMES
from ..units import Units
from .current_spectrum import current_series, flux_spectrum
from .result import Outcome, Result
from .series_check import doubts_of_stretches
from .spectral_part import doubts, spectral_curves, spectral_result, viscosity
from .spectrum import Spectrum
from .state import State
from .zero_frequency import zero_frequency

CUBE = 2.837297
"""Of the Ewald sum over a cubic lattice."""
_DIFFUSES = 0.01
"""Of the largest diffusion coefficient: a species below it is that of a lattice."""
_COMPONENTS, _INDEPENDENT = 3, 5


def stress_spectrum(record: Record) -> Spectrum:
    """Of one independent component, five of them averaged. Raises EstimateError where there is no spectrum."""
    weights = _stress_weights(record)
    both = flux_spectrum(record, weights[:1]), flux_spectrum(record, weights[1:])
    matrix = (both[0].matrix + both[1].matrix) * (_COMPONENTS / _INDEPENDENT)
    return replace(both[0], matrix=matrix, dof=both[0].dof * _INDEPENDENT / _COMPONENTS)


def viscosity_results(record: Record, state: State, units: Units, *, cutoff: float | None = None) -> Outcome:
    """Viscosity with its spectral density; ``cutoff`` as in ``zero_frequency``.

    Raises EstimateError where T or V is not known, or with too little data.
    """
    kind = viscosity(state, units)
    spectrum = stress_spectrum(record)
    found = zero_frequency(spectrum, cutoff=cutoff)
    result = spectral_result(kind, "system", "spectral", spectrum, found, units)
    curves = spectral_curves("viscosity", "system", kind, spectrum, found, units)
    notes = doubts("viscosity", found)
    if record.series is not None:
        notes += doubts_of_stretches(current_series(record.series, _stress_weights(record)), STRESS_NAMES)
    return Outcome((result,), tuple(curves), tuple(notes))


def _stress_weights(record: Record) -> NDArray[np.float64]:
    """Rows (2, F) of shear and normal components."""
    return np.array([[float(flux == name) for flux in record.flux_names] for name in STRESS_NAMES])


def corrected_diffusion(diffusion: Sequence[Result], eta: Result, state: State, units: Units) -> list[Result]:
    """D + 2.837297 kB T/(6 pi eta L), L the cube root of the volume, for each of ``diffusion`` of all species.

    Raises EstimateError where a species does not diffuse, for a viscosity is that of a liquid, or where eta is not
    known to better than half of it.
    """
    largest = max(result.value for result in diffusion)
    for result in diffusion:
        if not result.value > max(_DIFFUSES * largest, 2 * result.error):
            raise EstimateError(f"{result.of} does not diffuse: it is for liquids only")
    if not 0 < eta.error < 0.5 * eta.value:
        raise EstimateError("the viscosity is not known well enough")
    thermal = state.thermal * units.energy
    edge = state.volume ** (1 / 3) * units.length
    shift = CUBE * thermal / (6 * math.pi * eta.value * edge)
    error = shift * eta.error / eta.value
    return [
        Result(
            "diffusion", result.of, "msd, Yeh-Hummer", result.value + shift, math.hypot(result.error, error),
            result.unit,
            {
                "correction": shift, "correction_unit": result.unit, "box": "cube of the same volume",
                "frame": result.details.get("frame"),
            },
        )
        for result in diffusion
    ]  # fmt: skip
