"""The package's own estimators, as the benchmark calls them.

A method is a function of the periodogram and of f* (THz; one that needs none leaves it alone). To add one, write the
function and name it in ``METHODS``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from lammps_topo.estimate.cepstral import CepstralEstimate
from lammps_topo.estimate.cepstral import cepstral as cepstral_analysis
from lammps_topo.estimate.spectrum import Spectrum
from lammps_topo.estimate.zero_frequency import zero_frequency


class Estimate(NamedTuple):
    """What a method says about S(0) of flux 0, the others eliminated."""

    logarithm: float
    """ln S(0)."""
    error: float
    """Standard error of ln S(0)."""
    resolved: bool = True
    """Whether the method stands by it."""


Method = Callable[[Spectrum, "float | None"], Estimate]
"""Of the periodogram and f* in THz, None where the method is to choose."""


def cepstral(**settings: Any) -> Method:
    """``lammps_topo.estimate.cepstral`` with ``settings``."""

    def estimate(spectrum: Spectrum, cutoff: float | None) -> Estimate:
        found: CepstralEstimate = cepstral_analysis(spectrum, cutoff=cutoff, **settings)
        return Estimate(math.log(found.zero_frequency), math.sqrt(found.log_variance))

    return estimate


def spectral(spectrum: Spectrum, cutoff: float | None) -> Estimate:
    """``lammps_topo.estimate.zero_frequency``, the default."""
    found = zero_frequency(spectrum, cutoff=cutoff)
    return Estimate(math.log(found.value), found.log_error, found.resolved)


METHODS: dict[str, Method] = {
    "spectral": spectral,
    "cepstral-average": cepstral(average=True),
    "cepstral-aic": cepstral(),
}
