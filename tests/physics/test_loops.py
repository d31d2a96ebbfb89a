"""Closed paths with known windings and charges: minimum images, matching of centres, pumps, verdicts, refusals."""

from __future__ import annotations

import json
import re
from pathlib import Path as FilePath

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import lammps_topo
from lammps_topo.cli import main
from lammps_topo.config import parse_config
from lammps_topo.errors import ConfigError, EstimateError, FileError
from lammps_topo.topology.additivity import compare_loops
from lammps_topo.topology.dipole import discretisation_error, displaced_dipole
from lammps_topo.topology.images import minimum_image
from lammps_topo.topology.loop import Loop, analyse_loop
from lammps_topo.topology.path import Path, one_cell

CUBE = 10.0 * np.eye(3)
TILTED = np.array([[10.0, 0.0, 0.0], [4.5, 9.0, 0.0], [-3.0, 4.0, 11.0]])
ALL = (True, True, True)
STATES = {"K": 1.0, "Cl": -1.0}


def winding_path(cell, species, windings, points=41, centres=(), seed=1, wobble=0.15, shuffle=False, start=None):
    """Particles that wind as told on curved ways, wrapped into the cell; centres in random order at every point."""
    rng = np.random.default_rng(seed)
    windings = np.asarray(windings, dtype=float)
    number = len(species)
    begin = rng.random((number, 3)) if start is None else np.asarray(start)
    part = np.linspace(0.0, 1.0, points)[:, None, None]
    way = begin + part * windings + wobble * np.sin(2 * np.pi * part) * rng.uniform(-1, 1, (number, 3))
    positions = (way % 1.0) @ cell
    if shuffle:
        for name in centres:
            own = np.flatnonzero(np.array(species) == name)
            for k in range(points):
                positions[k, own] = positions[k, rng.permutation(own)]
    names = tuple(f"frame {k}" for k in range(points))
    return Path(tuple(species), np.arange(1, number + 1), np.asarray(cell), positions, names, tuple(centres))


def constant(path, by_species):
    return np.tile([by_species[name] for name in path.species], (len(path.positions), 1))


def analysed(path, by_species, states=STATES) -> Loop:
    return analyse_loop(path, {"charge": constant(path, by_species)}, states)


# ---- images ---------------------------------------------------------------------------------------------------------


def test_minimum_image_is_the_shortest_of_many_images() -> None:
    rng = np.random.default_rng(3)
    turns = np.stack(np.meshgrid(*3 * [np.arange(-6, 7)]), axis=-1).reshape(-1, 3) @ TILTED
    for vector in rng.uniform(-20, 20, (200, 3)):
        found = minimum_image(vector[None], TILTED, ALL)[0]
        assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(vector + turns, axis=1).min(), abs=1e-12)
        whole = (vector - found) @ np.linalg.inv(TILTED)
        np.testing.assert_allclose(whole, np.rint(whole), atol=1e-9)


def test_directions_that_are_not_periodic_have_no_images() -> None:
    vectors = np.array([[9.0, 9.0, 9.0]])
    np.testing.assert_allclose(minimum_image(vectors, CUBE, (True, False, True)), [[-1.0, 9.0, -1.0]])


# ---- windings and charges -------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    windings=st.lists(st.tuples(*3 * [st.integers(-2, 2)]), min_size=2, max_size=6),
    tilts=st.tuples(*3 * [st.floats(-0.5, 0.5)]),
    seed=st.integers(0, 1000),
)
def test_windings_and_additive_charges_are_found(windings, tilts, seed) -> None:
    cell = np.diag([10.0, 9.0, 11.0])
    cell[1, 0], cell[2, 0], cell[2, 1] = 10 * tilts[0], 10 * tilts[1], 9 * tilts[2]
    species = ["K" if i % 2 else "Cl" for i in range(len(windings))]
    path = winding_path(cell, species, windings, seed=seed)
    loop = analysed(path, STATES)
    np.testing.assert_array_equal(loop.closure.windings, windings)
    expected = np.array([STATES[name] for name in species]) @ np.array(windings)
    np.testing.assert_allclose(loop.charges[0].charge, expected, atol=1e-9)
    np.testing.assert_allclose(loop.charges[0].excess, 0.0)
    assert loop.charges[0].distance.max() < 1e-9


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), tilted=st.booleans())
def test_centres_in_any_order_displace_the_same_charge(seed, tilted) -> None:
    """Pairs of electrons that ride with their ions, and one that goes around by itself."""
    species = ["K", "Cl", "K", "X", "X", "X"]
    windings = [[1, 0, 0], [0, -1, 1], [0, 0, 0], [1, 0, 0], [0, -1, 1], [0, 2, 0]]
    cell = TILTED if tilted else CUBE
    charges = {"K": 3.0, "Cl": 1.0, "X": -2.0}
    told = winding_path(cell, species, windings, 61, seed=seed, wobble=0.05)
    mixed = winding_path(cell, species, windings, 61, ["X"], seed=seed, wobble=0.05, shuffle=True)
    one, other = analysed(told, charges), analysed(mixed, charges)
    np.testing.assert_allclose(other.charges[0].charge, one.charges[0].charge, atol=1e-9)
    np.testing.assert_allclose(other.charges[0].dipole, one.charges[0].dipole, atol=1e-9)
    np.testing.assert_array_equal(other.closure.windings[:3], windings[:3])
    np.testing.assert_array_equal(other.closure.centres["X"], [1, 1, 1])


