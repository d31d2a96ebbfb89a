"""What a measurement writes into its state, and what a state is compared with before a run continues from it."""

from __future__ import annotations

from typing import Any

from .accumulators import Accumulators
from .checkpoint import Part
from .group_atoms import OwnedAtoms
from .plan import Plan
from .restart import Present
from .stream.assembly import Assembly
from .stream.block import Integers
from .stream.snapshot import Snapshot


class System:
    """The atoms as the state knows them, by which a run that continues is recognised."""

    def __init__(self, atoms: OwnedAtoms, assembly: Assembly) -> None:
        self._atoms, self._assembly = atoms, assembly

    def state(self) -> Snapshot:
        """Where the atoms are at the last sample."""
        atoms, positions = self._atoms, self._assembly.positions
        return Snapshot(atoms={"species": atoms.species, "mass": atoms.masses, "position": positions})

    def restore(self, state: Snapshot) -> None:
        """Nothing: it has been compared already."""


def parts_of_state(atoms: OwnedAtoms, assembly: Assembly, gathered: Accumulators) -> dict[str, Part]:
    """All that has a memory, by name."""
    return {"system": Part(System(atoms, assembly)), "assembly": Part(assembly), **gathered.parts()}


def header_of_state(plan: Plan, assembly: Assembly, gathered: Accumulators, block: int) -> dict[str, Any]:
    """The fields of :class:`~lammps_topo.restart.Header` that say what was measured, in blocks of ``block`` samples."""
    tally, followed = gathered.tally, gathered.followed
    return {
        "step": tally.last_step,
        "samples": tally.samples,
        "block": block,
        "facts": _facts(plan, gathered.population),
        "motion": tuple(tally.motion.tolist()),
        "degrees_of_freedom": gathered.degrees_of_freedom,
        "volume": assembly.volume,
        "followed": None if followed is None else followed.numbers.tolist(),
    }


def present_run(plan: Plan, atoms: OwnedAtoms, population: Integers, mass: float) -> Present:
    """What a state is compared with; ``population`` (S,) of the species, ``mass`` of the whole system."""
    return Present(
        config=plan.config,
        facts=_facts(plan, population),
        every=plan.host.every,
        timestep=plan.host.timestep,
        mass=mass,
        tags=atoms.tags,
        species=atoms.species,
        masses=atoms.masses,
        positions=atoms.positions,
    )


def _facts(plan: Plan, population: Integers) -> dict[str, Any]:
    """What the run must still be when it continues."""
    # their order counts, too
    names = [name for flux in plan.global_fluxes for name in flux.names]
    return {
        "units": plan.host.units,
        "timestep": plan.host.timestep,
        "N (steps between samples)": plan.host.every,
        "species": list(plan.species),
        "atoms": population.tolist(),
        "velocity": plan.host.has_velocity,
        "charge": plan.host.has_charge,
        "pairs of correlations": list(plan.pairs),
        "representations": list(plan.representations),
        **({"global fluxes": names} if names else {}),
    }
