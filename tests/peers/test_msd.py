"""MSDs against tidynamics and against LAMMPS's own compute msd."""

from __future__ import annotations

import numpy as np
import pytest

from lammps_topo.accumulate.displacement import Displacements
from lammps_topo.store import read_results

tidynamics = pytest.importorskip("tidynamics")


def test_equals_tidynamics_where_all_origins_are_used():
    rng = np.random.default_rng(2)
    samples, atoms = 400, 20
    positions = np.cumsum(rng.normal(size=(3, samples, atoms)), axis=1)
    found = Displacements([slice(0, atoms)], np.array([atoms]), lags=samples, every=1, levels=1, stride=16)
    for first in range(0, samples, 37):
        found.observe(positions[:, first : first + 37], first)
    ours = found.sums[0].sum(axis=0)[0, 0].sum(axis=0) / found.counts[0].sum(axis=0)
    theirs = np.mean([tidynamics.msd(np.ascontiguousarray(positions[:, :, i].T)) for i in range(atoms)], axis=0)
    assert np.allclose(ours[1:], theirs[1:], rtol=1e-9)


def test_equals_compute_msd_for_a_single_origin(lmp, tmp_path):
    """One origin at step 0; LAMMPS prints the MSD of both species, the centre of mass removed."""
    script = """
units lj
atom_style charge
lattice fcc 0.8
region box block 0 4 0 4 0 4
create_box 2 box
create_atoms 1 box
set type 1 type/fraction 2 0.5 77
mass 1 1.0
mass 2 3.0
pair_style lj/cut 2.5
pair_coeff * * 1.0 1.0
velocity all create 2.0 1234 mom no
fix nve all nve
group one type 1
group two type 2
compute a one msd
compute b two msd
fix topo all topo 5 msd.lags 512 msd.every 512 msd.levels 1 msd.frames laboratory frame laboratory
thermo 5
thermo_style custom step c_a[4] c_b[4]
thermo_modify format float %.15g
run 500
"""
    finished = lmp(script, tmp_path, ranks=2)
    table = finished.stdout.split("Step")[1].split("Loop time")[0].splitlines()[1:]
    theirs = np.array([line.split() for line in table if line.strip()], dtype=float)
    record = read_results(tmp_path / "topo.topo.h5").record
    assert record.msd.counts[0].sum(axis=0)[:101].tolist() == [1.0] * 101
    for species in (0, 1):
        ours = record.msd.sums[0].sum(axis=0)[0, species].sum(axis=0)[:101]
        assert np.allclose(ours[1:], theirs[1:, 1 + species], rtol=1e-9)
