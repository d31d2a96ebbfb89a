"""The quantities that can end a run: the estimates of the results file, made while the run goes on.

They cost some ten milliseconds each and a transform of the whole flux series, so they are for rare checks.

What decides is not the error bar itself but the one expected of a run so long. An estimate that is too low by chance
has an error bar that is too small by chance (on AR(1) spectra their logarithms correlate by 0.6, and error bars scatter
by 20 %), so that runs that end when the error bar is small would end when the estimate is low. The mean over quarters
of the run scatters by 8 % only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ..config import Config, Precision
from ..errors import EstimateError
from ..record import Record, SeriesRecord
from ..units import unit_style
from .current_spectrum import representation_spectrum
from .state import state_of
from .summary import fit_displacement
from .zero_frequency import RESOLVED, ZeroFrequency, zero_frequency

PARTS = 4
"""Of the run, whose error bars are averaged."""
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


def wanted_names(representations: Sequence[str], species: Sequence[str]) -> dict[str, str]:
    """Names that the section ``stop`` may hold, and what they are in full.

    ``conductivity`` is that of the first representation, ``diffusion`` that of the only species.
    """
    conductivities = [f"conductivity:{name}" for name in representations]
    diffusions = [f"diffusion:{name}" for name in species]
    names = {"conductivity": conductivities[0]} if conductivities else {}
    if len(diffusions) == 1:
        names["diffusion"] = diffusions[0]
    return {**names, **{name: name for name in (*conductivities, *diffusions)}}


def wanted_estimate(record: Record, config: Config, name: str, precision: Precision) -> Known:
    """The spectral conductivity of a representation, or the diffusion coefficient of a species in the first frame."""
    kind, _, of = name.partition(":")
    try:
        return (_conductivity if kind == "conductivity" else _diffusion)(record, config, of, precision)
    except EstimateError as error:
        return Known(reason=str(error))


def _conductivity(record: Record, config: Config, representation: str, precision: Precision) -> Known:
    def estimate(part: Record) -> ZeroFrequency:
        return zero_frequency(representation_spectrum(part, representation), cutoff=config.spectral.cutoff)

    half = 0.5 * state_of(record, config).conductivity_scale
    found = estimate(record)
    limit = min(precision.relative(half * found.value), LARGEST)
    expected = found.log_error
    if record.series is not None and expected <= CLOSE * limit:
        expected = expected_error(found, [estimate(replace(record, series=part)) for part in _parts(record.series)])
    reason = "; ".join(found.reasons)
    return Known(half * found.value, half * found.error, expected, limit, found.resolved, reason)


def expected_error(whole: ZeroFrequency, parts: Sequence[ZeroFrequency]) -> float:
    """Error of ln S(0) expected of a run with the estimate ``whole``, and these from equally long parts of it."""
    mean = math.exp(np.mean([math.log(part.log_error) for part in parts])) / math.sqrt(len(parts))
    return max(mean, whole.log_error / TOLERANCE)


def _parts(series: SeriesRecord) -> list[SeriesRecord]:
    """The series cut into parts of equally many samples."""
    ends = np.linspace(0, len(series.steps), PARTS + 1).astype(int).tolist()
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
    fit = fit_displacement(
        record.msd, record, 0, record.species.index(species), config.msd.window, config.einstein.method
    )
    expected = fit.error / fit.slope if fit.slope > 0 else math.nan
    limit = precision.relative(half * fit.slope)
    return Known(half * fit.slope, half * fit.error, expected, limit, fit.resolved, "; ".join(fit.reasons))
