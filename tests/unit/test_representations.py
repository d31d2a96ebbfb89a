"""Charge representations of every kind, from packed samples to records: sums, restarts, merges, refusals."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from crew import on_ranks
from replayed import Trajectory, bits, configuration, different, release

from lammps_topo.config import Config
from lammps_topo.errors import ConfigError
from lammps_topo.estimate.current_spectrum import current_is_zero, current_weights, representation_weights
from lammps_topo.estimate.summary import estimate
from lammps_topo.measurement import Host, Measurement, Start
from lammps_topo.merge import merge_records
from lammps_topo.record import Record, inconsistency
from lammps_topo.restart import Named
from lammps_topo.store import read_results
from lammps_topo.stream.communicator import Alone

SAMPLES = 60
TENSORS = {"A": [[1.0, 0.2, 0.0], [0.0, 1.5, 0.1], [0.3, 0.0, 0.5]], "B": -1.0}
KINDS: dict[str, Any] = {
    "oxidation": None,
    "atomic": None,
    "nominal": {"oxidation": {"A": 2, "B": -3}},
    "model": {"charge": "d_model"},
    "born": {"born": "d2_z"},
    "fixed": {"born": TENSORS},
    "centres": {"carriers": {1: 1.0, 3: 0.0, 2: -2.0}},
    "whole": {"molecular": "atomic"},
}


class Run:
    """The trajectory of ``replayed`` with three types, molecules and per-atom sources."""

    def __init__(self, seed: int = 0, *, kinds: dict[str, Any] = KINDS, **changes: Any) -> None:
        self.motion = replace(Trajectory(SAMPLES, seed=seed))
        rng = np.random.default_rng(seed + 100)
        atoms = len(self.motion.tags)
        self.types = np.array([1, 2, 3, 2] * (atoms // 4))
        self.species = np.array([0, 1, 0, 1] * (atoms // 4))
        self.molecules = np.arange(atoms) // 3 + 1
        self.molecules[:2] = 0  # on their own
        self.model = rng.normal(size=(SAMPLES, atoms))
        self.born = rng.normal(size=(SAMPLES, atoms, 9))
        changes = {"correlations": None, "segments": {"shortest": 16, "number": 1}, **changes}
        species = {"A": {"type": [1, 3], "oxidation": 1}, "B": {"type": 2, "oxidation": -1}}
        self.config: Config = configuration(representations=kinds, species=species, **changes)

    def packed(self, first: int, last: int, comm: Any) -> Any:
        motion = self.motion
        plain = motion.packed(first, last, comm)
        here = [motion.local(comm, k) for k in range(first, last)]
        more = [
            np.column_stack((self.model[k, own], self.born[k, own]))
            for k, own in zip(range(first, last), here, strict=True)
        ]
        wanted = self.config.representations or {}
        columns = [i for i, name in enumerate(["model", *["born"] * 9]) if name in wanted]
        return replace(plain, rows=np.column_stack((plain.rows[:, :8], np.concatenate(more)[:, columns])))

    def begin(self, path: Path, comm: Any = Alone(), *, at: int = 0, named: Named | None = None) -> Measurement:  # noqa: B008
        release()
        motion = self.motion
        host = Host(
            units="metal", timestep=0.001, every=5, name="a", types=self.types, has_charge=True, has_velocity=True,
            has_force=True, has_molecules=True,
        )  # fmt: skip
        found = Measurement(self.config.model_copy(update={"output": str(path)}), host, comm)
        here = motion.local(comm, at)
        found.begin(
            motion.tags[here], self.types[here], masses=motion.mass[here], total_mass=float(motion.mass[here].sum()),
            degrees_of_freedom=33.0, charges=motion.q[at, here], molecules=self.molecules[here],
            other_molecules=np.zeros(0, dtype=np.int64),
            start=Start(now=motion.step(at), first=motion.step(at), positions=motion.x[at, here],
                        sums=motion.sums(at, np.arange(len(motion.tags))), named=named),
        )  # fmt: skip
        return found

    def whole(self, path: Path, comm: Any = Alone(), cuts: tuple[int, ...] = (17, 30)) -> Measurement:  # noqa: B008
        found = self.begin(path, comm)
        for a, b in pairwise([0, *cuts, SAMPLES]):
            found.take(self.packed(a, b, comm))
        return found

    def charges(self, name: str) -> np.ndarray:
        """(samples, atoms, 3, 3), by definition."""
        motion = self.motion
        ones, number = np.eye(3), np.ones((SAMPLES, len(self.types)))
        scalars = {
            "oxidation": number * np.array([1.0, -1.0])[self.species],
            "atomic": motion.q,
            "nominal": number * np.array([2.0, -3.0])[self.species],
            "model": self.model,
            "centres": number * np.array([0, 1.0, -2.0, 0.0])[self.types],
        }
        if name in scalars:
            return scalars[name][..., None, None] * ones
        if name == "born":
            return self.born.reshape(SAMPLES, -1, 3, 3)
        if name == "fixed":
            both = np.array([TENSORS["A"], -ones])
            return np.broadcast_to(both[self.species], (SAMPLES, len(self.types), 3, 3))
        names = np.where(self.molecules > 0, self.molecules, -motion.tags)
        weights = np.zeros(len(names))
        for molecule in np.unique(names):
            own = names == molecule
            weights[own] = motion.q[0, own].sum() * motion.mass[own] / motion.mass[own].sum()
        return (number * weights)[..., None, None] * ones


def expected(run: Run, name: str) -> tuple[np.ndarray, np.ndarray]:
    """J and Δμ (samples, 3) of a representation in the barycentric frame, atom by atom."""
    motion, z = run.motion, run.charges(name)
    mass = motion.mass / motion.mass.sum()
    v = motion.v - np.einsum("i,tic->tc", mass, motion.v)[:, None]
    x = motion.x - np.einsum("i,tic->tc", mass, motion.x)[:, None]
    step = np.einsum("tixy,tiy->tx", 0.5 * (z[1:] + z[:-1]), np.diff(x, axis=0))
    return np.einsum("tixy,tiy->tx", z, v), np.concatenate((np.zeros((1, 3)), np.cumsum(step, axis=0)))


@pytest.fixture(scope="module")
def record(tmp_path_factory) -> Record:
    found = Run().whole(tmp_path_factory.mktemp("kinds") / "a.topo.h5").record()
    assert found is not None
    return found


def test_what_is_constant_by_species_needs_no_fluxes_of_its_own(record):
    own = ("number", "atomic", "model", "born", "centres", "whole", "fixed")
    assert sorted(record.flux_names) == sorted(f"{kind}/{name}" for kind in own for name in "AB")
    assert record.flux_names[:4] == ("number/A", "number/B", "atomic/A", "atomic/B")
    assert record.representations == tuple(KINDS)
    assert inconsistency(record) is None


@pytest.mark.parametrize("name", KINDS)
def test_currents_and_displacements_are_the_sums_over_atoms(record, name):
    run = Run()
    current, dipole = expected(run, name)
    row = current_weights(record, name)
    assert record.series is not None
    assert np.allclose(np.tensordot(record.series.flux, row, axes=(1, 0)), current, atol=1e-12)
    assert np.allclose(np.tensordot(record.series.moment, row, axes=(1, 0)), dipole, atol=1e-10)
    assert np.allclose(representation_weights(record, name).sum(axis=0), row)
    mean = np.trace(run.charges(name), axis1=2, axis2=3).mean(axis=0) / 3
    assert np.allclose(record.charges_of(name), [mean[run.species == s].mean() for s in range(2)])


def test_displacements_of_all_pairs_of_representations(record):
    run = Run()
    assert record.dipole is not None
    groups = record.dipole.groups
    assert len(groups) == 8 * 9 // 2
    assert groups[:9] == (*KINDS, "oxidation - atomic")
    moved = {name: expected(run, name)[1] for name in KINDS}
    for group in ("born", "oxidation - born", "model - whole"):
        one, _, other = group.partition(" - ")
        series = moved[one] - (moved[other] if other else 0.0)
        for lag in (1, 7):
            starts = np.arange(0, SAMPLES, 4)
            squares = [(series[t + lag] - series[t]) ** 2 for t in starts[starts + lag < SAMPLES]]
            found = record.dipole.sums[0][:, 0, groups.index(group), :, lag].sum(axis=0)
            assert np.allclose(found, np.sum(squares, axis=0)), (group, lag)


@pytest.mark.parametrize("size", [2, 3])
def test_any_ranks_give_the_same(record, size, tmp_path):
    def measured(comm: Any) -> Any:
        return Run().whole(tmp_path / "a.topo.h5", comm, cuts=(1, 44)).record()

    other = next(one for one in on_ranks(size, measured) if one is not None)
    assert other.flux_names == record.flux_names
    for ours, theirs in ((record.series.flux, other.series.flux), (record.series.moment, other.series.moment)):
        assert np.allclose(ours, theirs, rtol=1e-10, atol=1e-10 * np.abs(ours).max())
    assert np.allclose(record.charges, other.charges, rtol=1e-12)


@pytest.mark.parametrize("cut", [1, 23])
def test_a_continued_measurement_is_the_uninterrupted_one(cut, tmp_path):
    run = Run()
    whole = run.whole(tmp_path / "whole.topo.h5", cuts=(cut,))
    first = run.begin(tmp_path / "a.topo.h5")
    first.take(run.packed(0, cut, Alone()))
    state = first.save("restart")
    assert state
    named = Named(run.motion.step(cut - 1), state, first.name)
    # charges at the continuation differ from those at the beginning: molecules keep the first
    again = run.begin(tmp_path / "a.topo.h5", at=cut - 1, named=named)
    assert again.continued is not None
    again.take(run.packed(cut, SAMPLES, Alone()))
    assert different(whole, again) == []
    assert different(whole, again, record=True) == []


def test_another_definition_is_refused_when_a_run_continues(tmp_path):
    run = Run()
    first = run.begin(tmp_path / "a.topo.h5")
    first.take(run.packed(0, 30, Alone()))
    named = Named(run.motion.step(29), first.save("restart"), first.name)
    changed = Run(kinds={**KINDS, "nominal": {"oxidation": {"A": 2, "B": -2}}})
    with pytest.raises(
        ConfigError, match=r"key 'representations.nominal.oxidation.B' is -2, but -3 in the measurement"
    ):
        changed.begin(tmp_path / "a.topo.h5", at=29, named=named)


def test_merged_replicas_have_mean_charges_and_added_sums(record, tmp_path):
    other = Run(seed=1).whole(tmp_path / "b.topo.h5").record()
    assert other is not None
    merged = merge_records([record, other])
    assert inconsistency(merged) is None
    assert np.allclose(merged.charges, (record.charges + other.charges) / 2)
    assert merged.dipole.groups == record.dipole.groups
    twice = merge_records([other, record])
    assert all(np.array_equal(value, bits(twice)[name]) for name, value in bits(merged).items())
    third = replace(other, charges=np.where(np.arange(8)[:, None] == 2, other.charges + 1, other.charges))
    with pytest.raises(Exception, match="'charges of 'nominal'' is"):
        merge_records([record, third])


def test_results_file_keeps_all_kinds(record, tmp_path):
    run = Run(kinds={name: KINDS[name] for name in ("atomic", "born", "fixed")})
    measurement = run.whole(tmp_path / "a.topo.h5")
    measurement.finish(now=True)
    found = read_results(tmp_path / "a.topo.h5")
    assert found.record.representations == ("atomic", "born", "fixed")
    assert np.array_equal(found.record.charges, measurement.record().charges)
    assert found.config.representations == run.config.representations


def test_neutral_molecules_have_no_current_at_all(tmp_path):
    run = Run(kinds={"oxidation": None, "atomic": None, "molecular": None})
    run.molecules[:] = np.arange(12) // 4 + 1
    run.motion.q[:] = np.array([0.3, -0.2, 0.1, -0.2] * 3)
    found = run.whole(tmp_path / "a.topo.h5").record()
    assert found is not None
    assert found.notes == ()
    assert current_is_zero(found, "molecular")
    assert not current_is_zero(found, "atomic")
    outcome = estimate(found, run.config)
    assert "the current of 'molecular' is zero: it does not conduct" in outcome.notes
    assert not any(one.quantity == "conductivity" and one.of == "molecular" for one in outcome.results)
    without = replace(found, series=None)
    assert current_is_zero(without, "molecular")
    assert estimate(without, run.config).notes


def test_charge_that_moves_between_molecules_is_said(tmp_path):
    run = Run(kinds={"atomic": None, "whole": {"molecular": "atomic"}})
    found = run.whole(tmp_path / "a.topo.h5")
    notes = [one for one in found.notices if one.startswith("WARNING: charge moves between molecules")]
    assert len(notes) == 1
    assert any(note in notes[0] for note in found.record().notes)


REFUSED = {
    "nominal: {oxidation: {A: 1}}": r"key 'representations.nominal.oxidation': species 'B' is missing",
    "nominal: {oxidation: {A: 1, B: 2, C: 3}}": r"key 'representations.nominal.oxidation': 'C' is not a species \(",
    "fixed: {born: {A: 1}}": r"key 'representations.fixed.born': species 'B' is missing",
    "c: {carriers: {7: 1}}": r"key 'representations.c.carriers': no atom of the group has the type 7 \(types of the gr",
    "c: {carriers: {Xe: 1}}": r"key 'representations.c.carriers': no atom of the group has the type Xe",
    "c: {carriers: {1: 1}}": r"key 'representations.c.carriers': type 3 of the species 'A' has no weight, but others",
    "molecular: ": r"'molecular' needs molecule ids, which the run lacks",
    "w: {molecular: oxidation}": r"key 'representations.w.molecular': 'w' needs molecule ids",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_the_run_does_not_have(text, tmp_path):
    release()
    run = Run(kinds=yaml.safe_load(text))
    host = Host(units="metal", timestep=0.001, every=5, name="a", types=run.types, has_charge=True, has_velocity=True)
    with pytest.raises(ConfigError, match=REFUSED[text]):
        Measurement(run.config.model_copy(update={"output": str(tmp_path / "a.topo.h5")}), host, Alone())


@pytest.mark.parametrize("text", ["atomic: ", "w: {molecular: atomic}"])
def test_charges_that_atoms_do_not_have(text, tmp_path):
    run = Run(kinds=yaml.safe_load(text))
    host = Host(
        units="metal", timestep=0.001, every=5, name="a", types=run.types, has_charge=False, has_velocity=True,
        has_molecules=True,
    )  # fmt: skip
    with pytest.raises(ConfigError, match=r"needs an atom style with charges \(q\), which the run lacks"):
        Measurement(run.config.model_copy(update={"output": str(tmp_path / "a.topo.h5")}), host, Alone())


def test_molecules_must_lie_in_the_group(tmp_path):
    run = Run()
    release()
    host = Host(units="metal", timestep=0.001, every=5, name="a", types=run.types, has_charge=True, has_velocity=True,
                has_molecules=True)  # fmt: skip
    found = Measurement(run.config.model_copy(update={"output": str(tmp_path / "a.topo.h5")}), host, Alone())
    motion = run.motion
    with pytest.raises(ConfigError, match="needs whole molecules, but atoms of molecule 3 are outside the group"):
        found.begin(
            motion.tags, run.types, masses=motion.mass, total_mass=99.0, degrees_of_freedom=33.0, charges=motion.q[0],
            molecules=run.molecules, other_molecules=np.array([99, 3, 0]),
        )  # fmt: skip
