"""Cores and their shells are told from ions that are free."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from charged_records import CURRENT, record_of, relaxation, walk

from lammps_topo.config import Config
from lammps_topo.estimate.bound_species import bound_species
from lammps_topo.estimate.summary import estimate
from lammps_topo.record import Record

SLOW = 0.3


def melt(shells: int, *, size: float = 0.5, samples: int = 20_000, seed: int = 5) -> Record:
    """KCl in the laboratory frame, and shells about K that swing, the more the larger ``size``; one or two a core."""
    rng = np.random.default_rng(seed)
    core, chlorine = 4 * walk(samples, CURRENT, rng=rng, columns=2).swapaxes(0, 1)
    shell = shells * (core + size * relaxation(samples, SLOW, rng=rng)[:, 0])
    moments = {"number/K": core, "number/Cl": chlorine, "number/Ks": shell}
    charges = {"oxidation": (1.0 + 2.0 * shells, -1.0, -2.0)}
    return record_of(moments, charges=charges, population=(32, 32, 32 * shells))


@pytest.mark.parametrize("shells", [1, 2])
def test_a_core_and_its_shells_are_noticed(shells):
    (note,) = bound_species(melt(shells), Config()).notes
    assert note.startswith("'K' and 'Ks' move together, as a core and its shell")
    assert note in estimate(melt(shells), Config()).notes


@pytest.mark.parametrize("seed", range(10))
def test_ions_are_free(seed):
    record = melt(1, size=0.5, seed=seed)
    assert not any("'Cl'" in note for note in bound_species(record, Config()).notes)


def test_what_may_have_parted_is_not_called_bound():
    assert bound_species(melt(1, size=50.0, samples=500), Config()).notes == ()
    assert bound_species(melt(1, samples=40), Config()).notes == ()
    assert bound_species(replace(melt(1, samples=500), series=None), Config()).notes == ()
