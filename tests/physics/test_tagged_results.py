"""From samples to friction: particles with a known memory through the whole measurement; what is said of bad ones."""

from __future__ import annotations

import numpy as np
import pytest

from lammps_topo.accumulate.correlation import Correlations
from lammps_topo.config import parse_config
from lammps_topo.estimate.kernel_table import velocity_sums
from lammps_topo.estimate.memory_kernel import memory_kernel
from lammps_topo.measurement import Host, Measurement
from lammps_topo.record import CorrelationRecord
from lammps_topo.store import read_results
from lammps_topo.stream.block import SUMS, Packed
from lammps_topo.stream.communicator import Alone
from lammps_topo.synthetic import embedding
from lammps_topo.units import unit_style

METAL = unit_style("metal")
MASS, TEMPERATURE, INTERVAL = 20.0, 600.0, 0.01
VARIANCE = METAL.boltzmann * TEMPERATURE / (MASS * METAL.kinetic)
# a fast oscillation and a tail (ps)
PROCESS = embedding(exponentials=((20.0, 0.3),), oscillations=((300.0, 150.0, 15.0, 12.0),), variance=VARIANCE)
FRICTION = MASS * METAL.kinetic * PROCESS.plateau * METAL.friction
INITIAL = MASS * METAL.kinetic * float(PROCESS.kernel(0.0)) * METAL.stiffness


def measure(folder, velocities, forces, config="", *, masses=None, types=None, given="temperature: 600\n"):
    """Through Measurement, in the laboratory frame, and back from the results file."""
    samples, atoms, _ = velocities.shape
    tags, types = np.arange(1, atoms + 1), np.ones(atoms, dtype=np.int64) if types is None else types
    masses = np.full(atoms, MASS) if masses is None else masses
    text = f"msd: {{frames: laboratory, window: [1.0, 4.0]}}\nframe: laboratory\nseries: false\n{given}{config}"
    host = Host("metal", INTERVAL / 2, 2, types, False, True, "run", has_force=True)
    measurement = Measurement(parse_config(text, {"output": str(folder / "run.topo.h5")}), host, Alone())
    measurement.begin(tags, types, masses=masses, total_mass=masses.sum(), degrees_of_freedom=3.0 * atoms)
    positions = np.cumsum(velocities, axis=0) * INTERVAL
    columns = [np.broadcast_to(tags[:, None], (samples, atoms, 1)), positions, velocities]
    if measurement.plan.force is not None:
        columns.append(forces)
    rows = np.concatenate(columns, axis=2)
    motion = np.concatenate((
        np.einsum("i,tij,tij->t", masses, velocities, velocities)[:, None],
        np.einsum("i,tij->tj", masses, velocities), np.einsum("i,tij->tj", masses, positions),
    ), axis=1)  # fmt: skip
    assert motion.shape[1] == len(SUMS)
    for first in range(0, samples, 100):
        part = slice(first, first + 100)
        number = len(rows[part])
        measurement.take(
            Packed(2 * np.arange(first, first + number), np.full(number, atoms), rows[part].reshape(-1, rows.shape[2]),
                   motion[part], np.full(number, 1000.0))
        )  # fmt: skip
    measurement.finish()
    outcome = read_results(measurement.path).outcome
    return {(one.quantity, one.of, one.method): one for one in outcome.results}, outcome


@pytest.fixture(scope="module")
def motion():
    run = PROCESS.sample(12000, 24, interval=INTERVAL, rng=np.random.default_rng(8))
    return run.velocities, run.accelerations * MASS * METAL.kinetic


@pytest.fixture(scope="module")
def found(motion, tmp_path_factory):
    return measure(tmp_path_factory.mktemp("run"), *motion, "correlations: {window: 2.5, every: 4}")


def within(result, truth, errors=3.0):
    assert result.error < 0.1 * abs(truth)
    assert abs(result.value - truth) < errors * result.error, (result, truth)


def test_friction_is_that_of_the_process(found):
    results, _ = found
    within(results["friction", "1", "kernel"], FRICTION)
    within(results["initial_kernel", "1", "kernel"], INITIAL)
    within(results["initial_kernel", "1", "force"], INITIAL)
    within(results["memory_time", "1", "kernel"], PROCESS.memory_time)
    within(results["diffusion", "1", "vacf"], VARIANCE / PROCESS.plateau * METAL.diffusion)
    for method in ("msd", "vacf"):
        within(results["friction", "1", method], FRICTION, 4.0)
    assert results["equipartition", "1", "vacf"].value == pytest.approx(1.0, abs=0.02)
    assert abs(results["force_integral", "1", "facf"].value) < 0.02
    assert results["kernel_consistency", "1", "facf"].value == pytest.approx(1.0, abs=0.02)
    assert results["gle_deviation", "1", "prony"].value < 0.03


