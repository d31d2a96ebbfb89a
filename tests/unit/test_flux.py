"""Collective fluxes, their frames and their segment-averaged spectra."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from lammps_topo.accumulate.block_average import BlockAverage
from lammps_topo.accumulate.flux import Fluxes, FluxFrame, global_fluxes
from lammps_topo.accumulate.periodogram import SegmentPeriodograms
from lammps_topo.estimate.spectrum import cross_periodogram
from lammps_topo.representation import (
    GlobalFlux,
    basis_names,
    dipole_groups,
    particle_fluxes,
    species_weights,
    with_differences,
)
from lammps_topo.stream.assembly import Assembly
from lammps_topo.stream.block import Block, Packed, Totals
from lammps_topo.stream.charges import Assignment
from lammps_topo.stream.communicator import Alone
from lammps_topo.stream.ownership import Ownership


def blocks(samples=30, cuts=(11, 20), charges=True, velocities=True, seed=0):
    """Totals of two species of 3 and 2 atoms, as blocks, with a drifting system; one assignment of tensors."""
    rng = np.random.default_rng(seed)
    moved = np.cumsum(rng.normal(size=(samples, 2, 3)), axis=0)
    moved -= moved[0]
    centre = np.cumsum(rng.normal(size=(samples, 3)), axis=0)
    centre -= centre[0]
    velocity = rng.normal(size=(samples, 2, 3))
    current = rng.normal(size=(samples, 1, 2, 3))[:, : int(charges)]
    charge = rng.normal(size=(samples, 1, 2, 3, 3))[:, : int(charges)]
    step = rng.normal(size=(samples, 1, 2, 3))[:, : int(charges)]
    step[0] = 0
    drift = rng.normal(size=(samples, 3))
    made, edges = [], [0, *cuts, samples]
    for a, b in pairwise(edges):
        totals = Totals(
            moved[a:b], velocity[a:b] if velocities else None, current[a:b] if velocities else None,
            step[a:b], charge[a:b], centre[a:b],
            drift[a:b] if velocities else None, np.zeros(b - a),
        )  # fmt: skip
        made.append(Block(np.arange(a, b), a, np.zeros((3, b - a, 0)), None, None, (), totals))
    return made, (moved, velocity, current, step, charge, centre, drift)


POPULATION = np.array([3, 2])


def run(made, host):
    frame = FluxFrame(POPULATION, host, 0.5)
    found = [frame.observe(block) for block in made]
    return np.concatenate([part.flux for part in found]), np.concatenate([part.moment for part in found])


def test_barycentric_frame_removes_the_centre_of_mass():
    made, (moved, velocity, current, step, charge, centre, drift) = blocks()
    flux, moment = run(made, [])
    assert np.allclose(flux[:, :2], velocity - POPULATION[None, :, None] * drift[:, None])
    assert np.allclose(flux[:, 2:], current[:, 0] - np.einsum("tsxy,ty->tsx", charge[:, 0], drift))
    assert np.allclose(moment[:, :2], moved - POPULATION[None, :, None] * centre[:, None])
    mean = 0.5 * (charge[1:] + charge[:-1])[:, 0]
    slip = np.cumsum(np.einsum("tsxy,ty->tsx", mean, np.diff(centre, axis=0)), axis=0)
    assert np.allclose(moment[1:, 2:], np.cumsum(step[:, 0], axis=0)[1:] - slip)


@pytest.mark.parametrize("velocities", [True, False])
def test_constant_tensors_make_fluxes_of_those_of_numbers(velocities):
    made, _ = blocks(velocities=velocities)
    tensors = np.random.default_rng(1).normal(size=(2, 2, 3, 3))
    frame = FluxFrame(POPULATION, [], 0.5, tensors)
    found = [frame.observe(block) for block in made]
    flux, moment = (np.concatenate([getattr(part, name) for part in found]) for name in ("flux", "moment"))
    plain = run(made, [])
    assert np.array_equal(flux[:, :4], plain[0])
    assert np.array_equal(moment[:, :4], plain[1])
    for vectors in (flux, moment):
        for t, s in np.ndindex(2, 2):
            assert np.allclose(vectors[:, 4 + 2 * t + s], vectors[:, s] @ tensors[t, s].T)


def test_laboratory_and_host_frames():
    made, (moved, velocity, *_) = blocks()
    flux, moment = run(made, None)
    assert np.allclose(flux[:, :2], velocity)
    assert np.allclose(moment[:, :2], moved)
    flux, moment = run(made, [1])
    assert np.allclose(flux[:, 1], 0)  # the host does not move in its own frame
    assert np.allclose(moment[:, 1], 0)
    assert np.allclose(flux[:, 0], velocity[:, 0] - 3 * velocity[:, 1] / 2)


def test_without_velocities_the_flux_is_the_displacement_over_the_interval():
    made, (moved, *_) = blocks(velocities=False, charges=False)
    flux, moment = run(made, None)
    assert np.allclose(flux[1:], np.diff(moved, axis=0) / 0.5)
    assert np.allclose(flux[1:].sum(axis=0) * 0.5, moment[-1])


@pytest.mark.parametrize("cuts", [(16, 48), (1, 2, 3, 100), ()])
def test_segments_equal_the_periodogram_of_the_series(cuts):
    """Two segment lengths, however the series is cut into blocks."""
    flux = np.random.default_rng(3).normal(size=(150, 2, 3))
    found = SegmentPeriodograms(2, shortest=32, number=2)
    edges = [0, *cuts, 150]
    for a, b in pairwise(edges):
        found.observe(flux[a:b], a)
    assert found.segments == [4, 2]
    for length, sums, number in zip(found.lengths, found.sums, found.segments, strict=True):
        expected = cross_periodogram(flux, 0.5, segment=length)
        assert np.allclose(sums * 0.5 / (length * 3 * number), expected.matrix)


def test_a_gap_drops_the_incomplete_segment():
    flux = np.random.default_rng(3).normal(size=(100, 1, 3))
    found = SegmentPeriodograms(1, shortest=32, number=1)
    found.observe(flux[:40], 0)
    found.observe(flux[40:], 0)
    assert found.segments == [2]
    one, two = (cross_periodogram(part, 1.0, segment=32).matrix for part in (flux[:32], flux[40:72]))
    assert np.allclose(found.sums[0] / (32 * 3), one + two)


def test_representations_are_combinations_of_the_basis():
    names = basis_names(["Ag", "I"], ["atomic", "born"])
    assert names == ["number/Ag", "number/I", "atomic/Ag", "atomic/I", "born/Ag", "born/I"]
    charges = np.array([1.0, -1.0])
    assert species_weights("oxidation", ["Ag", "I"], charges, names).tolist() == [
        [1, 0, 0, 0, 0, 0],
        [0, -1, 0, 0, 0, 0],
    ]
    assert species_weights("born", ["Ag", "I"], charges, names).tolist() == [[0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1]]


def test_differences_stand_behind_the_representations():
    assert dipole_groups(["a", "b", "c"]) == ("a", "b", "c", "a - b", "a - c", "b - c")
    rows = np.diag([1.0, 10.0, 100.0])
    assert with_differences(rows).sum(axis=1).tolist() == [1, 10, 100, -9, -99, -90]
    assert len(with_differences(rows[:1])) == 1
    assert len(with_differences(rows[:0])) == 0


def test_global_fluxes_stand_behind_those_of_particles():
    stress = GlobalFlux("stress", ("stress/shear", "stress/normal"), ("c_p[1]",) * 6)
    heat = GlobalFlux("heat", ("energy/energy",), ("c_q[1]",) * 3)
    names = basis_names(["Ag", "I"], ["atomic"], [heat, stress])
    assert names[4:] == ["energy/energy", "stress/shear", "stress/normal"]
    assert particle_fluxes(names) == 4
    assert particle_fluxes(names[:4]) == 4
    assert particle_fluxes(["number/stress", "flux/number"]) == 1
    fluxes = Fluxes(np.zeros((7, 4, 3)), np.ones((7, 4, 3))).joined(np.ones((7, 3, 3)))
    assert fluxes.flux.shape == (7, 7, 3)
    assert fluxes.flux[:, 4:].all()
    assert fluxes.moment.shape == (7, 4, 3)


def totals(numbers, volume):
    nothing = np.zeros((len(numbers), 1, 3))
    charge = np.zeros((len(numbers), 0, 1, 3, 3))
    return Totals(
        nothing, None, None, charge[..., 0], charge, nothing[:, 0], None, volume, numbers=numbers, volume=volume
    )


def test_pressure_becomes_shear_and_normal_stress():
    rng = np.random.default_rng(5)
    numbers, volume = rng.normal(size=(20, 12)), rng.uniform(1.0, 2.0, size=20)
    found = global_fluxes(totals(numbers, volume), [3, 6, 3], 10.0)
    assert found.shape == (20, 4, 3)
    assert np.array_equal(found[:, 0], numbers[:, :3])
    assert np.array_equal(found[:, 3], numbers[:, 9:])
    xx, yy, zz, xy, xz, yz = (numbers[:, 3:9] * volume[:, None] / 10.0).T
    assert np.allclose(found[:, 1], np.stack((xy, xz, yz), axis=1))
    p = (xx + yy + zz) / 3
    assert np.allclose(found[:, 2], np.stack((xx - p, yy - p, zz - p), axis=1) / np.sqrt(2))
    assert np.allclose(found[:, 2].sum(axis=1), 0, atol=1e-14)


def test_shear_and_normal_stress_are_alike_in_an_isotropic_fluid():
    """Symmetric Gaussian tensors, the same in every frame of axes: equal variance by independent component."""
    rng, number = np.random.default_rng(6), 200000
    half = rng.normal(size=(number, 3, 3))
    tensor = (half + half.transpose(0, 2, 1)) / 2
    voigt = np.stack([tensor[:, i, j] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))], axis=1)
    shear, normal = np.moveaxis(global_fluxes(totals(voigt, np.ones(number)), [6], 1.0), 1, 0)
    one, other = (shear**2).sum(axis=1).mean() / 3, (normal**2).sum(axis=1).mean() / 2
    assert other == pytest.approx(one, rel=5 * np.sqrt(2 / (2 * number) + 2 / (3 * number)))


def test_block_average_error_of_a_correlated_series():
    """AR(1) with coefficient a: the variance of the mean of N samples is (1+a)/(1-a) var/N."""
    rng, a, samples, repeats = np.random.default_rng(11), 0.9, 5000, 200
    ratios = []
    for _ in range(repeats):
        noise = rng.normal(size=samples)
        series = np.empty(samples)
        series[0] = noise[0] / np.sqrt(1 - a**2)
        for k in range(1, samples):
            series[k] = a * series[k - 1] + noise[k]
        average = BlockAverage()
        for part in np.array_split(series, 37):
            average.observe(part)
        assert average.mean == pytest.approx(series.mean(), abs=1e-12)
        ratios.append(average.mean / average.error)
    # 200 values of Student's t with about 20 degrees of freedom: variance 1.1, its standard error 0.11
    assert np.var(ratios) == pytest.approx(1.1, abs=0.33)


@pytest.mark.parametrize("velocities", [True, False])
@pytest.mark.parametrize("host", [None, [], [0], [1]])
def test_charges_that_change_in_every_frame_are_the_sums_over_atoms(host, velocities):
    """Numbers, q and tensors of atoms in any order, in blocks of any length, against plain sums."""
    rng, atoms, samples = np.random.default_rng(5), 7, 23
    species, tags, mass = np.array([0, 0, 0, 1, 1, 1, 1]), rng.permutation(7) + 1, rng.uniform(1, 5, 7)
    x = np.cumsum(rng.normal(size=(samples, atoms, 3)), axis=0)
    v, q, tensor = (rng.normal(size=(samples, atoms, width)) for width in (3, 1, 9))
    ownership = Ownership(Alone(), tags, species, 2)
    assembly = Assembly(
        Alone(), ownership, has_velocity=velocities, has_charge=True, has_force=False, mass=mass.sum(), every=1,
        interval=0.5, assignments=[Assignment(9)],
    )  # fmt: skip
    frame = FluxFrame(ownership.population, host, 0.5)
    found = []
    for first, last in pairwise((0, 1, 6, 7, samples)):
        steps = np.arange(first, last)
        columns = [np.broadcast_to(tags[:, None], (samples, atoms, 1)), x, *([v] if velocities else []), q, tensor]
        rows = [np.concatenate([one[k] for one in columns], axis=1)[rng.permutation(atoms)] for k in steps]
        sums = np.column_stack((np.zeros(len(steps)), mass @ v[steps], mass @ x[steps]))
        packed = Packed(steps, np.full(len(steps), atoms), np.concatenate(rows), sums, np.ones(len(steps)))
        found.append(frame.observe(assembly.assemble(packed)))
    flux, moment = (np.concatenate([getattr(one, name) for one in found]) for name in ("flux", "moment"))
    share = np.zeros(atoms) if host is None else np.isin(species, host).astype(float) if host else mass
    share = share / max(share.sum(), 1e-300)
    away, drift = (one - np.einsum("n,tnc->tc", share, one)[:, None] for one in (x, v))
    place = 0
    for charge in (
        np.ones((samples, atoms, 1, 1)) * np.eye(3),
        q[..., None] * np.eye(3),
        tensor.reshape(-1, atoms, 3, 3),
    ):
        for one in range(2):
            own = species == one
            mean = 0.5 * (charge[1:, own] + charge[:-1, own])
            steps = np.einsum("tnab,tnb->ta", mean, np.diff(away[:, own], axis=0))
            assert moment[0, place] == pytest.approx(0.0, abs=1e-12)
            assert np.diff(moment[:, place], axis=0) == pytest.approx(steps, abs=1e-12)
            current = np.einsum("tnab,tnb->ta", charge[:, own], drift[:, own])[1:] if velocities else steps / 0.5
            assert flux[1:, place] == pytest.approx(current, abs=1e-12)
            place += 1
