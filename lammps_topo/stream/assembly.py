"""Packed samples in, blocks out: redistribution by tag, and the sums over all atoms that the fluxes are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from ..errors import StreamError
from .block import SUMS, Array, Block, Integers, Packed, Totals
from .charges import Assignment, Charges
from .communicator import Communicator, agree
from .ownership import Misfit, Ownership
from .snapshot import Snapshot

#: A volume that differs by more than this (relative) is a changed box, not rounding.
_VOLUME_TOLERANCE = 1e-9


class Assembly:
    """Turns packed samples into blocks; collective, and every error is raised on all ranks with the same words.

    Parameters
    ----------
    has_velocity, has_charge, has_force : which columns follow tag and position in the packed rows, in this order;
        behind them are those of ``assignments``
    mass : of the whole system, not only of the group
    every, interval : timesteps and time between samples
    numbers : names of the global numbers that come with each sample
    assignments : of charges, besides that of ``q``
    """

    def __init__(
        self,
        comm: Communicator,
        ownership: Ownership,
        *,
        has_velocity: bool,
        has_charge: bool,
        has_force: bool,
        mass: float,
        every: int,
        interval: float,
        numbers: Sequence[str] = (),
        assignments: Sequence[Assignment] = (),
    ) -> None:
        self._comm = comm
        self._numbers = tuple(numbers)
        self._ownership = ownership
        position, velocity, charge = 3, 3 * has_velocity, 1 * has_charge
        self._velocity = slice(position, position + velocity) if has_velocity else None
        self._charge = position + velocity if has_charge else None
        sources = position + velocity + charge + 3 * has_force
        self._force = slice(sources - 3, sources) if has_force else None
        self._charges = Charges([Assignment()] * has_charge + list(assignments), ownership.species)
        self._sources = slice(sources, sources + sum(self._charges.columns) - charge)
        self._mass = mass
        self._every = every
        self._interval = interval
        self._last_step: int | None = None
        self._index = 0
        self._volume: float | None = None
        own = len(ownership)
        self._reference: Array = np.zeros((3, own))
        self._centre: Array = np.zeros(3)
        self._before: Array = np.zeros((3, own))  # displacement at the last sample

    @property
    def nbytes(self) -> int:
        return int(self._reference.nbytes + self._before.nbytes + self._charges.nbytes + self._ownership.nbytes)

    def restart_stretch(self) -> None:
        """The next block begins a new stretch, whatever its step."""
        self._last_step = None

    @property
    def weights(self) -> list[Array]:
        """(n,) of the assignments that stay, as the measurement began with them."""
        return self._charges.weights

    @property
    def positions(self) -> Array:
        """(3, n) unwrapped positions of the own atoms at the last sample."""
        position: Array = self._reference + self._before
        return position

    def is_at(self, tags: Integers, positions: Array) -> bool:
        """Whether atoms of these tags (n,) are at the positions (n, 3) of the last sample. Collective."""
        rows: Array = np.column_stack((tags, positions)).astype(np.float64)
        counts = np.array([len(tags)])
        fields, misfit = self._ownership.redistribute(rows, counts)
        before = self.positions
        near = misfit is None and np.allclose(
            fields[:, 0], before, rtol=1e-9, atol=1e-9 * np.abs(before).max(initial=1.0)
        )
        return all(self._comm.collect(bool(near)))

    def state(self) -> Snapshot:
        """What it remembers."""
        known = {"last_step": self._last_step, "volume": self._volume}
        held = {name: value for name, value in known.items() if value is not None}
        return Snapshot(
            {"index": self._index, "centre": self._centre, **held},
            atoms={"reference": self._reference, "before": self._before, "charge_before": self._charges.before},
        )

    def restore(self, state: Snapshot) -> None:
        self._index, self._centre = state.number("index"), state["centre"]
        self._last_step = state.number("last_step") if "last_step" in state else None
        self._volume = float(state["volume"]) if "volume" in state else None
        self._reference, self._before = state["reference"], state["before"]
        self._charges.restore(state["charge_before"])

    @property
    def volume(self) -> float:
        """Volume of the box; NaN before the first sample."""
        return float("nan") if self._volume is None else self._volume

    def assemble(self, packed: Packed, trouble: str | None = None) -> Block:
        """The block of these samples; ``trouble`` of this rank is raised on all.

        Raises
        ------
        StreamError
            An atom of the group is lost or new, a number is not finite, or the volume changed.
        """
        self._check_volume(packed)
        fields, misfit = self._ownership.redistribute(packed.rows, packed.counts)
        steps = packed.steps
        begins = self._last_step is None or steps[0] != self._last_step + self._every
        if begins:
            self._index = 0
            self._reference = fields[:3, 0].copy()
            self._before = np.zeros_like(self._reference)
        displacement = fields[:3]
        displacement -= self._reference[:, None, :]
        velocity = None if self._velocity is None else fields[self._velocity]
        force = None if self._force is None else fields[self._force]
        if misfit is not None:
            fields[...] = 0.0
        charges = self._charges.of_samples(self._charge_columns(fields))
        if begins:
            self._charges.begin(charges)
        failed = trouble is not None or misfit is not None
        totals = self._totals(packed, displacement, velocity, charges, force, failed)
        if totals is None:
            self._raise(packed, trouble, misfit)
        if begins:
            self._centre = totals.centre[0].copy()
        totals.centre[:] -= self._centre
        self._check_finite(packed, fields, totals)
        self._check_velocities(packed, totals)
        block = Block(
            steps=steps,
            first=self._index,
            displacement=displacement,
            velocity=velocity,
            charge=None if self._charge is None else fields[self._charge],
            force=force,
            species=self._ownership.species,
            totals=totals,
        )
        self._before = displacement[:, -1].copy()
        self._charges.remember(charges)
        self._index += len(packed)
        self._last_step = int(steps[-1])
        return block

    def _charge_columns(self, fields: Array) -> Array:
        """Those of all assignments, one behind the other."""
        if self._charge is None:
            return fields[self._sources]
        if self._sources.start == self._sources.stop:  # a view, where there is nothing but q
            return fields[self._charge : self._charge + 1]
        return np.concatenate((fields[self._charge : self._charge + 1], fields[self._sources]))

    def _totals(
        self,
        packed: Packed,
        displacement: Array,
        velocity: Array | None,
        charges: Sequence[Array],
        force: Array | None,
        failed: bool,
    ) -> Totals | None:
        number, species = len(packed), self._ownership.species
        parts: list[Array] = [np.full((number, 1), float(failed)), packed.sums, _by_species(displacement, species)]
        if velocity is not None:
            parts.append(_by_species(velocity, species))
        moved = np.concatenate((self._before[:, None], displacement), axis=1) if charges else displacement
        carried = self._charges.sums(charges, moved, velocity)
        parts += carried
        if force is not None:
            parts.append(_by_species(force, species))
        if packed.numbers is not None:
            parts.append(packed.numbers if self._comm.rank == 0 else np.zeros_like(packed.numbers))
        widths = np.cumsum([part.shape[1] for part in parts])
        summed = iter(np.split(self._comm.sum(np.concatenate(parts, axis=1)), widths[:-1], axis=1))
        if next(summed).any():
            return None
        sums = dict(zip(SUMS, next(summed).T, strict=True))
        shape = (number, len(species), 3)
        away = next(summed).reshape(shape)
        flow = next(summed).reshape(shape) if velocity is not None else None
        charge, dipole, current = self._charges.totals([next(summed) for _ in carried], number, velocity is not None)
        push = next(summed).reshape(shape) if force is not None else None
        numbers = next(summed) if packed.numbers is not None else None
        centre = np.stack([sums[f"moment_{axis}"] for axis in "xyz"], axis=1) / self._mass
        drift = np.stack([sums[f"momentum_{axis}"] for axis in "xyz"], axis=1) / self._mass
        return Totals(
            displacement=away,
            velocity=flow,
            current=current,
            dipole_step=dipole,
            charge=charge,
            force=push,
            numbers=numbers,
            volume=packed.volumes,
            centre=centre,
            centre_velocity=drift if velocity is not None else None,
            kinetic=sums["kinetic"],
        )

    def _raise(self, packed: Packed, trouble: str | None, misfit: Misfit | None) -> NoReturn:
        """Agree on the first problem of all ranks, and raise it."""
        if problem := agree(self._comm, trouble):
            raise StreamError(problem)
        found = [other for other in self._comm.collect(misfit) if other is not None]
        first = min(found, key=lambda other: int(other.sample))
        raise StreamError(
            f"{first.text} at step {packed.steps[first.sample]}; the group must keep its atoms", good=first.sample
        )

    def _check_finite(self, packed: Packed, fields: Array, totals: Totals) -> None:
        arrays = (
            totals.displacement,
            totals.velocity,
            totals.current,
            totals.charge,
            totals.force,
            totals.centre,
            totals.numbers,
        )
        finite = np.ones(len(packed), dtype=bool)
        for array in arrays:
            if array is not None:
                finite &= np.isfinite(array.reshape(len(packed), -1)).all(axis=1)
        if finite.all():
            return
        good = int(np.argmin(finite))
        own = np.flatnonzero(~np.isfinite(fields[:, good]).all(axis=0))
        where = f"atom {self._ownership.tags[own[0]]}" if len(own) else None
        culprit = agree(self._comm, where)
        if culprit is None and totals.numbers is not None and not np.isfinite(totals.numbers[good]).all():
            name = self._numbers[int(np.argmin(np.isfinite(totals.numbers[good])))]
            raise StreamError(f"'{name}' is not a finite number at step {packed.steps[good]}", good=good)
        culprit = culprit or "an atom outside the group"
        numbers = "position, velocity or charge" if self._force is None else "position, velocity, charge or force"
        raise StreamError(
            f"{culprit} has a {numbers} that is not a finite number at step {packed.steps[good]}", good=good
        )

    def _check_velocities(self, packed: Packed, totals: Totals) -> None:
        """A rerun of a dump without velocities leaves those that were there before."""
        if totals.velocity is None or len(packed) < 3 or totals.kinetic[0] == 0:
            return
        if (totals.velocity != totals.velocity[0]).any() or (totals.kinetic != totals.kinetic[0]).any():
            return
        # free flight has constant velocities, too, but moves with them
        moved, expected = np.diff(totals.displacement, axis=0), totals.velocity[:-1] * self._interval
        if np.abs(moved - expected).max() > 1e-3 * np.abs(moved).max(initial=0.0):
            raise StreamError(
                f"velocities do not change between steps {packed.steps[0]} and {packed.steps[-1]}, while atoms move; "
                "a rerun needs a dump with vx vy vz"
            )

    def _check_volume(self, packed: Packed) -> None:
        """The box is the same on all ranks: no need to agree."""
        if self._volume is None:
            self._volume = float(packed.volumes[0])
        changed = np.flatnonzero(~(np.abs(packed.volumes / self._volume - 1) <= _VOLUME_TOLERANCE))
        if len(changed):
            step, volume = packed.steps[changed[0]], packed.volumes[changed[0]]
            raise StreamError(
                f"the box changed its volume from {self._volume:g} to {volume:g} by step {step}; equilibrate at "
                "constant pressure first and measure at constant volume",
                good=int(changed[0]),
            )


def _by_species(vectors: Array, species: tuple[slice, ...]) -> Array:
    """Sums of ``vectors`` (3, B, n) over the atoms of each species: (B, 3 S)."""
    return np.concatenate([vectors[:, :, atoms].sum(axis=2) for atoms in species], axis=0).T
