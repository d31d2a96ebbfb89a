"""The script of examples/agi-mliap that makes structure and cage residence of dumps, on cases known exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from agi_scripts import REPOSITORY, script

structure = script("structure", REPOSITORY / "examples" / "agi-mliap")

BOX = 16.0


def dump(path: Path, types: np.ndarray, positions: np.ndarray) -> Path:
    """A LAMMPS dump of positions (T, N, 3), 20 steps apart."""
    text = ""
    for k, frame in enumerate(positions):
        text += f"ITEM: TIMESTEP\n{20 * k}\nITEM: NUMBER OF ATOMS\n{len(frame)}\nITEM: BOX BOUNDS pp pp pp\n"
        text += 3 * f"0.0 {BOX}\n" + "ITEM: ATOMS id type x y z\n"
        for i, (kind, (x, y, z)) in enumerate(zip(types, frame, strict=True), 1):
            text += f"{i} {kind} {x:.5f} {y:.5f} {z:.5f}\n"
    path.write_text(text)
    return path


def test_an_ideal_gas_has_no_structure(tmp_path: Path) -> None:
    types = np.repeat([1, 2], 100)
    frames = structure.read_dump(
        dump(tmp_path / "gas", types, np.random.default_rng(1).uniform(0, BOX, (60, 200, 3))), 0.001
    )
    assert frames.interval == pytest.approx(0.02)
    for pair in structure.PAIRS:
        r, g = structure.radial(frames, *pair)
        far = r > 4.0
        assert g[far].mean() == pytest.approx(1.0, abs=0.005)  # 5e5 pairs
    assert np.abs(g[far] - 1).max() < 0.15


def test_a_silver_that_hops_leaves_its_cage_for_good(tmp_path: Path) -> None:
    """Two cages of one iodine; hops with probability p at every step, once: C_R = (1 - p)^k for such jumps."""
    probability, count = 0.02, 4000
    rng = np.random.default_rng(2)
    iodine = np.array([[2.0, 2, 2], [8.0, 2, 2], [2.0, 8, 2], [8.0, 8, 2]])
    where = np.cumsum(rng.random(count) < probability) % len(iodine)  # around: home again after four hops
    positions = np.concatenate([(iodine[where] + [0, 0, 2.5])[:, None], np.tile(iodine, (count, 1, 1))], axis=1)
    frames = structure.read_dump(dump(tmp_path / "hops", np.array([1, 2, 2, 2, 2]), positions), 0.001)
    lists = structure.neighbour_lists(frames, 3.6)
    found = structure.residence(lists, 60)
    k = np.arange(61)
    expected = np.array([((1 - probability) * np.eye(4) + probability * np.roll(np.eye(4), 1, 0)) for _ in k])
    exact = np.array([np.linalg.matrix_power(step, int(lag))[0, 0] for step, lag in zip(expected, k, strict=True)])
    assert found[0] == 1.0
    np.testing.assert_allclose(found, exact, atol=4 * np.sqrt(exact[60] / (probability * count)) / 2)


def test_neighbours_that_change_places_are_another_cage(tmp_path: Path) -> None:
    """As many neighbours, but others: the list is not what it was. Through the walls of the box, too."""
    silver = [[0.5, 8, 8]]
    near, far = [[15.0, 8, 8], [8.0, 8, 8]], [[8.0, 8, 8], [15.0, 8, 8]]
    frames = structure.read_dump(
        dump(tmp_path / "d", np.array([1, 2, 2]), np.array([silver + near, silver + near, silver + far])), 0.001
    )
    lists = structure.neighbour_lists(frames, 3.0)
    assert lists[0] == lists[1] != lists[2]
    assert (structure.neighbour_lists(frames, 1.0) == 0).all()


def test_two_results_files_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A column a file, with the same numbers as `lammps-topo show`; what a file does not have is a dash."""
    pytest.importorskip("matplotlib")
    compare = script("compare", REPOSITORY / "examples" / "agi-mliap")
    kept = str(REPOSITORY / "tests" / "data" / "format-1.topo.h5")
    compare.main([kept, kept, "--names", "one", "other", "-o", str(tmp_path / "overlay.svg")])
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert rows[0] == ["| Ag", "one", "other |"]
    assert all(row[1] == row[2].removesuffix(" |") for row in rows[1:])
    assert len(rows) == 1 + len(compare.ROWS)
    assert (tmp_path / "overlay.svg").stat().st_size > 5000
    with pytest.raises(SystemExit):
        compare.main([kept, kept])


def test_numbers_are_shown_with_two_digits_of_their_error() -> None:
    compare = script("compare", REPOSITORY / "examples" / "agi-mliap")
    assert compare.shown(3.2513, 0.0812) == "3.251 ± 0.081"
    assert compare.shown(252.3, 18.1) == "252 ± 18"
    assert compare.shown(252.3, 0.0) == "252.3"
    assert compare.shown(float("nan"), 1.0) == "–"
