"""Collective fluxes: the velocity and the charge current of each species, and the displacements that belong to them.

Basis fluxes are ``number`` (Σ v over a species) and Σ Z·v for charges Z that are not constants of the species. Every
representation of the charge current is a linear combination of them: see :mod:`lammps_topo.representation`. Behind them
stand fluxes that LAMMPS computes as a whole: energy, stress, others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..stream.block import Array, Block, Integers, Totals
from ..stream.snapshot import Snapshot


@dataclass(frozen=True)
class Fluxes:
    """Basis fluxes of B samples in the chosen frame of reference: P = S (1 + A + T) of particles, species by species,
    for A assignments of charges and T constant tensors, then the global ones, which are as LAMMPS computes them, in the
    laboratory: F columns.

    Attributes
    ----------
    flux : (B, F, 3) Σ v, then Σ Z·v; without velocities, displacements since the sample before over the interval
    moment : (B, P, 3) time integrals along the trajectory since the stretch began (Δμ for charges)
    """

    flux: Array
    moment: Array

    def joined(self, others: Array) -> Fluxes:
        """With the fluxes ``others`` (B, n, 3) behind them."""
        return Fluxes(flux=np.concatenate((self.flux, others), axis=1), moment=self.moment)


def global_fluxes(totals: Totals, widths: Sequence[int], pressure_volume: float) -> Array:
    """Global fluxes (B, n, 3) from the numbers of LAMMPS, which are ``widths`` (3 or 6) by 3 or 6.

    Three are a flux. Six are the pressure tensor xx yy zz xy xz yz and become V (xy, xz, yz) and
    V (xx − p, yy − p, zz − p)/√2, p being the mean of the diagonal, in units of energy: V at the sample over
    ``pressure_volume``, pressure times volume in an energy.
    """
    assert totals.numbers is not None
    assert totals.volume is not None
    volume = (totals.volume / pressure_volume)[:, None]
    found = []
    for part in np.split(totals.numbers, np.cumsum(widths)[:-1], axis=1):
        if part.shape[1] == 3:
            found.append(part)
            continue
        diagonal, shear = part[:, :3] * volume, part[:, 3:] * volume
        found += [shear, (diagonal - diagonal.mean(axis=1, keepdims=True)) / np.sqrt(2.0)]
    return np.stack(found, axis=1)


class FluxFrame:
    """Takes blocks' totals to basis fluxes in a frame of reference (physics.md §2).

    Parameters
    ----------
    population : (S,) atoms of each species
    host : indices of the species whose mean motion is the frame, () for the centre of mass, None for the laboratory
    interval : time between samples
    tensors : (T, S, 3, 3) constant charges of the species, which make fluxes of those of numbers
    """

    def __init__(
        self, population: Integers, host: Sequence[int] | None, interval: float, tensors: Array | None = None
    ) -> None:
        self._population = population.astype(np.float64)
        self._host = None if host is None else list(host)
        self._interval = interval
        self._tensors = tensors
        self._last: Array | None = None  # moments at the last sample of the stretch, without those of tensors
        self._last_frame = np.zeros(3)
        self._last_charge: Array | None = None

    def observe(self, block: Block) -> Fluxes:
        totals, number = block.totals, len(block)
        away = self.motion(block)
        weights = np.broadcast_to(self._population, (number, len(self._population)))
        moved = totals.displacement - weights[:, :, None] * away[:, None, :]
        begins = block.first == 0
        before = away[:1] if begins else self._last_frame[None]
        slip = np.diff(np.concatenate((before, away)), axis=0)
        held = totals.charge[:1] if begins or self._last_charge is None else self._last_charge[None]
        charge = np.concatenate((held, totals.charge))
        step = totals.dipole_step - _carried(0.5 * (charge[1:] + charge[:-1]), slip)
        start = 0.0 if begins or self._last is None else self._last[len(self._population) :]
        moved = np.concatenate((moved, start + np.cumsum(step.reshape(number, -1, 3), axis=0)), axis=1)
        self._last_charge = totals.charge[-1].copy()
        flux = self._velocities(block)
        if flux is None:
            before = moved[:1] if begins or self._last is None else self._last[None]
            flux = np.diff(np.concatenate((before, moved)), axis=0) / self._interval
            if begins and number > 1:
                flux[0] = flux[1]
        self._last = moved[-1].copy()
        self._last_frame = away[-1].copy()
        return Fluxes(flux=self._with_tensors(flux), moment=self._with_tensors(moved))

    def _with_tensors(self, vectors: Array) -> Array:
        """With what constant charges make of those of numbers (B, S, 3) behind them."""
        if self._tensors is None or not len(self._tensors):
            return vectors
        more = np.einsum("tsxy,bsy->btsx", self._tensors, vectors[:, : len(self._population)])
        return np.concatenate((vectors, more.reshape(len(vectors), -1, 3)), axis=1)

    def state(self) -> Snapshot:
        """What it remembers."""
        known = {"last": self._last, "last_charge": self._last_charge}
        held = {name: value for name, value in known.items() if value is not None}
        return Snapshot({"last_frame": self._last_frame, **held})

    def restore(self, state: Snapshot) -> None:
        self._last_frame = state["last_frame"]
        self._last, self._last_charge = state.optional("last"), state.optional("last_charge")

    def motion(self, block: Block) -> Array:
        """Displacement (B, 3) of the frame of reference since the stretch began."""
        if self._host is None:
            return np.zeros((len(block), 3))
        if not self._host:
            return block.totals.centre
        return host_mean(block.totals.displacement, self._population, self._host)

    def drift(self, totals: Totals) -> Array:
        """Velocity (B, 3) of the frame of reference; the run has velocities."""
        assert totals.velocity is not None
        assert totals.centre_velocity is not None
        if self._host is None:
            return np.zeros_like(totals.centre_velocity)
        if not self._host:
            return totals.centre_velocity
        return host_mean(totals.velocity, self._population, self._host)

    def acceleration(self, totals: Totals, mass: Array, *, whole: bool) -> Array:
        """What accelerates the frame (B, 3), force over mass, by the forces that are streamed.

        ``mass`` (S,) of an atom of each species. The centre of mass counts as unaccelerated where the measured atoms
        are not the ``whole`` system: the forces on the others are not known.
        """
        assert totals.force is not None
        if self._host is None or not (self._host or whole):
            return np.zeros_like(totals.centre)
        if self._host:
            return host_mean(totals.force / np.where(mass > 0, mass, np.inf)[:, None], self._population, self._host)
        pull: Array = totals.force.sum(axis=1) / float(mass @ self._population)
        return pull

    def _velocities(self, block: Block) -> Array | None:
        totals = block.totals
        if totals.velocity is None or totals.centre_velocity is None:
            return None
        drift = self.drift(totals)
        assert totals.current is not None
        flux = totals.velocity - self._population[None, :, None] * drift[:, None, :]
        current = totals.current - _carried(totals.charge, drift)
        return np.concatenate((flux, current.reshape(len(flux), -1, 3)), axis=1)


def _carried(charge: Array, vector: Array) -> Array:
    """Charges (B, A, S, 3, 3) times vectors (B, 3): (B, A, S, 3)."""
    carried: Array = np.einsum("basxy,by->basx", charge, vector)
    return carried


def host_mean(sums: Array, population: Array | Integers, host: Sequence[int]) -> Array:
    """Mean over the atoms of the host species of sums by species (B, S, 3): (B, 3)."""
    chosen = list(host)
    mean: Array = sums[:, chosen].sum(axis=1) / population[chosen].sum()
    return mean


class Series:
    """The flux series itself, kept for estimators that want all of it: F fluxes, P of them with moments.

    Grows by 24 (F + P) + 16 bytes a sample.
    """

    def __init__(self, fluxes: int, moments: int) -> None:
        self._steps: list[Integers] = []
        self._flux: list[Array] = []
        self._moment: list[Array] = []
        self._temperature: list[Array] = []
        self._stretches: list[int] = []
        self._fluxes, self._moments = fluxes, moments
        self._length = 0

    def observe(self, block: Block, fluxes: Fluxes, temperature: Array) -> None:
        if block.first == 0:
            self._stretches.append(self._length)
        self._steps.append(block.steps)
        self._flux.append(fluxes.flux)
        self._moment.append(fluxes.moment)
        self._temperature.append(temperature)
        self._length += len(block)

    def arrays(self) -> tuple[Integers, Array, Array, Array, Integers]:
        """Steps (T,), flux (T, F, 3), moment (T, P, 3), temperature (T,), and the samples at which stretches begin."""
        if len(self._steps) > 1:
            self._steps = [np.concatenate(self._steps)]
            self._flux = [np.concatenate(self._flux)]
            self._moment = [np.concatenate(self._moment)]
            self._temperature = [np.concatenate(self._temperature)]
        return (
            self._steps[0] if self._steps else np.zeros(0, dtype=np.int64),
            self._flux[0] if self._flux else np.zeros((0, self._fluxes, 3)),
            self._moment[0] if self._moment else np.zeros((0, self._moments, 3)),
            self._temperature[0] if self._temperature else np.zeros(0),
            np.array(self._stretches, dtype=np.int64),
        )

    def state(self) -> Snapshot:
        """What it remembers."""
        names = ("steps", "flux", "moment", "temperature", "stretches")
        return Snapshot(dict(zip(names, self.arrays(), strict=True)))

    def restore(self, state: Snapshot) -> None:
        self._steps, self._flux, self._moment = [state["steps"]], [state["flux"]], [state["moment"]]
        self._temperature = [state["temperature"]]
        self._stretches = state["stretches"].tolist()
        self._length = len(state["steps"])

    @property
    def nbytes(self) -> int:
        kept = (*self._steps, *self._flux, *self._moment, *self._temperature)
        return sum(array.nbytes for array in kept)
