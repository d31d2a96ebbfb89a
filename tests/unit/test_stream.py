"""Packed samples to blocks: ownership by tag, sums over all atoms, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import simpson

from lammps_topo.errors import StreamError
from lammps_topo.stream.assembly import Assembly
from lammps_topo.stream.block import Packed
from lammps_topo.stream.charges import Assignment
from lammps_topo.stream.communicator import Alone
from lammps_topo.stream.ownership import Ownership

TAGS = np.array([3, 4, 9, 70, 71, 900])  # gaps
SPECIES = np.array([1, 0, 0, 1, 0, 1])
MASS = np.array([2.0, 1.0, 1.0, 2.0, 1.0, 2.0])


def packed(steps, x, v, q, rng=None, volume=10.0, f=None) -> Packed:
    """Samples of all atoms, each in an order of its own."""
    rows, sums = [], []
    for k in range(len(steps)):
        order = rng.permutation(len(TAGS)) if rng else np.arange(len(TAGS))
        columns = [TAGS, x[k], v[k], q[k]] if f is None else [TAGS, x[k], v[k], q[k], f[k]]
        rows.append(np.column_stack(columns)[order])
        sums.append([MASS @ (v[k] ** 2).sum(axis=1), *(MASS @ v[k]), *(MASS @ x[k])])
    return Packed(
        np.array(steps),
        np.full(len(steps), len(TAGS)),
        np.concatenate(rows),
        np.array(sums),
        np.full(len(steps), volume),
    )


def assembly(has_velocity=True, has_charge=True, has_force=False, assignments=()) -> Assembly:
    return Assembly(
        Alone(),
        Ownership(Alone(), TAGS, SPECIES, 2),
        has_velocity=has_velocity,
        has_charge=has_charge,
        has_force=has_force,
        mass=MASS.sum(),
        every=5,
        interval=0.01,
        assignments=assignments,
    )


def motion(samples, seed=0):
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.normal(size=(samples, 6, 3)), axis=0) + 100
    return x, rng.normal(size=(samples, 6, 3)), rng.normal(size=(samples, 6))


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(1, 39), max_size=6, unique=True), seed=st.integers(0, 1000))
def test_blocks_give_the_sums_of_all_atoms_however_they_are_cut(cuts, seed):
    x, v, q = motion(40, seed)
    rng = np.random.default_rng(seed)
    stream = assembly()
    edges = [0, *sorted(cuts), 40]
    blocks = [stream.assemble(packed(range(5 * a, 5 * b, 5), x[a:b], v[a:b], q[a:b], rng)) for a, b in pairwise(edges)]
    dipole = np.concatenate([block.totals.dipole_step[:, 0] for block in blocks])
    moved = np.concatenate([block.totals.displacement for block in blocks])
    current = np.concatenate([block.totals.current[:, 0] for block in blocks])
    centre = np.concatenate([block.totals.centre for block in blocks])
    for s in range(2):
        own = s == SPECIES
        assert np.allclose(moved[:, s], (x - x[0])[:, own].sum(axis=1))
        assert np.allclose(current[:, s], np.einsum("ti,tic->tc", q[:, own], v[:, own]))
        expected = np.zeros((40, 3))
        for k in range(1, 40):
            expected[k] = (0.5 * (q[k - 1, own] + q[k, own])) @ (x[k, own] - x[k - 1, own])
        assert np.allclose(dipole[:, s], expected)
    assert np.allclose(centre, np.einsum("i,tic->tc", MASS, x - x[0]) / MASS.sum())


def test_constant_charges_need_no_trapezoid():
    x, v, _ = motion(20)
    q = np.broadcast_to(np.arange(6.0), (20, 6))
    block = assembly().assemble(packed(range(0, 100, 5), x, v, q))
    total = np.cumsum(block.totals.dipole_step[:, 0], axis=0).sum(axis=1)
    assert np.allclose(total, np.einsum("i,tic->tc", np.arange(6.0), x - x[0]), rtol=1e-12)


def test_changing_charges_converge_with_the_square_of_the_sampling_interval():
    """Δμ of charges q(t) = 1 + sin t on r(t) = cos 2t, against the integral."""

    def error(samples: int) -> float:
        time = np.linspace(0, 3.0, samples)
        x = np.zeros((samples, 6, 3))
        x[:, 0, 0] = np.cos(2 * time)
        q = np.zeros((samples, 6))
        q[:, 0] = 1 + np.sin(time)
        block = assembly().assemble(packed(range(0, 5 * samples, 5), x, np.zeros_like(x), q))
        fine = np.linspace(0, 3.0, 400001)
        exact = simpson((1 + np.sin(fine)) * -2 * np.sin(2 * fine), x=fine)
        return abs(block.totals.dipole_step[:, 0, :, 0].sum() - exact)

    assert error(21) / error(41) == pytest.approx(4, rel=0.05)


def test_a_gap_begins_a_new_stretch():
    x, v, q = motion(20)
    stream = assembly()
    first = stream.assemble(packed(range(0, 50, 5), x[:10], v[:10], q[:10]))
    second = stream.assemble(packed(range(70, 120, 5), x[10:], v[10:], q[10:]))
    assert (first.first, second.first) == (0, 0)
    assert np.all(second.displacement[:, 0] == 0)


@pytest.mark.parametrize("has_velocity", [True, False])
@pytest.mark.parametrize("has_charge", [True, False])
@pytest.mark.parametrize("has_force", [True, False])
def test_columns_are_found_whichever_there_are(has_velocity, has_charge, has_force):
    x, v, q = motion(10)
    f = np.random.default_rng(1).normal(size=(10, 6, 3))
    whole = packed(range(0, 50, 5), x, v, q, np.random.default_rng(2), f=f)
    wanted = [True] * 4 + [has_velocity] * 3 + [has_charge] + [has_force] * 3
    some = Packed(whole.steps, whole.counts, whole.rows[:, wanted], whole.sums, whole.volumes)
    block = assembly(has_velocity, has_charge, has_force).assemble(some)
    order = np.lexsort((TAGS, SPECIES))  # owned atoms: by species, then by tag
    totals = block.totals
    for found, total, expected in [
        (block.velocity, totals.velocity, v if has_velocity else None),
        (block.force, totals.force, f if has_force else None),
    ]:
        if expected is None:
            assert found is None
            assert total is None
        else:
            assert np.array_equal(found, expected[:, order].transpose(2, 0, 1))
            assert np.allclose(total, [[one[s == SPECIES].sum(axis=0) for s in (0, 1)] for one in expected])
    if has_charge:
        assert np.array_equal(block.charge, q[:, order])
    else:
        assert block.charge is None
        assert totals.charge.shape == (10, 0, 2, 3, 3)
    assert np.allclose(block.displacement, (x - x[0])[:, order].transpose(2, 0, 1))
    assert (totals.current is not None) == has_velocity


def test_a_force_that_is_not_a_number_is_named():
    x, v, q = motion(10)
    f = np.zeros((10, 6, 3))
    f[7, 2, 1] = np.inf
    expected = "atom 9 has a position, velocity, charge or force that is not a finite number at step 35"
    with pytest.raises(StreamError, match=expected) as caught:
        assembly(has_force=True).assemble(packed(range(0, 50, 5), x, v, q, f=f))
    assert caught.value.good == 7


def damaged(change):
    x, v, q = motion(10)
    good = packed(range(0, 50, 5), x, v, q)
    return change(good)


def _lose(good: Packed) -> Packed:
    keep = np.ones(len(good.rows), dtype=bool)
    keep[6 * 7 + 2] = False
    counts = good.counts.copy()
    counts[7] -= 1
    return Packed(good.steps, counts, good.rows[keep], good.sums, good.volumes)


def _rename(good: Packed) -> Packed:
    rows = good.rows.copy()
    rows[6 * 7 + 2, 0] = 5
    return Packed(good.steps, good.counts, rows, good.sums, good.volumes)


def _double(good: Packed) -> Packed:
    rows = good.rows.copy()
    rows[6 * 7 + 2, 0] = 3
    return Packed(good.steps, good.counts, rows, good.sums, good.volumes)


def _poison(good: Packed) -> Packed:
    rows = good.rows.copy()
    rows[6 * 7 + 2, 2] = np.nan
    return Packed(good.steps, good.counts, rows, good.sums, good.volumes)


def _swell(good: Packed) -> Packed:
    volumes = good.volumes.copy()
    volumes[7] = 11.0
    return Packed(good.steps, good.counts, good.rows, good.sums, volumes)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_lose, "atom 9 of the group is lost at step 35"),
        (_rename, "atom 5 was not in the group when the measurement began at step 35"),
        (_double, "atom 3 of the group appears twice|atom 9 of the group is lost"),
        (_poison, "atom 9 has a position, velocity or charge that is not a finite number at step 35"),
        (_swell, "the box changed its volume from 10 to 11 by step 35"),
    ],
)
def test_damage_is_named_and_what_came_before_is_good(change, expected):
    with pytest.raises(StreamError, match=expected) as caught:
        assembly().assemble(damaged(change))
    assert caught.value.good == 7


_RANKS = """
import numpy as np, sys
from mpi4py import MPI
from lammps_topo.stream.communicator import Ranks
from lammps_topo.stream.ownership import Ownership
comm = Ranks(MPI.COMM_WORLD)
rng = np.random.default_rng(1)  # the same on all ranks
for atoms in (1, 2, 50):
    tags = np.sort(rng.choice(np.arange(1, 40 * atoms + 1), atoms, replace=False))
    species = rng.integers(0, 2, atoms)
    samples = 5
    x = rng.normal(size=(samples, atoms, 3))
    where = rng.integers(0, comm.size, (samples + 1, atoms))  # atoms migrate; some ranks have none
    mine = where[0] == comm.rank
    owner = Ownership(comm, tags[mine], species[mine], 2)
    rows, counts = [], []
    for k in range(samples):
        here = rng.permutation(atoms)
        here = here[where[k + 1][here] == comm.rank]
        rows.append(np.column_stack((tags[here], x[k, here])))
        counts.append(len(here))
    got, problem = owner.redistribute(np.concatenate(rows), np.array(counts))
    assert problem is None, problem
    places = np.searchsorted(tags, owner.tags)
    assert np.array_equal(got, x[:, places].transpose(2, 0, 1))
    everyone = np.concatenate(comm.collect(owner.tags))
    assert sorted(everyone) == sorted(tags)
    assert owner.population.tolist() == [int((species == s).sum()) for s in (0, 1)]
    if atoms == 50:
        assert len(owner) <= 1.5 * atoms / comm.size + 1  # balanced
    one_less = [rows[0][:-1] if comm.rank == 0 and len(rows[0]) else rows[0], *rows[1:]]
    lengths = np.array([len(part) for part in one_less])
    lost = comm.collect(owner.redistribute(np.concatenate(one_less), lengths)[1])
    if comm.collect(len(rows[0]))[0]:
        assert any(item is not None and "is lost" in item.text and item.sample == 0 for item in lost)