def test_kernel_is_smooth_where_the_set_of_origins_changes(found):
    """Origins every 4 samples: the last ones lack lags, in steps of 4. No spike of the kernel may tell."""
    _, outcome = found
    (curve,) = (one for one in outcome.curves if one.name == "memory/kernel/1")
    exact = MASS * METAL.kinetic * PROCESS.kernel(curve.x) * METAL.stiffness
    deviation, error = np.abs(curve.y - exact), curve.error
    marked = np.arange(len(curve.x)) % 4 == 0
    for where in (marked, ~marked):
        assert np.mean(deviation[where] < 2 * error[where]) > 0.8
    assert np.median(error[marked]) < 1.5 * np.median(error[~marked])
    assert error[1] < 0.03 * INITIAL


def test_curves_of_all_figures(found):
    _, outcome = found
    names = {curve.name for curve in outcome.curves}
    expected = {"velocity/time", "velocity/frequency", "force/time", "force/frequency", "force/predicted",
                "force/vdos", "memory/kernel", "memory/prony", "friction/running"}  # fmt: skip
    assert {f"{name}/1" for name in expected} <= names
    assert not [note for note in outcome.notes if "velocity correlations" in note]


def test_half_of_the_force_has_half_of_the_friction(tmp_path):
    run = PROCESS.sample(8000, 12, interval=INTERVAL, rng=np.random.default_rng(4))
    part = run.parts[0] * MASS * METAL.kinetic
    results, _ = measure(tmp_path, run.velocities, part,
                         "correlations: {window: 2.5, every: 4, force: c_part, pairs: [vv, vf, ff]}")  # fmt: skip
    of_part = 20.0 * 0.3 / PROCESS.plateau * FRICTION  # its term of the kernel
    found = results["friction", "1", "part c_part"]
    assert abs(found.value - of_part) < 4 * found.error
    assert found.error < 0.15 * FRICTION
    assert ("kernel_consistency", "1", "facf") not in results


def notes(outcome) -> str:
    return " | ".join(note for note in outcome.notes if "velocity correlations" in note)


def test_window_shorter_than_the_memory(motion, tmp_path):
    _, outcome = measure(tmp_path, *motion, "correlations: {window: 0.3, every: 4}")
    assert "its memory has not decayed within the window of 0.3 ps" in notes(outcome)
    assert "of the friction lies in an extrapolated tail" in notes(outcome)


def test_fewer_samples_than_the_window(motion, tmp_path):
    velocities, forces = motion
    results, outcome = measure(tmp_path, velocities[:300], forces[:300], "correlations: {window: 5, every: 4}")
    assert "of the 501 lags of the window" in notes(outcome)
    assert "too short for error bars" in notes(outcome)
    assert np.isnan(results["initial_kernel", "1", "kernel"].error)


@pytest.mark.parametrize("samples", [1, 2, 5, 20])
def test_hardly_any_samples(samples, motion, tmp_path):
    velocities, forces = motion
    results, outcome = measure(tmp_path, velocities[:samples], forces[:samples], "correlations: {window: 5}")
    friction = results.get(("friction", "1", "kernel"))
    assert friction is None or np.isnan(friction.error)
    assert "velocity correlations of 1: " in notes(outcome)


def test_samples_too_far_apart(tmp_path):
    run = PROCESS.sample(8000, 24, interval=10 * INTERVAL, rng=np.random.default_rng(4))
    _, outcome = measure(tmp_path, run.velocities, run.accelerations * MASS * METAL.kinetic,
                         "correlations: {window: 2.0, every: 1}")  # fmt: skip
    assert "are too coarse for its memory kernel" in notes(outcome)


def test_a_single_atom(motion, tmp_path):
    velocities, forces = motion
    results, _ = measure(tmp_path, velocities[:, :1], forces[:, :1], "correlations: {window: 2.5, every: 2}")
    friction = results["friction", "1", "kernel"]
    assert abs(friction.value - FRICTION) < 4 * friction.error


