"""Results and curves of the velocity and force correlations of a run: diffusion, memory kernel, friction.

Everything estimated for one species of a :class:`~lammps_topo.record.CorrelationRecord`, converted to what is shown:
kB T turns the kernel over mass into a friction, physics.md section 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..errors import EstimateError
from ..record import CorrelationRecord, Record
from ..units import Units
from .force_part import force_spectrum_from_kernel, kernel_part
from .kernel_table import ONE_MASS, acceleration_sums, velocity_sums
from .memory_kernel import MemoryKernel, memory_kernel
from .prony import fit_prony
from .result import Curve, Result, thinned
from .state import State
from .tagged import (
    CorrelationShape,
    correlation_shape,
    diffusion_from_velocity,
    power_spectrum,
    sampled,
    window_replicas,
)

__all__ = ["TaggedResults", "tagged_results"]

Array = NDArray[np.float64]

#: Errors by which a check may be off before a note says so, where it is off by more than a hundredth, too.
_DOUBTFUL, _NEGLIGIBLE = 3.0, 0.01
#: Share of the thermal kinetic energy below which atoms do not move on their own.
_HELD = 0.1
#: Spectra are shown up to the frequency below which this share of them lies, and half as far again.
_SHOWN = 0.995


@dataclass
class TaggedResults:
    """What came out for all species."""

    results: list[Result] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def tagged_results(
    record: Record,
    state: State,
    units: Units,
    *,
    terms: int | None,
    find_diffusion: Callable[[str, str], Result | None],
) -> TaggedResults:
    """Estimates for every followed species; what cannot be estimated becomes a note.

    ``terms`` of the Prony series, None for as many as are worth it. ``find_diffusion(species, frame)`` gives the
    diffusion coefficient from the MSD, if there is one, to compare with.
    """
    found = TaggedResults()
    correlations = record.correlations
    if correlations is None:
        return found
    for number, name in enumerate(correlations.groups):
        if not correlations.followed[number]:
            continue
        try:
            species = _Species(found, record, correlations, number, state, units)
            species.motion()
            species.force()
            if species.kernel is not None:
                species.memory(species.kernel)
                species.friction(species.kernel, find_diffusion(name, correlations.frame))
                species.series(species.kernel, terms)
        except EstimateError as error:
            found.notes.append(f"velocity correlations of {name}: {error}")
    return found


class _Species:
    """Estimates for one species, put into ``found`` as they come."""

    def __init__(
        self,
        found: TaggedResults,
        record: Record,
        correlations: CorrelationRecord,
        number: int,
        state: State,
        units: Units,
    ) -> None:
        self._found, self._state, self._units = found, state, units
        self._name, self._frame, self._force = correlations.groups[number], correlations.frame, correlations.force
        self._interval = record.interval
        self._duration = correlations.batch * record.interval
        self._counts = correlations.counts
        self._accelerations = acceleration_sums(correlations, number, units)
        self._sums = {pair: correlations.sums[:, p, number] for p, pair in enumerate(correlations.pairs)}
        if "vv" in self._sums:
            self._sums["vv"] = velocity_sums(correlations, number)
        self._mass = float(correlations.mass[number])
        self._alike = float(correlations.mass_spread[number]) <= ONE_MASS and self._mass > 0
        self._bound = False
        self.kernel: MemoryKernel | None = None

    # ---- velocities -------------------------------------------------------------------------------------------------

    def motion(self) -> None:
        """Velocity correlation and its spectrum, diffusion coefficient, memory kernel."""
        if "vv" not in self._sums:
            return
        units, velocities = self._units, self._sums["vv"]
        if not velocities[:, 0].sum() > 0:
            raise EstimateError("the atoms do not move")
        self._shape("velocity", "vacf", "vv")
        diffusion = diffusion_from_velocity(self._interval, velocities, self._counts, batch_duration=self._duration)
        self._add("diffusion", "vacf", diffusion.value * units.diffusion, diffusion.error * units.diffusion,
                  units.label("m^2/s"), groups=diffusion.groups)  # fmt: skip
        thermal = self._state.thermal
        if not self._alike:
            self._note("its atoms differ in mass, and have no memory kernel in common")
        elif not thermal > 0:
            self._note("no memory kernel without a temperature")
        else:
            self.kernel = kernel = memory_kernel(
                self._interval, velocities, self._counts, batch_duration=self._duration,
                acceleration_sums=self._accelerations,
            )  # fmt: skip
            ratio = self._mass * units.kinetic / thermal
            share = ratio * kernel.velocity_variance
            self._add("equipartition", "vacf", share, ratio * kernel.velocity_variance_error,
                      "1", mass=self._mass * units.gram_per_mole, mass_unit=units.label("g/mol"))  # fmt: skip
            if share < _HELD:
                self.kernel = None
                self._note(f"its atoms have {share:.2g} of the kinetic energy of free ones: something holds them")

    # ---- forces -----------------------------------------------------------------------------------------------------

    def force(self) -> None:
        """Force correlation and its spectrum, also as the memory kernel implies it ([P eq. 20])."""
        if "ff" not in self._sums:
            return
        if not self._sums["ff"][:, 0].any():
            self._note("the forces are zero throughout")
            return
        shape = self._shape("force", "facf", "ff")
        ratio, error = shape.zero_ratio, shape.zero_ratio_error
        self._add("force_integral", "facf", ratio, error, "1", force=self._force)
        if self.kernel is None or self._accelerations is None:
            return
        spectrum = force_spectrum_from_kernel(
            self._interval, self._sums["vv"], self._counts, self._accelerations, batch_duration=self._duration
        )
        self._add("kernel_consistency", "facf", spectrum.agreement, spectrum.agreement_error, "1",
                  mismatch=spectrum.mismatch)  # fmt: skip
        if self._coarse(self.kernel):
            pass  # said with the kernel
        elif abs(ratio) > max(_DOUBTFUL * error, _NEGLIGIBLE):
            self._note("the integral of its force correlation is not zero: these are not all the forces that move it")
        elif abs(spectrum.agreement - 1) > max(_DOUBTFUL * spectrum.agreement_error, 5 * _NEGLIGIBLE):
            self._note("the spectrum of its force is not the one that its memory kernel implies: sample more often")
        units, variance = self._units, self.kernel.initial * self.kernel.velocity_variance
        scale = units.picosecond / variance
        self._spectrum_curve("force/predicted", "force", spectrum.frequency, scale * spectrum.predicted,
                             scale * spectrum.predicted_error, style="fit")  # fmt: skip
        _, density, _ = self._spectrum("vv")
        highest = float((scale * spectrum.measured).max() / density.max())
        self._spectrum_curve("force/vdos", "force", spectrum.frequency, highest * density[: len(spectrum.frequency)])

    # ---- memory -----------------------------------------------------------------------------------------------------

    def memory(self, kernel: MemoryKernel) -> None:
        """The kernel, its value at t = 0 and its running integral."""
        units, mass = self._units, self._effective_mass(kernel)
        starts = {"kernel": (kernel.extrapolated_stiffness, kernel.extrapolated_stiffness_error)}
        if self._accelerations is not None:
            starts["force"] = (kernel.stiffness, kernel.stiffness_error)
        for method, (value, error) in starts.items():
            scale = self._state.thermal * units.stiffness
            self._add("initial_kernel", method, scale * value, scale * math.hypot(error, value * self._warmth),
                      units.label("N/m"))  # fmt: skip
        scale = mass * units.stiffness
        self._time_curve("memory/kernel", "memory", kernel.kernel_lag, scale * kernel.kernel,
                         scale * kernel.kernel_error, f"Γ(t) ({units.label('N/m')})")  # fmt: skip
        self._running("running", self._name, kernel, kernel.integral, kernel.integral_error)
        self._sampling(kernel)

    def friction(self, kernel: MemoryKernel, diffusion: Result | None) -> None:
        """The integral of the kernel, also as k_B T/D, and the memory time; ``diffusion`` is that of the MSD."""
        units, thermal = self._units, self._state.thermal
        other = diffusion or self._result("diffusion", "vacf")
        if other is not None and other.value + 5 * other.error < 0.5 * kernel.diffusion * units.diffusion:
            self._bound = True  # within the window the memory of a bound particle does not come to an end
            self._note("it does not diffuse: its memory does not decay, and there is no friction")
            return
        if not kernel.plateau > 0:
            self._note("the integral of its memory kernel is not positive: a longer run is needed")
            return
        self._add(
            "friction", "kernel", thermal / kernel.diffusion * units.friction,
            thermal / kernel.diffusion * math.hypot(kernel.diffusion_error / kernel.diffusion, self._warmth)
            * units.friction, units.label("kg/s"),
            tail_share=kernel.tail.missing, tail_time=kernel.tail.time * units.picosecond,
            tail_time_unit=units.time_label,
            window=float(kernel.lag[-1]) * units.picosecond, window_unit=units.time_label, groups=kernel.groups,
        )  # fmt: skip
        for method, result in (("msd", diffusion), ("vacf", self._result("diffusion", "vacf"))):
            if result is not None and result.value > 0:
                value = thermal / (result.value / units.diffusion) * units.friction
                self._add("friction", method, value, value * math.hypot(result.error / result.value, self._warmth),
                          units.label("kg/s"))  # fmt: skip
        self._add("memory_time", "kernel", kernel.memory_time * units.picosecond,
                  kernel.memory_time_error * units.picosecond, units.label("ps"))  # fmt: skip
        self._window(kernel)
        self._compare()
        self._part(kernel)

    def _effective_mass(self, kernel: MemoryKernel) -> float:
        """k_B T/⟨v²⟩ (energy time²/length²): in a moving frame not quite that of the atom."""
        return self._state.thermal / kernel.velocity_variance

    @property
    def _warmth(self) -> float:
        """Relative error of the temperature."""
        error = self._state.temperature_error / self._state.temperature
        return error if math.isfinite(error) else 0.0

    def _running(self, name: str, label: str, kernel: MemoryKernel, integral: Array, error: Array) -> None:
        scale = self._effective_mass(kernel) * self._units.friction
        self._time_curve(f"friction/{name}", "friction", kernel.half_time, scale * integral, scale * error,
                         f"∫Γ dt ({self._units.label('kg/s')})", label=label)  # fmt: skip

    def _sampling(self, kernel: MemoryKernel) -> None:
        units = self._units
        if kernel.sampled < self._counts.shape[1]:
            self._note(
                f"the run holds {kernel.sampled} of the {self._counts.shape[1]} lags of the window without a gap: what "
                "follows from its correlations ends there"
            )
        if not kernel.groups:
            self._note("the run is too short for error bars of its memory kernel")
        elif kernel.group_windows < 1.5:
            self._note(
                f"error bars come from stretches of only {kernel.group_windows:.1f} windows: a longer run is needed"
            )
        if self._coarse(kernel):
            shift = max(
                kernel.plateau_discretisation / abs(kernel.plateau),
                abs(kernel.extrapolated_change) / (3 * kernel.initial),
            )
            self._note(
                f"{self._interval * units.picosecond:g} {units.time_label} between samples are too coarse for its "
                f"memory kernel, which they change by {shift:.1%}, more than its error: sample more often"
            )

    def _coarse(self, kernel: MemoryKernel) -> bool:
        """Whether the interval changes the kernel by more than its error: as every second lag tells."""
        shift = abs(kernel.extrapolated_change) / 3
        return kernel.coarse or shift > max(_DOUBTFUL * kernel.extrapolated_error, 3 * _NEGLIGIBLE * kernel.initial)

    def _window(self, kernel: MemoryKernel) -> None:
        if kernel.decayed:
            return
        units = self._units
        self._note(
            f"its memory has not decayed within the window of {kernel.lag[-1] * units.picosecond:.3g} "
            f"{units.time_label}: {kernel.tail.missing:.1%} of the friction lies in an extrapolated tail, and at "
            f"the end C_v is {kernel.end_correlation:.2g}; a longer 'correlations.window' is needed"
        )

    def _compare(self) -> None:
        ours, other = self._result("friction", "kernel"), self._result("friction", "msd")
        if ours is None or other is None:
            return
        if abs(ours.value - other.value) > _DOUBTFUL * math.hypot(ours.error, other.error):
            self._note("the frictions from its memory kernel and from its mean square displacement disagree")

    def _part(self, kernel: MemoryKernel) -> None:
        """Share of the streamed part of the force in the friction."""
        if self._force in ("total", "none") or "vf" not in self._sums:
            return
        part = kernel_part(
            self._interval, self._sums["vv"], self._counts, self._sums["vf"] / (self._mass * self._units.kinetic),
            batch_duration=self._duration,
        )  # fmt: skip
        scale = self._effective_mass(kernel) * self._units.friction
        self._add("friction", f"part {self._force}", scale * part.plateau, scale * part.plateau_error,
                  self._units.label("kg/s"))  # fmt: skip
        self._running(self._force, f"{self._name}, {self._force}", kernel, part.integral, part.integral_error)

    def series(self, kernel: MemoryKernel, terms: int | None) -> None:
        """Prony series of the kernel, and what a particle that obeys it does."""
        if self._bound:
            return
        fitted = fit_prony(kernel.kernel_lag, kernel.kernel, kernel.half_time, kernel.integral, terms=terms,
                           plateau=kernel.plateau, errors=(kernel.kernel_error, kernel.integral_error))  # fmt: skip
        units, scale = self._units, self._effective_mass(kernel) * self._units.stiffness
        shown = thinned(len(kernel.kernel_lag))
        lag = kernel.kernel_lag[shown]
        self._time_curve("memory/prony", "memory", lag, scale * fitted.kernel(lag), None,
                         f"Γ(t) ({units.label('N/m')})", style="fit")  # fmt: skip
        deviation = np.abs(fitted.velocity_correlation(kernel.lag[shown]) - kernel.correlation[shown]).max()
        self._add("gle_deviation", "prony", deviation, 0.0, "1", terms=fitted.terms, residual=fitted.residual)

    # ---- what several of them do ------------------------------------------------------------------------------------

    def _shape(self, figure: str, method: str, pair: str) -> CorrelationShape:
        """Features and curves of an autocorrelation function."""
        units = self._units
        shape = correlation_shape(self._interval, self._sums[pair], self._counts, batch_duration=self._duration)
        time = units.picosecond
        self._add("zero_crossing", method, shape.first_zero * time, shape.first_zero_error * time, units.label("ps"))
        self._add("minimum_time", method, shape.minimum_time * time, shape.minimum_time_error * time, units.label("ps"))
        self._add("minimum", method, shape.minimum, shape.minimum_error, "1")
        symbol = "⟨v(t)·v(0)⟩/⟨v²⟩" if pair == "vv" else "⟨F(t)·F(0)⟩/⟨F²⟩"
        self._time_curve(f"{figure}/time", figure, shape.lag, shape.correlation, shape.correlation_error, symbol)
        frequency, density, error = self._spectrum(pair)
        self._spectrum_curve(f"{figure}/frequency", figure, frequency, density, error)
        return shape

    def _spectrum(self, pair: str) -> tuple[Array, Array, Array]:
        """Spectrum of a normalised autocorrelation function, and its error: (frequency, ps, ps)."""
        data = window_replicas(self._interval, *sampled(self._sums[pair], self._counts), self._duration)
        curves = data.curves[:, 0] / data.curves[:, 0, :1]
        frequency, density = power_spectrum(np.arange(curves.shape[1]) * self._interval, curves)
        time = self._units.picosecond
        return frequency, density[0] * time, data.error(density) * time

    def _spectrum_curve(
        self, name: str, figure: str, frequency: Array, density: Array, error: Array | None = None, style: str = "line"
    ) -> None:
        units = self._units
        below = np.cumsum(np.abs(density)) / np.abs(density).sum()
        last = min(int(1.5 * np.searchsorted(below, _SHOWN)) + 2, len(frequency))
        shown = thinned(last)
        label = "VDOS" if figure == "velocity" else "spectrum of the force"
        self._found.curves.append(
            Curve(f"{name}/{self._name}", figure, self._name, frequency[shown] * units.terahertz, density[shown],
                  f"frequency ({units.frequency_label})", f"{label} ({units.time_label})",
                  None if error is None else error[shown], style)
        )  # fmt: skip

    def _time_curve(
        self, name: str, figure: str, time: Array, values: Array, error: Array | None, y_label: str,
        *, label: str | None = None, style: str = "line",
    ) -> None:  # fmt: skip
        units = self._units
        shown = thinned(len(time))
        self._found.curves.append(
            Curve(f"{name}/{self._name}", figure, label or self._name, time[shown] * units.picosecond, values[shown],
                  f"time ({units.time_label})", y_label, None if error is None else error[shown], style)
        )  # fmt: skip

    def _add(self, quantity: str, method: str, value: float, error: float, unit: str, **details: object) -> None:
        details.setdefault("frame", self._frame)
        self._found.results.append(Result(quantity, self._name, method, float(value), float(error), unit, details))

    def _result(self, quantity: str, method: str) -> Result | None:
        for result in self._found.results:
            if (result.quantity, result.of, result.method) == (quantity, self._name, method):
                return result
        return None

    def _note(self, text: str) -> None:
        self._found.notes.append(f"velocity correlations of {self._name}: {text}")