"""


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_redistribution_on_ranks(ranks, tmp_path):
    pytest.importorskip("mpi4py")
    (tmp_path / "ranks.py").write_text(_RANKS)
    mpirun = Path(sys.executable).parent / "mpirun"
    subprocess.run([str(mpirun), "-np", str(ranks), sys.executable, "ranks.py"], cwd=tmp_path, check=True, timeout=120)


def test_changing_tensors_converge_with_the_square_of_the_sampling_interval():
    """Δμ of Z(t) = 1 + sin t·K on r(t) = (cos 2t, sin t, t²), against the integral; exact if Z is constant."""
    turn = np.array([[0.3, 1.0, 0.0], [-0.5, 0.2, 0.4], [0.0, 0.7, -0.1]])

    def tensors(time):
        return np.eye(3) + np.sin(time)[:, None, None] * turn

    def path(time):
        return np.stack((np.cos(2 * time), np.sin(time), time**2), axis=1)

    def found(samples: int, charge) -> np.ndarray:
        time = np.linspace(0, 3.0, samples)
        x = np.zeros((samples, 6, 3))
        x[:, 0] = path(time)
        born = np.zeros((samples, 6, 9))
        born[:, 0] = charge(time).reshape(-1, 9)
        plain = packed(range(0, 5 * samples, 5), x, np.zeros_like(x), np.zeros((samples, 6)))
        rows = np.column_stack((plain.rows, born.reshape(-1, 9)))
        stream = assembly(assignments=[Assignment(columns=9)])
        block = stream.assemble(Packed(plain.steps, plain.counts, rows, plain.sums, plain.volumes))
        return block.totals.dipole_step[:, 1].sum(axis=(0, 1))

    fine = np.linspace(0, 3.0, 400001)
    speed = np.stack((-2 * np.sin(2 * fine), np.cos(fine), 2 * fine), axis=1)
    exact = simpson(np.einsum("txy,ty->tx", tensors(fine), speed), x=fine, axis=0)
    errors = [found(samples, tensors) - exact for samples in (41, 81, 161)]
    assert np.allclose(errors[0] / errors[1], 4, rtol=0.02)
    assert np.allclose(errors[1] / errors[2], 4, rtol=0.005)

    def held(time):
        return np.broadcast_to(turn, (len(time), 3, 3))

    ends = path(np.array([0.0, 3.0]))
    assert np.allclose(found(7, held), turn @ (ends[1] - ends[0]), rtol=1e-14)


def test_charges_that_stay_are_weights_of_the_own_atoms():
    """They take no columns, and Δμ telescopes."""
    x, v, q = motion(20)
    weights = np.array([0.5, -1.0, 2.0, 0.0, 3.0, -0.25])
    order = np.lexsort((TAGS, SPECIES))
    stream = assembly(assignments=[Assignment(weights=weights[order])])
    totals = [
        stream.assemble(packed(range(5 * a, 5 * b, 5), x[a:b], v[a:b], q[a:b])).totals for a, b in ((0, 8), (8, 20))
    ]
    step, current = (
        np.concatenate([getattr(one, name) for one in totals])[:, 1] for name in ("dipole_step", "current")
    )
    assert np.allclose(step.sum(axis=(0, 1)), weights @ (x[-1] - x[0]), rtol=1e-13)
    assert np.allclose(current.sum(axis=1), np.einsum("i,tic->tc", weights, v))
    total = np.trace(totals[0].charge[:, 1].sum(axis=1), axis1=1, axis2=2) / 3
    assert np.allclose(total, weights.sum())
