"""The accumulators of a measurement: which there are by its plan, and what each of them takes from a block."""

from __future__ import annotations

import numpy as np

from .accumulate.displacement import Displacements
from .accumulate.flux import FluxFrame, Series, global_fluxes
from .accumulate.periodogram import SegmentPeriodograms
from .accumulate.tally import Tally
from .checkpoint import Part
from .followed_atoms import FollowedAtoms
from .plan import Plan
from .representation import particle_fluxes, species_weights, with_differences
from .stream.block import Array, Block
from .stream.communicator import Communicator, on_root
from .stream.ownership import Ownership


class Accumulators:
    """Everything that is summed up over samples; what is made of fluxes is on rank 0 alone. Collective.

    Attributes
    ----------
    population : (S,) atoms of each species
    degrees_of_freedom : of the system
    tally : what is counted
    msd : squared displacements, of each species
    dipole : those of the dipole, of each representation and of their differences, on rank 0
    periodograms, series : of the basis fluxes, on rank 0
    followed : atoms with velocity and force correlations
    """

    def __init__(
        self,
        plan: Plan,
        comm: Communicator,
        ownership: Ownership,
        followed: FollowedAtoms | None,
        degrees_of_freedom: float,
    ) -> None:
        config, population = plan.config, ownership.population
        self._plan, self._comm = plan, comm
        self.population = population
        self.followed = followed
        self.degrees_of_freedom = degrees_of_freedom
        tensors = [one.tensors for one in plan.charges if one.tensors is not None]
        self._flux_frame = FluxFrame(population, plan.frame(config.frame), plan.interval, np.array(tensors))
        self._msd_frames = {name: FluxFrame(population, plan.frame(name), plan.interval) for name in config.msd.frames}
        msd = config.msd
        shape = {"lags": msd.lags, "every": msd.every, "levels": msd.levels, "stride": msd.stride}
        self.msd = Displacements(ownership.species, population, corrections=len(msd.frames) - 1, **shape)
        self.tally = Tally(len(plan.species), plan.interval, len(plan.assigned))
        is_root, fluxes = comm.rank == 0, len(plan.flux_names)
        self.periodograms: SegmentPeriodograms | None = None

        def allocate() -> None:
            segments = config.segments
            self.periodograms = SegmentPeriodograms(fluxes, shortest=segments.shortest, number=segments.number)

        on_root(comm, allocate)
        self.series = Series(fluxes, particle_fluxes(plan.flux_names)) if is_root and config.series else None
        self._dipole_weights = _dipole_weights(plan)
        number = len(self._dipole_weights)
        self.dipole = (
            Displacements([slice(i, i + 1) for i in range(number)], np.ones(number, dtype=np.int64), **shape)
            if is_root and number
            else None
        )

    def observe(self, block: Block) -> None:
        """Add all that is summed up, but not yet counted."""
        totals, first = block.totals, block.first
        fluxes = self._flux_frame.observe(block)
        if self._plan.global_fluxes:
            widths = [len(flux.sources) for flux in self._plan.global_fluxes]
            fluxes = fluxes.joined(global_fluxes(totals, widths, self._plan.host.pressure_volume))
        motions = [frame.motion(block) for frame in self._msd_frames.values()]
        corrections = []
        if self._comm.rank == 0:
            mean = totals.displacement / self.population[None, :, None] - motions[0][:, None, :]
            corrections = [(motion - motions[0], mean) for motion in motions[1:]]
        self.msd.observe(block.displacement, first, motions[0], corrections)
        temperature = self._temperature(totals.kinetic)
        self.tally.observe(block, temperature)
        if self.periodograms is not None:
            self.periodograms.observe(fluxes.flux, first)
        if self.series is not None:
            self.series.observe(block, fluxes, temperature)
        if self.followed is not None:
            self.followed.observe(block)
        if self.dipole is not None:
            dipoles = np.einsum("gf,bfc->cbg", self._dipole_weights, fluxes.moment)
            self.dipole.observe(np.ascontiguousarray(dipoles), first)

    def _temperature(self, kinetic: Array) -> Array:
        if not self._plan.host.has_velocity or self.degrees_of_freedom <= 0:
            return np.full(len(kinetic), np.nan)
        units = self._plan.units
        return kinetic * (units.kinetic / (self.degrees_of_freedom * units.boltzmann))

    def parts(self) -> dict[str, Part]:
        """All that has a memory, by name in the state."""
        parts = {
            "tally": Part(self.tally),
            "flux": Part(self._flux_frame),
            "msd": Part(self.msd),
            "periodograms": Part(self.periodograms, on_root=True),
            "dipole": Part(self.dipole, on_root=True),
            "series": Part(self.series, on_root=True),
        }
        if self.followed is not None:
            parts["correlations"] = Part(self.followed.sums, layouts=self.followed.layouts)
        return parts

    @property
    def nbytes(self) -> float:
        """Memory that they hold on this rank."""
        sums = None if self.followed is None else self.followed.sums
        parts = (self.msd, sums, self.dipole, self.periodograms, self.series)
        return float(sum(part.nbytes for part in parts if part is not None))


def _dipole_weights(plan: Plan) -> Array:
    """(G, P) of the fluxes of particles, for each group of the dipole's displacements."""
    species, names = plan.species, plan.flux_names
    names = names[: particle_fluxes(names)]
    nothing = np.zeros(len(species))
    rows = [
        species_weights(one.name, species, nothing if one.constants is None else one.constants, names).sum(axis=0)
        for one in plan.charges
    ]
    return with_differences(np.array(rows))
