"""Atoms that wander between ranks, in blocks of any length: what comes out is that of one rank and one block.

Ranks are threads here (crew.py); tests/unit/test_stream.py and test_state.py do the same with a few cases over MPI.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from crew import Member, on_ranks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replayed import Named, Trajectory, begin, bits, configuration, different

from lammps_topo.errors import StreamError
from lammps_topo.stream.assembly import Assembly
from lammps_topo.stream.block import Packed
from lammps_topo.stream.ownership import Ownership

STEP = 7
RANKS = st.integers(1, 4)


@dataclass(frozen=True)
class Run:
    """A random trajectory and one way to hand it over. Arrays are (samples, atoms, …); ``edges`` end the blocks."""

    size: int
    tags: Any
    species: Any
    number: int  # of species
    steps: Any
    edges: list[int]
    where: Any  # (samples + 1, atoms) rank that has the atom, first when ownership is settled
    seed: int
    x: Any
    v: Any
    q: Any
    f: Any
    mass: Any

    def packed(self, rank: int, first: int, last: int) -> Packed:
        """Of this rank, atoms in an order of their own at each sample."""
        rng = np.random.default_rng([self.seed, rank, first])
        rows, sums, counts = [np.zeros((0, 11))], [], []
        for k in range(first, last):
            here = rng.permutation(np.flatnonzero(self.where[k + 1] == rank))
            x, v, mass = self.x[k, here], self.v[k, here], self.mass[here]
            rows.append(np.column_stack((self.tags[here], x, v, self.q[k, here], self.f[k, here])))
            sums.append([mass @ (v**2).sum(axis=1), *(mass @ v), *(mass @ x)])
            counts.append(len(here))
        volumes = np.full(last - first, 1000.0)
        return Packed(self.steps[first:last], np.array(counts), np.concatenate(rows), np.array(sums), volumes)

    def stream(self, comm: Member) -> tuple[Ownership, Assembly]:
        here = np.flatnonzero(self.where[0] == comm.rank)
        owner = Ownership(comm, self.tags[here], self.species[here], self.number)
        columns = {"has_velocity": True, "has_charge": True, "has_force": True}
        return owner, Assembly(comm, owner, **columns, mass=float(self.mass.sum()), every=STEP, interval=0.1)

    def blocks(self, comm: Member) -> tuple[Ownership, list[Any]]:
        owner, stream = self.stream(comm)
        return owner, [stream.assemble(self.packed(comm.rank, a, b)) for a, b in pairwise(self.edges)]


@st.composite
def runs(draw):
    atoms, samples, seed = draw(st.integers(1, 14)), draw(st.integers(1, 24)), draw(st.integers(0, 1 << 30))
    # clustered, sparse, far beyond 32 bits: what matters is that they are positive and differ
    most = draw(st.sampled_from([atoms, 2 * atoms, 100 * atoms, 1 << 45]))
    tags = np.array(draw(st.lists(st.integers(1, most), min_size=atoms, max_size=atoms, unique=True)))
    size, number = draw(RANKS), draw(st.integers(1, 3))
    cuts = draw(st.sets(st.integers(1, samples - 1), max_size=6)) if samples > 1 else set()
    gaps = {cut: draw(st.integers(1, 5)) for cut in cuts if draw(st.booleans())}
    rng = np.random.default_rng(seed)
    late = np.cumsum([gaps.get(k, 0) for k in range(samples)])
    q = rng.normal(size=(samples, atoms))
    return Run(
        size=size, tags=tags, species=rng.integers(0, number, atoms), number=number,
        steps=STEP * np.arange(samples) + late, edges=[0, *sorted(cuts), samples],
        where=rng.integers(0, draw(st.integers(1, size)), (samples + 1, atoms)),  # some ranks may have none
        seed=seed, x=100 * rng.normal(size=(samples, atoms, 3)), v=rng.normal(size=(samples, atoms, 3)),
        q=np.broadcast_to(q[0], q.shape) if draw(st.booleans()) else q,
        f=rng.normal(size=(samples, atoms, 3)), mass=1.0 + rng.random(atoms),
    )  # fmt: skip


def begins(run: Run) -> list[int]:
    """For each sample, the first one of its stretch: a block that does not follow the last one begins a stretch."""
    found = [0]
    for k in range(1, len(run.steps)):
        found.append(found[-1] if run.steps[k] == run.steps[k - 1] + STEP else k)
    return found


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(run=runs())
def test_stream_and_ownership_on_any_ranks_equal_a_serial_reference(run):
    """Sample by sample and atom by atom, with plain loops: the owned arrays exactly, the sums to rounding."""
    outcome = on_ranks(run.size, run.blocks)
    assert sorted(tag for owner, _ in outcome for tag in owner.tags.tolist()) == sorted(run.tags.tolist())
    lows = [owner.tags.min() for owner, _ in outcome if len(owner)]
    highs = [owner.tags.max() for owner, _ in outcome if len(owner)]
    assert all(high < low for high, low in zip(highs, lows[1:], strict=False))  # ranges of tags
    first, atom = begins(run), {tag: i for i, tag in enumerate(run.tags.tolist())}
    for owner, blocks in outcome:
        assert owner.population.tolist() == np.bincount(run.species, minlength=run.number).tolist()
        own = np.array([atom[tag] for tag in owner.tags.tolist()], dtype=int)
        for s, slots in enumerate(owner.species):
            assert (run.species[own[slots]] == s).all()
            assert (np.diff(owner.tags[slots]) > 0).all()
        for (a, b), block in zip(pairwise(run.edges), blocks, strict=True):
            assert block.first == a - first[a]
            assert np.array_equal(block.steps, run.steps[a:b])
            moved = run.x[a:b, own] - run.x[first[a], own]
            assert np.array_equal(block.displacement, moved.transpose(2, 0, 1))
            assert np.array_equal(block.velocity, run.v[a:b, own].transpose(2, 0, 1))
            assert np.array_equal(block.force, run.f[a:b, own].transpose(2, 0, 1))
            assert np.array_equal(block.charge, run.q[a:b, own])
            for k in range(a, b):
                check_totals(run, block.totals, k, k - a, first[k])
        for ours, theirs in zip(blocks, outcome[0][1], strict=True):  # the same on every rank, to the last bit
            for name, value in bits(ours.totals).items():
                assert value.tobytes() == bits(theirs.totals)[name].tobytes()


def check_totals(run: Run, totals: Any, k: int, row: int, first: int) -> None:
    x, v, q, f, mass = run.x[k], run.v[k], run.q[k], run.f[k], run.mass
    before = max(k - 1, first)
    kinds = [np.flatnonzero(run.species == s) for s in range(run.number)]
    expected = {
        "displacement": [sum(x[i] - run.x[first, i] for i in kind) for kind in kinds],
        "velocity": [sum(v[i] for i in kind) for kind in kinds],
        "force": [sum(f[i] for i in kind) for kind in kinds],
        "current": [sum(q[i] * v[i] for i in kind) for kind in kinds],
        "charge": [sum(q[i] for i in kind) for kind in kinds],
        "dipole_step": [sum((run.q[before, i] + q[i]) / 2 * (x[i] - run.x[before, i]) for i in kind) for kind in kinds],
        "centre": sum(m * (x[i] - run.x[first, i]) for i, m in enumerate(mass)) / mass.sum(),
        "centre_velocity": sum(m * v[i] for i, m in enumerate(mass)) / mass.sum(),
        "kinetic": sum(m * v[i] @ v[i] for i, m in enumerate(mass)),
    }  # fmt: skip
    for name, value in expected.items():
        found = getattr(totals, name)[row]
        if name in ("current", "dipole_step", "charge"):  # of the one assignment
            found = found[0] if name != "charge" else np.trace(found[0], axis1=1, axis2=2) / 3
        padded = np.array([np.zeros(found.shape[1:]) + part for part in value]) if isinstance(value, list) else value
        assert np.allclose(found, padded, rtol=1e-12, atol=1e-10), name


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(run=runs(), what=st.sampled_from(["lost", "doubled", "foreign", "not a number", "trouble"]), data=st.data())
def test_what_goes_wrong_anywhere_is_the_same_sentence_on_all_ranks(run, what, data):
    """At any sample, on whichever rank the atom is: the samples before it are good."""
    sample = data.draw(st.integers(0, len(run.steps) - 1))
    atom = data.draw(st.integers(0, len(run.tags) - 1))
    tag, rank = int(run.tags[atom]), int(run.where[sample + 1, atom])
    if what == "trouble":
        sample = 0
    edges = [edge for edge in run.edges if edge <= sample] + [len(run.steps)]

    def spoil(packed: Packed, row: int) -> Packed:
        edge = np.concatenate(([0], np.cumsum(packed.counts)))
        place = edge[row] + np.flatnonzero(packed.rows[edge[row] : edge[row + 1], 0] == tag)
        rows, counts = packed.rows.copy(), packed.counts.copy()
        if what == "lost":
            rows, counts[row] = np.delete(rows, place, axis=0), counts[row] - 1
        elif what == "doubled":
            rows, counts[row] = np.insert(rows, place, rows[place], axis=0), counts[row] + 1
        elif what == "foreign":
            rows[place, 0] = (1 << 46) + 1
        else:
            rows[place, 1] = np.nan
        return Packed(packed.steps, counts, rows, packed.sums, packed.volumes)

    def work(comm: Member) -> StreamError | None:
        _, stream = run.stream(comm)
        for a, b in pairwise(edges):
            packed, trouble = run.packed(comm.rank, a, b), None
            if what == "trouble":
                trouble = f"rank {rank} is in trouble" if comm.rank == rank else None
            elif comm.rank == rank and a <= sample < b:
                packed = spoil(packed, sample - a)
            try:
                stream.assemble(packed, trouble)
            except StreamError as error:
                return error
        return None

    outcome = on_ranks(run.size, work)
    assert all(isinstance(error, StreamError) for error in outcome), outcome
    assert len({str(error) for error in outcome}) == 1
    sentence = str(outcome[0])
    if what == "trouble":
        assert sentence == f"rank {rank} is in trouble"
        return
    assert f"at step {run.steps[sample]}" in sentence
    assert {error.good for error in outcome} == {sample - max(edge for edge in edges if edge <= sample)}
    name = {"lost": f"atom {tag} of the group is lost", "doubled": f"atom {tag} of the group appears twice",
            "not a number": f"atom {tag} has a position"}.get(what)  # fmt: skip
    # of a foreign tag, either rank may say so first: who misses the right one, or who gets the wrong one
    assert name in sentence if name else f"atom {tag} of the group is lost" in sentence or "was not in" in sentence


# ---- states ---------------------------------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    ranks=st.lists(RANKS, min_size=2, max_size=4),
    atoms=st.integers(2, 17),
    edges=st.sets(st.integers(1, 59), min_size=4, max_size=8),
    gap=st.sampled_from([None, 30]),
    seed=st.integers(0, 99),
    frame=st.sampled_from(["barycentric", "host"]),
)
def test_states_go_through_any_numbers_of_ranks(tmp_path_factory, ranks, atoms, edges, gap, seed, frame):
    """Every run continues the one before on other ranks: the record is that of one rank which was never interrupted.

    To rounding; and to the last bit that of the same ranks, when they continue themselves.
    """
    folder = tmp_path_factory.mktemp("ranks")
    trajectory = Trajectory(60, atoms=atoms, seed=seed, gap=gap)
    config = configuration(frame=frame, correlations={"lags": 16, "every": 4, "precision": "double"})
    edges = sorted({0, *edges, *([gap] if gap else []), 60})
    turns = [part.tolist() for part in np.array_split(edges[:-1], len(ranks))]
    named: Named | None = None
    for size, starts in zip(ranks, turns, strict=True):
        turn = partial(one_turn, trajectory, config, folder, edges, starts, named)
        record, named = on_ranks(size, turn)[0]
    whole = begin(trajectory, config, folder / "whole.topo.h5")
    for first, last in pairwise(edges):
        whole.take(trajectory.packed(first, last))
    ours, theirs = bits(record), bits(whole.record())
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        if value.dtype.kind in "fc":
            scale = np.abs(np.nan_to_num(value)).max(initial=0.0)
            assert np.allclose(ours[name], value, rtol=0.0, atol=1e-12 * scale, equal_nan=True), (
                name,
                ours[name],
                value,
            )
        else:
            assert np.array_equal(ours[name], value), name


def one_turn(trajectory, config, folder, edges, starts, named, comm) -> Any:
    """Blocks that begin at ``starts`` on these ranks, with a state behind the first that the same ranks continue."""
    path, at = folder / "a.topo.h5", max(starts[0] - 1, 0)
    found = begin(trajectory, config, path, comm, at=at, named=named)
    assert (found.continued is None) == (named is None), found.notices
    again, ends = None, dict(pairwise(edges))
    for first in starts:
        for measurement in filter(None, (found, again)):
            measurement.take(trajectory.packed(first, ends[first], comm))
        if again is None:
            name = found.save("restart")
            named = Named(trajectory.step(ends[first] - 1), name, found.name)
            again = begin(trajectory, config, path, comm, at=ends[first] - 1, named=named)
            assert again.continued is not None, again.notices
    assert different(found, again) == []
    name = found.save("restart")
    return found.record(), Named(trajectory.step(ends[starts[-1]] - 1), name, found.name)
