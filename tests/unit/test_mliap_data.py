"""The data scripts of potentials/agi-mliap: what is drawn, and the bookkeeping of the labels, with a stand-in CP2K."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agi_scripts import AGI, script

ase = pytest.importorskip("ase")
pytest.importorskip("ase.io")

HARTREE, BOHR, GPA = 27.211386, 0.52917721, 1 / 160.2176634  # eV, A, eV/A^3

# What the program writes, shortened: a Hartree an atom, forces as the rows count, a stress with six different numbers
STAND_IN = """#!{python}
import sys, time
from pathlib import Path
if "--version" in sys.argv:
    print(" CP2K version 0.0")
    sys.exit()
here = Path("agi.inp").read_text()
rows = here.split("&COORD")[1].split("&END")[0].split("\\n")[1:-1]
centring, localisation = "&LOCALIZE" in here, "converged"
Path("../../calls").open("a").write(f"{{rows[0]}} {{centring}}\\n")
{trouble}
out = "  *** SCF run converged in     9 steps ***\\n"
out += f" ENERGY| Total FORCE_EVAL ( QS ) energy [a.u.]:    {{-len(rows):.15f}}\\n\\n"
out += " ATOMIC FORCES in [a.u.]\\n\\n # Atom   Kind   Element          X              Y              Z\\n"
for k, row in enumerate(rows, 1):
    out += f"      {{k}}      1      {{row.split()[0]}}   {{0.001 * k:.8f}} {{-0.002 * k:.8f}}  0.00000000\\n"
out += " SUM OF ATOMIC FORCES           0.0 0.0 0.0 0.0\\n\\n STRESS| Analytical stress tensor [GPa]\\n"
out += " STRESS|              x           y         z\\n"
for axis, line in zip("xyz", ((1, 6, 5), (6, 2, 4), (5, 4, 3))):
    out += " STRESS|  " + axis + "".join(f"  {{v:.11E}}" for v in line) + "\\n"
out += f"    Localization  for spin   1 {{localisation}} in     84 iterations\\n"
Path("agi.out").write_text(out)
centres = [row.split() for row in rows for _ in range(5 if row.split()[0] == "Ag" else 4)]
wannier = f"{{len(rows) + len(centres)}}\\n title\\n" + "\\n".join(rows)
for k, (_, x, y, z) in enumerate(centres):  # a cell further along x, and 0.1 to 0.5 A beside the ion
    wannier += f"\\nX {{float(x) + 10.0}} {{y}} {{float(z) + 0.1 * (k % 5 + 1)}}"
