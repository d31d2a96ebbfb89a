"""The quantities that can end a run: the estimates of the results file, made while the run goes on.

They cost some ten milliseconds each and a transform of the whole flux series, so they are for rare checks.

What decides is not the error bar itself but the one expected of a run so long. An estimate that is too low by chance
has an error bar that is too small by chance (too large, above a dip): runs that end when the error bar is small would
end when the estimate is low. By Wald's identity the mean of ln S(0) is then off by minus twice the covariance of
ln S(0) and of the logarithm of what decides. On AR(1) spectra an estimate's own error scatters by 15 to 20 % and
correlates with it by 0.6, whatever the length: for that of the run itself this is -0.2 of an error, for the mean
over n parts of the run, each of which has a larger error, -0.2/sqrt(n). An ``error`` in units of the result adds minus
twice the relative error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ..config import Config, Precision
from ..errors import EstimateError
from ..record import Record, SeriesRecord
from ..units import unit_style
from .current_spectrum import flux_spectrum, representation_spectrum
from .displacement_slope import displacement_slope
from .heat_results import eliminated_fluxes, heat_weights
from .spectral_part import Coefficient, conductivity, thermal_conductivity, viscosity
from .state import state_of
from .viscosity_results import stress_spectrum
from .zero_frequency import RESOLVED, ZeroFrequency, zero_frequency

FEWEST_PARTS, MOST_PARTS = 4, 16
"""Of the run, whose error bars are averaged."""
PART = 512
"""Samples of a part at least, where there are more than the fewest."""
POWER = 0.45
"""An error bar falls with this power of the length: on average, what is smooth is found by and by."""
CLOSE = 2.0
"""No such care is needed where the error is larger than what is wanted by this factor."""
TOLERANCE = 1.25
"""By which the error bar itself may be larger than the one that decides."""
LARGEST = 0.75 * RESOLVED
"""Relative error that is enough to be resolved; for larger ones, chance would decide whether it is."""


@dataclass(frozen=True)
class Known:
    """How well a quantity is known.

    Attributes
    ----------
    value, error : as in the results, SI (``lj``: reduced); NaN if there is no estimate
    expected : relative error of a run so long, which decides
    limit : the largest that it may be
    resolved : whether the error bar is to be believed
    reason : why not, or why there is no estimate
    """

    value: float = math.nan
    error: float = math.nan
    expected: float = math.nan
    limit: float = math.nan
    resolved: bool = False
    reason: str = ""

    @property
    def relative_error(self) -> float:
        return abs(self.error / self.value) if self.value else math.nan


def wanted_names(
    representations: Sequence[str], species: Sequence[str], energies: Sequence[str] = (), *, stress: bool = False
) -> dict[str, str]:
    """Names that the section ``stop`` may hold, and what they are in full.

    ``conductivity`` is that of the first representation, ``diffusion`` that of the only species,
    ``thermal_conductivity`` that of the first energy flux.
    """
    conductivities = [f"conductivity:{name}" for name in representations]
    diffusions = [f"diffusion:{name}" for name in species]
    heat = [f"thermal_conductivity:{name}" for name in energies]
    names = {"conductivity": conductivities[0]} if conductivities else {}
    if len(diffusions) == 1:
        names["diffusion"] = diffusions[0]
    if heat:
        names["thermal_conductivity"] = heat[0]
    full = [*conductivities, *diffusions, *heat, *(["viscosity"] if stress else [])]
    return {**names, **{name: name for name in full}}


def wanted_estimate(record: Record, config: Config, name: str, precision: Precision) -> Known:
    """What the results call ``name``: for a conductivity the spectral one, for diffusion that in the first frame."""
    kind, _, of = name.partition(":")
    try:
        if kind == "diffusion":
            return _diffusion(record, config, of, precision)
        return _coefficient(record, *_FLUXES[kind](record, config, of), precision)
    except EstimateError as error:
        return Known(reason=str(error))


Estimator = Callable[[Record], ZeroFrequency]


def _conductivity(record: Record, config: Config, representation: str) -> tuple[Coefficient, Estimator]:
    kind = conductivity(state_of(record, config), unit_style(record.units))

    def estimate(part: Record) -> ZeroFrequency:
        return zero_frequency(representation_spectrum(part, representation), cutoff=config.spectral.cutoff)

    return kind, estimate


def _thermal_conductivity(record: Record, config: Config, energy: str) -> tuple[Coefficient, Estimator]:
    kind = thermal_conductivity(state_of(record, config), unit_style(record.units))
    weights = heat_weights(record, energy, eliminated_fluxes(record))
    return kind, lambda part: zero_frequency(flux_spectrum(part, weights), cutoff=config.spectral.cutoff)


def _viscosity(record: Record, config: Config, _: str) -> tuple[Coefficient, Estimator]:
    kind = viscosity(state_of(record, config), unit_style(record.units))
    return kind, lambda part: zero_frequency(stress_spectrum(part), cutoff=config.spectral.cutoff)


_FLUXES = {"conductivity": _conductivity, "thermal_conductivity": _thermal_conductivity, "viscosity": _viscosity}


def _coefficient(record: Record, kind: Coefficient, estimate: Estimator, precision: Precision) -> Known:
    found = estimate(record)
    value, error = kind.factor * found.value, kind.factor * found.error
    limit = min(precision.relative(value), LARGEST)
    expected = found.log_error
    if record.series is not None and expected <= CLOSE * limit:
        expected = _from_parts(record, record.series, estimate, found)
    return Known(value, error, expected, limit, found.resolved, "; ".join(found.reasons))


def _from_parts(record: Record, series: SeriesRecord, estimate: Estimator, found: ZeroFrequency) -> float:
    """The expected error, from fewer parts where they are too short; that of ``found`` where four are."""
    for number in dict.fromkeys((part_number(len(series.steps)), FEWEST_PARTS)):
        with suppress(EstimateError):
            return expected_error(found, [estimate(replace(record, series=part)) for part in _parts(series, number)])
    return found.log_error


def expected_error(whole: ZeroFrequency, parts: Sequence[ZeroFrequency]) -> float:
    """Error of ln S(0) expected of a run with the estimate ``whole``, and these from equally long parts of it."""
    mean = math.exp(np.mean([math.log(part.log_error) for part in parts]) - POWER * math.log(len(parts)))
    return max(mean, whole.log_error / TOLERANCE)


def part_number(samples: int) -> int:
    """Parts that a run of ``samples`` is cut into."""
    return min(max(samples // PART, FEWEST_PARTS), MOST_PARTS)


def _parts(series: SeriesRecord, number: int) -> list[SeriesRecord]:
    """The series cut into parts of equally many samples."""
    ends = np.linspace(0, len(series.steps), number + 1).astype(int).tolist()
    return [
        SeriesRecord(
            steps=series.steps[begin:end],
            flux=series.flux[begin:end],
            moment=series.moment[begin:end],
            temperature=series.temperature[begin:end],
            stretches=np.union1d(0, series.stretches[(series.stretches > begin) & (series.stretches < end)] - begin),
        )
        for begin, end in pairwise(ends)
    ]


def _diffusion(record: Record, config: Config, species: str, precision: Precision) -> Known:
    half = 0.5 * unit_style(record.units).diffusion
    fit = displacement_slope(
        record.msd, record, 0, record.species.index(species), config.msd.window, config.einstein.method
    )
    expected = fit.error / fit.slope if fit.slope > 0 else math.nan
    limit = precision.relative(half * fit.slope)
    return Known(half * fit.slope, half * fit.error, expected, limit, fit.resolved, "; ".join(fit.reasons))
