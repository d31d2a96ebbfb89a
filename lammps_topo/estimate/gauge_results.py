"""Comparisons of the charge representations of a record as results, curves and notes.

Every pair of representations gets a verdict on whether they conduct alike (``gauge``), with the confidence
``gauge.level`` for all pairs together: 1 - level is shared among them. Two representations that both conduct nothing
are equivalent: the charges of molecules that stay whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ..config import Config
from ..errors import EstimateError
from ..record import Record
from ..units import Units
from .current_spectrum import current_weights, flux_spectrum, representation_spectrum
from .displacement_slope import displacement_slope
from .gauge import ROUNDING, Comparison, Limit, Sines, Verdict, compare, limit, sine_amplitudes, sine_spectrum
from .onsager import Onsager, dependence, onsager
from .result import Curve, Outcome, Result
from .spectral_part import require_state
from .state import State
from .zero_frequency import zero_frequency

Array = NDArray[np.float64]

_FIGURE = "gauge"
_GROWTH = "gauge-growth"
_GROWN = 0.5
"""Share of a squared displacement that must not be linear growth in one that is called bounded."""
_CERTAIN = 2.0
"""Standard errors."""
_FINEST = 1e-4
"""Error of a coherence, at least."""


def compare_representations(record: Record, config: Config, state: State, units: Units) -> Outcome:
    """Verdicts, differences of conductivities, coherence and growth of the displaced dipoles' difference.

    Nothing for a single representation. Raises EstimateError where T or V is not known, without a flux series, or for
    a run too short.
    """
    if len(record.representations) < 2:
        return Outcome((), (), ())
    require_state(state)
    pairs = list(combinations(range(len(record.representations)), 2))
    level = 1 - (1 - config.gauge.level) / len(pairs)
    test = _Test(record, config, state, units, level)
    results: list[Result] = []
    notes: list[str] = []
    curves = test.spectra(pairs)
    for pair in pairs:
        found = test.pair(*pair)
        results += found.results
        curves += found.curves
        notes += found.notes
    return Outcome(tuple(results), tuple(curves), tuple(notes))


@dataclass
class _Test:
    record: Record
    config: Config
    state: State
    units: Units
    level: float

    def __post_init__(self) -> None:
        series = self.record.series
        if series is None:
            raise EstimateError("the flux series is not kept (key 'series')")
        self.names = self.record.representations
        self.weights = np.stack([current_weights(self.record, name) for name in self.names])
        particles = series.moment.shape[1]
        displaced = np.tensordot(series.moment, self.weights[:, :particles], axes=(1, 1)).swapaxes(1, 2)
        self.displaced: list[Array] = np.split(displaced, series.stretches[1:])
        self.sines: Sines = sine_amplitudes(self.displaced, self.record.interval)
        self.half = 0.5 * self.state.conductivity_scale
        self.size = np.array([self._covariance(row[None])[0, 0] for row in np.eye(len(self.names))])
        self.zero = [bool(one <= ROUNDING * self.size.max()) for one in self.size]

    def _covariance(self, turn: Array) -> Array:
        """Of ``turn`` times the currents, at equal times, combined first: what cancels does so sample by sample."""
        steps = [np.tensordot(np.diff(part, axis=0), turn, axes=(1, 1)) for part in self.displaced]
        return np.asarray(sum(np.tensordot(one, one, axes=([0, 1], [0, 1])) for one in steps))

    # ---- one current ------------------------------------------------------------------------------------------------

    @cached_property
    def limits(self) -> list[Limit]:
        """S(0) of each current, which may be none."""
        return [limit(self.sines, place) for place in range(len(self.names))]

    @cached_property
    def insulating(self) -> list[bool]:
        """Whether a current does not diffuse, and what it may have missed is little against its largest S(f)."""
        return [self.zero[place] or self._bounded(place) for place in range(len(self.names))]

    def _bounded(self, place: int) -> bool:
        found = self.limits[place]
        if found.chance < 1 - self.level:
            return False
        whole = zero_frequency(representation_spectrum(self.record, self.names[place]))
        return found.upper(self.level) < self.config.gauge.tolerance * float(whole.smooth.max())

    # ---- two --------------------------------------------------------------------------------------------------------

    def pair(self, one: int, other: int) -> Outcome:
        """Everything about two representations."""
        of = f"{self.names[one]} - {self.names[other]}"
        turn = np.zeros((4, len(self.names)))  # sum, difference, and both
        turn[0, [one, other]], turn[1, [one, other]], turn[2, one], turn[3, other] = 1.0, (1.0, -1.0), 1.0, 1.0
        covariance = self._covariance(turn)
        if covariance[1, 1] <= ROUNDING * max(covariance[2, 2], covariance[3, 3], ROUNDING * self.size.max()):
            details = {"verdict": "equivalent", "currents": "one and the same"}
            results = [
                Result("gauge", of, "sines", 1.0, 0.0, "1", details),
                self._difference(of, "sines", 0.0, 0.0, {"currents": "one and the same"}),
            ]
            return Outcome(tuple(results), (), ())
        part = limit(self.sines, self.sines.amplitude[:, one] - self.sines.amplitude[:, other])
        common: dict[str, object] = {"confidence": self.level, "tolerance": self.config.gauge.tolerance}
        results, notes = [], []
        if self.insulating[one] and self.insulating[other]:
            verdict: Verdict = "equivalent"
            common["currents"] = "neither conducts"
            values = [self._limit_of(place) for place in (one, other)]
            results.append(
                self._difference(of, "sines", values[0][0] - values[1][0], math.hypot(values[0][1], values[1][1]), {})
            )
        elif self.zero[one] or self.zero[other]:
            place, sign = (other, -1.0) if self.zero[one] else (one, 1.0)
            verdict = "different" if part.chance < 1 - self.level else "cannot tell yet"
            common["currents"] = f"'{self.names[one if self.zero[one] else other]}' has none"
            value, error = self._limit_of(place)
            if verdict == "different":
                whole = zero_frequency(representation_spectrum(self.record, self.names[place]))
                value, error = whole.value, whole.error
            results.append(self._difference(of, "sines", sign * value, error, {}))
        else:
            expression, kept = dependence(covariance)
            joint = onsager(flux_spectrum(self.record, turn[kept] @ self.weights))
            joint = replace(joint, expression=expression)
            two = Sines(self.sines.frequency, self.sines.amplitude[:, [one, other]], self.sines.spacing)
            size = float(max(joint.matrix[2, 2], joint.matrix[3, 3]))
            found: Comparison = compare(two, size=size, level=self.level, tolerance=self.config.gauge.tolerance)
            verdict = found.verdict
            results += [self._compared(of, found, joint), *_coherence(of, found, joint)]
            if verdict == "different" and len(joint.pivots) == 1:
                notes.append(self._proportional(one, other, joint))
        results.insert(0, Result("gauge", of, "sines", part.chance, 0.0, "1", {"verdict": verdict, **common}))
        results.append(self._diffusing(of, part))
        growth = self._growth(of)
        return Outcome((*results, *growth.results), growth.curves, (*notes, *growth.notes))

    def _limit_of(self, place: int) -> tuple[float, float]:
        """S(0) of a current that may be zero, with an error that is as long as its interval is upwards."""
        if self.zero[place]:
            return 0.0, 0.0
        found = self.limits[place]
        return found.value, (found.upper(self.level) - found.value) / float(ndtri(self.level))

    def _difference(self, of: str, method: str, value: float, error: float, details: dict[str, object]) -> Result:
        return Result(
            "conductivity_difference", of, method, self.half * value, self.half * error, self.units.label("S/m"),
            {**details, "frame": self.record.frame},
        )  # fmt: skip

    def _compared(self, of: str, found: Comparison, joint: Onsager) -> Result:
        if found.verdict != "different":
            return self._difference(of, "sines", found.difference, found.error, {})
        form = np.zeros((1, 4, 4))
        form[0, 2, 2], form[0, 3, 3] = 1.0, -1.0
        values, covariance = joint.combination(form)
        error = math.sqrt(max(float(covariance[0, 0]), 0.0))
        return self._difference(of, "onsager", float(values[0]), error, {"resolved": joint.resolved})

    def _proportional(self, one: int, other: int, joint: Onsager) -> str:
        ratio = float(joint.expression[3, 0] / joint.expression[2, 0])
        return (
            f"the currents of '{self.names[one]}' and '{self.names[other]}' are proportional, so that the "
            f"conductivities differ by the factor {ratio**2:.4g}: charges of a force field need not be the topological "
            "ones, which are integers"
        )

    def _diffusing(self, of: str, part: Limit) -> Result:
        """The conductivity that belongs to the difference of the currents."""
        value, upper = self.half * part.value, self.half * part.upper(self.level)
        error = (upper - value) / float(ndtri(self.level))
        details = {"upper_limit": upper, "upper_limit_unit": self.units.label("S/m"), "confidence": self.level}
        return Result("gauge_growth", of, "sines", value, error, self.units.label("S/m"), details)

    def _growth(self, of: str) -> Outcome:
        """Slope of the squared difference of the displaced dipoles, where it was accumulated."""
        dipole = self.record.dipole
        if dipole is None or of not in dipole.groups or not dipole.sums[0][:, 0, dipole.groups.index(of)].any():
            return Outcome((), (), ())
        einstein = self.config.einstein
        try:
            fit = displacement_slope(
                dipole, self.record, 0, dipole.groups.index(of), einstein.window, einstein.method
            )  # fmt: skip
        except EstimateError as error:
            return Outcome((), (), (f"growth of the dipole of '{of}': {error}",))
        time, square = self.units.picosecond, 3 * (self.units.elementary * self.units.angstrom) ** 2
        late = (fit.lag >= 0.5 * fit.end) & (fit.lag <= fit.end) & np.isfinite(fit.curve)
        lag, level = float(fit.lag[late].mean()), float(fit.curve[late].mean())
        unit = f"{self.units.charge_label}² {self.units.length_label}²"
        details: dict[str, object] = {"frame": self.record.frame}
        if fit.slope > _CERTAIN * fit.error and fit.slope * lag > _GROWN * level:
            details["growth"] = "linear"
        elif (fit.slope + _CERTAIN * fit.error) * lag < _GROWN * level:
            details |= {"growth": "bounded", "saturation": square * level, "saturation_unit": unit}
        else:
            details["growth"] = "cannot tell yet"
        result = Result(
            "gauge_growth", of, "einstein", self.half * fit.slope, self.half * fit.error, self.units.label("S/m"),
            {**details, "window_begin": fit.begin * time, "window_end": fit.end * time,
             "window_unit": self.units.time_label, "window_rule": fit.rule},
        )  # fmt: skip
        sampled = np.isfinite(fit.curve)
        labels = (f"time ({self.units.time_label})", f"⟨|Δμ|²⟩ of the difference ({unit})")
        curve = Curve(
            f"{_GROWTH}/{of}", _GROWTH, of.replace(" - ", " − "), fit.lag[sampled] * time, square * fit.curve[sampled],
            *labels, square * fit.curve_error[sampled],
        )  # fmt: skip
        ends = np.array([fit.begin, fit.end])
        line = square * (fit.intercept + fit.slope * ends)
        fitted = Curve(f"{_GROWTH}/{of}/fit", _GROWTH, f"{of}, fit", ends * time, line, *labels, None, "fit")
        return Outcome((result,), (curve, fitted), ())

    # ---- figure -----------------------------------------------------------------------------------------------------

    def spectra(self, pairs: list[tuple[int, int]]) -> list[Curve]:
        """Spectral densities of all currents and of their differences, from sines: they do not leak."""
        turn = np.zeros((len(self.names) + len(pairs), len(self.names)))
        turn[: len(self.names)] = np.eye(len(self.names))
        for row, (one, other) in enumerate(pairs):
            turn[len(self.names) + row, [one, other]] = 1.0, -1.0
        frequency, density, error = sine_spectrum(self.displaced, turn, self.record.interval)
        labels = (f"frequency ({self.units.frequency_label})", f"S(f)/(2 V kB T) ({self.units.label('S/m')})")
        words = [*self.names, *(f"{self.names[one]} − {self.names[other]}" for one, other in pairs)]
        largest = density[: len(self.names)].max(initial=0.0)
        return [
            Curve(f"{_FIGURE}/{word}", _FIGURE, word, frequency * self.units.terahertz, self.half * row, *labels,
                  self.half * spread, "line" if place < len(self.names) else "difference")
            for place, (word, row, spread) in enumerate(zip(words, density, error, strict=True))
            if row.max() > ROUNDING * largest
        ]  # fmt: skip


def _coherence(of: str, found: Comparison, joint: Onsager) -> list[Result]:
    """|S_ab|²/(S_aa S_bb) at f = 0; by the delta method where the difference diffuses."""
    if len(joint.pivots) == 1:
        return [Result("coherence", of, "onsager", 1.0, 0.0, "1", {"currents": "proportional"})]
    if found.verdict != "different":
        return [Result("coherence", of, "sines", found.coherence, max(found.coherence_error, _FINEST), "1")]
    forms = np.zeros((3, 4, 4))
    forms[0, 2, 3], forms[1, 2, 2], forms[2, 3, 3] = 1.0, 1.0, 1.0
    (cross, one, other), covariance = joint.combination(forms)
    value = cross**2 / (one * other)
    slope = np.array([2 * cross / (one * other), -value / one, -value / other])
    error = math.sqrt(max(float(slope @ covariance @ slope), 0.0))
    return [Result("coherence", of, "onsager", float(value), max(error, _FINEST), "1", {"resolved": joint.resolved})]
