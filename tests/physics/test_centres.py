"""Electronic centres: rotor functions, dipoles, g(r, θ), and the model of dipoles with its Born tensors."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lammps_topo.centres.analysis import analyse_centres
from lammps_topo.centres.coordination import joint_distribution
from lammps_topo.centres.dipole_fit import DipoleData, dipole_errors, fit_dipoles
from lammps_topo.centres.dipole_model import DipoleModel, RadialBasis, load_dipole_model
from lammps_topo.centres.distribution import distribution
from lammps_topo.centres.neighbours import find_pairs
from lammps_topo.centres.rotor import four_bonds, rotor, rotor_correlation, tetrahedrality
from lammps_topo.centres.snapshot import DEBYE, CentreSnapshot, assign, ion_dipoles, nominal_charges, polarisation
from lammps_topo.errors import ConfigError, EstimateError, FileError
from lammps_topo.hosts.ase_model import AseModel
from lammps_topo.hosts.centre_file import read_centres

ase = pytest.importorskip("ase")
pytest.importorskip("ase.neighborlist")

AGI = Path(__file__).resolve().parents[2] / "potentials" / "agi-mliap"
SNAPSHOTS = AGI / "agi-pbe-wannier.xyz.gz"
VALENCE = {"Ag": 11.0, "I": 7.0}
TILTED = np.array([[9.0, 0.0, 0.0], [1.5, 8.0, 0.0], [-1.0, 2.0, 9.5]])
TETRAHEDRON = np.array([[0, 0, 1], [np.sqrt(8), 0, -1], [-np.sqrt(2), np.sqrt(6), -1], [-np.sqrt(2), -np.sqrt(6), -1]])
TETRAHEDRON[1:] /= 3.0


@pytest.fixture(scope="module")
def snapshots() -> list[CentreSnapshot]:
    return read_centres(SNAPSHOTS)


def types(snapshot: CentreSnapshot) -> Any:
    return np.where(np.array(snapshot.species) == "Ag", 1, 2)


# ---- rotor functions ------------------------------------------------------------------------------------------------


def test_a_regular_tetrahedron_has_the_rotor_function_of_its_orientation() -> None:
    """One vertex along z: 3√5/40 [2 + 3·2 P₃(−1/3)] = √5/3, the largest value; upside down its negative."""
    assert rotor(TETRAHEDRON) == pytest.approx(np.sqrt(5) / 3, rel=1e-12)
    assert rotor(-0.7 * TETRAHEDRON) == pytest.approx(-np.sqrt(5) / 3, rel=1e-12)


def test_tetrahedrality_is_one_in_every_orientation_and_the_mean_of_seven_squares() -> None:
    turned = Rotation.random(20000, random_state=3).as_matrix()
    bonds = np.einsum("nab,kb->nka", turned, TETRAHEDRON)
    np.testing.assert_allclose(tetrahedrality(bonds), 1.0, atol=1e-12)
    squares = rotor(bonds) ** 2
    assert squares.mean() == pytest.approx(1 / 7, abs=4 * squares.std() / np.sqrt(len(squares)))
    flat = np.array([[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]])
    assert tetrahedrality(flat) == pytest.approx(0.0, abs=1e-12)


def test_correlation_of_rotors_that_turn_at_random_is_the_exact_one() -> None:
    """By an angle ω about an axis of any direction, each step: C₂ decays by sin(7ω/2)/(7 sin(ω/2)) a step (l = 3)."""
    rng = np.random.default_rng(5)
    anions, steps, angle = 200, 1500, 0.25
    orientation = Rotation.random(anions, random_state=8)
    series = []
    for _ in range(steps):
        series.append(np.einsum("nab,kb->nka", orientation.as_matrix(), TETRAHEDRON))
        axis = rng.normal(size=(anions, 3))
        orientation = Rotation.from_rotvec(angle * axis / np.linalg.norm(axis, axis=1, keepdims=True)) * orientation
    step = np.sin(3.5 * angle) / (7 * np.sin(0.5 * angle))
    found = [rotor_correlation(np.stack(series)[:, k : k + 20], 16) for k in range(0, anions, 20)]
    error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - step ** np.arange(16)) <= 4 * error + 1e-9).all()
    assert error.max() < 0.02


def test_correlation_against_a_double_loop() -> None:
    bonds = np.random.default_rng(1).normal(size=(7, 3, 4, 3))
    m = np.stack([rotor(bonds, axis) for axis in range(3)])
    naive = [np.mean([m[:, t] * m[:, t + lag] for t in range(7 - lag)]) for lag in range(4)]
    np.testing.assert_allclose(rotor_correlation(bonds, 4), np.array(naive) / naive[0], rtol=1e-10)


# ---- snapshots ------------------------------------------------------------------------------------------------------


def small() -> CentreSnapshot:
    """Two ions in a tilted cell, one across the boundary from two of its centres, one with three of another weight."""
    positions = np.array([[0.1, 0.2, 0.1], [4.0, 4.0, 4.0]])
    beside = [[0.3, 0, 0], [-0.4, 0, 0], [0, 0, -0.5], [0, 0.3, 0.3]]
    centres = np.concatenate((positions[0] + beside, positions[1] + beside[:3])) + TILTED[[0, 1, 2, 0, 1, 2, 0]]
    centres, ion = assign(positions, centres, TILTED)
    return CentreSnapshot(TILTED, ("I", "Ag"), positions, centres, ion)


def test_centres_are_put_beside_the_nearest_ion() -> None:
    snapshot = small()
    assert snapshot.held.tolist() == [4, 3]
    assert np.linalg.norm(snapshot.bonds(), axis=1).max() < 0.6
    np.testing.assert_allclose(ion_dipoles(snapshot)[0], -2 * np.array([-0.1, 0.3, -0.2]), atol=1e-12)
    assert four_bonds(snapshot, "I").shape == (1, 4, 3)
    assert four_bonds(snapshot, "Ag").shape == (0, 4, 3)


def test_polarisation_is_that_of_all_carriers(snapshots: list[CentreSnapshot]) -> None:
    for snapshot in snapshots[:3]:
        ionic, electronic, total = polarisation(snapshot, VALENCE)
        carriers = 11 * snapshot.positions[snapshot.rows("Ag")].sum(0) + 7 * snapshot.positions[snapshot.rows("I")].sum(
            0
        )
        np.testing.assert_allclose(total, carriers - 2 * snapshot.centres.sum(axis=0), atol=1e-9)
        np.testing.assert_allclose(ionic + electronic, total, atol=1e-9)
        assert np.unique(nominal_charges(snapshot, VALENCE)).tolist() == [-1.0, 1.0]
    with pytest.raises(ConfigError, match="valence of I is not given"):
        nominal_charges(snapshots[0], {"Ag": 11})


def test_joint_distribution_against_loops() -> None:
    rng = np.random.default_rng(2)
    ions = rng.random((12, 3)) @ TILTED
    bonds = rng.normal(scale=0.3, size=(24, 3))
    ion = np.repeat(np.arange(6), 4)
    one = CentreSnapshot(TILTED, ("I",) * 6 + ("Ag",) * 6, ions, ions[ion] + bonds, ion)
    found = joint_distribution([one], "Ag", "I", r_bins=8, angle_bins=6)
    counts = np.zeros((8, 6))
    shifts = np.array(np.meshgrid(*[[-2, -1, 0, 1, 2]] * 3)).T.reshape(-1, 3) @ TILTED
    for centre, back in zip(one.centres, -bonds, strict=True):
        for cation in ions[6:]:
            for shift in shifts:
                r = cation + shift - centre
                if (d := np.linalg.norm(r)) < found.r_edges[-1]:
                    angle = np.degrees(np.arccos(r @ back / d / np.linalg.norm(back)))
                    counts[int(d / found.r_edges[1]), int(angle / 30)] += 1
    shells = 4 / 3 * np.pi * np.diff(found.r_edges**3)[:, None] * -np.diff(np.cos(np.radians(found.angle_edges))) / 2
    np.testing.assert_allclose(found.g, counts / shells / (24 * 6 / np.linalg.det(TILTED)), rtol=1e-10)


def test_error_bars_are_those_of_snapshots() -> None:
    """Ions of a snapshot that are all alike count as one."""
    rows = np.random.default_rng(4).normal(5.0, 1.0, size=30)
    one = distribution([np.full(16, row) for row in rows], np.linspace(0, 10, 11))
    assert one.mean_error == pytest.approx(rows.std(ddof=1) / np.sqrt(30))
    assert (one.density * np.diff(one.edges)).sum() == pytest.approx(1.0)
    alone = distribution([rows], np.linspace(0, 10, 11))
    assert np.isnan(alone.mean_error)
    with pytest.raises(EstimateError, match="no snapshot"):
        distribution([np.zeros(0)], np.linspace(0, 1, 3))


def test_agi_has_the_structure_that_the_literature_describes(snapshots: list[CentreSnapshot]) -> None:
    """[P] Fig. 2 and 7: dipoles of 2 D at positions of the pair potential, one centre between each Ag and its I."""
    analysis = analyse_centres(snapshots, VALENCE)
    found = {(result.quantity, result.of): result for result in analysis.outcome.results}
    dipole = found["ion_dipole", "I"]
    assert 1.5 < dipole.value < 3.5
    assert dipole.error < 0.1 * dipole.value
    assert found["ion_dipole", "Ag"].value < 0.2 * dipole.value
    assert 0.9 < found["tetrahedrality", "I"].value < 1.0
    assert found["rotor_width", "I"].value == pytest.approx(np.sqrt(found["tetrahedrality", "I"].value / 7), abs=0.06)
    r, angle = analysis.joint["Ag", "I"].peak()
    assert 1.7 < r < 2.3
    assert angle > 160
    naive = [np.linalg.norm(DEBYE * ion_dipoles(one)[one.rows("I")], axis=1).mean() for one in snapshots]
    assert dipole.value == pytest.approx(np.mean(naive))


def test_centres_at_their_ions_have_no_dipoles() -> None:
    ions = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
    one = CentreSnapshot(10 * np.eye(3), ("Ag", "I"), ions, ions.copy(), np.array([0, 1]))
    found = {(result.quantity, result.of): result for result in analyse_centres([one, one], VALENCE).outcome.results}
    assert found["ion_dipole", "I"].value == 0.0
    assert found["cell_dipole", "electrons"].value == 0.0
    assert ("dipole_correlation", "all ions") not in found


def test_files_without_centres_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ions.xyz"
    ase.Atoms("AgI", [[0, 0, 0], [2, 2, 2]], cell=[5, 5, 5], pbc=True).write(path, format="extxyz")
    with pytest.raises(FileError, match="holds no centres"):
        read_centres(path)
    ase.Atoms("AgX", [[0, 0, 0], [0.1, 0, 0]]).write(path, format="extxyz")
    with pytest.raises(FileError, match="no cell"):
        read_centres(path)
    with pytest.raises(FileError, match="cannot be read"):
        read_centres(tmp_path / "none.xyz")
    with pytest.raises(ConfigError, match="kind=md-7"):
        read_centres(SNAPSHOTS, where={"kind": "md-7"})
    with pytest.raises(ConfigError, match="kind=0:7"):
        read_centres(SNAPSHOTS, where={"kind": "0:7"})


def test_snapshots_are_chosen_by_numbers(snapshots: list[CentreSnapshot]) -> None:
    indices = [int(one.info["index"]) for one in snapshots]
    middle = sorted(indices)[len(indices) // 2]
    for said, kept in (
        (f":{middle}", lambda i: i < middle),
        (f"{middle}:", lambda i: i >= middle),
        (":", lambda _: True),
    ):
        found = read_centres(SNAPSHOTS, where={"index": said})
        assert [int(one.info["index"]) for one in found] == [index for index in indices if kept(index)]


def test_without_the_column_ion_a_centre_belongs_to_the_nearest(
    tmp_path: Path, snapshots: list[CentreSnapshot]
) -> None:
    frame = ase.io.read(SNAPSHOTS, index=0)
    del frame.arrays["ion"]
    frame.wrap()
    frame.write(tmp_path / "wrapped.xyz", format="extxyz")
    again = read_centres(tmp_path / "wrapped.xyz")[0]
    np.testing.assert_allclose(ion_dipoles(again), ion_dipoles(snapshots[0]), atol=1e-6)


# ---- command --------------------------------------------------------------------------------------------------------


def test_command_prints_and_writes(topo_command: Any, tmp_path: Path) -> None:
    words = ("centres", str(SNAPSHOTS), "--valence", "Ag=11", "--valence", "I=7", "--where", "kind=md-750")
    said = topo_command(*words, "--figure", "c.svg", "--polarisation", "p.txt", folder=tmp_path).stdout
    assert "ion dipole" in said
    assert (tmp_path / "c.svg").stat().st_size > 5000
    table = np.loadtxt(tmp_path / "p.txt")
    np.testing.assert_allclose(table[:, 1:4] + table[:, 4:7], table[:, 7:], atol=2e-5)
    refused = topo_command(*words[:4], "--valence", "I=seven", folder=tmp_path, check=False)
    assert refused.returncode == 1
    assert "'seven' is not a number" in refused.stderr


# ---- model ----------------------------------------------------------------------------------------------------------


def test_pairs_are_those_of_ase_in_a_cell_smaller_than_the_cutoff() -> None:
    rng = np.random.default_rng(9)
    positions = rng.random((7, 3)) @ TILTED + rng.integers(-2, 3, (7, 3)) @ TILTED
    found = find_pairs(positions, TILTED, 11.0)
    atoms = ase.Atoms("H7", positions, cell=TILTED, pbc=True)
    i, j, distance, vector = ase.neighborlist.neighbor_list("ijdD", atoms, 11.0)
    assert len(found.i) == len(i)
    ours, theirs = (np.lexsort((d, b, a)) for a, b, d in ((found.i, found.j, found.distance), (i, j, distance)))
    assert np.array_equal(found.i[ours], i[theirs])
    assert np.array_equal(found.j[ours], j[theirs])
    np.testing.assert_allclose(found.distance[ours], distance[theirs], rtol=1e-12)
    np.testing.assert_allclose(
        np.sort(found.direction * found.distance[:, None], axis=0), np.sort(vector, axis=0), atol=1e-10
    )


def random_model(scale: float = 1.0) -> DipoleModel:
    rng = np.random.default_rng(12)
    first, direct, field, along = (rng.normal(size=(2, 2, 4)) * one for one in (0.2, 0.2, 0.1 * scale, 0.1 * scale))
    return DipoleModel(("Ag", "I"), np.array([1.0, -1.0]), RadialBasis(1.5, 6.0, 4), first, direct, field, along)


def numeric_tensors(model: DipoleModel, positions: Any, kinds: Any, cell: Any) -> Any:
    """Derivative of the total dipole by central differences."""
    tensors = np.zeros((len(positions), 3, 3))
    for atom in range(len(positions)):
        for axis in range(3):
            moved = [positions.copy(), positions.copy()]
            moved[0][atom, axis] += 1e-4
            moved[1][atom, axis] -= 1e-4
            high, low = (model.dipoles(one, kinds, cell).sum(axis=0) for one in moved)
            tensors[atom, :, axis] = (high - low) / 2e-4
    return tensors


def test_tensors_are_the_derivative_of_the_total_dipole() -> None:
    model = random_model()
    positions = np.random.default_rng(3).random((10, 3)) @ TILTED
    kinds = np.array([1] * 5 + [2] * 5)
    tensors = model.predict(positions, kinds, TILTED).reshape(-1, 3, 3)
    expected = numeric_tensors(model, positions, kinds, TILTED) + model.charges[kinds - 1][:, None, None] * np.eye(3)
    np.testing.assert_allclose(tensors, expected, atol=1e-6 * np.abs(expected).max())
    np.testing.assert_allclose(tensors.sum(axis=0), 0.0, atol=1e-10)  # acoustic sum rule: a rigid shift moves no charge


def displaced_dipole(model: DipoleModel, path: Any, kinds: Any, cell: Any) -> Any:
    """Σ ½ (Z_k + Z_k+1)·Δr along a path (K, n, 3), as a stream of samples adds it up (physics.md §2)."""
    tensors = np.stack([model.predict(one, kinds, cell).reshape(-1, 3, 3) for one in path])
    return np.einsum("knab,knb->a", 0.5 * (tensors[1:] + tensors[:-1]), np.diff(path, axis=0))


def test_a_loop_pumps_the_nominal_charge_and_no_other(snapshots: list[CentreSnapshot]) -> None:
    """An ion moved across the cell to its own image displaces its nominal charge, a loop that does not wind nothing."""
    model = load_dipole_model(AGI / "agi-dipoles.yaml")
    one = snapshots[0]
    phase = np.linspace(0.0, 1.0, 161)[:, None]
    for name in ("Ag", "I"):
        atom, axis = widest_line(one, one.rows(name))
        for winding in (1, 0):
            path = np.repeat(one.positions[None], len(phase), axis=0)
            path[:, atom] += winding * phase * one.cell[axis] + 0.3 * np.sin(2 * np.pi * phase * [1, 2, 1])
            charge = model.charges[types(one)[atom] - 1] * winding
            fine, coarse = (
                displaced_dipole(model, points, types(one), one.cell) - charge * one.cell[axis]
                for points in (path, path[::2])
            )
            assert np.abs(fine).max() < 0.3 * np.abs(coarse).max()  # second order in the interval
            assert np.abs(4 * fine - coarse).max() / 3 < 1e-3 * one.cell[axis, axis]


def widest_line(snapshot: CentreSnapshot, rows: Any) -> tuple[int, int]:
    """Which of these ions can be moved along which axis with most room to its neighbours."""
    room = {}
    for atom in rows:
        for axis in range(3):
            line = snapshot.positions[atom] + np.linspace(0, 1, 60)[:, None] * snapshot.cell[axis]
            others = np.delete(snapshot.positions, atom, axis=0)
            apart = line[:, None] - others[None]
            apart -= np.round(apart @ np.linalg.inv(snapshot.cell)) @ snapshot.cell
            room[int(atom), axis] = np.linalg.norm(apart, axis=-1).min()
    return max(room, key=room.__getitem__)


def test_dipoles_turn_with_the_crystal_and_ignore_images() -> None:
    model, rng = random_model(), np.random.default_rng(6)
    positions, kinds = rng.random((8, 3)) @ TILTED, np.array([1, 2] * 4)
    dipoles = model.dipoles(positions, kinds, TILTED)
    turn = Rotation.random(random_state=1).as_matrix()
    np.testing.assert_allclose(model.dipoles(positions @ turn.T, kinds, TILTED @ turn.T), dipoles @ turn.T, atol=1e-10)
    elsewhere = positions + rng.integers(-3, 4, (8, 3)) @ TILTED + [0.3, -7.0, 2.0]
    np.testing.assert_allclose(model.dipoles(elsewhere, kinds, TILTED), dipoles, atol=1e-10)


def test_fit_finds_the_model_that_made_the_data() -> None:
    model, rng = random_model(scale=0.0), np.random.default_rng(7)
    kinds = np.array([1, 2] * 8)

    def made() -> DipoleData:
        positions = rng.random((16, 3)) @ TILTED
        return DipoleData(positions, kinds, TILTED, model.dipoles(positions, kinds, TILTED))

    # without a field the first stage is not that of the model (its dipoles are a alone): only predictions agree
    found, _ = fit_dipoles([made() for _ in range(12)], model.species, model.charges, model.basis)
    errors = dipole_errors(found, [made() for _ in range(3)])
    assert all(errors[name].error < 1e-3 * errors[name].size for name in ("Ag", "I", "cell"))
    with pytest.raises(EstimateError, match="too few"):
        fit_dipoles([made()], model.species, model.charges, model.basis)


def test_model_survives_its_file(tmp_path: Path) -> None:
    model = random_model()
    model.save(tmp_path / "model.yaml")
    again = load_dipole_model(tmp_path / "model.yaml")
    positions, kinds = np.random.default_rng(3).random((6, 3)) @ TILTED, np.array([1, 2] * 3)
    np.testing.assert_allclose(
        again.predict(positions, kinds, TILTED), model.predict(positions, kinds, TILTED), atol=1e-6
    )
    text = (tmp_path / "model.yaml").read_text()
    (tmp_path / "model.yaml").write_text(text.replace("number: 4", "number: 5"))
    with pytest.raises(FileError, match="is not a dipole model"):
        load_dipole_model(tmp_path / "model.yaml")
    with pytest.raises(ConfigError, match="knows types 1 to 2"):
        model.dipoles(positions, kinds + 1, TILTED)


def test_script_fits_without_the_test_split(tmp_path: Path, snapshots: list[CentreSnapshot], capsys: Any) -> None:
    """And explains nine tenths of the dipoles of configurations it has not seen; the stored model does, too."""
    spec = importlib.util.spec_from_file_location("fit_dipoles", AGI / "fit_dipoles.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.main([str(SNAPSHOTS), "--output", str(tmp_path / "model.yaml")])
    said = capsys.readouterr().out
    held_out = [script.data_of(one) for one in snapshots if one.info["split"] == "test"]
    fitted = sum(one.info["split"] == "fit" for one in snapshots)
    assert f"fitted ({fitted} configurations)" in said
    for path in (tmp_path / "model.yaml", AGI / "agi-dipoles.yaml"):
        errors = dipole_errors(load_dipole_model(path), held_out)
        assert errors["I"].explained > 0.93
        assert errors["Ag"].explained > 0.8
        assert errors["cell"].explained > 0.8


def test_stored_model_gives_the_born_charges_of_agi(snapshots: list[CentreSnapshot]) -> None:
    model = load_dipole_model(AGI / "agi-dipoles.yaml")
    one = snapshots[0]
    tensors = model.predict(one.positions, types(one), one.cell).reshape(-1, 3, 3)
    silver = np.einsum("naa->n", tensors[one.rows("Ag")]).mean() / 3
    assert 1.1 < silver < 1.6
    np.testing.assert_allclose(tensors.sum(axis=0), 0.0, atol=1e-10)


def test_an_ase_calculator_is_a_model(snapshots: list[CentreSnapshot]) -> None:
    from ase.calculators.calculator import Calculator

    class Tensors(Calculator):
        implemented_properties = ("energy", "born_effective_charges")

        def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = None) -> None:
            super().calculate(atoms, properties, system_changes)
            kinds = np.where(atoms.numbers == 47, 1, 2)
            tensors = random_model().predict(atoms.positions, kinds, atoms.cell.array).reshape(-1, 3, 3)
            self.results = {"energy": 0.0, "born_effective_charges": tensors.swapaxes(1, 2)}

    one = snapshots[0]
    model = AseModel(Tensors(), ["Ag", "I"], key="born_effective_charges", transpose=True)
    expected = random_model().predict(one.positions, types(one), one.cell)
    np.testing.assert_allclose(model.predict(one.positions, types(one), one.cell).reshape(-1, 9), expected, atol=1e-12)
    with pytest.raises(ConfigError, match=r"has no 'charges' \(there are: born_effective_charges, energy\)"):
        AseModel(Tensors(), ["Ag", "I"]).predict(one.positions, types(one), one.cell)
    with pytest.raises(ConfigError, match="1 symbols"):
        AseModel(Tensors(), ["Ag"]).predict(one.positions, types(one), one.cell)
