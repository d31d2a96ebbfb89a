"""Velocity correlations against LAMMPS's own: compute vacf for one origin, fix ave/correlate/long for all of them."""

from __future__ import annotations

import numpy as np

from lammps_topo.store import read_results

SYSTEM = """
units lj
atom_style atomic
atom_modify map array
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
"""


def test_equals_compute_vacf_for_a_single_origin(lmp, tmp_path):
    """One origin at step 0; LAMMPS prints Σ over components, mean over atoms."""
    script = f"""{SYSTEM}
compute a one vacf
compute b two vacf
fix topo all topo 5 correlations "{{lags: 512, every: 512, precision: double, frame: laboratory, pairs: vv}}"
thermo 5
thermo_style custom step c_a[4] c_b[4]
thermo_modify format float %.15g
run 500
"""
    finished = lmp(script, tmp_path, ranks=2)
    table = finished.stdout.split("Step")[1].split("Loop time")[0].splitlines()[1:]
    theirs = np.array([line.split() for line in table if line.strip()], dtype=float)
    record = read_results(tmp_path / "topo.topo.h5").record.correlations
    assert record.counts.sum(axis=0)[:101].tolist() == [1.0] * 101
    for species in (0, 1):
        ours = record.sums.sum(axis=0)[0, species, :101]
        assert np.abs(ours - theirs[:, 1 + species]).max() < 1e-10 * ours[0]


def test_equals_ave_correlate_over_all_origins(lmp, tmp_path):
    """The velocity and the force of one atom, every step, all origins; what it writes has nine digits."""
    script = f"""{SYSTEM}
group lone id 7
variable vx equal vx[7]
variable fx equal fx[7]
variable vy equal vy[7]
variable fy equal fy[7]
variable vz equal vz[7]
variable fz equal fz[7]
run 0 post no
fix x all ave/correlate 1 40 400 v_vx v_fx type full ave running file x.txt
fix y all ave/correlate 1 40 400 v_vy v_fy type full ave running file y.txt
fix z all ave/correlate 1 40 400 v_vz v_fz type full ave running file z.txt
fix topo lone topo 1 correlations "{{lags: 40, every: 1, precision: double, frame: laboratory}}"
run 400
"""
    lmp(script, tmp_path)
    record = read_results(tmp_path / "topo.topo.h5").record.correlations
    assert record.followed.tolist() == [1]
    # type full: vv, vf, fv, ff
    theirs = sum(np.loadtxt((tmp_path / f"{axis}.txt").read_text().splitlines()[-40:])[:, 3:] for axis in "xyz")
    counts = record.counts.sum(axis=0)
    assert np.array_equal(counts, 401 - np.arange(40))
    for p, pair in enumerate(("vv", "vf", "fv", "ff")):
        ours = record.sums.sum(axis=0)[record.pairs.index(pair), 0] / counts
        assert np.abs(ours - theirs[:, p]).max() < 1e-5 * np.abs(ours).max(), pair
