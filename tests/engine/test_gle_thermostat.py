"""LAMMPS' own thermostats with memory, from our files: free particles must have the velocities that were promised."""

import numpy as np
import pytest

from lammps_topo.estimate.prony import PronySeries, gld_command, gle_matrix

ATOMS, FRAMES, EVERY, STEP = 500, 1200, 4, 0.01
MASS, TEMPERATURE = 20.0, 800.0
VARIANCE = 8.617333262e-5 * TEMPERATURE / 1.0364269e-4 / MASS  # Å²/ps²

RINGING = PronySeries(((6.0, 0.3),), ((30.0, 2.0, 3.0, 8.0),))
DECAYING = PronySeries(((6.0, 0.5), (30.0, 0.15)))


def script(fix):
    return f"""units metal
atom_style atomic
region b block 0 50 0 50 0 50
create_box 1 b
create_atoms 1 random {ATOMS} 4711 b
mass 1 {MASS}
pair_style zero 1.0
pair_coeff * *
neigh_modify every 50 delay 50 check no
timestep {STEP}
velocity all create {TEMPERATURE} 91 dist gaussian
thermo 10000
{fix}
run 200
dump d all custom {EVERY} v.txt vx vy vz
dump_modify d sort id format float %.5g
run {FRAMES * EVERY - EVERY}
"""


def correlation(path, lags):
    """<v(t) v(0)> of one component at lags in frames."""
    lines = path.read_text().splitlines()
    frames = np.array([np.loadtxt(lines[first : first + ATOMS]) for first in range(9, len(lines), ATOMS + 9)])
    assert frames.shape == (FRAMES, ATOMS, 3)
    return np.array([np.mean(frames[lag:] * frames[: FRAMES - lag]) for lag in lags])


@pytest.mark.parametrize("series", [RINGING, DECAYING], ids=["gle", "gld"])
def test_free_particles_have_the_promised_velocity_correlation(lmp, tmp_path, series):
    if series.oscillations:
        (tmp_path / "memory.gle").write_text(gle_matrix(series, units="metal"))
        size = len(series.drift_matrix()) - 1
        fix = f"fix memory all gle {size} {TEMPERATURE} {TEMPERATURE} 773 memory.gle"
    else:
        fix = gld_command(series, mass=MASS, temperature=TEMPERATURE, seed=773)
    lmp(script(fix), tmp_path)
    lags = np.array([0, 1, 3, 5, 8, 12, 20, 40])
    found = correlation(tmp_path / "v.txt", lags)
    assert found[0] == pytest.approx(VARIANCE, rel=0.02)
    # 1500 components over 48 time units, memory of about one: errors of 0.003 at 1 sigma
    promised = series.velocity_correlation(lags * EVERY * STEP)
    assert promised[3:].min() < 0.6
    np.testing.assert_allclose(found / found[0], promised, atol=0.015)


def test_matrix_in_other_units_is_refused(lmp, tmp_path):
    (tmp_path / "memory.gle").write_text(gle_matrix(RINGING, units="real"))
    fix = f"fix memory all gle 3 {TEMPERATURE} {TEMPERATURE} 773 memory.gle"
    finished = lmp(script(fix), tmp_path, check=False)
    assert finished.returncode != 0
    assert "unit" in (finished.stdout + finished.stderr).lower()