Path("agi-wannier.xyz-1_0.xyz").write_text(wannier + "\\n")
"""


draw = script("draw_configurations")
label = script("label_configurations")


@pytest.fixture
def stand_in(tmp_path: Path) -> Any:
    """A function that writes a stand-in for CP2K, with some trouble in it, and returns its path."""

    def make(trouble: str = "") -> str:
        path = tmp_path / "stand-in"
        path.write_text(STAND_IN.format(python=sys.executable, trouble=trouble))
        path.chmod(0o755)
        return str(path)

    return make


def crystal(count: int) -> list[Any]:
    """Small cells of AgI, told apart by where the first atom is."""
    made = []
    for k in range(count):
        atoms = ase.Atoms("AgI", [[0.01 * k, 0, 0], [2.5, 2.5, 2.5]], cell=np.diag([10.0, 11.0, 12.0]), pbc=True)
        atoms.info = {"index": k, "kind": "md", "split": draw.split(k)}
        made.append(atoms)
    return made


def run(configurations: list[Any], folder: Path, command: str, **options: Any) -> None:
    options = {"centres_every": 0, "cpu_seconds": 60, "retry": False, "settings": label.Settings(), **options}
    label.label_all(configurations, folder=folder, command=command, **options)


def calls(folder: Path) -> int:
    return (folder / "calls").read_text().count("\n")


def finished(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "done").iterdir())


def test_one_in_eight_is_for_testing_by_its_index_alone() -> None:
    assert [k for k in range(24) if draw.split(k) == "test"] == [7, 15, 23]


def test_every_prefix_of_the_order_is_a_fair_sample() -> None:
    counts = [kind.number for kind in draw.KINDS]
    order = draw.order(counts, np.random.default_rng(1))
    assert sorted(order) == [(kind, k) for kind, n in enumerate(counts) for k in range(n)]
    kinds = np.array([kind for kind, _ in order])
    for prefix in (40, 100, 333):
        share = np.bincount(kinds[:prefix], minlength=len(counts))
        np.testing.assert_allclose(share, prefix * np.array(counts) / sum(counts), atol=2.0)
    tested = np.bincount(kinds[7::8], minlength=len(counts))
    assert (tested > 0).all()


def test_tetrahedral_sites_have_four_iodine_neighbours() -> None:
    iodine, silver = draw.iodine_sites(), draw.tetrahedral_sites()
    assert (len(iodine), len(silver)) == (16, 96)
    box = draw.REPEATS * draw.LATTICE_CONSTANT
    apart = silver[:, None] - iodine[None]
    distances = np.sort(np.linalg.norm(apart - box * np.round(apart / box), axis=-1), axis=1)
    np.testing.assert_allclose(distances[:, :4], draw.LATTICE_CONSTANT * np.sqrt(5) / 4, rtol=1e-12)
    assert (distances[:, 4] > 1.5 * distances[:, 3]).all()
    assert len(np.unique(silver.round(6), axis=0)) == 96


def test_rattled_configurations_keep_their_distance_and_follow_the_seed() -> None:
    kinds = (draw.Kind("rattled", 6, ()),)
    first, again, other = (list(draw.draw(kinds, seed)) for seed in (3, 3, 4))
    for atoms in first:
        assert atoms.get_chemical_formula() == "Ag16I16"
        for pair, least in draw.CLOSEST.items():
            assert draw.closest(atoms, *pair) > least
    assert all(np.array_equal(a.positions, b.positions) for a, b in zip(first, again, strict=True))
    assert not np.allclose(first[0].positions, other[0].positions)


def test_strain_is_homogeneous_and_bounded() -> None:
    rng = np.random.default_rng(5)
    atoms = draw.rattled(rng)
    volumes = []
    for _ in range(50):
        strained = draw.strained(atoms, rng)
        np.testing.assert_allclose(strained.get_scaled_positions(wrap=False), atoms.get_scaled_positions(wrap=False))
        assert np.array_equal(strained.cell.array, np.tril(strained.cell.array))  # as LAMMPS wants its boxes
        volumes.append(strained.get_volume() / atoms.get_volume())
    assert 0.9399 < min(volumes) < 0.96
    assert 1.04 < max(volumes) < 1.0601


def test_labels_are_in_ase_units_and_signs(tmp_path: Path, stand_in: Any) -> None:
    run(crystal(1), tmp_path / "labels", stand_in())
    atoms = ase.io.read(tmp_path / "labels" / "done" / "00000.xyz")
    assert atoms.get_potential_energy() == pytest.approx(-2 * HARTREE, rel=1e-6)
    k = np.array([1, 2])
    expected = np.stack([0.001 * k, -0.002 * k, 0 * k], axis=1) * HARTREE / BOHR
    np.testing.assert_allclose(atoms.get_forces(), expected, atol=1e-5)
    # compression is positive in CP2K and negative in ASE; order xx yy zz yz xz xy
    np.testing.assert_allclose(atoms.get_stress(), -np.arange(1, 7) * GPA, atol=1e-7)
    assert atoms.info["split"] == "fit"
    assert atoms.info["scf_steps"] == 9


def test_centres_are_moved_beside_their_ions(tmp_path: Path, stand_in: Any) -> None:
    run(crystal(1), tmp_path / "labels", stand_in(), centres_every=1)
    both = ase.io.read(tmp_path / "labels" / "done" / "00000.wannier.xyz")
    assert both.get_chemical_symbols() == ["Ag", "I"] + 9 * ["X"]
    assert both.info["complete"]
    assert both.arrays["ion"].tolist() == [0, 1] + 5 * [0] + 4 * [1]
    beside = both.positions[2:] - both.positions[both.arrays["ion"][2:]]
    np.testing.assert_allclose(np.abs(beside[:, :2]), 0.0, atol=1e-4)
    assert beside[:, 2].max() == pytest.approx(0.5, abs=1e-4)


def test_nothing_is_computed_twice_and_what_fails_is_recorded(tmp_path: Path, stand_in: Any) -> None:
    folder = tmp_path / "labels"
    run(crystal(4), folder, stand_in("if 'Ag 0.02000000' in rows[0]: sys.exit(3)"))
    assert calls(folder) == 4
    assert finished(folder) == ["00000.xyz", "00001.xyz", "00003.xyz"]
    assert "status 3" in (folder / "failed" / "00002.txt").read_text()
    run(crystal(5), folder, stand_in())
    assert calls(folder) == 5  # the fifth only
    run(crystal(5), folder, stand_in(), retry=True)
    assert calls(folder) == 6
    assert not list((folder / "failed").iterdir())

    run(crystal(5), folder, stand_in(), centres_every=3)
    assert calls(folder) == 8
    assert label.collect(folder, tmp_path / "agi-pbe") == (5, 2)
    text = gzip.decompress((tmp_path / "agi-pbe.xyz.gz").read_bytes()).decode()
    assert [atoms.info["index"] for atoms in ase.io.read(StringIO(text), ":", format="extxyz")] == [0, 1, 2, 3, 4]
    assert '"cutoff"' in (tmp_path / "agi-pbe-settings.json").read_text()


def test_unconverged_fields_are_no_labels(tmp_path: Path, stand_in: Any) -> None:
    folder = tmp_path / "labels"
    run(crystal(1), folder, stand_in("Path('agi.out').write_text('SCF run NOT converged'); sys.exit()"))
    assert finished(folder) == []
    assert "did not converge" in (folder / "failed" / "00000.txt").read_text()


def test_centres_that_fail_do_not_cost_the_forces(tmp_path: Path, stand_in: Any) -> None:
    folder = tmp_path / "labels"
    run(crystal(1), folder, stand_in("localisation = 'not converged'"), centres_every=1)
    assert finished(folder) == ["00000.xyz"]
    assert "localisation did not converge" in (folder / "failed" / "00000.wannier.txt").read_text()


def test_the_limit_is_of_cpu_time(tmp_path: Path, stand_in: Any) -> None:
    folder = tmp_path / "labels"
    slow = stand_in("time.sleep(1.5) if 'Ag 0.00000000' in rows[0] else any(iter(int, 1))")
    run(crystal(2), folder, slow, cpu_seconds=1)
    assert finished(folder) == ["00000.xyz"]  # waited, as one that was stopped
    assert "CPU time" in (folder / "failed" / "00001.txt").read_text()


def test_other_settings_want_another_folder(tmp_path: Path, stand_in: Any) -> None:
    run(crystal(1), tmp_path / "labels", stand_in())
    with pytest.raises(label.LabelError, match="other settings"):
        run(crystal(1), tmp_path / "labels", stand_in(), settings=label.Settings(cutoff=300.0))


def test_a_killed_run_is_taken_up_where_it_was(tmp_path: Path, stand_in: Any) -> None:
    folder, list_of = tmp_path / "labels", tmp_path / "configurations.xyz"
    ase.io.write(list_of, crystal(4), format="extxyz")
    command = stand_in("time.sleep(60) if 'Ag 0.02000000' in rows[0] else None")
    program = [sys.executable, str(AGI / "label_configurations.py"), str(list_of), "--folder", str(folder)]
    with subprocess.Popen([*program, "--cp2k", command, "--centres-every", "0"], start_new_session=True) as running:
        while not (folder / "calls").exists() or calls(folder) < 3:
            assert running.poll() is None
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGKILL)
    assert "00001.xyz" in finished(folder)
    assert "00002.xyz" not in finished(folder)
    run(crystal(4), folder, stand_in())
    assert len(finished(folder)) == 4
    assert calls(folder) == 5  # the third twice


def test_two_programs_share_a_folder(tmp_path: Path) -> None:
    with label.claim(tmp_path / "lock") as mine:
        assert mine >= 0
        with label.claim(tmp_path / "lock") as other:
            assert other == -1
    with label.claim(tmp_path / "lock") as again:
        assert again >= 0
