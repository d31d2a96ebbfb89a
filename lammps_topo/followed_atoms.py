"""Velocity and force correlations of the atoms that are followed one by one: of how many, and how far they reach."""

from __future__ import annotations

from typing import Any

import numpy as np

from .accumulate.correlation import Correlations
from .accumulate.flux import FluxFrame
from .accumulate.tagged import TaggedMotion, affordable
from .config import MOST_LAGS
from .config import Correlations as Section
from .errors import ConfigError
from .plan import Plan
from .stream.block import Array, Block, Integers
from .stream.communicator import Communicator
from .stream.ownership import Ownership


class FollowedAtoms:
    """The followed atoms of all species, and their correlations. Collective.

    Parameters
    ----------
    species, masses : (n,) of this rank's atoms of the group now
    system_mass : of all atoms of the system
    numbers : (S,) how many are followed in what is continued; without them, as many as the budget allows

    Attributes
    ----------
    numbers : (S,) followed atoms of each species
    tags : of those that this rank owns, by layout of the state
    mass, mass_spread : (S,) mean mass of an atom of each species, and its relative standard deviation
    sums : the correlations

    Raises
    ------
    ConfigError
        More lags are wanted than are kept.
    """

    def __init__(
        self,
        plan: Plan,
        section: Section,
        comm: Communicator,
        ownership: Ownership,
        species: Integers,
        masses: Array,
        system_mass: float,
        numbers: list[int] | None,
    ) -> None:
        population = ownership.population
        self.mass, self.mass_spread = _mean_masses(comm, population, species, masses)
        frame = FluxFrame(population, plan.frame(section.frame or plan.config.frame), plan.interval)
        shape: dict[str, Any] = {
            "lags": _lags(section, plan.interval), "every": section.every, "precision": section.precision,
        }  # fmt: skip
        names = section.species or plan.species
        self.numbers: Integers = np.array(numbers) if numbers is not None else affordable(
            population,
            np.array([(section.atoms or 1 << 62) if name in names else 0 for name in plan.species]),
            pairs=len(plan.pairs),
            letters=len(set("".join(plan.pairs))),
            memory=section.memory * 2**20 * comm.size,
            work=section.work * int(population.sum()) * plan.host.every,
            **shape,
        )  # fmt: skip
        whole = abs(float(self.mass @ population) - system_mass) <= 1e-9 * system_mass
        self._motion = TaggedMotion(comm, ownership, self.numbers, frame, self.mass, whole=whole)
        self.tags = {f"followed{g}": tags for g, tags in enumerate(self._motion.tags)}
        self.sums = Correlations(self._motion.groups, self.numbers, pairs=plan.pairs, **shape)

    @property
    def layouts(self) -> dict[str, str]:
        """By name of an array of the state, the layout of its atoms."""
        return {f"origins{g}": f"followed{g}" for g in range(len(self.numbers))}

    def observe(self, block: Block) -> None:
        self.sums.observe(block.first, **self._motion.observe(block))


def _lags(section: Section, interval: float) -> int:
    lags = section.lags if section.window is None else max(16, round(section.window / interval) + 1)
    if lags > MOST_LAGS:
        raise ConfigError(
            f"key 'correlations.window' is {section.window:g}, {lags} samples, but at most {MOST_LAGS} are kept: "
            "take samples less often"
        )
    return lags


def _mean_masses(comm: Communicator, population: Integers, species: Integers, masses: Array) -> tuple[Array, Array]:
    """(S,) mean mass of an atom of each species, and its relative standard deviation. Collective."""
    number = len(population)
    sums = [np.bincount(species, weights, minlength=number).astype(np.float64) for weights in (masses, masses**2)]
    mean, square = comm.sum(np.stack(sums)) / np.maximum(population, 1)
    return mean, np.sqrt(np.maximum(square - mean**2, 0.0)) / np.where(mean > 0, mean, 1.0)
