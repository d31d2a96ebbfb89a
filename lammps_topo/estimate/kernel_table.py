"""A memory kernel with mass and temperature put in: what the command ``lammps-topo kernel`` shows and writes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import EstimateError
from ..record import CorrelationRecord, Record
from ..units import Units
from .memory_kernel import MemoryKernel, memory_kernel
from .prony import PronySeries, fit_prony, positive_exponentials
from .result import Result

Array = NDArray[np.float64]

#: Relative spread of the masses of a species from which its atoms have no memory kernel in common.
ONE_MASS = 1e-6


@dataclass(frozen=True)
class KernelTable:
    """A kernel and the mass that turns it into a friction, in the unit style of the run.

    Attributes
    ----------
    kernel : over mass
    mass : energy·time²/length²: k_B T/⟨v²⟩ of a run, else the mass that was given
    thermal : k_B T; NaN where no temperature is known
    warmth : relative error of the temperature
    measured : whether the mass is that of a run, with the error of ⟨v²⟩
    notes : what to heed
    """

    kernel: MemoryKernel
    mass: float
    thermal: float
    units: Units
    warmth: float = 0.0
    measured: bool = False
    notes: tuple[str, ...] = ()

    @property
    def atom_mass(self) -> float:
        """The mass in the unit style's unit of mass."""
        return self.mass / self.units.kinetic

    @property
    def temperature(self) -> float:
        """In the unit style; NaN where it is not known."""
        return self.thermal / self.units.boltzmann

    def results(self, name: str) -> list[Result]:
        """Friction, Γ(0), memory time and, where the temperature is known, diffusion coefficient."""
        kernel, units = self.kernel, self.units
        tail = {
            "tail_share": kernel.tail.missing,
            "tail_time": kernel.tail.time * units.picosecond,
            "tail_time_unit": units.time_label,
            "window": float(kernel.lag[-1]) * units.picosecond,
            "window_unit": units.time_label,
            **({"groups": kernel.groups} if kernel.groups else {}),
        }
        friction = self.mass * kernel.plateau * units.friction
        initial = self.mass * kernel.initial * units.stiffness
        # with a mass k_B T/⟨v²⟩ the errors are those of D = ⟨v²⟩/plateau and of K(0)/⟨v²⟩
        relative = kernel.diffusion_error / kernel.diffusion if self.measured else kernel.plateau_error / kernel.plateau
        stiff = kernel.stiffness_error / kernel.stiffness if self.measured else kernel.initial_error / kernel.initial
        found = [
            Result("friction", name, "kernel", friction, abs(friction) * math.hypot(relative, self.warmth),
                   units.label("kg/s"), tail),
            Result("initial_kernel", name, "kernel", initial, abs(initial) * math.hypot(stiff, self.warmth),
                   units.label("N/m")),
            Result("memory_time", name, "kernel", kernel.memory_time * units.picosecond,
                   kernel.memory_time_error * units.picosecond, units.label("ps")),
        ]  # fmt: skip
        if self.thermal > 0:
            diffusion = self.thermal / (self.mass * kernel.plateau) * units.diffusion
            found.append(
                Result("diffusion", name, "kernel", diffusion, abs(diffusion * relative), units.label("m^2/s"))
            )
        return found

    def columns(self) -> tuple[list[str], Array]:
        """Headings, and time, Γ, its error, and the running friction with its error at the same times, (L, 5)."""
        kernel, units = self.kernel, self.units
        running, error = (np.interp(kernel.kernel_lag, kernel.half_time, column, left=0.0)
                          for column in (kernel.integral, kernel.integral_error))  # fmt: skip
        running[0] = 0.0
        gamma, friction = self.mass * units.stiffness, self.mass * units.friction
        table = np.column_stack((
            kernel.kernel_lag * units.picosecond, gamma * kernel.kernel, gamma * kernel.kernel_error,
            friction * running, friction * error,
        ))  # fmt: skip
        force, drag = units.label("N/m"), units.label("kg/s")
        return [f"t ({units.time_label})", f"Gamma ({force})", "error", f"running friction ({drag})", "error"], table

    def prony(self, terms: int | None = None) -> PronySeries:
        """Damped terms, for ``fix gle``."""
        kernel = self.kernel
        return fit_prony(kernel.kernel_lag, kernel.kernel, kernel.half_time, kernel.integral, terms=terms,
                         plateau=kernel.plateau, errors=(kernel.kernel_error, kernel.integral_error))  # fmt: skip

    def exponentials(self, terms: int | None = None) -> PronySeries:
        """Positive exponentials, for ``fix gld``."""
        kernel = self.kernel
        return positive_exponentials(kernel.kernel_lag, kernel.kernel, kernel.half_time, kernel.integral,
                                     terms=terms or 6, plateau=kernel.plateau)  # fmt: skip