def test_frozen_atoms(motion, tmp_path):
    velocities, forces = (part.copy() for part in motion)
    velocities[:, 12:] = 0.0
    types = np.repeat([1, 2], 12)
    results, outcome = measure(tmp_path, velocities, forces, "correlations: {window: 2.5, every: 4}", types=types)
    assert "velocity correlations of 2: the atoms do not move" in notes(outcome)
    assert ("friction", "1", "kernel") in results


def test_atoms_of_different_mass_have_no_kernel_in_common(motion, tmp_path):
    masses = np.where(np.arange(24) % 2, MASS, 2 * MASS)
    results, outcome = measure(tmp_path, *motion, "correlations: {window: 2.5, every: 4}", masses=masses)
    assert "its atoms differ in mass" in notes(outcome)
    assert ("zero_crossing", "1", "vacf") in results
    assert ("friction", "1", "kernel") not in results


def test_forces_that_do_not_belong_to_the_motion(motion, tmp_path):
    """As in seed 004, Fig. 10: forces of another model along a trajectory."""
    velocities, forces = motion
    others = forces + 0.05 * np.cumsum(forces, axis=0)  # a slow part that no momentum answers to
    _, outcome = measure(tmp_path, velocities, others, "correlations: {window: 2.5, every: 4}")
    assert "these are not all the forces that move it" in notes(outcome)


def test_forces_of_zero(motion, tmp_path):
    velocities, forces = motion
    results, outcome = measure(tmp_path, velocities, 0 * forces, "correlations: {window: 2.5, every: 4}")
    assert "the forces are zero throughout" in notes(outcome)
    within(results["friction", "1", "kernel"], FRICTION)


def test_bound_atoms_have_no_friction(tmp_path):
    rng, times = np.random.default_rng(2), np.arange(6000) * INTERVAL
    phases = rng.uniform(0, 2 * np.pi, (30, 24, 3))
    speeds = rng.uniform(4, 30, (30, 24, 3))
    velocities = sum(np.cos(speeds[k] * times[:, None, None] + phases[k]) for k in range(30)) * (VARIANCE / 15) ** 0.5
    forces = np.gradient(velocities, INTERVAL, axis=0) * MASS * METAL.kinetic
    results, outcome = measure(tmp_path, velocities, forces, "correlations: {window: 2.5, every: 4}")
    assert "it does not diffuse: its memory does not decay" in notes(outcome)
    assert ("friction", "1", "kernel") not in results
    assert ("initial_kernel", "1", "force") in results


def kernel_of_run(seed):
    """Accumulated as in a run: origins every 4 samples, single precision, time batches."""
    v = PROCESS.sample(8000, 6, interval=INTERVAL, rng=np.random.default_rng(seed)).velocities.transpose(2, 0, 1)
    sums = Correlations([slice(0, 6)], np.array([6]), pairs=["vv"], lags=200, every=4)
    for first in range(0, 8000, 160):
        sums.observe(first, v=v[:, first : first + 160])
    record = CorrelationRecord(
        groups=("1",), pairs=sums.pairs, sums=sums.sums, counts=sums.counts, batch=sums.batch, every=4,
        followed=np.array([6]), mass=np.array([MASS]), mass_spread=np.zeros(1), frame="laboratory", force="none",
    )  # fmt: skip
    return memory_kernel(INTERVAL, velocity_sums(record, 0), record.counts, batch_duration=sums.batch * INTERVAL)


def test_errors_hold_what_they_say():
    """80 runs: within one error .68 of them, within two .95; the binomial error is .05."""
    runs = [kernel_of_run(seed) for seed in range(80)]
    exact = {"plateau": PROCESS.plateau, "initial": float(PROCESS.kernel(0.0)), "velocity_variance": VARIANCE}
    for name, truth in exact.items():
        apart = np.array([abs(getattr(one, name) - truth) / getattr(one, f"{name}_error") for one in runs])
        assert 0.55 <= np.mean(apart < 1) <= 0.82, name
        assert np.mean(apart < 2) >= 0.86, name
    # no more than the variance of v has, though it is a second derivative
    assert np.std([one.initial for one in runs]) < 0.02 * exact["initial"]
    lag = runs[0].kernel_lag
    inside = np.mean([np.abs(one.kernel - PROCESS.kernel(lag)) < one.kernel_error for one in runs])
    assert 0.62 <= inside <= 0.76
