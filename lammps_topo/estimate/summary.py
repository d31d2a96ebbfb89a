"""Everything that is estimated from a record: the table of results and the curves of the report.

Each quantity is tried on its own; what cannot be estimated becomes a note, never an exception.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..config import Config
from ..errors import EstimateError
from ..record import Record
from ..units import Units, unit_style
from .charge_outcome import charge_outcome
from .collective_results import collective_results
from .current_spectrum import current_is_zero, current_series, current_weights
from .displacement_slope import displacement_slope
from .einstein import SlopeFit
from .green_kubo import RunningIntegral, running_integral
from .loop_results import loop_outcome
from .recorded_path import recorded_loop
from .result import Curve, Outcome, Result, thinned
from .spectral_results import spectral_results
from .state import State, state_of
from .tagged_results import TaggedResults, tagged_results

Array = NDArray[np.float64]

#: Combined errors that estimates from the same data may be apart before a note says so.
_DISAGREEMENT = 2.5
_METHODS = ("spectral", "einstein")
#: The Green-Kubo integral is followed to this fraction of the run.
_GREEN_KUBO_FRACTION = 0.02


def estimate(record: Record, config: Config) -> Outcome:
    """All results and curves of ``record``; ``config`` may override temperature, volume, f*, P* and fit windows."""
    return _Summary(record, config).outcome()


@dataclass
class _Summary:
    record: Record
    config: Config
    results: list[Result] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.units: Units = unit_style(self.record.units)
        self.state: State = state_of(self.record, self.config)

    def outcome(self) -> Outcome:
        self.notes.extend(self.record.notes)
        if self.record.path is not None:
            self._attempt("topological charges of the path", self._loop)
            return Outcome(tuple(self.results), tuple(self.curves), tuple(self.notes))
        self._thermodynamics()
        self._sampling()
        for name in self.record.representations:
            self._net_charge(name)
            if current_is_zero(self.record, name):
                self.notes.append(f"the current of '{name}' is zero: it does not conduct")
                continue
            self._attempt(f"conductivity of '{name}' from its spectrum", partial(self._spectral, name))
            self._attempt(f"conductivity of '{name}' by Einstein-Helfand", partial(self._einstein, name))
            self._attempt(f"conductivity of '{name}' by Green-Kubo", partial(self._green_kubo, name))
            self._compare(name)
        for frame, name in enumerate(self.record.msd.frames):
            for s, species in enumerate(self.record.species):
                self._attempt(f"diffusion of {species} ({name} frame)", partial(self._diffusion, frame, s))
        self._tagged()
        for name in self.record.representations:
            if not current_is_zero(self.record, name):
                self._nernst_einstein(name)
        self._take(
            collective_results(self.record, self.state, self.units, self.results, cutoff=self.config.spectral.cutoff)
        )
        self._take(charge_outcome(self.record, self.config, self.state, self.units))
        return Outcome(tuple(self.results), tuple(self.curves), tuple(dict.fromkeys(self.notes)))

    def _attempt(self, what: str, action: Callable[[], None]) -> None:
        try:
            action()
        except EstimateError as error:
            self.notes.append(f"{what}: {error}")

    def _loop(self) -> None:
        """Samples that are points of a path are no equilibrium: nothing else is made of them."""
        self._take(loop_outcome(recorded_loop(self.record, self.config), self.units))

    # ---- state ------------------------------------------------------------------------------------------------------

    def _thermodynamics(self) -> None:
        state, units, record = self.state, self.units, self.record
        if math.isnan(state.temperature):
            self.notes.append("the temperature is not known (no velocities): give the key 'temperature'")
        self._add("temperature", "system", state.temperature_origin, state.temperature * units.temperature,
                  state.temperature_error, units.label("K"), degrees_of_freedom=record.degrees_of_freedom)  # fmt: skip
        self._add("volume", "system", state.volume_origin, state.volume * units.angstrom**3, 0.0, units.label("Å^3"))
        self._add("duration", "system", "measured", record.duration * units.picosecond, 0.0, units.label("ps"),
                  samples=record.samples,
                  interval=record.interval * units.picosecond, interval_unit=units.time_label,
                  first_step=record.first_step, last_step=record.last_step)  # fmt: skip

    def _sampling(self) -> None:
        """Say so when the samples do not follow each other at the interval that was asked for."""
        series = self.record.series
        if series is not None and len(series.stretches) > max(3, 0.5 * len(series.steps)):
            spacing = int(np.median(np.diff(series.steps)))
            self.notes.append(
                f"samples came {spacing} steps apart where every {self.record.every} steps were asked for: "
                "no two of them belong together, and nothing that needs time could be measured"
            )

    def _net_charge(self, name: str) -> None:
        charge = self._species_charges(name) @ self.record.population * self.units.elementary
        if abs(charge) > 1e-6 * max(1.0, float(self.record.population.sum())):
            self.notes.append(
                f"the representation '{name}' carries a net charge of {charge:g} {self.units.charge_label}: its "
                f"conductivity belongs to the {self.record.frame} frame and would be another one in another frame"
            )

    def _species_charges(self, name: str) -> Array:
        """Charge of an atom of each species (S,), in charge units."""
        return self.record.charges_of(name)

    # ---- conductivity -----------------------------------------------------------------------------------------------

    def _spectral(self, name: str) -> None:
        self._take(spectral_results(name, self.record, self.config, self.state, self.units))

    def _einstein(self, name: str) -> None:
        units, record, scale = self.units, self.record, self.state.conductivity_scale
        if record.dipole is None:
            raise EstimateError("no dipole displacement was accumulated")
        fit = displacement_slope(record.dipole, record, 0, record.dipole.groups.index(name),
                                 self.config.einstein.window, self.config.einstein.method)  # fmt: skip
        window = self._window(f"conductivity of '{name}' by Einstein-Helfand", fit)
        # slope of the mean over components: d/dt ⟨Δμ_x²⟩ = 2 V k_B T σ
        self._add("conductivity", name, "einstein", 0.5 * scale * fit.slope, 0.5 * scale * fit.error,
                  units.label("S/m"), frame=record.frame, **window)  # fmt: skip
        square = units.elementary**2 * units.angstrom**2
        self._displacement_curve(f"dipole/{name}", "dipole", name, fit, 3 * square,
                                 f"⟨|Δμ|²⟩ ({units.charge_label}² {units.length_label}²)")  # fmt: skip

    def _green_kubo(self, name: str) -> None:
        units, record, scale = self.units, self.record, self.state.conductivity_scale
        if record.series is None:
            raise EstimateError("the flux series is not kept (key 'series')")
        stretches = current_series(record.series, current_weights(record, name))
        samples, longest = sum(map(len, stretches)), max(map(len, stretches), default=0)
        lags = max(16, min(int(_GREEN_KUBO_FRACTION * samples), longest - 1, 20000))
        found = running_integral(stretches, record.interval, max_lag=lags)
        self._add("conductivity", name, "green-kubo", scale * found.value, scale * found.error, units.label("S/m"),
                  frame=record.frame, **self._window(f"conductivity of '{name}' by Green-Kubo", found))  # fmt: skip
        x_label = f"time ({units.time_label})"
        x, y, error = _thinned(found.lag * units.picosecond, scale * found.integral, scale * found.integral_error)
        self._curve(f"green-kubo/{name}", "green-kubo", name, x, y, x_label,
                    f"running conductivity ({units.label('S/m')})", error)  # fmt: skip
        normal = found.correlation[0]
        if not normal > 0:
            raise EstimateError("the current is zero throughout (are all charges zero?)")
        x, y, error = _thinned(
            found.lag * units.picosecond, found.correlation / normal, found.correlation_error / normal
        )
        self._curve(f"correlation/{name}", "correlation", name, x, y, x_label, "⟨J(t)·J(0)⟩/⟨J²⟩", error)

    def _compare(self, name: str) -> None:
        """Say so when spectral and Einstein-Helfand estimates, made of the same data, do not agree."""
        spectral, einstein = (self._find("conductivity", name, method, self.record.frame) for method in _METHODS)
        if spectral is None or einstein is None:
            return
        if abs(spectral.value - einstein.value) > _DISAGREEMENT * math.hypot(spectral.error, einstein.error):
            self.notes.append(
                f"conductivity of '{name}': the spectral and the Einstein-Helfand estimate are more than "
                f"{_DISAGREEMENT} combined errors apart; a narrow feature at zero frequency may be "
                "unresolved: a longer run is needed"
            )

    # ---- tagged particles -------------------------------------------------------------------------------------------

    def _diffusion(self, frame: int, species: int) -> None:
        units, record = self.units, self.record
        name, where = record.species[species], record.msd.frames[frame]
        fit = displacement_slope(
            record.msd, record, frame, species, self.config.msd.window, self.config.einstein.method
        )
        window = self._window(f"diffusion of {name} ({where} frame)", fit)
        self._add("diffusion", name, "msd", 0.5 * fit.slope * units.diffusion, 0.5 * fit.error * units.diffusion,
                  units.label("m^2/s"), frame=where, **window)  # fmt: skip
        label = name if len(record.msd.frames) == 1 else f"{name}, {where}"
        self._displacement_curve(f"msd/{where}/{name}", "msd", label, fit, 3 * units.angstrom**2,
                                 f"MSD ({units.length_label}²)")  # fmt: skip
        charge = self._mobility_charge(species)
        if frame == 0 and charge and self.state.thermal > 0:
            factor = charge / self.state.thermal * units.mobility
            self._add("mobility", name, "nernst-einstein", 0.5 * fit.slope * factor, 0.5 * fit.error * abs(factor),
                      units.label("m^2/(V s)"), charge=charge * units.elementary, charge_unit=units.charge_label,
                      frame=where)  # fmt: skip

    def _tagged(self) -> None:
        """What the velocity and force correlations say."""
        chosen = self.config.correlations
        found = tagged_results(
            self.record, self.state, self.units,
            terms=None if chosen is None else chosen.prony,
            find_diffusion=lambda species, frame: self._find("diffusion", species, "msd", frame),
        )  # fmt: skip
        self._take(found)

    def _mobility_charge(self, species: int) -> float:
        """The oxidation charge of a species where given, else its mean charge; 0 without charges."""
        name = self.record.species[species]
        charge = self.record.oxidation.get(name, float(self.record.mean_charge[species]))
        return 0.0 if math.isnan(charge) else charge

    def _nernst_einstein(self, name: str) -> None:
        """σ of ions that move independently, Σ N q² D/(V k_B T), and the Haven ratio of it to the spectral σ."""
        record, units = self.record, self.units
        frame = record.msd.frames[0]
        weights = record.population * self._species_charges(name) ** 2
        value, variance = 0.0, 0.0
        for weight, species in zip(weights, record.species, strict=True):
            found = self._find("diffusion", species, "msd", frame)
            if weight == 0:
                continue
            if found is None:
                return
            factor = weight * self.state.conductivity_scale / units.diffusion
            value += factor * found.value
            variance += (factor * found.error) ** 2
        self._add("conductivity", name, "nernst-einstein", value, math.sqrt(variance), units.label("S/m"), frame=frame)
        collective = self._find("conductivity", name, "spectral", record.frame)
        if collective is not None and collective.value > 0 and value > 0:
            ratio = value / collective.value
            error = ratio * math.hypot(math.sqrt(variance) / value, collective.error / collective.value)
            self._add("haven_ratio", name, "nernst-einstein/spectral", ratio, error, "1")

    # ---- helpers ----------------------------------------------------------------------------------------------------

    def _take(self, found: Outcome | TaggedResults) -> None:
        self.results.extend(found.results)
        self.curves.extend(found.curves)
        self.notes.extend(found.notes)

    def _find(self, quantity: str, of: str, method: str, frame: str) -> Result | None:
        for result in self.results:
            same = (result.quantity, result.of, result.method) == (quantity, of, method)
            if same and result.details.get("frame") == frame:
                return result
        return None

    def _add(
        self, quantity: str, of: str, method: str, value: float, error: float, unit: str, **details: object
    ) -> None:
        self.results.append(Result(quantity, of, method, float(value), float(error), unit, details))

    def _window(self, what: str, found: SlopeFit | RunningIntegral) -> dict[str, object]:
        """The window of a fit or of a running integral, and how it was chosen; a note where there was no plateau."""
        time, unit = self.units.picosecond, self.units.time_label
        if isinstance(found, SlopeFit):
            begin, end, origin = found.begin, found.end, {"groups": found.groups, "resolved": found.resolved}
        else:
            begin, end, origin = found.cut, 2 * found.cut, {"batches": found.batches}
        self.notes.extend(f"{what}: {reason}" for reason in found.reasons)
        return {
            "window_begin": begin * time,
            "window_end": end * time,
            "window_unit": unit,
            "window_rule": found.rule,
            **origin,
        }

    def _curve(self, name: str, figure: str, label: str, x: Array, y: Array, x_label: str, y_label: str,
               error: Array | None = None, style: str = "line") -> None:  # fmt: skip
        self.curves.append(Curve(name, figure, label, x, y, x_label, y_label, error, style))

    def _displacement_curve(
        self, name: str, figure: str, label: str, fit: SlopeFit, factor: float, y_label: str
    ) -> None:
        """Measured curve with its band, and the fitted line within its window."""
        time = self.units.picosecond
        x_label = f"time ({self.units.time_label})"
        sampled = np.isfinite(fit.curve)
        x, y, error = _thinned(fit.lag[sampled] * time, factor * fit.curve[sampled], factor * fit.curve_error[sampled])
        self._curve(name, figure, label, x, y, x_label, y_label, error)
        ends = np.array([fit.begin, fit.end])
        line = factor * (fit.intercept + fit.slope * ends)
        self._curve(f"{name}/fit", figure, f"{label}, fit", ends * time, line, x_label, y_label, style="fit")


def _thinned(x: Array, *columns: Array) -> tuple[Array, ...]:
    """At most so many points as a figure shows."""
    shown = thinned(len(x))
    return tuple(column[shown] for column in (x, *columns))