def kernel_of_record(record: Record, species: str, units: Units, *, temperature: float | None) -> KernelTable:
    """The kernel of a species of a results file; raises EstimateError where it has none."""
    correlations = record.correlations
    if correlations is None:
        raise EstimateError("the file holds no velocity correlations: measure with the key 'correlations'")
    names = [name for name, number in zip(correlations.groups, correlations.followed, strict=True) if number]
    if species not in names:
        raise EstimateError(f"no velocity correlations of '{species}' (there are those of: {', '.join(names)})")
    thermal = units.boltzmann * (record.temperature if temperature is None else temperature)
    if not thermal > 0:
        raise EstimateError("the temperature is not known: give --temperature")
    number = correlations.groups.index(species)
    if not correlations.mass_spread[number] <= ONE_MASS:
        raise EstimateError(f"the atoms of '{species}' differ in mass, and have no memory kernel in common")
    kernel = memory_kernel(
        record.interval, velocity_sums(correlations, number), correlations.counts,
        batch_duration=correlations.batch * record.interval,
        acceleration_sums=acceleration_sums(correlations, number, units),
    )  # fmt: skip
    given = temperature is not None or not math.isfinite(record.temperature_error)
    warmth = 0.0 if given else record.temperature_error / record.temperature
    notes = () if kernel.groups else ("the run is too short for error bars",)
    return KernelTable(kernel, thermal / kernel.velocity_variance, thermal, units, warmth, True, notes)


def velocity_sums(correlations: CorrelationRecord, number: int) -> Array:
    """Sums of v(t)·v(t + lag) of a species (NB, L), less the scatter that they share with |v|².

    C(t) times what ``norm`` has in excess of ⟨v²⟩, that of all origins of the batch, is taken off: nothing in the mean,
    but at short lags, where C is nearly one, what is left is ⟨v²⟩ − ½|v(t + lag) − v(t)|². Without it a memory kernel,
    which is a second derivative, would blow up the scatter of |v|² over origins.
    """
    products = pair_sums(correlations, "vv", number)
    if "norm" not in correlations.pairs:
        return products
    counts, norms = correlations.counts, pair_sums(correlations, "norm", number)
    variance = products[:, :1] / np.maximum(counts[:, :1], 1)
    total = norms.sum(axis=0)
    share = np.divide(products.sum(axis=0), total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(products - share * (norms - counts * variance), dtype=np.float64)


def acceleration_sums(correlations: CorrelationRecord, number: int, units: Units) -> Array | None:
    """Sums of a·a of a species (NB, L), where its whole force was streamed; else None."""
    if "ff" not in correlations.pairs or correlations.force != "total":
        return None
    forces = pair_sums(correlations, "ff", number)
    mass = float(correlations.mass[number]) * units.kinetic
    return forces / mass**2 if forces[:, 0].any() and mass > 0 else None


def pair_sums(correlations: CorrelationRecord, pair: str, number: int) -> Array:
    """Sums of a pair of quantities of a species, (NB, L)."""
    if pair not in correlations.pairs:
        raise EstimateError(f"the file holds no '{pair}' correlations (there are: {', '.join(correlations.pairs)})")
    return correlations.sums[:, correlations.pairs.index(pair), number]


def kernel_of_correlations(
    interval: float, replicas: Array, units: Units, *, mass: float, temperature: float | None
) -> KernelTable:
    """The kernel of velocity correlation functions, (R, L), one of each independent replica; errors from R ≥ 2.

    Their scale does not matter: ⟨v²⟩ is k_B T/m. ``mass`` and ``temperature`` in the unit style.
    """
    normal = replicas / replicas[:, :1]
    if len(normal) == 1:
        kernel = memory_kernel(interval, normal[0])
    else:
        # each replica is a batch, as long as a group of the jackknife wants to be
        longest = 10 * interval * normal.shape[1]
        kernel = memory_kernel(interval, normal, np.ones_like(normal), batch_duration=longest)
    thermal = math.nan if temperature is None else units.boltzmann * temperature
    return KernelTable(kernel, mass * units.kinetic, thermal, units)