def test_a_loop_closes_when_centres_have_taken_each_others_places() -> None:
    """Three pairs on a ring around the cell, each moving to the place of the next: one pair has been pumped."""
    part = np.linspace(0.0, 1.0, 31)
    x = (np.arange(3)[None, :] + part[:, None]) * 10.0 / 3.0 % 10.0
    positions = np.zeros((31, 4, 3))
    positions[:, 1:, 0] = x
    path = Path(("K", "X", "X", "X"), np.arange(1, 5), CUBE, positions, tuple(f"frame {k}" for k in range(31)), ("X",))
    loop = analysed(path, {"K": 6.0, "X": -2.0})
    np.testing.assert_array_equal(loop.closure.centres["X"], [1, 0, 0])
    np.testing.assert_allclose(loop.charges[0].charge, [-2.0, 0.0, 0.0], atol=1e-12)


def test_a_pump_is_told_from_additive_charges() -> None:
    still = [[0, 0, 0], [0, 0, 0], [-1, 0, 0]]
    pump = analysed(winding_path(CUBE, ["K", "K", "X"], still, centres=["X"]), {"K": 1.0, "X": -2.0})
    found = pump.charges[0]
    np.testing.assert_allclose(found.charge, [2.0, 0.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(found.excess, [2.0, 0.0, 0.0])
    assert found.verdict == "pump"
    assert "+2 along a is pumped although every atom returns" in found.reason

    rest = analysed(winding_path(CUBE, ["K", "K", "X"], np.zeros((3, 3)), centres=["X"]), {"K": 1.0, "X": -2.0})
    assert rest.charges[0].verdict == "additive"
    riding = analysed(
        winding_path(CUBE, ["K", "Cl", "X"], [[0, 0, 0], [0, 1, 0], [0, 1, 0]], centres=["X"]),
        {"K": 1.0, "Cl": 1.0, "X": -2.0},
    )
    assert riding.charges[0].verdict == "additive"
    np.testing.assert_allclose(riding.charges[0].prediction, [0.0, -1.0, 0.0])
    left_behind = analysed(
        winding_path(CUBE, ["K", "Cl", "X"], [[0, 0, 0], [0, 1, 0], [0, 0, 0]], centres=["X"]),
        {"K": 1.0, "Cl": 1.0, "X": -2.0},
    )
    assert left_behind.charges[0].verdict == "not additive"
    np.testing.assert_allclose(left_behind.charges[0].excess, [0.0, 2.0, 0.0])


def test_verdicts_say_what_is_not_known() -> None:
    windings = [[1, 0, 0], [0, 0, 0]]
    path = winding_path(CUBE, ["K", "Cl"], windings)
    assert analysed(path, STATES).charges[0].verdict == "by construction"
    alone = analysed(path, STATES, {}).charges[0]
    assert alone.verdict == "charge of one atom"
    assert alone.excess is None
    assert alone.reason == "atom 1 (K) alone winds: its topological charge on this loop is +1"
    both = analysed(winding_path(CUBE, ["K", "Cl"], [[1, 0, 0], [1, 0, 0]]), STATES, {"K": 1.0}).charges[0]
    assert both.verdict == "unknown"
    assert "oxidation state of Cl is not given" in both.reason
    partial = analysed(path, {"K": 0.6, "Cl": -0.6}).charges[0]
    assert partial.verdict == "not an integer"
    np.testing.assert_allclose(partial.distance, [0.4, 0.0, 0.0], atol=1e-9)


# ---- charges that change --------------------------------------------------------------------------------------------


def changing(points, tensor=False):
    """One atom around the cell at uneven speed; Z = 1 + 0.4 cos 2πs, whose integral over the loop is 1."""
    time = np.linspace(0.0, 1.0, points)
    s = time + 0.12 * np.sin(2 * np.pi * time)
    z = 1.0 + 0.4 * np.cos(2 * np.pi * s)
    steps = np.diff(s)[:, None, None] * 10.0 * np.array([1.0, 0.0, 0.0])
    if not tensor:
        return steps, z[:, None]
    tensors = np.zeros((points, 1, 3, 3))
    tensors[:, 0, 0, 0], tensors[:, 0, 1, 0] = z, z - 1.0  # row: direction of the dipole
    return steps, tensors


@pytest.mark.parametrize("tensor", [False, True])
def test_the_error_of_changing_charges_is_of_second_order_and_known(tensor) -> None:
    errors, estimates = [], []
    for points in (17, 33, 65):
        steps, charges = changing(points, tensor)
        q = displaced_dipole(steps, charges)[-1] / 10.0
        errors.append(abs(q[0] - 1.0))
        estimates.append(discretisation_error(steps, charges, CUBE)[0])
        assert q[1] == pytest.approx(q[0] - 1.0 if tensor else 0.0, abs=1e-12)
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.15)
    assert errors[1] / errors[2] == pytest.approx(4.0, rel=0.05)
    np.testing.assert_allclose(estimates[1:], errors[1:], rtol=0.1)


def test_constant_charges_have_no_error_and_are_exact() -> None:
    path = winding_path(TILTED, ["K"], [[1, -1, 2]], 21)
    found = analysed(path, {"K": 1.0}).charges[0]
    np.testing.assert_array_equal(found.error, 0.0)
    np.testing.assert_allclose(found.charge, [1, -1, 2], atol=1e-12)


# ---- several loops --------------------------------------------------------------------------------------------------


def test_charges_of_atoms_follow_from_loops_or_cannot_be() -> None:
    """As of H3+: protons alone carry +1 each, two together 0."""

    def loop(windings, electrons):
        path = winding_path(CUBE, ["H", "H", "X"], [*windings, electrons], centres=["X"])
        return analysed(path, {"H": 1.0, "X": -2.0}, {"H": 1.0})

    a, b = loop([[1, 0, 0], [0, 0, 0]], [0, 0, 0]), loop([[0, 0, 0], [1, 0, 0]], [0, 0, 0])
    both = loop([[1, 0, 0], [1, 0, 0]], [0, 0, 0])
    pair = loop([[1, 0, 0], [1, 0, 0]], [1, 0, 0])
    (additive,) = compare_loops([a, b, both], ["a", "b", "both"])
    assert additive.additive
    assert additive.charges == pytest.approx({"H 1": 1.0, "H 2": 1.0})
    (half,) = compare_loops([both, both], ["both", "again"])
    assert half.additive
    assert half.charges == {}  # only their sum is known
    (broken,) = compare_loops([a, b, pair], ["a", "b", "pair"])
    assert not broken.additive
    assert "strong adiabaticity is broken" in broken.reason
    # equal windings, unequal charges
    assert not compare_loops([both, pair], ["both", "pair"])[0].additive
    other = analysed(winding_path(CUBE, ["K"], [[1, 0, 0]]), {"K": 1.0})
    with pytest.raises(EstimateError, match="'k' has other atoms than 'a'"):
        compare_loops([a, other], ["a", "k"])


# ---- refusals -------------------------------------------------------------------------------------------------------


def test_a_step_that_is_too_long_is_refused_with_frame_and_atom() -> None:
    path = winding_path(CUBE, ["K", "Cl"], [[0, 0, 0], [0, 1, 0]], points=3, wobble=0.0)
    with pytest.raises(EstimateError, match=r"atom 2 \(Cl\) moves by 0\.50 of the width of the cell along b between "
                                            r"frame [01] and frame [12], .*at most 0\.4"):  # fmt: skip
        analysed(path, STATES)


def test_continuous_positions_may_take_long_steps() -> None:
    positions = np.zeros((3, 1, 3))
    positions[:, 0, 0] = [0.0, 12.0, 20.0]
    path = Path(("K",), np.array([1]), CUBE, positions, ("a", "b", "c"), continuous=True)
    np.testing.assert_array_equal(analysed(path, {"K": 1.0}).closure.windings, [[2, 0, 0]])


def test_centres_that_move_too_far_are_refused_with_the_frames() -> None:
    """Pairs on a ring that move by half their distance: forward and backward cannot be told apart."""
    part = np.linspace(0.0, 1.0, 3)
    positions = np.zeros((3, 4, 3))
    positions[:, :, 0] = (np.arange(4)[None, :] + part[:, None]) * 2.5
    path = Path(("X",) * 4, np.arange(1, 5), CUBE, positions % 10.0, ("frame 0", "frame 1", "frame 2"), ("X",))
    with pytest.raises(
        EstimateError, match=r"dipole changes by 0\.50 of its quantum \(2 × cell vector a\) between frame"
    ):
        analysed(path, {"X": -2.0})


def test_an_open_path_is_refused_with_the_distance() -> None:
    path = winding_path(CUBE, ["K", "Cl"], [[0, 0, 0], [0.03, 0, 0]], wobble=0.1)
    with pytest.raises(EstimateError, match=r"the path is open: atom 2 \(Cl\) ends 0\.3 away .*at most 0\.01"):
        analysed(path, STATES)
    assert analyse_loop(path, {"q": constant(path, STATES)}, STATES, tolerance=0.04).closure.gap == pytest.approx(0.3)


def test_atoms_that_have_changed_places_do_not_close_a_path() -> None:
    half = np.linspace(0.0, np.pi, 21)
    positions = np.zeros((21, 2, 3))
    positions[:, 0, 0], positions[:, 0, 1] = 5 + np.cos(half), 5 + np.sin(half)
    positions[:, 1, 0], positions[:, 1, 1] = 5 - np.cos(half), 5 - np.sin(half)
    path = Path(("K", "K"), np.array([1, 2]), CUBE, positions, tuple(map(str, range(21))))
    with pytest.raises(EstimateError, match="identical atoms have changed places"):
        analysed(path, STATES)


def test_other_mistakes_are_one_sentence_each() -> None:
    with pytest.raises(EstimateError, match="the path has 2 points"):
        winding_path(CUBE, ["K"], [[0, 0, 0]], points=2)
    with pytest.raises(EstimateError, match="centres are of the species 'W', which the path does not have"):
        winding_path(CUBE, ["K"], [[0, 0, 0]], centres=["W"])
    with pytest.raises(EstimateError, match="step 7 has another cell than step 0"):
        one_cell([CUBE, CUBE * 1.001], ["step 0", "step 7"])
    path = winding_path(CUBE, ["K", "X", "X"], np.zeros((3, 3)), centres=["X"])
    with pytest.raises(EstimateError, match="centres X do not all have one and the same charge"):
        analyse_loop(path, {"q": np.tile([1.0, -1.0, -2.0], (41, 1))}, {})


# ---- files ----------------------------------------------------------------------------------------------------------


def write_dump(file: FilePath, path: Path, cell=TILTED, kinds=None) -> FilePath:
    kinds = kinds or {"K": 1, "Cl": 2, "X": 3}
    xy, xz, yz = cell[1, 0], cell[2, 0], cell[2, 1]
    lines = []
    for k, points in enumerate(path.positions):
        lines += [f"ITEM: TIMESTEP\n{100 * k}\nITEM: NUMBER OF ATOMS\n{len(points)}",
                  "ITEM: BOX BOUNDS xy xz yz pp pp pp",
                  f"{min(0, xy, xz, xy + xz)} {cell[0, 0] + max(0, xy, xz, xy + xz)} {xy}",
                  f"{min(0, yz)} {cell[1, 1] + max(0, yz)} {xz}", f"0 {cell[2, 2]} {yz}",
                  "ITEM: ATOMS id type q x y z"]  # fmt: skip
        for i in np.random.default_rng(k).permutation(len(points)):
            charge = {"K": 1.0, "Cl": -1.0, "X": 0.0}[path.species[i]]
            place = " ".join(f"{value:.12g}" for value in points[i])
            lines.append(f"{i + 1} {kinds[path.species[i]]} {charge} {place}")
    file.write_text("\n".join(lines) + "\n")
    return file


def write_xyz(file: FilePath, path: Path, **arrays) -> FilePath:
    ase = pytest.importorskip("ase")
    frames = []
    for k, points in enumerate(path.positions):
        atoms = ase.Atoms(path.species, points, cell=path.cell, pbc=True)
        for name, values in arrays.items():
            atoms.set_array(name, values[k])
        frames.append(atoms)
    import ase.io

    ase.io.write(file, frames, format="extxyz")
    return file


SPECIES = ["K", "Cl", "X"]
WINDINGS = [[1, 0, 0], [0, 0, -1], [0, 0, 0]]


def test_a_dump_in_a_tilted_cell_is_read_and_judged(tmp_path) -> None:
    path = winding_path(TILTED, SPECIES, WINDINGS, centres=["X"])
    file = write_dump(tmp_path / "dump.lammpstrj", path)
    config = tmp_path / "melt.yaml"
    config.write_text(
        "species: {K: {type: 1, oxidation: 1}, Cl: {type: 2, oxidation: -1}, lp: {type: 3}}\n"
        "representations: {all: {carriers: {1: 1, 2: 1, 3: -2}}, atomic: }\npath: {centres: lp}\n"
    )
    loop = lammps_topo.loop_of_file(file, config=config)
    np.testing.assert_array_equal(loop.closure.windings[:2], WINDINGS[:2])
    found = {charge.representation: charge for charge in loop.charges}
    np.testing.assert_allclose(found["all"].charge, [1, 0, -1], atol=1e-9)
    np.testing.assert_allclose(found["atomic"].charge, [1, 0, 1], atol=1e-9)
    np.testing.assert_allclose(found["all"].excess, [0, 0, -2])
    assert found["all"].verdict == "not additive"
    plain = lammps_topo.loop_of_file(file, charges={"1": 1, "2": 1}, centres={"3": -2})
    np.testing.assert_allclose(plain.charges[0].charge, [1, 0, -1], atol=1e-9)


def test_charges_in_coulomb_become_whole_numbers(tmp_path) -> None:
    """``units si``: those of the configuration are in C, as in the run; those of the options in e."""
    file = write_dump(tmp_path / "dump.lammpstrj", winding_path(TILTED, ["K", "Cl"], WINDINGS[:2]))
    config = tmp_path / "si.yaml"
    species = "{K: {type: 1, oxidation: 1.602176634e-19}, Cl: {type: 2, oxidation: -1.602176634e-19}}"
    config.write_text(f"species: {species}\n"
                      "trajectory: {units: si}\nrepresentations: oxidation\n")  # fmt: skip
    for found in (
        lammps_topo.loop_of_file(file, config=config),
        lammps_topo.loop_of_file(file, charges={"1": 1, "2": -1}, oxidation={"1": 1, "2": -1}),
    ):
        np.testing.assert_allclose(found.charges[0].charge, [1, 0, 1], atol=1e-9)
        np.testing.assert_allclose(found.charges[0].prediction, [1, 0, 1], atol=1e-9)


def test_centres_of_a_file_that_ase_reads_on_the_command_line(tmp_path) -> None:
    path = winding_path(CUBE, SPECIES, [[0, 0, 0], [0, 0, 0], [0, 1, 0]], centres=["X"])
    file = write_xyz(tmp_path / "loop.xyz", path)
    words = ["loop", str(file), "--charge", "K=1", "--charge", "Cl=1", "--centre", "X=-2", "--oxidation", "K=+1"]
    told = CliRunner().invoke(main, [*words, "--json", "--plot", str(tmp_path / "loop.png")])
    assert told.exit_code == 0, told.output
    entries = [entry for entry in json.loads(told.stdout) if entry["quantity"] == "topological_charge"]
    assert [round(entry["value"], 6) for entry in entries] == [0, -2, 0]
    assert {entry["verdict"] for entry in entries} == {"pump"}
    assert [entry["pumped"] for entry in entries] == [0, -2, 0]
    assert (tmp_path / "loop.png").stat().st_size > 1000
    told = CliRunner().invoke(main, words)
    assert "verdict: pump: a charge of −2 along b is pumped" in told.output
    assert "all 2 atoms               0       0       0" in told.output
    told = CliRunner().invoke(main, ["loop", str(file), *words[1:]])
    assert "one charge for each atom accounts for all of these loops" in told.output or "no charges" in told.output


def test_tensors_of_a_file_that_ase_reads(tmp_path) -> None:
    path = winding_path(TILTED, ["K", "Cl"], [[1, 0, 0], [0, 0, 0]])
    tensors = np.tile(np.outer([1.0, -1.0], np.eye(3).ravel()), (41, 1, 1))
    file = write_xyz(tmp_path / "born.xyz", path, zstar=tensors)
    loop = lammps_topo.loop_of_file(file, born="zstar", oxidation=STATES)
    np.testing.assert_allclose(loop.charges[0].charge, [1, 0, 0], atol=1e-6)
    with pytest.raises(FileError, match="frame 0 has no array 'charges' of nine numbers"):
        lammps_topo.loop_of_file(file, born="charges")


def test_bad_files_and_options_are_one_sentence_each(tmp_path) -> None:
    path = winding_path(CUBE, ["K", "Cl"], [[1, 0, 0], [0, 0, 0]])
    file = write_xyz(tmp_path / "loop.xyz", path)
    with pytest.raises(ConfigError, match="the path has no charges"):
        lammps_topo.loop_of_file(file)
    with pytest.raises(ConfigError, match="no charge is given for the species 'Cl'"):
        lammps_topo.loop_of_file(file, charges={"K": 1})
    with pytest.raises(ConfigError, match="the path has no species 'Na'"):
        lammps_topo.loop_of_file(file, charges={"K": 1, "Cl": -1, "Na": 1})
    frames = file.read_text().splitlines(keepends=True)
    other = tmp_path / "other.xyz"
    other.write_text("".join(frames[:8]) + "3\n" + frames[1] + "".join(frames[2:4]) + frames[2] + "".join(frames[8:]))
    with pytest.raises(FileError, match="every frame must hold the same atoms"):
        lammps_topo.loop_of_file(other, charges=STATES)
    other.write_text(
        "".join(frames[:4]) + "".join(frames[4:]).replace("10.0 0.0 0.0 0.0 10.0", "10.5 0.0 0.0 0.0 10.0")
    )
    with pytest.raises(EstimateError, match="frame 1 has another cell than frame 0"):
        lammps_topo.loop_of_file(other, charges=STATES)
    for words, text in (
        (["--charge", "K"], "--charge K: expected SPECIES=NUMBER, as in --charge K=+1"),
        (["--centre", "X=two"], "--centre X=two: expected SPECIES=NUMBER"),
        (["--charge", "K=1", "--charge", "Cl=-1", "--plot", str(tmp_path / "x.txt")], "must end in one of .png"),
    ):
        told = CliRunner().invoke(main, ["loop", str(file), *words])
        assert told.exit_code == 1
        assert text in told.output
        assert "Traceback" not in told.output


def test_the_key_path_is_checked() -> None:
    assert parse_config("path: true").path.centres == []
    assert parse_config("path: {centres: e}").path.centres == ["e"]
    assert parse_config("path: false").path is None
    for text, why in (
        ("path: {centre: e}", "unknown key 'path.centre'; did you mean 'centres'?"),
        ("path: {tolerance: 0}", "key 'path.tolerance' has the value 0, but input should be greater than 0"),
        ("path: true\nrestart: require", "a path is measured in one go: 'restart' cannot be 'require'"),
    ):
        with pytest.raises(ConfigError, match=re.escape(why)):
            parse_config(text)


# ---- electrons of density functional theory -------------------------------------------------------------------------

K3CL = FilePath(__file__).resolve().parents[2] / "examples" / "k3cl" / "k3cl.xyz"
CORES = {"K": 9.0, "Cl": 7.0}


def test_wannier_centres_of_k3cl_are_pumped(tmp_path) -> None:
    """The curve of another calculation differs by up to 0.012: there the centres at 0 degrees are the mirror image."""
    pytest.importorskip("ase.io")
    loop = lammps_topo.loop_of_file(K3CL, charges=CORES, centres={"X": -2.0}, oxidation=STATES)
    (charge,) = loop.charges
    assert charge.verdict == "pump"
    assert not loop.closure.windings.any()
    np.testing.assert_allclose(charge.charge, [2.0, 0.0, 0.0], atol=1e-6)
    other = [0.0, 0.073, 0.168, 0.366, 0.669, 0.839, 0.912, 0.948, 1.008]
    np.testing.assert_allclose(charge.dipole[:9, 0], other, atol=0.017)
    np.testing.assert_allclose(charge.dipole[::-1, 0] + charge.dipole[:, 0], 2.0, atol=0.017)  # mirror symmetry


@pytest.mark.parametrize("order", [slice(None, None, -1), slice(None, None, 2)])
def test_wannier_centres_backwards_and_of_fewer_points(tmp_path, order) -> None:
    io = pytest.importorskip("ase.io")
    io.write(tmp_path / "part.xyz", io.read(K3CL, ":")[order], format="extxyz")
    loop = lammps_topo.loop_of_file(tmp_path / "part.xyz", charges=CORES, centres={"X": -2.0})
    expected = -2.0 if order.step < 0 else 2.0
    np.testing.assert_allclose(loop.charges[0].charge, [expected, 0.0, 0.0], atol=1e-6)
